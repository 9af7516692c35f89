//! The pre-release of a commit. Each part that is there is kept, and each that is missing is made, so a second run completes the
//! first one.

use anyhow::{Context as _, anyhow};
use futures_util::future::try_join_all;

use super::manifest::{FILE, Manifest, uploaded};
use super::{is_tag, notes, tag};
use crate::clients::github::{GitHub, NewRelease, Release};
use crate::env::Env;
use crate::failure::Failure;
use crate::hash::sha256;
use crate::image::ServiceImage;
use crate::image::inputs::Inputs;
use crate::image::pushed::digest_of;
use crate::release::Source;
use crate::report::{Ongoing, Summary};
use crate::tools::git::{self, log::Change};

/// The checksums' name among the files of a release.
const CHECKSUMS: &str = "SHA256SUMS";

/// How many releases are looked at to find the one before.
const SEARCHED: usize = 50;

/// A release that is complete.
pub struct Created {
    /// At GitHub.
    pub release: Release,
    /// Its `release.json`.
    pub manifest: Manifest,
    /// What was made now; empty if all of it was there.
    pub made: Vec<String>,
    notices: Vec<String>,
}

impl Summary for Created {
    fn summary(&self) -> String {
        let what =
            if self.made.is_empty() { "was complete".to_owned() } else { format!("made {}", self.made.join(", ")) };
        std::iter::once(format!("{}: {what}", self.release.tag_name))
            .chain(self.notices.clone())
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn is_reused(&self) -> bool {
        self.made.is_empty()
    }
}

/// A commit of the main branch. Refused if it is another one, or the tree has changes that are in none.
pub async fn main_commit(env: &Env<'_>) -> Result<Source, Failure> {
    let source = git::source(env.root(), git::Filters::Run).await?;
    let main = &env.config.source.main_branch;
    if !source.is_clean() {
        return Err(Failure::Refused(anyhow!(
            "the tree has uncommitted changes, and a release is made of a commit\n  see them: git status"
        )));
    }
    let references = [format!("refs/heads/{main}"), format!("refs/remotes/*/{main}")];
    if !git::is_in(env.root(), &source.commit, &references.each_ref().map(String::as_str)).await? {
        return Err(Failure::Refused(anyhow!(
            "the commit {} is not in {main}, the branch that releases come from\n  type: git checkout {main}",
            &source.commit[..12]
        )));
    }
    Ok(source)
}

/// Makes what is missing of the release of this commit. Refused if the registry does not have its image, or if what is there is of
/// another image.
pub async fn create(env: &Env<'_>, github: &GitHub, source: &Source, step: &Ongoing) -> Result<Created, Failure> {
    let image = ServiceImage::find(env)?;
    let inputs = Inputs::of(&image, source).await?;
    let tag = tag(&source.commit, inputs.created);
    let registry = async { digest_of(&image, &inputs).await };
    let releases = async { Ok(github.releases().await.context("look for the release")?) };
    step.progress("asking the registry and GitHub");
    let (digest, releases) = tokio::try_join!(registry, releases)?;
    let manifest = Manifest::of(&image, &inputs, digest, tag.clone())?;
    let (mut made, mut notices) = (Vec::new(), Vec::new());
    // A published one comes before a draft that another run has left.
    let own = || releases.iter().filter(|release| release.tag_name == tag);
    let release = match own().find(|release| !release.draft).or_else(|| own().next()) {
        Some(release) => {
            accept(github, release, &manifest).await?;
            release.clone()
        }
        None => {
            let (before, changes) = changes_since(env, source, &releases, &mut notices).await?;
            let image = format!("{}@{}", manifest.image.name, manifest.image.digest);
            let body = notes::notes(&image, before.as_deref(), &changes);
            let title = format!("{}: {}", &source.commit[..12], source.subject);
            // The API's limit of a title.
            let name: String = title.chars().take(250).collect();
            let new = NewRelease { tag_name: &tag, target_commitish: &source.commit, name: &name, body: &body };
            made.push("the release".to_owned());
            step.progress("making the release");
            github.draft_release(&new).await.context("make the pre-release")?
        }
    };
    let files = files(&manifest)?;
    let missing: Vec<&(&str, &str, Vec<u8>)> =
        files.iter().filter(|(name, ..)| uploaded(&release.assets, name).is_none()).collect();
    let upload = missing.iter().map(|(name, media_type, bytes)| github.upload_asset(&release, name, media_type, bytes));
    try_join_all(upload).await.with_context(|| format!("complete the release {tag}; type the same command again"))?;
    made.extend(missing.iter().map(|(name, ..)| (*name).to_owned()));
    let release = match release.draft {
        true => {
            made.push("the tag".to_owned());
            step.progress("publishing the pre-release");
            github.publish_release(&release).await.context("publish the pre-release; type the same command again")?
        }
        false => release,
    };
    Ok(Created { release, manifest, made, notices })
}

/// The files of a release: name, media type, content.
fn files(manifest: &Manifest) -> Result<Vec<(&'static str, &'static str, Vec<u8>)>, Failure> {
    let text = manifest.text()?;
    let sums = format!("{}  {FILE}\n", sha256(text.as_bytes()));
    Ok(vec![(FILE, "application/json", text.into_bytes()), (CHECKSUMS, "text/plain", sums.into_bytes())])
}

/// Refuses what is there if it is of another commit or another image.
async fn accept(github: &GitHub, release: &Release, manifest: &Manifest) -> Result<(), Failure> {
    let (there, tag) = (Manifest::read(github, release).await?, &manifest.tag);
    let tagged = github.tag(tag).await.context("compare the release with the commit")?;
    if tagged.is_some_and(|commit| commit != manifest.commit) {
        let commit = &manifest.commit[..12];
        return Err(Failure::Refused(anyhow!(
            "the tag {tag} is of another commit than {commit}; look at it: {}",
            release.html_url
        )));
    }
    let Some(there) = there else { return Ok(()) };
    let (old, new) = (&there.image.digest, &manifest.image.digest);
    if there.commit != manifest.commit || old != new {
        return Err(Failure::Refused(anyhow!(
            "the release {tag} is of the image {old}, and the registry's image of this commit is {new}: it was built again\n  \
             delete the release at {}, then type the same command again",
            release.html_url
        )));
    }
    Ok(())
}

/// The commits since the release before this one, and its tag.
async fn changes_since(
    env: &Env<'_>,
    source: &Source,
    releases: &[Release],
    notices: &mut Vec<String>,
) -> Result<(Option<String>, Vec<Change>), Failure> {
    let (root, commit) = (env.root(), &source.commit);
    for release in releases.iter().filter(|release| !release.draft && is_tag(&release.tag_name)).take(SEARCHED) {
        let before = &release.target_commitish;
        if before.len() < 40 || before == commit {
            continue;
        }
        match git::log::descends(root, before, commit).await? {
            Some(true) => {
                let changes = git::log::changes(root, Some(before), commit, notes::MOST).await?;
                return Ok((Some(release.tag_name.clone()), changes));
            }
            Some(false) => {}
            None => {
                notices.push(format!(
                    "this clone does not have the commit of {}, so the notes have the newest commits only; in CI, check out \
                     with fetch-depth: 0",
                    release.tag_name
                ));
                return Ok((None, git::log::changes(root, None, commit, 1).await?));
            }
        }
    }
    Ok((None, git::log::changes(root, None, commit, notes::MOST).await?))
}
