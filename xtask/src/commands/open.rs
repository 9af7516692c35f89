//! `open`

use anyhow::anyhow;
use clap::Args;
use serde_json::json;

use super::{Context, EnvironmentArg};
use crate::failure::Failure;
use crate::report::Audience;
use crate::targets::Target;
use crate::tools::cmd::{Cmd, Inherited};
use crate::tools::platform::OPENER;

/// Print the public address of the service, and open it in the browser at a terminal
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask open
  cargo xtask open production --print")]
pub struct OpenArgs {
    #[command(flatten)]
    environment: EnvironmentArg,
    /// Only print the address
    #[arg(long)]
    print: bool,
}

impl OpenArgs {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = &context.env(&self.environment.environment)?;
        let (name, target) = (env.name(), Target::of(env));
        let serving = target.serving().await?;
        let serving = serving.ok_or_else(|| {
            anyhow!("nothing serves in {name}, so there is no address to open; type: cargo xtask status {name}")
        })?;
        env.report.result(json!({ "address": serving.address, "version": serving.version }), &serving.address);
        if self.print || env.report.audience() != Audience::Terminal {
            return Ok(());
        }
        // A browser needs what only its desktop knows: the display, the session's bus.
        let opened = Cmd::new(OPENER).arg(&serving.address).inherits(Inherited::Build(&[])).run().await;
        if let Err(error) = opened {
            env.report.note(&format!("no browser was opened: {error:#}"));
        }
        Ok(())
    }
}
