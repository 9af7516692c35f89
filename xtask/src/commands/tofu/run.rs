//! What `tofu` runs.

mod apply;
mod init;
mod output;
mod plan;
mod recover;
mod unlock;
mod validate;

use super::Tofu;
use crate::commands::Context;
use crate::env::Env;
use crate::failure::Failure;
use crate::report::Step;
use crate::tofu::unseen::{Unseen, Verdict};
use crate::tofu::{self, Workspace};
use crate::tools::git;

impl Tofu {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        match self {
            Self::Init(args) => args.run(context).await,
            Self::Plan(args) => args.run(context).await,
            Self::Apply(args) => args.run(context).await,
            Self::Output(args) => args.run(context).await,
            Self::Validate(args) => args.run(context).await,
            Self::Unlock(args) => args.run(context).await,
            Self::Recover(args) => args.run(context).await,
        }
    }
}

/// The environment's working folder, for `cargo xtask tofu <command>`.
async fn enter<'a>(env: &'a Env<'a>, command: &str) -> Result<Workspace<'a>, Failure> {
    env.stack()?;
    let source = git::source(env.root(), git::Filters::Run).await?;
    Workspace::enter(env, source, &format!("cargo xtask tofu {command} {}", env.name())).await
}

/// Initializes the working folder, if something has changed since the last time.
async fn initialize(workspace: &Workspace<'_>) -> Result<(), Failure> {
    let env = workspace.env;
    if !tofu::is_initialized(workspace)? {
        env.report.step(Step::Init, async |step| tofu::init(workspace, step, &env.stop).await).await?;
    }
    Ok(())
}

/// Shows what OpenTofu does not see. What is exposed is the command's error, after its result.
fn tell<'a>(env: &Env<'_>, unseen: impl IntoIterator<Item = &'a Unseen>) {
    for unseen in unseen {
        match unseen.verdict {
            Verdict::Good => env.report.note(&unseen.to_string()),
            Verdict::Doubtful | Verdict::Broken => env.report.warn(&unseen.to_string()),
            Verdict::Exposed => {}
        }
    }
}
