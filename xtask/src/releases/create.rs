//! The pre-release of a commit. Each part that is there is kept, and each that is missing is made, so a second run completes the
//! first one.

use anyhow::{Context as _, anyhow};
use futures_util::future::try_join_all;

use super::manifest::{FILE, Manifest, uploaded};
use super::notes;
use crate::clients::github::{GitHub, NewRelease, Release};
use crate::env::Env;
use crate::failure::Failure;
use crate::hash::sha256;
use crate::image::ServiceImage;
use crate::image::attached::attached;
use crate::image::inputs::Inputs;
use crate::image::pushed::digest_of;
use crate::release::Source;
use crate::release::tag::{is_tag, tag};
use crate::report::{Ongoing, Summary};
use crate::tools::git::{self, log::Change};

/// The names of the checksums and of the list of software (SPDX) among the files of a release.
const CHECKSUMS: &str = "SHA256SUMS";
const SBOM: &str = "sbom.spdx.json";

/// The largest statement that is read of a registry, in bytes.
const MAX_STATEMENT: usize = 64 << 20;

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
    // What is complete needs nothing more of the registry.
    if uploaded(&release.assets, CHECKSUMS).is_none() {
        step.progress("adding the files");
        let sbom = sbom(&image, &manifest.image.digest).await?;
        if sbom.is_none() {
            notices.push("without an SBOM: none is attached to the image (cargo xtask image push says why)".to_owned());
        }
        let (checksums, files) = files(&manifest, sbom)?;
        let missing: Vec<&File> = files.iter().filter(|file| uploaded(&release.assets, file.name).is_none()).collect();
        let upload = missing.iter().map(|file| github.upload_asset(&release, file.name, file.media_type, &file.bytes));
        let again = || format!("complete the release {tag}; type the same command again");
        try_join_all(upload).await.with_context(again)?;
        // The last one: it says that the others are complete.
        let File { name, media_type, bytes } = &checksums;
        github.upload_asset(&release, name, media_type, bytes).await.with_context(again)?;
        made.extend(missing.iter().map(|file| file.name.to_owned()).chain([CHECKSUMS.to_owned()]));
    }
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

/// A file of a release.
struct File {
    name: &'static str,
    media_type: &'static str,
    bytes: Vec<u8>,
}

/// The checksums, and the files that they are of.
fn files(manifest: &Manifest, sbom: Option<Vec<u8>>) -> Result<(File, Vec<File>), Failure> {
    let mut files = vec![File { name: FILE, media_type: "application/json", bytes: manifest.text()?.into_bytes() }];
    files.extend(sbom.map(|bytes| File { name: SBOM, media_type: "application/spdx+json", bytes }));
    let sums: String = files.iter().map(|file| format!("{}  {}\n", sha256(&file.bytes), file.name)).collect();
    Ok((File { name: CHECKSUMS, media_type: "text/plain", bytes: sums.into_bytes() }, files))
}

/// The list of software that is attached to the image, as an SPDX document; none if its builder attached none.
async fn sbom(image: &ServiceImage<'_>, digest: &str) -> Result<Option<Vec<u8>>, Failure> {
    let repository = image.repository().await?;
    let manifest = repository.manifest(digest).await.context("read the image's manifest")?;
    let attached = attached(repository, &manifest, &image.spec.platform).await?;
    let Some(list) = attached.iter().find(|attached| attached.is_sbom()) else { return Ok(None) };
    let blob = repository
        .blob(&list.digest, MAX_STATEMENT)
        .await
        .context("read the list of software that is attached to the image")?;
    let mut statement: serde_json::Value = serde_json::from_slice(&blob).context("the statement is not JSON")?;
    let document = serde_json::to_vec_pretty(&statement["predicate"].take()).context("write the document")?;
    Ok(Some(document))
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
