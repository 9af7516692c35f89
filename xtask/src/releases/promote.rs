//! Making a pre-release the release that is deployed.

use std::collections::BTreeMap;

use anyhow::{Context as _, anyhow};

use super::is_tag;
use super::manifest::Manifest;
use crate::check::Check;
use crate::clients::github::{Check as CommitCheck, Compared, Conclusion, GitHub, Release};
use crate::env::Env;
use crate::failure::Failure;
use crate::image::{ServiceImage, push};
use crate::release::{Migration, short_commit, short_digest};
use crate::state::history::{self, Record};

/// How many checks are named.
const NAMED: usize = 8;

/// What is to be promoted, and what was found of it.
pub struct Candidate {
    /// The release.
    pub release: Release,
    /// Its `release.json`.
    pub manifest: Manifest,
    /// Every check; promoted only if none is bad.
    pub checks: Vec<Check>,
}

/// The release with a tag, and what it says of itself.
pub async fn find(github: &GitHub, tag: &str) -> Result<(Release, Manifest), Failure> {
    if !is_tag(tag) {
        return Err(Failure::Usage(anyhow!("{tag:?} is no tag of a release, as build-20261129-0123456789ab")));
    }
    let release = github.release(tag).await.context("look for the release")?;
    let list = "cargo xtask release list lists them";
    let release = release.ok_or_else(|| Failure::Usage(anyhow!("there is no release {tag}; {list}")))?;
    if release.draft {
        return Err(Failure::Refused(anyhow!(
            "the release {tag} is a draft: the run that made it did not finish\n  \
             check out its commit and type: cargo xtask release create"
        )));
    }
    let manifest = Manifest::read(github, &release).await?;
    let manifest = manifest.ok_or_else(|| {
        Failure::Refused(anyhow!(
            "the release {tag} has no release.json, so its image is not known\n  \
             check out its commit and type: cargo xtask release create"
        ))
    })?;
    Ok((release, manifest))
}

/// Checks at this moment whether a release can be deployed to the environment. Changes nothing.
pub async fn examine(
    env: &Env<'_>,
    github: &GitHub,
    (release, manifest): (Release, Manifest),
    allow_older: bool,
) -> Result<Candidate, Failure> {
    let live = async { Ok(history::live(env.store()?).await?) };
    let commit_checks = async { Ok(github.checks(&manifest.commit).await.context("read the commit's checks")?) };
    let tagged = async { Ok(github.tag(&release.tag_name).await.context("read the release's tag")?) };
    let image = image(env, &manifest);
    let (live, commit_checks, tagged, image) = tokio::try_join!(live, commit_checks, tagged, image)?;
    let required = env.config.github.iter().flat_map(|github| github.required_checks.clone()).collect::<Vec<_>>();
    let mut checks = vec![of_tag(&release, &manifest, tagged.as_deref()), image, green(&commit_checks, &required)];
    match live {
        None => checks.push(Check::good("order", format!("nothing was deployed to {} yet", env.name()))),
        Some(live) => {
            checks.push(order(github, &live, &manifest, allow_older).await?);
            checks.push(migrations(&live.migrations, &manifest.migrations, live.version()));
        }
    }
    Ok(Candidate { release, manifest, checks })
}

/// A tag can be moved, and what is deployed is what it names.
fn of_tag(release: &Release, manifest: &Manifest, tagged: Option<&str>) -> Check {
    let (tag, commit) = (&release.tag_name, &manifest.commit);
    match tagged {
        Some(tagged) if tagged == commit => Check::good("tag", format!("{tag} is the commit {}", short_commit(commit))),
        Some(tagged) => Check::bad(
            "tag",
            format!("{tag} names the commit {}, and release.json {}", short_commit(tagged), short_commit(commit)),
            "the tag was moved; delete the release and its tag, and make it again: cargo xtask release create",
        ),
        None => {
            Check::bad("tag", format!("there is no tag {tag}"), "make the release again: cargo xtask release create")
        }
    }
}

async fn image(env: &Env<'_>, manifest: &Manifest) -> Result<Check, Failure> {
    let image = ServiceImage::find(env)?;
    let (name, digest) = (image.name(), &manifest.image.digest);
    if manifest.image.name != name {
        let found = format!("the release's image is {}, and {} runs {name}", manifest.image.name, env.name());
        return Ok(Check::bad("image", found, "promote it for the environment whose registry that is"));
    }
    Ok(match push::is_published(&image, digest).await? {
        true => Check::good("image", format!("the registry has {}", short_digest(digest))),
        false => Check::bad(
            "image",
            format!("the registry has no {name}@{digest}"),
            format!("check out the commit and type: cargo xtask image push {}", env.name()),
        ),
    })
}

