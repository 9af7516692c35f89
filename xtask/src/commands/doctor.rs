//! `doctor`

use anyhow::anyhow;
use clap::Args;
use serde_json::json;

use super::{Context, EnvironmentArg};
use crate::check::Check;
use crate::config::Target;
use crate::doctor::checks;
use crate::failure::Failure;

/// Check this machine: programs, versions, disk, ports; print the next command to type
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask doctor
  cargo xtask doctor local --json")]
pub struct DoctorArgs {
    #[command(flatten)]
    environment: EnvironmentArg,
}

impl DoctorArgs {
    /// Runs the command. Fails when a check fails.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = &context.env(&self.environment.environment)?;
        let checks = Box::pin(checks(env)).await?;
        let paint = env.report.paint();
        let rows: Vec<_> = checks.iter().map(Check::json).collect();
        let mut text: String = checks.iter().map(|check| check.text(paint) + "\n").collect();
        let bad = checks.iter().filter(|check| check.is_bad()).count();
        if bad == 0 {
            let next = match env.environment.target {
                Target::Local(_) | Target::Easypanel(_) => "deploy",
                Target::Compose(ref host) if host.proxy.is_some() => "deploy",
                Target::Scaleway(_) | Target::Compose(_) => "image push",
                Target::Media(_) => "tofu plan",
            };
            text.push_str(&format!("\n  ready. Next: cargo xtask {next} {}", env.name()));
        }
        env.report.result(json!({ "checks": rows, "fit": bad == 0 }), &text);
        match bad {
            0 => Ok(()),
            1 => Err(anyhow!("1 of {} checks must be fixed before a deploy to {}", checks.len(), env.name()).into()),
            more => {
                Err(anyhow!("{more} of {} checks must be fixed before a deploy to {}", checks.len(), env.name()).into())
            }
        }
    }
}
