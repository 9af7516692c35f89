//! `drift`. The command line is here; what it runs is compiled with the feature `cloud` only.

#[cfg(feature = "cloud")]
mod run;

use clap::Args;

use super::StackArg;

/// Compare a stack, its platform and its service with the last record
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask drift production
  cargo xtask drift production --json
  cargo xtask drift production --issue      in a scheduled job of CI

Changes nothing, and needs no lease: it reads the state without its lock. Says what differs, since when at the earliest, and two \
commands: one to adopt what is there, one to go back to what was deployed, with the usual approval of a plan.

Exits with 10 when something differs, with 0 when nothing does.

With --issue, one issue with the label drift:ENV says all of that at GitHub. It is opened, updated, and closed when nothing differs. The \
token GH_TOKEN or GITHUB_TOKEN needs the permission issues: write.")]
pub struct DriftArgs {
    #[command(flatten)]
    stack: StackArg,
    /// Open, update or close the one issue at GitHub about the environment's drift
    #[arg(long)]
    issue: bool,
}
