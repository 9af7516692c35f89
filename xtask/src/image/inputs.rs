//! The inputs of an image. An image with the same inputs is not built twice.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;

use super::ServiceImage;
use super::lock_file::LockFile;
use super::signature::Subject;
use crate::config::Target;
use crate::hash::sha256;
use crate::release::Source;
use crate::report::Summary;
use crate::tools::dockerignore::Dockerignore;
use crate::tools::git;

/// Raised when the toolkit builds another image from the same inputs.
const RECIPE_VERSION: u32 = 2;

/// The inputs of an image.
pub struct Inputs {
    /// The commit it is built from.
    pub source: Source,
    /// When that commit was made.
    pub created: Timestamp,
    /// The commit's files without those that `.dockerignore` excludes.
    pub context: git::Context,
    /// Base images by their build arguments, with the digests of the commit's `image.lock`.
    pub bases: BTreeMap<String, String>,
    /// The image that lists the software of the built one, with its digest. It does not change what is built.
    pub scanner: Option<String>,
    /// A hash over context, Dockerfile, base images and platform: 24 hexadecimal digits.
    pub hash: String,
    /// Differences between the image and the working tree, and base images without a digest.
    pub warnings: Vec<String>,
}

impl Inputs {
    /// The inputs of a source. For every target but `local` it fails when the working tree has uncommitted changes (there, too, where a
    /// release is the image), or a
    /// base image has no digest in `image.lock`; `local` gets a warning.
    pub async fn of(image: &ServiceImage<'_>, source: &Source) -> Result<Self> {
        let is_local = matches!(image.env.environment.target, Target::Local(_));
        let mut warnings = Vec::new();
        if !source.is_clean() && (!is_local || image.env.config.service.image) {
            bail!(
                "the working tree has uncommitted changes, and an image for {} is built from a commit\n  \
                 see them: git status; then commit them, or stash them: git stash --include-untracked",
                image.env.name()
            );
        }
        if !source.is_clean() {
            warnings.push("the working tree has uncommitted changes; the image is built without them".to_owned());
        }
        let root = image.env.root();
        let lock = LockFile::of_commit(root, &source.commit).await?;
        let (bases, unpinned) = pin_bases(image, &lock);
        if !unpinned.is_empty() {
            let unpinned = unpinned.join(", ");
            if !is_local {
                bail!(
                    "image.lock has no digest of {unpinned}, so the base image could change between two builds\n  \
                     type: cargo xtask image pin {}, then commit image.lock",
                    image.env.name()
                );
            }
            warnings.push(format!("image.lock has no digest of {unpinned}; to pin it: cargo xtask image pin"));
        }
        let context = context(image, &source.commit).await?;
        let created = git::commit_time(root, &source.commit).await?;
        let inputs = (RECIPE_VERSION, context.id(), &image.spec.dockerfile, &image.spec.platform, &bases);
        let hash = sha256(serde_json::to_string(&inputs).context("hash the inputs of the image")?.as_bytes());
        let scanner = image.spec.sbom.as_ref().map(|name| lock.pinned(name).unwrap_or_else(|| name.clone()));
        Ok(Self { source: source.clone(), created, context, bases, scanner, hash: hash[..24].to_owned(), warnings })
    }

    /// The tag by which a registry or engine is searched for an image with these inputs. Everyone who may push can move it: see
    /// `signature`.
    pub fn tag(&self) -> String {
        format!("inputs-{}", self.hash)
    }

    /// What an image with these inputs is signed as.
    pub fn subject(&self) -> Subject<'_> {
        Subject::Image(&self.hash)
    }

    /// The version that the image carries: the commit's first twelve digits.
    pub fn version(&self) -> &str {
        &self.source.commit[..12]
    }
}

impl Summary for Inputs {
    fn summary(&self) -> String {
        let first = format!("{}, inputs {}", self.version(), &self.hash[..12]);
        std::iter::once(&first).chain(&self.warnings).cloned().collect::<Vec<_>>().join("\n")
    }
}

/// The base images by their build arguments, with digests where there are any; and the images of others without one.
fn pin_bases<'a>(image: &ServiceImage<'a>, lock: &LockFile) -> (BTreeMap<String, String>, Vec<&'a str>) {
    let pin = |name: &String| lock.pinned(name).unwrap_or_else(|| name.clone());
    let bases = image.spec.bases.iter().map(|(arg, base)| (arg.clone(), pin(base))).collect();
    let unpinned = image.spec.of_others().filter(|name| lock.pinned(name).is_none()).map(String::as_str).collect();
    (bases, unpinned)
}

/// The build context: the commit's files without those that `.dockerignore` excludes.
async fn context(image: &ServiceImage<'_>, commit: &str) -> Result<git::Context> {
    let (root, dockerfile) = (image.env.root(), &image.spec.dockerfile);
    let commit_12 = &commit[..12];
    if git::show_bytes(root, commit, dockerfile.as_str()).await?.is_none() {
        bail!("{dockerfile} is not in commit {commit_12}; type: git add {dockerfile} && git commit");
    }
    // As with Docker, `<Dockerfile>.dockerignore` replaces `.dockerignore`.
    let own = format!("{dockerfile}.dockerignore");
    for name in [own.as_str(), ".dockerignore"] {
        if let Some(text) = git::show_bytes(root, commit, name).await? {
            let ignore = Dockerignore::parse(&text).with_context(|| format!("read {name} of commit {commit_12}"))?;
            let dockerfile = dockerfile.as_str().as_bytes();
            let mut walk = ignore.walk();
            return git::Context::of(root, commit, |path| path == dockerfile || !walk.excludes(path)).await;
        }
    }
    git::Context::of(root, commit, |_| true).await
}
