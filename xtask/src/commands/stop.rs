//! `stop`

use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::{Context, EnvironmentArg};
use crate::deploy::run::take_lease;
use crate::env::Env;
use crate::failure::Failure;
use crate::targets::Target;

/// Stop the service and its database; all data is kept
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask stop
  cargo xtask deploy      starts it again")]
pub struct StopArgs {
    #[command(flatten)]
    environment: EnvironmentArg,
}

impl StopArgs {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = context.env(&self.environment.environment)?;
        let target = Target::of(&env);
        if let Target::Host(host) = &target {
            let lease = take_lease(&env, format!("stop {}", env.name())).await?; // Locked → 20
            env.report.note("stopping; requests in progress are finished first, which can take a minute");
            let stopped = host.stop().await;
            lease.release().await?;
            return show(&env, &stopped?);
        }
        let local = target.local("stopping")?;
        let lease = take_lease(&env, format!("stop {}", env.name())).await?; // Locked → 20
        // The service waits for browsers that keep connections open. Without a note, ten seconds would look like a hang.
        if matches!(local.status().await, Ok(Some(_))) {
            env.report.note("stopping; requests in progress are finished first, which can take seconds");
        }
        let stopped = local.stop().await;
        lease.release().await?;
        show(&env, &stopped?)
    }
}

fn show<S: AsRef<str> + Serialize>(env: &Env<'_>, stopped: &[S]) -> Result<(), Failure> {
    let names: Vec<&str> = stopped.iter().map(AsRef::as_ref).collect();
    let text =
        if names.is_empty() { "nothing was running".to_owned() } else { format!("stopped: {}", names.join(", ")) };
    env.report.result(json!({ "stopped": stopped }), &text);
    Ok(())
}
