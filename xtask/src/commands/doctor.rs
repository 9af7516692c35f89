//! `doctor`

use anyhow::anyhow;
use clap::Args;
use serde_json::json;

use super::{Context, EnvironmentArg};
use crate::check::Verdict;
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
        let (mut rows, mut text) = (Vec::new(), String::new());
        for check in &checks {
            let (mark, word, fix) = match &check.verdict {
                Verdict::Good => (paint.green("✓"), "good", None),
                Verdict::Doubtful => (paint.yellow("!"), "doubtful", None),
                Verdict::Bad { fix } => (paint.red("✗"), "bad", Some(fix)),
            };
            text.push_str(&format!(
                "  {mark} {:<11} {}\n",
                check.name,
                check.found.replace('\n', "\n                ")
            ));
            if let Some(fix) = fix {
                text.push_str(&format!("    {:<11} → {fix}\n", ""));
            }
            rows.push(json!({ "name": check.name, "found": check.found, "verdict": word, "fix": fix }));
        }
        let bad = checks.iter().filter(|check| check.is_bad()).count();
        if bad == 0 {
            let next = match env.environment.target {
                Target::Local(_) => "deploy",
                Target::Scaleway(_) => "image push",
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
