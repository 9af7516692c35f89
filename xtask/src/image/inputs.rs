//! What an image is made of. Equal inputs need no second build.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;

use super::Images;
use super::pin::Lock;
use crate::config::Target;
use crate::hash::sha256;
use crate::release::Source;
use crate::report::Summary;
use crate::tools::dockerignore::Ignore;
use crate::tools::git;

/// Raised whenever the toolkit builds another image from the same inputs.
const RECIPE: u32 = 1;

/// What an image is made of.
pub struct Inputs {
    /// The commit that it is built from.
    pub source: Source,
    /// When that commit was made.
    pub created: Timestamp,
    /// The commit's files, without those that `.dockerignore` leaves out.
    pub context: git::Context,
    /// The base images by their build arguments, by digest where `image.lock` has it.
    pub args: BTreeMap<String, String>,
    /// A hash over files, Dockerfile, arguments and platform: 24 hexadecimal digits.
    pub id: String,
}

impl Inputs {
    /// The inputs of what is checked out. Fails, but for a local environment, when the tree is not as in its commit, or
    /// a base image has no digest in `image.lock`.
    pub async fn gather(images: &Images<'_>) -> Result<Self> {
        let root = &images.config.root;
        let source = git::source(root).await?;
        let is_local = matches!(images.environment.target, Target::Local(_));
        if source.is_dirty() && !is_local {
            bail!(
                "the tree has changes that are in no commit, and an image for {} is built from a commit\n  \
                 look at them: git status; then commit them, or put them aside: git stash --include-untracked",
                images.environment.name
            );
        }
        if source.is_dirty() {
            images.report.note("the tree has changes that are in no commit; the image is built without them");
        }
        let args = bases(images, is_local)?;
        let context = context(images, &source.commit).await?;
        let created = git::commit_time(root).await?;
        let what = (RECIPE, context.id(), &images.image.dockerfile, &images.image.platform, &args);
        let id = sha256(serde_json::to_string(&what).context("hash the inputs of the image")?.as_bytes());
        Ok(Self { id: id[..24].to_owned(), source, created, context, args })
    }

    /// The tag that says what an image was built from: whoever finds it need not build.
    pub fn tag(&self) -> String {
        format!("inputs-{}", self.id)
    }
}

impl Summary for Inputs {
    fn summary(&self) -> String {
        format!("{}, inputs {}", &self.source.commit[..12], &self.id[..12])
    }
}

/// The base images as the build gets them.
fn bases(images: &Images<'_>, may_be_unpinned: bool) -> Result<BTreeMap<String, String>> {
    let lock = Lock::read(&images.config.root)?;
    let (mut args, mut unpinned) = (BTreeMap::new(), Vec::new());
    for (arg, reference) in &images.image.bases {
        let pinned = lock.resolve(reference);
        if pinned.is_none() {
            unpinned.push(reference.as_str());
        }
        args.insert(arg.clone(), pinned.unwrap_or_else(|| reference.clone()));
    }
    if unpinned.is_empty() {
        return Ok(args);
    }
    let unpinned = unpinned.join(", ");
    if !may_be_unpinned {
        bail!(
            "image.lock has no digest of {unpinned}, so nobody could tell later what the image was built on\n  \
             type: cargo xtask image pin"
        );
    }
    images.report.note(&format!("built on whatever {unpinned} is now; to pin it: cargo xtask image pin"));
    Ok(args)
}

/// The commit's files that the builder is given.
async fn context(images: &Images<'_>, commit: &str) -> Result<git::Context> {
    let (root, dockerfile) = (&images.config.root, &images.image.dockerfile);
    let commit_12 = &commit[..12];
    if git::show(root, commit, dockerfile.as_str()).await?.is_none() {
        bail!("{dockerfile} is not in commit {commit_12}; type: git add {dockerfile} && git commit");
    }
    // A file of the Dockerfile's own comes before the common one, as with Docker.
    let own = format!("{dockerfile}.dockerignore");
    for name in [own.as_str(), ".dockerignore"] {
        if let Some(rules) = git::show(root, commit, name).await? {
            let ignore = Ignore::parse(&rules).with_context(|| format!("read {name} of commit {commit_12}"))?;
            return git::Context::of(root, commit, |path| path == dockerfile.as_str() || !ignore.ignores(path)).await;
        }
    }
    git::Context::of(root, commit, |_| true).await
}
