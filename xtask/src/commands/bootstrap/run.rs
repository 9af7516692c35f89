//! What `bootstrap` runs: inspect, show, ask, fix, and inspect again.

use std::collections::BTreeSet;

use anyhow::anyhow;
use serde_json::{Value, json};

use super::{Bootstrap, FixArgs, GithubArgs, RegistryArgs, SigningKeyArgs, StateArgs, ZoneArgs};
use crate::bootstrap::github::GitHubRepository;
use crate::bootstrap::item::{Item, Verdict};
use crate::bootstrap::registry::ImageRegistry;
use crate::bootstrap::signing_key::{Rotation, SigningKey};
use crate::bootstrap::state::StateBucket;
use crate::bootstrap::zone::DomainZone;
use crate::bootstrap::{Outcome, Prerequisite, fixable, is_unchanged, judge};
use crate::commands::Context;
use crate::confirm::confirmed;
use crate::failure::Failure;
use crate::image::ServiceImage;
use crate::report::Report;
use crate::signals::Stop;

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
            Self::Github(GithubArgs { stack, fix }) => {
                let env = context.env(&stack.environment)?;
                Box::pin(ensure(&GitHubRepository::find(&env).await?, fix, context.report, context.stop)).await
            }
            Self::SigningKey(SigningKeyArgs { stack, rotate, finish, fix }) => {
                let env = context.env(&stack.environment)?;
                let rotation = match (rotate, finish) {
                    (true, _) => Rotation::Begin,
                    (_, true) => Rotation::Finish,
                    _ => Rotation::None,
                };
                Box::pin(ensure(&SigningKey::find(&env, rotation)?, fix, context.report, context.stop)).await
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