/// Whether the checks of the commit passed: those that are required, else every one.
fn green(found: &[CommitCheck], required: &[String]) -> Check {
    let by_name: BTreeMap<&str, &CommitCheck> = found.iter().map(|check| (check.name.as_str(), check)).collect();
    let (mut wrong, mut pending) = (Vec::new(), Vec::new());
    let names: Vec<&str> = match required.is_empty() {
        true => by_name.keys().copied().collect(),
        false => required.iter().map(String::as_str).collect(),
    };
    for name in &names {
        match by_name.get(name).map(|check| &check.conclusion) {
            Some(Conclusion::Passed) => {}
            Some(Conclusion::Pending) => pending.push((*name).to_owned()),
            Some(Conclusion::Failed(how)) => wrong.push(format!("{name} ({how})")),
            None => wrong.push(format!("{name} (did not run)")),
        }
    }
    let list = |names: &[String]| {
        let more = names.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{more}", names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", "))
    };
    if names.is_empty() {
        return Check::bad("checks", "the commit has no checks", "run the workflow of the commit at GitHub");
    }
    if !wrong.is_empty() {
        return Check::bad("checks", format!("not passed: {}", list(&wrong)), "run them again, or fix the commit");
    }
    if !pending.is_empty() {
        return Check::bad(
            "checks",
            format!("not ended: {}", list(&pending)),
            "wait for them, then type the same command",
        );
    }
    Check::good("checks", format!("{} passed", names.len()))
}

async fn order(github: &GitHub, live: &Record, manifest: &Manifest, allow_older: bool) -> Result<Check, Failure> {
    let Some(source) = &live.source else { return Ok(Check::doubtful("order", "the live release has no commit")) };
    let (new, old) = (&manifest.commit, &source.commit);
    let compared = github.compare(old, new).await.context("compare the release with what is deployed")?;
    let (new, old) = (short_commit(new), short_commit(old));
    let (found, fix) = match compared {
        Some(Compared::Ahead) => {
            return Ok(Check::good("order", format!("{new} descends from {old}, which is deployed")));
        }
        Some(Compared::Identical) => return Ok(Check::good("order", format!("{new} is deployed"))),
        Some(Compared::Behind) => {
            (format!("{new} is older than {old}, which is deployed"), "to go back: cargo xtask rollback")
        }
        Some(Compared::Diverged) => {
            (format!("{new} does not descend from {old}, which is deployed"), "promote a later release")
        }
        None => (format!("GitHub does not have the commit {old}, which is deployed"), "push it"),
    };
    Ok(match allow_older {
        true => Check::doubtful("order", format!("{found}; --allow-older allows it")),
        false => Check::bad("order", found, format!("{fix}; or add --allow-older")),
    })
}

/// Whether the release knows every migration that the database has.
fn migrations(live: &[Migration], released: &[Migration], version: &str) -> Check {
    let known: BTreeMap<&str, &str> =
        released.iter().map(|migration| (migration.name.as_str(), migration.sha256.as_str())).collect();
    let is_other = |migration: &&Migration| known.get(migration.name.as_str()) != Some(&migration.sha256.as_str());
    let missing: Vec<String> = live.iter().filter(is_other).map(|migration| migration.name.clone()).collect();
    match missing.as_slice() {
        [] => Check::good("migrations", format!("{} new", released.len().saturating_sub(live.len()))),
        missing => Check::bad(
            "migrations",
            format!(
                "{version} has migrated the database by what this release has not, or has otherwise: {}",
                missing.join(", ")
            ),
            "promote a release that has these migrations",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, conclusion: Conclusion) -> CommitCheck {
        CommitCheck { name: name.to_owned(), conclusion, url: None }
    }

    #[test]
    fn every_required_check_has_to_have_passed() {
        let found = [
            check("test", Conclusion::Passed),
            check("lint", Conclusion::Pending),
            check("web", Conclusion::Failed("timed_out".to_owned())),
        ];
        let green = |required: &[&str]| {
            let required: Vec<String> = required.iter().map(|&name| name.to_owned()).collect();
            let check = green(&found, &required);
            (check.is_bad(), check.found)
        };
        assert_eq!(green(&["test"]), (false, "1 passed".to_owned()));
        assert_eq!(green(&["test", "lint"]), (true, "not ended: lint".to_owned()));
        assert_eq!(green(&["test", "other"]), (true, "not passed: other (did not run)".to_owned()));
        assert_eq!(green(&[]), (true, "not passed: web (timed_out)".to_owned()));
        assert!(super::green(&[], &[]).is_bad());
    }

    #[test]
    fn a_release_needs_the_migrations_of_the_database_unchanged() {
        let of = |name: &str, sha256: &str| Migration { name: name.into(), sha256: sha256.into(), irreversible: false };
        let live = [of("1.sql", "a"), of("2.sql", "b")];
        let found = |released: &[Migration]| {
            let check = migrations(&live, released, "0123");
            (check.is_bad(), check.found)
        };
        assert_eq!(found(&[of("1.sql", "a"), of("2.sql", "b"), of("3.sql", "c")]), (false, "1 new".to_owned()));
        let (bad, text) = found(&[of("1.sql", "a"), of("2.sql", "changed")]);
        assert!(bad && text.ends_with("2.sql"), "{text}");
        assert!(found(&live[..1]).0);
    }
}
