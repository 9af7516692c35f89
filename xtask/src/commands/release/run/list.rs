//! `release list` and `release show`

use anyhow::Context as _;
use serde_json::json;

use super::{checked, detail, line};
use crate::commands::Context;
use crate::commands::release::{ListArgs, ShowArgs};
use crate::failure::Failure;
use crate::release::short_digest;
use crate::release::tag::{is_tag, short_commit_of};
use crate::releases::candidate::{examine, find};
use crate::releases::prune;
use crate::report::Paint;

impl ListArgs {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = context.env(&self.environment.environment)?;
        let github = env.github().await?;
        let releases = github.releases().await.context("list the releases")?;
        let latest = github.latest_release().await.context("look for the latest release")?.map(|latest| latest.id);
        let needs = prune::needs(&env).await.map_err(Failure::into_error);
        if let Err(error) = &needs {
            env.report.warn(&format!("which environments use a release is not known: {error:#}"));
        }
        let own: Vec<_> = releases.into_iter().filter(|release| is_tag(&release.tag_name)).take(self.lines).collect();
        if own.is_empty() {
            env.report.note(&format!("there are no releases yet; type: cargo xtask release create {}", env.name()));
        }
        for release in &own {
            let commit = short_commit_of(&release.tag_name);
            let uses = needs.as_ref().ok().map(|needs| needs.by_commit.get(commit).cloned().unwrap_or_default());
            let is_latest = latest == Some(release.id);
            let marks = is_latest.then(|| "latest".to_owned()).into_iter().chain(uses.iter().flatten().cloned());
            let mut result = detail(release);
            (result["latest"], result["uses"]) = (is_latest.into(), json!(uses));
            env.report.result(result, &line(release, &marks.collect::<Vec<_>>().join(", ")));
        }
        Ok(())
    }
}

impl ShowArgs {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = context.env(&self.environment.environment)?;
        let github = env.github().await?;
        let found = find(&github, &self.tag).await?;
        let candidate = examine(&env, &github, found, false).await?;
        let (release, manifest) = (&candidate.release, &candidate.manifest);
        let image = format!("{} {}", manifest.image.name, short_digest(&manifest.image.digest));
        let migrations = manifest.migration_head.as_deref().unwrap_or("none");
        let rows = [("image", image.as_str()), ("migrations", migrations), ("page", release.html_url.as_str())];
        let rows = rows.map(|(name, value)| format!("    {name:<11} {value}"));
        let checks = candidate.checks.iter().map(|check| check.text(Paint::new(false)));
        let notes = release.body.as_deref().unwrap_or_default().lines().map(|line| format!("  {line}"));
        let lines = std::iter::once(line(release, "")).chain(rows).chain(checks).chain([String::new()]).chain(notes);
        let mut result = checked(&candidate);
        result["manifest"] = json!(manifest);
        env.report.result(result, lines.collect::<Vec<_>>().join("\n").trim_end());
        Ok(())
    }
}
