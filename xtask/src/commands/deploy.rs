//! `deploy`

use anyhow::anyhow;
use clap::Args;
use serde_json::json;

use super::outputs::output;
use super::{Context, EnvironmentArg};
use crate::deploy::approval::Approval;
use crate::deploy::changes::Plan;
use crate::deploy::rollback::{Undo, undo};
use crate::deploy::{self, Deployed, Live, Request};
use crate::env::Env;
use crate::failure::Failure;
use crate::targets::{Planned, Target};

/// Build the service, start it beside the running release, verify it, and switch to it
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask deploy
  cargo xtask deploy local --dry-run
  cargo xtask deploy local --resume     continue after a crash or Ctrl-C
  cargo xtask deploy production --plan-only           in CI: prints the digest of the plan
  cargo xtask deploy production --approve DIGEST      applies exactly that plan, on any machine

A deploy with new migrations first starts the release that serves on the schema that they leave, in a temporary database. If it \
does not become ready there, it could not be brought back, and the deploy is refused (exit code 21): see --no-way-back.

A tree with uncommitted changes can be deployed to `local` only. Its version contains `-dirty-`. A stack takes a commit of the main \
branch that the remote has.

On a stack the deploy shows OpenTofu's plan and asks, unless deploy.yaml says `approval: none` and nothing but \
the release changes (its image, settings and secrets), or `approval: off`. Without a terminal it is refused (exit code 21) and prints \
the digest for --approve.")]
pub struct DeployArgs {
    #[command(flatten)]
    environment: EnvironmentArg,
    /// Show what would happen and change nothing
    #[arg(long, conflicts_with = "resume")]
    dry_run: bool,
    /// Continue an interrupted deploy; finished steps are not repeated
    #[arg(long)]
    resume: bool,
    /// Deploy although the release that serves cannot start on the schema that the new migrations leave
    #[arg(long)]
    no_way_back: bool,
    /// Deploy a commit to a stack that is not in the main branch
    #[arg(long)]
    allow_branch: bool,
    #[command(flatten)]
    approval: ApprovalArgs,
    /// A message for others who find the environment locked
    #[arg(long, short)]
    message: Option<String>,
}

impl DeployArgs {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = context.env(&self.environment.environment)?;
        let target = Target::of(&env);
        if self.dry_run {
            for line in deploy::outlook(&env, &target).await? {
                env.report.note(&line);
            }
            env.report.note("nothing was changed");
            return Ok(());
        }
        let Self { resume, no_way_back, allow_branch, ref message, ref approval, .. } = self;
        let approval = approval.of(target.has_stack() || env.environment.media.is_some(), env.name())?;
        let request = Request { resume, no_way_back, allow_branch, approval, message: message.as_deref() };
        let deployed = deploy::deploy(&env, &target, request).await?;
        show(&env, &target, &deployed, &format!("deploy {}", env.name())).await
    }
}

/// How the changes of a stack are approved. Without these the user is asked at the terminal.
#[derive(Args, Debug)]
pub struct ApprovalArgs {
    /// Apply exactly the plan with this digest, which --plan-only or a refused deploy printed
    #[arg(long, value_name = "DIGEST")]
    approve: Option<String>,
    /// Make the stack's plan, keep it and show it; apply nothing. Exits with 10 when something would change
    #[arg(long, conflicts_with = "approve")]
    plan_only: bool,
}

impl ApprovalArgs {
    /// What they ask for. Fails for an environment without a stack, which has no plan to approve.
    pub fn of(&self, has_plan: bool, name: &str) -> Result<Approval<'_>, Failure> {
        let approval = match &self.approve {
            Some(digest) => Approval::Digest(digest),
            None if self.plan_only => Approval::PlanOnly,
            None => Approval::Ask,
        };
        if approval != Approval::Ask && !has_plan {
            return Err(Failure::Usage(anyhow!(
                "{name} has no stack, so there is no plan to approve; `--dry-run` shows what a deploy to this machine would do, \
                 `doctor {name}` what any other one needs"
            )));
        }
        Ok(approval)
    }
}

/// Shows how a deploy or rollback ended. `command` is what was typed after `cargo xtask`, without options of approval.
pub async fn show(env: &Env<'_>, target: &Target<'_>, ended: &Deployed, command: &str) -> Result<(), Failure> {
    match ended {
        Deployed::Live(live) => summarize(env, target, "live", live).await,
        Deployed::Unchanged(live) => summarize(env, target, "unchanged", live).await,
        Deployed::Planned(plan) => return show_plan(env, plan, command),
    }
    Ok(())
}

/// Shows a plan that was asked for, and how to have exactly it applied.
fn show_plan(env: &Env<'_>, plan: &Plan, command: &str) -> Result<(), Failure> {
    let media = plan.media.as_ref().map(|media| &media.planned);
    let mut text =
        [media, plan.stack.as_ref()].into_iter().flatten().map(Planned::text).collect::<Vec<_>>().join("\n\n");
    if text.is_empty() {
        text.push_str("the stack of the media has no changes");
    }
    let mut json = plan.stack.as_ref().map_or_else(|| json!({}), Planned::json);
    if let Some(media) = media {
        json["media"] = media.json();
        if plan.stack.is_none() && env.environment.stack().is_some() {
            text.push_str("\n\nthe service is planned with what this gives, when it is applied");
        }
    }
    if let Some(digest) = plan.approval() {
        text.push_str(&format!("\n\nto apply   cargo xtask {command} --approve {digest}"));
        output("approval", &digest)?;
        json["approval"] = digest.into();
    }
    env.report.result(json, &text);
    let has_changes = media.is_some() || plan.stack.as_ref().is_some_and(|stack| stack.has_changes);
    if has_changes { Err(Failure::Pending) } else { Ok(()) }
}

/// Shows the last lines of a deploy or rollback: address and version, disabled features, hints, how to undo it or what to
/// type next.
async fn summarize(env: &Env<'_>, target: &Target<'_>, label: &str, live: &Live) {
    let mut rows = vec![(label, format!("{}   {}   {}", live.address, live.version, env.report.elapsed()))];
    for (feature, why) in &live.features_off {
        rows.push(("off", format!("{feature}: {why}")));
    }
    rows.extend(target.hints(&live.version));
    match target.first_visit(&live.version).await {
        Ok(command) => rows.extend(command.map(|command| ("first", format!("{command}     (prints a link)")))),
        Err(error) => env.report.warn(&format!("whether the first account exists was not answered: {error:#}")),
    }
    rows.push(match undo(env, target).await {
        Some(Undo { version, command }) => ("undo", format!("{command}     ({version} is kept)")),
        // There is none to go back to.
        None => {
            // The log is in the panel.
            let log = if matches!(target, Target::Easypanel(_)) { "history" } else { "logs -f" };
            ("next", ["open", "status", log].map(|verb| format!("cargo xtask {verb} {}", env.name())).join(", "))
        }
    });
    env.report.summary(&rows);
}
