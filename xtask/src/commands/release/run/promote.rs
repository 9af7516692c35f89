//! `release promote`

use anyhow::{Context as _, anyhow};
use jiff::Timestamp;
use serde_json::json;

use super::{checked, detail, line, text};
use crate::clients::github::GitHub;
use crate::commands::Context;
use crate::commands::release::PromoteArgs;
use crate::confirm::{answer, confirmed};
use crate::env::Env;
use crate::failure::Failure;
use crate::release::tag::is_tag;
use crate::releases::candidate::{Candidate, examine, find};
use crate::releases::follow::follow;
use crate::report::Step;

/// How many releases are listed to pick one.
const LISTED: usize = 20;
/// What a request to stop leaves before the release is promoted.
const NOTHING: &str = "nothing was promoted";

impl PromoteArgs {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = context.env(&self.environment.environment)?;
        let github = env.github_that_starts_workflows().await?;
        let tag = match &self.tag {
            Some(tag) => tag.clone(),
            None => pick(&env, &github).await?,
        };
        let found = find(&github, &tag).await?;
        if !found.0.prerelease {
            env.report.note(&format!("{tag} is a release already; to deploy it again, run the workflow at GitHub"));
            env.report.result(detail(&found.0), &tag);
            return Ok(());
        }
        let candidate = examine(&env, &github, found, self.allow_older).await?;
        env.report.headline(&text(&candidate));
        candidate.guard("promoted")?;
        let question = format!("Promote {tag}? The workflow deploys it to {}.", env.name());
        if !self.yes {
            let (name, asked) = (env.name(), if self.allow_older { " --allow-older" } else { "" });
            let command = format!("cargo xtask release promote {tag} {name}{asked}");
            if !confirmed(&env.report, &env.stop, &question, NOTHING).await? {
                return Err(Failure::Refused(anyhow!("{NOTHING}; to promote it, type: {command} --yes")));
            }
            let found = find(&github, &tag).await?;
            if examine(&env, &github, found, self.allow_older).await? != candidate {
                return Err(Failure::Refused(anyhow!(
                    "{NOTHING}: the release, its checks or what is deployed changed while you were deciding\n  \
                     to see how it is now, type: {command}"
                )));
            }
        }
        self.promote(&env, &github, candidate).await
    }

    async fn promote(&self, env: &Env<'_>, github: &GitHub, candidate: Candidate) -> Result<(), Failure> {
        let began = Timestamp::now();
        let promoted = async |_: &_| {
            let promoted = github.promote_release(&candidate.release, candidate.notes().as_deref()).await;
            promoted.context("promote the release; type the same command again").map(drop).map_err(Failure::from)
        };
        env.report.step(Step::Release, promoted).await?;
        let commit = &candidate.manifest.commit;
        if self.follow {
            let followed = async |step: &_| follow(github, &candidate.release, commit, began, &env.report, step).await;
            env.report.step(Step::Follow, followed).await?;
        }
        let mut result = checked(&candidate);
        result["kind"] = "release".into();
        result["followed"] = json!(self.follow);
        env.report.result(result, &candidate.release.tag_name);
        Ok(())
    }
}

/// Lets the user pick a pre-release: its tag.
async fn pick(env: &Env<'_>, github: &GitHub) -> Result<String, Failure> {
    let releases = github.releases().await.context("list the releases")?;
    let is_candidate = |release: &_| matches!(release, crate::clients::github::Release { prerelease: true, draft: false, tag_name, .. } if is_tag(tag_name));
    let mut releases: Vec<_> = releases.into_iter().filter(is_candidate).collect();
    releases.truncate(LISTED);
    let wrong = |why: String| {
        Failure::Usage(anyhow!("{why}\n  type: cargo xtask release promote TAG; cargo xtask release list lists them"))
    };
    if releases.is_empty() {
        return Err(wrong("there is no pre-release".to_owned()));
    }
    for (index, release) in releases.iter().enumerate() {
        env.report.detail(&format!("{:>2}  {}", index + 1, line(release, "")));
    }
    let question = format!("which of them (1-{})?", releases.len());
    let answer = answer(&env.report, &env.stop, &question, NOTHING).await?;
    let answer = answer.ok_or_else(|| wrong("no tag was given, and there is no terminal to pick one at".to_owned()))?;
    let picked = answer.parse::<usize>().ok().and_then(|number| releases.get(number.checked_sub(1)?));
    picked
        .map(|release| release.tag_name.clone())
        .ok_or_else(|| wrong(format!("{answer:?} is none of them; {NOTHING}")))
}
