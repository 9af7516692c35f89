//! What `release` runs.

mod check;
mod create;
mod list;
mod promote;
mod prune;

use serde_json::{Value, json};

use super::ReleaseCommand;
use crate::check::Check;
use crate::clients::github::Release;
use crate::commands::Context;
use crate::failure::Failure;
use crate::releases::candidate::Candidate;
use crate::report::Paint;

impl ReleaseCommand {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        match self {
            Self::Create(args) => Box::pin(args.run(context)).await,
            Self::List(args) => args.run(context).await,
            Self::Show(args) => Box::pin(args.run(context)).await,
            Self::Check(args) => Box::pin(args.run(context)).await,
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

/// A release and every check of it.
fn text(candidate: &Candidate) -> String {
    let checks = candidate.checks.iter().map(|check| check.text(Paint::new(false)));
    std::iter::once(line(&candidate.release, "")).chain(checks).collect::<Vec<_>>().join("\n")
}

/// The same for programs.
fn checked(candidate: &Candidate) -> Value {
    let mut result = detail(&candidate.release);
    result["checks"] = candidate.checks.iter().map(Check::json).collect();
    result
}

/// A release for programs.
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
