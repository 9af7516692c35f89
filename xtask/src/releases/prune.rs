//! Deleting pre-releases that no environment needs. What was promoted stays: it is the history that people look at.

use std::collections::BTreeMap;

use anyhow::Context as _;
use jiff::Timestamp;

use crate::clients::github::{GitHub, Release};
use crate::env::Env;
use crate::failure::Failure;
use crate::release::short_commit;
use crate::release::tag::{is_tag, short_commit_of};
use crate::state::history::{self, Outcome, refuse_without_live, uses, without_live};

/// What is not known of an environment without a record of a live release.
const THINGS: &str = "the releases it needs";

/// What to keep.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Number of newest pre-releases that are kept beside those in use.
    pub keep: usize,
    /// Environments that were never deployed: without a record of a live release they use no release.
    pub never_deployed: &'a [String],
}

/// Which releases stay and which are deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Each with the reason.
    pub keep: Vec<(Release, String)>,
    /// With their tags.
    pub delete: Vec<Release>,
    /// Environments without a record of a live release, unless [`Options::never_deployed`] names them.
    pub unknown: Vec<String>,
}

/// What each environment with a stack needs: by the first twelve digits of a commit.
#[derive(Debug, Default)]
pub struct Needs {
    /// What for: `production runs it`.
    pub by_commit: BTreeMap<String, Vec<String>>,
    /// Environments without a record of a live release.
    pub unknown: Vec<String>,
}

/// Reads the records of every environment that has a stack. Fails when those of one cannot be read.
pub async fn needs(env: &Env<'_>) -> Result<Needs, Failure> {
    let mut needs = Needs::default();
    for environment in env.config.environments.values().filter(|environment| environment.has_own_stack()) {
        let name = &environment.name;
        let other = env.other(environment);
        let read = async { Ok(history::read_all(other.store()?).await?) };
        let records = read.await.map_err(|failure: Failure| {
            failure.map(|error| {
                error.context(format!("read the deploy records of {name}, which name the releases it uses"))
            })
        })?;
        for (commit, what) in uses(&records, environment.keep_releases, |record| Some(&record.source.as_ref()?.commit))
        {
            needs.by_commit.entry(short_commit(commit).to_owned()).or_default().push(format!("{name} {what}"));
        }
        if !records.iter().any(|record| record.outcome == Outcome::Live) {
            needs.unknown.push(name.clone());
        }
    }
    Ok(needs)
}

/// Compares the releases with what the environments need. Changes nothing.
pub async fn make_plan(env: &Env<'_>, github: &GitHub, options: Options<'_>) -> Result<Plan, Failure> {
    for name in options.never_deployed {
        env.config.environment(name)?;
    }
    // The records first: what is released and deployed in between is among the newest.
    let needs = needs(env).await?;
    let releases = github.releases().await.context("list the releases")?;
    Ok(Plan::new(releases, needs, options))
}

/// Deletes the releases and their tags, and returns the tags. Deletes nothing when [`Plan::guard`] refuses.
pub async fn delete(github: &GitHub, plan: &Plan) -> Result<Vec<String>, Failure> {
    plan.guard()?;
    let mut deleted = Vec::new();
    for release in &plan.delete {
        let gone = async {
            github.delete_release(release).await?;
            // A draft has none.
            github.delete_tag(&release.tag_name).await
        };
        gone.await.with_context(|| {
            let (done, all) = (deleted.len(), plan.delete.len());
            format!("{done} of {all} releases were deleted; to delete the rest, type the same command again")
        })?;
        deleted.push(release.tag_name.clone());
    }
    Ok(deleted)
}

impl Plan {
    fn new(mut releases: Vec<Release>, needs: Needs, options: Options<'_>) -> Self {
        releases.sort_by_key(|release| std::cmp::Reverse((made(release), release.id)));
        let mut plan = Self::default();
        let mut newest = 0;
        for release in releases.into_iter().filter(|release| is_tag(&release.tag_name)) {
            let reason = match needs.by_commit.get(short_commit_of(&release.tag_name)) {
                Some(uses) => Some(uses.join(", ")),
                None if !release.prerelease && !release.draft => Some("was promoted".to_owned()),
                None if newest < options.keep => {
                    newest += 1;
                    Some(format!("one of the {} newest", options.keep))
                }
                None => None,
            };
            match reason {
                Some(reason) => plan.keep.push((release, reason)),
                None => plan.delete.push(release),
            }
        }
        plan.unknown = needs.unknown.into_iter().filter(|name| !options.never_deployed.contains(name)).collect();
        plan
    }

    /// Refuses while an environment has no record of a live release: nothing says which release it runs.
    pub fn guard(&self) -> Result<(), Failure> {
        refuse_without_live(&self.unknown, THINGS)
    }

    /// Which environments have no record of a live release.
    pub fn warning(&self) -> String {
        without_live(&self.unknown, THINGS)
    }
}

fn made(release: &Release) -> Timestamp {
    release.published_at.unwrap_or(release.created_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(id: u64, commit: &str, prerelease: bool) -> Release {
        let at = format!("2026-11-{:02}T00:00:00Z", id);
        serde_json::from_value(serde_json::json!({
            "id": id, "tag_name": format!("build-20261101-{commit}"), "target_commitish": commit, "body": null,
            "draft": false, "prerelease": prerelease, "created_at": at, "published_at": at,
            "html_url": "", "upload_url": "", "assets": [],
        }))
        .unwrap()
    }

    #[test]
    fn what_is_needed_promoted_or_new_stays() {
        let commit = |letter: char| letter.to_string().repeat(12);
        let mut needs = Needs::default();
        needs.by_commit.insert(commit('a'), vec!["production runs it".to_owned()]);
        needs.unknown.push("staging".to_owned());
        let releases = vec![
            release(1, &commit('a'), true),
            release(2, &commit('b'), false),
            release(3, &commit('c'), true),
            release(4, &commit('d'), true),
            release(5, &commit('e'), true),
            Release { tag_name: "v1.0.0".to_owned(), ..release(6, "f", true) },
        ];
        let plan = Plan::new(releases, needs, Options { keep: 1, never_deployed: &[] });
        let kept: Vec<(u64, &str)> = plan.keep.iter().map(|(release, why)| (release.id, why.as_str())).collect();
        assert_eq!(kept, [(5, "one of the 1 newest"), (2, "was promoted"), (1, "production runs it")]);
        assert_eq!(plan.delete.iter().map(|release| release.id).collect::<Vec<_>>(), [4, 3]);
        assert!(plan.guard().unwrap_err().into_error().to_string().contains("--never-deployed staging"));
    }
}
