//! Whether a release can be deployed: asked before it is promoted, and by the workflow that then deploys it. In between, days can pass, and
//! a person can publish a release without asking.

use std::collections::BTreeMap;

use anyhow::{Context as _, anyhow};

use super::WORKFLOW;
use super::manifest::Manifest;
use crate::check::{Check, Verdict};
use crate::clients::github::{Check as CommitCheck, Compared, Conclusion, GitHub, Release};
use crate::env::Env;
use crate::failure::Failure;
use crate::image::{ServiceImage, push};
use crate::release::tag::is_tag;
use crate::release::{Migration, short_commit, short_digest};
use crate::state::history::{self, Record};

/// How many checks are named.
const NAMED: usize = 8;

/// What is to be deployed, and what was found of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The release.
    pub release: Release,
    /// Its `release.json`.
    pub manifest: Manifest,
    /// Every check; deployed only if none is bad.
    pub checks: Vec<Check>,
    /// The commit that is deployed, where the release may be deployed although it does not descend from it.
    older_than: Option<String>,
}

impl Candidate {
    /// Fails if a check is bad.
    pub fn guard(&self, cannot: &str) -> Result<(), Failure> {
        let bad: Vec<&str> = self.checks.iter().filter(|check| check.is_bad()).map(|check| check.name).collect();
        match bad.is_empty() {
            true => Ok(()),
            false => {
                let tag = &self.release.tag_name;
                Err(Failure::Refused(anyhow!("{tag} cannot be {cannot}: see {}", bad.join(", "))))
            }
        }
    }

    /// The notes of a release that is promoted although it is older, if they do not say so yet. The workflow that deploys it checks the
    /// order again, and allows it by that line.
    pub fn notes(&self) -> Option<String> {
        let line = promoted_over(self.older_than.as_deref()?);
        let notes = self.release.body.as_deref().unwrap_or_default();
        (!notes.contains(&line)).then(|| format!("{}\n\n{line}\n", notes.trim_end()))
    }
}

/// The line of a release's notes for this commit, which was deployed then. Once another one is deployed, it allows nothing.
fn promoted_over(deployed: &str) -> String {
    format!("Promoted over {deployed} by `--allow-older`.")
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
    let commit_checks =
        async { Ok(github.checks(&manifest.commit, WORKFLOW).await.context("read the commit's checks")?) };
    let tagged = async { Ok(github.tag(&release.tag_name).await.context("read the release's tag")?) };
    let image = image(env, &manifest);
    let (live, commit_checks, tagged, image) = tokio::try_join!(live, commit_checks, tagged, image)?;
    let required = env.config.github.iter().flat_map(|github| github.required_checks.clone()).collect::<Vec<_>>();
    let mut checks = vec![of_tag(&release, &manifest, tagged.as_deref()), image, green(&commit_checks, &required)];
    let mut older_than = None;
    match live {
        None => checks.push(Check::good("order", format!("nothing was deployed to {} yet", env.name()))),
        Some(live) => {
            let order = order(github, &live, &manifest.commit, release.body.as_deref(), allow_older).await?;
            let is_allowed = order.verdict == Verdict::Doubtful;
            older_than = live.source.as_ref().filter(|_| is_allowed).map(|source| source.commit.clone());
            checks.push(order);
            checks.push(migrations(&live.migrations, &manifest.migrations, live.version()));
        }
    }
    Ok(Candidate { release, manifest, checks, older_than })
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
        let unknown = names.iter().any(|name| !by_name.contains_key(name));
        let fix = match unknown && !by_name.is_empty() {
            true => {
                let has: Vec<String> = by_name.keys().map(|name| (*name).to_owned()).collect();
                format!("run them, or correct github.required_checks in deploy.yaml: the commit has {}", list(&has))
            }
            false => "run them again, or fix the commit".to_owned(),
        };
        return Check::bad("checks", format!("not passed: {}", list(&wrong)), fix);
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

async fn order(
    github: &GitHub,
    live: &Record,
    new: &str,
    notes: Option<&str>,
    allow_older: bool,
) -> Result<Check, Failure> {
    let Some(source) = &live.source else { return Ok(Check::doubtful("order", "the live release has no commit")) };
    let old = &source.commit;
    let in_notes = notes.is_some_and(|notes| notes.contains(&promoted_over(old)));
    let compared = github.compare(old, new).await.context("compare the release with what is deployed")?;
    let (new, old) = (short_commit(new), short_commit(old));
    let (found, fix) = match compared {
        Some(Compared::Ahead) => {
            return Ok(Check::good("order", format!("{new} descends from {old}, which is deployed")));
        }
        Some(Compared::Identical) => return Ok(Check::good("order", format!("{new} is deployed"))),
        Some(Compared::Behind) => (
            format!("{new} is older than {old}, which is deployed"),
            "to go back: cargo xtask rollback, or run the workflow deploy by hand",
        ),
        Some(Compared::Diverged) => {
            (format!("{new} does not descend from {old}, which is deployed"), "promote a later release")
        }
        None => (format!("GitHub does not have the commit {old}, which is deployed"), "push it"),
    };
    Ok(match (allow_older, in_notes) {
        (true, _) => Check::doubtful("order", format!("{found}; --allow-older allows it")),
        (false, true) => Check::doubtful("order", format!("{found}; it was promoted with --allow-older")),
        (false, false) => Check::bad("order", found, format!("{fix}; or add --allow-older")),
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
            "promote a release that has these migrations; to go back: cargo xtask rollback",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::patience::Patience;
    use crate::release::Source;
    use crate::state::history::Kind;

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
        let Verdict::Bad { fix } = super::green(&found, &["tests".to_owned()]).verdict else { unreachable!() };
        assert!(fix.contains("github.required_checks") && fix.contains("lint, test, web"), "{fix}");
    }

    #[tokio::test]
    async fn an_older_release_is_deployed_over_the_commit_that_its_notes_name() {
        drop(rustls::crypto::ring::default_provider().install_default());
        let server = devservers::GitHub::start();
        let repository = server.repository("owner", "name");
        let [old, new] = ["Old", "New"].map(|subject| repository.commit("main", subject));
        let token = server.personal_token(&["contents:read"]).into();
        let github = GitHub::new(&server.url(), "owner/name", &token, &Patience::default()).unwrap();
        let mut live = Record::begin("id".to_owned(), Kind::Deploy, "production", 1);
        live.source =
            Some(Source { commit: new.clone(), version: new[..12].into(), subject: "New".into(), branch: None });
        let order = async |notes: Option<&str>, allow_older| {
            order(&github, &live, &old, notes, allow_older).await.unwrap().verdict
        };
        let is_bad = |verdict| matches!(verdict, Verdict::Bad { .. });
        assert!(is_bad(order(None, false).await));
        assert_eq!(order(None, true).await, Verdict::Doubtful);
        assert_eq!(order(Some(&format!("Notes\n\n{}\n", promoted_over(&new))), false).await, Verdict::Doubtful);
        // Another one is deployed by now.
        assert!(is_bad(order(Some(&promoted_over(&old)), false).await));
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
