//! What `release` runs.

mod create;
mod list;
mod promote;
mod prune;

use serde_json::{Value, json};

use super::ReleaseCommand;
use crate::clients::github::Release;
use crate::commands::Context;
use crate::failure::Failure;

impl ReleaseCommand {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        match self {
            Self::Create(args) => Box::pin(args.run(context)).await,
            Self::List(args) => args.run(context).await,
            Self::Show(args) => Box::pin(args.run(context)).await,
            Self::Promote(args) => Box::pin(args.run(context)).await,
            Self::Prune(args) => args.run(context).await,
        }
    }
}

/// One release in one line, with a remark at its end.
fn line(release: &Release, remark: &str) -> String {
    let when = release.published_at.unwrap_or(release.created_at).strftime("%Y-%m-%d %H:%M:%SZ");
    let line = format!("{when}  {:<28}  {:<11}  {remark}", release.tag_name, kind(release));
    line.trim_end().to_owned()
}

/// The same for programs.
fn detail(release: &Release) -> Value {
    json!({
        "tag": release.tag_name,
        "kind": kind(release),
        "commit": release.target_commitish,
        "published": release.published_at,
        "url": release.html_url,
    })
}

fn kind(release: &Release) -> &'static str {
    match (release.draft, release.prerelease) {
        (true, _) => "draft",
        (false, true) => "pre-release",
        (false, false) => "release",
    }
}
