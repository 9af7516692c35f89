//! `ci actions`

use anyhow::{Context as _, anyhow};
use serde_json::json;

use crate::clients::github::{API, GitHub};
use crate::clients::patience::Patience;
use crate::commands::Context;
use crate::failure::Failure;
use crate::render::actions::{ACTIONS, Action};
use crate::secrets;
use crate::tools::platform::variable;

/// The latest release of each action, and whether the table has it. Fails with `Pending` when one is behind.
pub async fn run(context: &Context<'_>) -> Result<(), Failure> {
    let token = ["GH_TOKEN", "GITHUB_TOKEN"].into_iter().find_map(|name| secrets::of_process(name).transpose());
    let token = token.transpose()?.ok_or_else(|| {
        Failure::Refused(anyhow!(
            "GitHub's API needs a token, and none is set\n  type: export GH_TOKEN=$(gh auth token)"
        ))
    })?;
    context.report.redactor().learn_value(&token);
    let api = variable("GITHUB_API_URL").unwrap_or_else(|| API.to_owned());
    let patience = Patience::new(context.report.clone());
    let (mut rows, mut lines, mut behind) = (Vec::new(), Vec::new(), false);
    for action in ACTIONS {
        let Action { repository, version, commit, .. } = action;
        let github = GitHub::new(&api, repository, &token, &patience).context("set up the client of GitHub's API")?;
        let latest = github.latest_release().await.map_err(anyhow::Error::from)?.map(|release| release.tag_name);
        let latest = latest.with_context(|| format!("{repository} has no release"))?;
        let tagged = github.tag(version).await.map_err(anyhow::Error::from)?;
        // A tag that was moved: the table keeps the commit that it had.
        if tagged.as_deref().is_some_and(|tagged| tagged != commit) {
            context
                .report
                .warn(&format!("{repository} {version} is another commit now: {}", tagged.as_deref().unwrap_or("")));
        }
        let is_behind = latest != version;
        behind |= is_behind;
        let newer =
            if is_behind { format!(", the latest release is {latest}") } else { ", the latest release".to_owned() };
        lines.push(format!("{repository} {version}{newer}"));
        rows.push(json!({ "action": repository, "version": version, "commit": commit, "latest": latest, "behind": is_behind }));
    }
    context.report.result(json!({ "actions": rows }), &lines.join("\n"));
    if behind { Err(Failure::Pending) } else { Ok(()) }
}
