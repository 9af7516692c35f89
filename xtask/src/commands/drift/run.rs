//! What `drift` runs.

use jiff::Timestamp;
use serde_json::json;

use super::DriftArgs;
use crate::commands::Context;
use crate::deploy::drift_issue::{Finding, Kept, keep};
use crate::env::Env;
use crate::failure::Failure;
use crate::state::history::Record;
use crate::targets::Stack;
use crate::targets::stack::Drift;
use crate::tofu::drift::StackDrift;

/// What to type when something differs.
struct Ways {
    /// To keep what is there.
    adopt: String,
    /// To go back to what was deployed.
    revert: String,
}

impl DriftArgs {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = context.env(&self.stack.environment)?;
        // A Docker host has no other stack.
        let env = match env.media().filter(|_| env.environment.stack().is_none()) {
            Some(media) => media,
            None => env,
        };
        env.stack()?;
        env.report.headline(&format!("{} → {}   drift", env.config.project, env.name()));
        let drift = Stack::new(&env).drift().await?;
        let mut differences = drift.differences();
        let media = match env.media() {
            Some(media) => Some(Stack::new(&media).drift().await?.stack),
            None => None,
        };
        let of_media = media.iter().flat_map(StackDrift::lines);
        differences.extend(of_media.map(|text| ("media", text)));
        let ways = ways(&env, &drift, media.as_ref())?;
        show(&env, &drift, media.as_ref(), &differences, &ways);
        if self.issue {
            issue(&env, &drift, &differences, ways).await?;
        }
        if differences.is_empty() { Ok(()) } else { Err(Failure::Pending) }
    }
}

fn show(env: &Env<'_>, drift: &Drift, media: Option<&StackDrift>, differences: &[(&str, String)], ways: &Ways) {
    let (paint, mut rows) = (env.report.paint(), Vec::new());
    if let Some(holder) = &drift.under_way {
        let since = holder.since.strftime("%H:%M:%SZ");
        rows.push((
            "under way",
            format!("{} by {} since {since}; what differs may be its work", holder.message, holder.who),
        ));
    }
    if let Some(seen) = drift.platform.as_ref().filter(|seen| seen.status.is_none() && seen.differs().is_empty()) {
        rows.push(("platform", seen.describe()));
    }
    rows.extend(differences.iter().map(|(part, text)| (*part, paint.red(text))));
    if differences.is_empty() {
        let read = drift.stack.read + media.map_or(0, |media| media.read);
        rows.push((
            "same",
            format!("{read} resources, the platform and the service are as {}", since(drift.record.as_ref())),
        ));
    } else {
        rows.push(("since", format!("after {}, found {}", since(drift.record.as_ref()), time(Timestamp::now()))));
        rows.push(("adopt", ways.adopt.clone()));
        rows.push(("revert", ways.revert.clone()));
    }
    let text: Vec<String> = rows.iter().map(|(label, value)| format!("  {label:<11} {value}")).collect();
    let differs: Vec<_> = differences.iter().map(|(part, text)| json!({ "part": part, "text": text })).collect();
    let detail = json!({
        "environment": env.name(),
        "differs": differs,
        "record": drift.record.as_ref().map(|record| json!({
            "id": record.id, "version": record.version(), "ended": record.ended, "address": record.address,
        })),
        "stack": drift.stack,
        "media": media,
        "platform": drift.platform,
        "service": drift.service,
        "under_way": drift.under_way,
        "adopt": ways.adopt,
        "revert": ways.revert,
    });
    env.report.result(detail, &text.join("\n"));
}

/// Makes the issue at GitHub say the same.
async fn issue(
    env: &Env<'_>,
    drift: &Drift,
    differences: &[(&str, String)],
    Ways { adopt, revert }: Ways,
) -> Result<(), Failure> {
    if let Some(holder) = &drift.under_way {
        env.report.note(&format!("the issue stays as it is until {} has ended: {}", holder.who, holder.message));
        return Ok(());
    }
    let lines = differences.iter().map(|(part, text)| env.report.shown(&format!("{part:<9} {text}")));
    let (differences, since) = (lines.collect(), since(drift.record.as_ref()));
    let (project, environment) = (env.config.project.as_str(), env.name());
    let finding = Finding { project, environment, differences, since, adopt, revert };
    let github = env.github().await?;
    let kept = env
        .stop
        .cancels("the issue may have been written", async { Ok(keep(&github, &finding, Timestamp::now()).await?) });
    env.report.note(&match kept.await? {
        Kept::Opened(page) => format!("opened the issue {page}"),
        Kept::Updated(page) => format!("updated the issue {page}"),
        Kept::Unchanged(page) => format!("the issue says so already: {page}"),
        Kept::Closed(page) => format!("closed the issue {page}"),
        Kept::None => "there is no open issue about a drift".to_owned(),
    });
    Ok(())
}

/// The two ways on. Both end in a plan that is approved as always.
fn ways(env: &Env<'_>, drift: &Drift, media: Option<&StackDrift>) -> Result<Ways, Failure> {
    let (name, own) = (env.name(), env.stack()?.folder.as_str());
    let of_media = media.filter(|media| !media.lines().is_empty()).and(env.environment.media.as_ref());
    let folder = match of_media.map(|media| media.stack.folder.as_str()) {
        Some(folder) if drift.stack.lines().is_empty() => folder.to_owned(),
        Some(folder) => format!("{own} and {folder}"),
        None => own.to_owned(),
    };
    let source = drift.record.as_ref().and_then(|record| record.source.as_ref());
    Ok(match source {
        Some(source) => Ways {
            adopt: format!("write what is there into {folder} and commit it, then: cargo xtask deploy {name}"),
            revert: format!("git checkout {} && cargo xtask deploy {name}", &source.commit),
        },
        None => Ways {
            adopt: format!("write what is there into {folder} and commit it, then: cargo xtask tofu plan {name}"),
            revert: format!("cargo xtask tofu plan {name} && cargo xtask tofu apply {name}"),
        },
    })
}

/// The last time when all of it was as it should be.
fn since(record: Option<&Record>) -> String {
    match record {
        Some(record) => format!("{} went live, {}", record.version(), time(record.ended)),
        None => "they were applied".to_owned(),
    }
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}
