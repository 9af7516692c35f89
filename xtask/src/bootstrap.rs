//! What an environment rests on and no stack can make for itself: looked at item by item, and mended with consent.

pub mod item;
pub mod registry;
pub mod state;
mod variable;
pub mod zone;

use std::collections::BTreeSet;

use anyhow::anyhow;
use serde_json::{Value, json};

use self::item::{Item, Verdict};
use crate::confirm::confirmed;
use crate::env::Env;
use crate::failure::Failure;
use crate::report::Report;

/// One thing that is looked at and mended: a bucket, a zone, a registry.
pub trait Foundation {
    /// What it takes to mend one item, found while looking.
    type Mend;

    /// What it is, for people: the first line of what is shown.
    fn title(&self) -> String;

    /// What is typed to look at it, without flags: `cargo xtask bootstrap state production`.
    fn command(&self) -> String;

    /// Looks at everything and changes nothing that lasts. What can be asked side by side is. Fails when there is no answer;
    /// what must not be touched is an item of its own, [`Verdict::Refused`].
    async fn look(&self) -> Result<Vec<Item<Self::Mend>>, Failure>;

    /// Mends one item. Called in the order of the items; those that wait are looked at again afterwards.
    async fn mend(&self, mend: &Self::Mend) -> Result<(), Failure>;
}

/// How it is asked for.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// Only tell what differs.
    pub check: bool,
    /// Do not ask.
    pub yes: bool,
}

/// Looks at it, asks, mends what differs, and looks again. Ends with [`Failure::Pending`] while something differs that was
/// not to be mended or takes a person, and with [`Failure::Refused`] when something must not be touched, or nobody has said
/// yes.
pub async fn bootstrap<F: Foundation>(foundation: &F, how: How, env: &Env<'_>) -> Result<(), Failure> {
    let report = &env.report;
    let (title, command) = (foundation.title(), foundation.command());
    let mut mended = BTreeSet::new();
    let mut items = foundation.look().await?;
    while let Some(count) = to_mend(&items, &mended, how) {
        if mended.is_empty() {
            report.headline(&text(&title, &items, report));
            if !how.yes {
                consent(foundation, &items, count, env).await?;
            }
        }
        for item in items {
            let Verdict::Differs { how, mend } = item.verdict else { continue };
            if mended.insert(item.about.clone()) {
                let outcome = foundation.mend(&mend).await;
                outcome.map_err(|failure| context(failure, &format!("{}: {how}", item.about), &command))?;
                report.note(&format!("{}: {how}: done", item.about));
            }
        }
        items = foundation.look().await?;
    }
    let verdict = judge(&items, &mended, &command);
    let good = verdict.is_ok();
    let shown = items.iter().map(Item::detail).collect::<Vec<Value>>();
    let mut text = text(&title, &items, report);
    if how.check && matches!(verdict, Err(Failure::Pending)) {
        text.push_str(&format!("\n\n  next: {command}"));
    }
    report.result(json!({ "about": title, "items": shown, "mended": mended, "good": good }), &text);
    verdict
}

/// How many items are to be mended now; none where something is refused.
fn to_mend<M>(items: &[Item<M>], mended: &BTreeSet<String>, how: How) -> Option<usize> {
    let refused = items.iter().any(|item| matches!(item.verdict, Verdict::Refused { .. }));
    let differs = |item: &&Item<M>| matches!(item.verdict, Verdict::Differs { .. }) && !mended.contains(&item.about);
    let count = items.iter().filter(differs).count();
    (!how.check && !refused && count > 0).then_some(count)
}

/// Asks whoever sits at the terminal, who may think about it for an hour: then it is looked at again.
async fn consent<F: Foundation>(
    foundation: &F,
    items: &[Item<F::Mend>],
    count: usize,
    env: &Env<'_>,
) -> Result<(), Failure> {
    let waiting = items.iter().filter(|item| matches!(item.verdict, Verdict::Waits)).count();
    let and_then = if waiting > 0 { format!(", then the {waiting} that wait") } else { String::new() };
    let question = format!("Mend {count}{and_then}?");
    let command = foundation.command();
    if !confirmed(&env.report, &env.stop, &question, "nothing was changed").await? {
        return Err(Failure::Refused(anyhow!("nothing was changed; type: {command} --yes")));
    }
    let now = foundation.look().await?;
    let same = now.len() == items.len() && now.iter().zip(items).all(|(now, then)| now.detail() == then.detail());
    if !same {
        let text =
            format!("nothing was changed: what is there is not what it was when you were asked; type: {command}");
        return Err(Failure::Refused(anyhow!(text)));
    }
    Ok(())
}

/// What a look comes to, when nothing more is to be mended.
fn judge<M>(items: &[Item<M>], mended: &BTreeSet<String>, command: &str) -> Result<(), Failure> {
    let refused = items.iter().find_map(|item| match &item.verdict {
        Verdict::Refused { next } => Some(format!("{} is {}, and is not touched\n  {next}", item.about, item.is)),
        _ => None,
    });
    if let Some(refused) = refused {
        return Err(Failure::Refused(anyhow!(refused)));
    }
    let differs = |item: &&Item<M>| matches!(item.verdict, Verdict::Differs { .. });
    let remains: Vec<&str> =
        items.iter().filter(differs).map(|item| item.about.as_str()).filter(|about| mended.contains(*about)).collect();
    if !remains.is_empty() {
        let remains = remains.join(", ");
        return Err(anyhow!("{remains}: mended, and still not as it should be; look again: {command} --check").into());
    }
    let pending =
        |item: &Item<M>| matches!(item.verdict, Verdict::Differs { .. } | Verdict::ByHand { .. } | Verdict::Waits);
    if items.iter().any(pending) { Err(Failure::Pending) } else { Ok(()) }
}

fn text<M>(title: &str, items: &[Item<M>], report: &Report) -> String {
    let width = items.iter().map(|item| item.about.chars().count()).max().unwrap_or_default();
    let lines: Vec<String> = items.iter().map(|item| item.text(width, report.paint())).collect();
    format!("{title}\n\n{}", lines.join("\n"))
}

/// The failure with what was being mended, and how to go on.
fn context(failure: Failure, what: &str, command: &str) -> Failure {
    match failure {
        Failure::Failed(error) => {
            Failure::Failed(error.context(format!("{what}; what was mended before stays: to go on, type: {command}")))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests;
