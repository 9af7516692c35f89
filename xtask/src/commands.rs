//! One command each: its arguments, the operations that it calls, and what it prints.

pub mod bootstrap;
pub mod checks;
pub mod ci;
pub mod cloud;
pub mod completions;
pub mod deploy;
pub mod dev;
pub mod docs;
pub mod doctor;
pub mod drift;
pub mod history;
pub mod image;
pub mod init;
pub mod lock;
pub mod logs;
pub mod open;
mod outputs;
pub mod rehearse;
pub mod release;
pub mod render;
pub mod rollback;
pub mod run;
pub mod secrets;
pub mod setup;
pub mod sqlx;
pub mod status;
pub mod stop;
pub mod supervise_image;
pub mod tofu;
pub mod upgrade;

use clap::Args;

use crate::config::Config;
use crate::env::Env;
use crate::failure::Failure;
use crate::report::Report;
use crate::signals::Stop;

/// What every command works with.
pub struct Context<'a> {
    /// All of deploy.yaml.
    pub config: &'a Config,
    /// Where progress and results are shown.
    pub report: &'a Report,
    /// Requests to stop.
    pub stop: &'a Stop,
}

/// The environment a command is about.
#[derive(Args, Debug)]
pub struct EnvironmentArg {
    /// An environment of deploy.yaml
    #[arg(default_value = "local", value_name = "ENV")]
    pub environment: String,
}

/// The environment whose stack a command is about.
#[derive(Args, Debug)]
pub struct StackArg {
    /// An environment of deploy.yaml that has a stack
    #[arg(default_value = "production", value_name = "ENV")]
    pub environment: String,
}

impl<'a> Context<'a> {
    /// The environment with this name. Called before the command does anything: where the environment needs another build of the
    /// toolkit, this process ends here.
    pub fn env(&self, name: &str) -> Result<Env<'a>, Failure> {
        let env = Env::find(self.config, name, self.report, self.stop)?;
        cloud::ensure_for(self.config, env.environment)?;
        env.learn_secrets();
        Ok(env)
    }
}
