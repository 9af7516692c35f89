//! `bootstrap`: what a stack needs and cannot create. Inspect, show, ask, fix, and inspect again.

use std::collections::BTreeSet;

use anyhow::anyhow;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Context, StackArg};
use crate::bootstrap::item::{Item, Verdict};
use crate::bootstrap::registry::ImageRegistry;
use crate::bootstrap::state::StateBucket;
use crate::bootstrap::zone::DomainZone;
use crate::bootstrap::{Outcome, Prerequisite, fixable, is_unchanged, judge};
use crate::confirm::confirmed;
use crate::failure::Failure;
use crate::image::ServiceImage;
use crate::report::Report;
use crate::signals::Stop;

/// `bootstrap …`
#[derive(Subcommand, Debug)]
pub enum Bootstrap {
    State(StateArgs),
    Zone(ZoneArgs),
    Registry(RegistryArgs),
}

/// Create, harden and check the bucket of the stack's state, and test its locks
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask bootstrap state production
  cargo xtask bootstrap state production --check      exit code 10 if something differs; changes nothing
  cargo xtask bootstrap state production --yes        does not ask

Needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, at Scaleway SCW_ACCESS_KEY and SCW_SECRET_KEY,
from .env.<ENV> or the environment. Refused (exit code 21): a bucket of another account, in another
region, or with other objects than states; and a service on which a state cannot be locked, because
it accepts the second of two conditional writes.")]
pub struct StateArgs {
    #[command(flatten)]
    stack: StackArg,
    #[command(flatten)]
    fix: FixArgs,
}

/// Find or create the DNS zone of the domain, and check its delegation
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask bootstrap zone production
  cargo xtask bootstrap zone production --check       exit code 10 if something differs; changes nothing
  cargo xtask bootstrap zone production --name example.org --yes

Needs TF_VAR_dns_access_key_id and TF_VAR_dns_secret_access_key from .env.<ENV> or the environment,
like the stacks: the state bucket has credentials of its own. The delegation is queried from the
parent zone's servers; if the network allows one DNS server only, set DNS_SERVER=ADDRESS[:PORT].
The delegation has to be changed at the registrar. AWS_ENDPOINT_URL_ROUTE_53 sets another address of
Route 53.")]
pub struct ZoneArgs {
    #[command(flatten)]
    stack: StackArg,
    /// Name of the zone to create; by default the domain without its first label
    #[arg(long, value_name = "ZONE")]
    name: Option<String>,
    #[command(flatten)]
    fix: FixArgs,
}

/// Check that the image registry accepts a push; at Scaleway, also create its namespace
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask bootstrap registry production
  cargo xtask bootstrap registry production --check   exit code 10 if something differs; changes nothing

The first image is pushed before the first `tofu apply`, so the namespace must exist before the
stack, which imports it by `registry_namespace_id`. The credentials are those of `image push`; at
Scaleway the password is SCW_SECRET_KEY. Refused (exit code 21): a namespace of another account, or
in another project.")]
pub struct RegistryArgs {
    #[command(flatten)]
    stack: StackArg,
    #[command(flatten)]
    fix: FixArgs,
}

/// Whether a `bootstrap` command checks, asks, or fixes.
#[derive(Args, Clone, Copy, Debug)]
pub struct FixArgs {
    /// Change nothing; show what differs
    #[arg(long, conflicts_with = "yes")]
    check: bool,
    /// Fix without asking
    #[arg(long)]
    yes: bool,
}

impl Bootstrap {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        match self {
            Self::State(StateArgs { stack, fix }) => {
                let env = context.env(&stack.environment)?;
                Box::pin(ensure(&StateBucket::open(&env)?, fix, context.report, context.stop)).await
            }
            Self::Zone(ZoneArgs { stack, name, fix }) => {
                let env = context.env(&stack.environment)?;
                Box::pin(ensure(&DomainZone::find(&env, name.as_deref())?, fix, context.report, context.stop)).await
            }
            Self::Registry(RegistryArgs { stack, fix }) => {
                let env = context.env(&stack.environment)?;
                Box::pin(ensure(
                    &ImageRegistry::find(&ServiceImage::find(&env)?).await?,
                    fix,
                    context.report,
                    context.stop,
                ))
                .await
            }
        }
    }
}

/// Inspects a prerequisite, asks, fixes what differs, and inspects it again. Fails with [`Failure::Pending`] while
/// something differs, and with [`Failure::Refused`] when an item must not be changed or the user has not said yes.
async fn ensure<P: Prerequisite>(prerequisite: &P, args: FixArgs, report: &Report, stop: &Stop) -> Result<(), Failure> {
    let (title, command) = (prerequisite.title(), prerequisite.command());
    let mut fixed = BTreeSet::new();
    let mut items = prerequisite.inspect().await?;
    loop {
        let fixes = if args.check { Vec::new() } else { fixable(&items, &fixed) };
        if fixes.is_empty() {
            break;
        }
        if fixed.is_empty() {
            report.headline(&text(&title, &items, report));
            if !args.yes {
                consent(prerequisite, &items, fixes.len(), report, stop).await?;
            }
        }
        let mut done = Vec::new();
        for (item, how, fix) in fixes {
            let what = format!("{}: {how}", item.about);
            prerequisite.fix(fix).await.map_err(|failure| explain(failure, &what, &command))?;
            report.note(&format!("{what}: done"));
            done.push(item.about.clone());
        }
        fixed.extend(done);
        items = prerequisite.inspect().await?;
    }
    let outcome = judge(&items, &fixed, &command);
    let details: Vec<Value> = items.iter().map(Item::detail).collect();
    let mut text = text(&title, &items, report);
    if args.check && matches!(outcome, Ok(Outcome::Pending)) {
        text.push_str(&format!("\n\n  next: {command}"));
    }
    report.result(
        json!({ "about": title, "items": details, "fixed": fixed, "good": matches!(outcome, Ok(Outcome::Met)) }),
        &text,
    );
    match outcome? {
        Outcome::Met => Ok(()),
        Outcome::Pending => Err(Failure::Pending),
    }
}

/// Asks the user. An answer may take an hour, so the prerequisite is inspected again after a yes.
async fn consent<P: Prerequisite>(
    prerequisite: &P,
    items: &[Item<P::Fix>],
    count: usize,
    report: &Report,
    stop: &Stop,
) -> Result<(), Failure> {
    let command = prerequisite.command();
    let fix = if count == 1 { "Fix 1 item".to_owned() } else { format!("Fix {count} items") };
    let question = match items.iter().filter(|item| matches!(item.verdict, Verdict::Waits)).count() {
        0 => format!("{fix}?"),
        waiting => format!("{fix}, then the {waiting} that wait?"),
    };
    if !confirmed(report, stop, &question, "nothing was changed").await? {
        return Err(Failure::Refused(anyhow!(
            "nothing was changed; to fix without being asked, type: {command} --yes"
        )));
    }
    if !is_unchanged(items, &prerequisite.inspect().await?) {
        return Err(Failure::Refused(anyhow!(
            "it changed while you were deciding, so nothing was fixed; type: {command}"
        )));
    }
    Ok(())
}

fn text<F>(title: &str, items: &[Item<F>], report: &Report) -> String {
    let width = items.iter().map(|item| item.about.chars().count()).max().unwrap_or_default();
    let lines: Vec<String> = items.iter().map(|item| item.text(width, report.paint())).collect();
    format!("{title}\n\n{}", lines.join("\n"))
}

/// The failure of a fix, with the way to continue.
fn explain(failure: Failure, what: &str, command: &str) -> Failure {
    match failure {
        Failure::Failed(error) => {
            Failure::Failed(error.context(format!("{what}; earlier fixes are kept; to continue, type: {command}")))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests;
