//! The images in a repository.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::task::JoinSet;

use super::ServiceImage;
use crate::clients::registry::Repository;
use crate::clients::registry::error::RegistryError;
use crate::clients::registry::manifest::{Content, ImageConfig, Manifest};
use crate::failure::Failure;

/// Requests to a registry at a time.
const CONCURRENT_REQUESTS: usize = 8;

/// A manifest or index that has a tag, with all that belongs to it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredImage {
    /// Of the manifest or index that the tags name.
    pub digest: String,
    /// In alphabetical order.
    pub tags: Vec<String>,
    /// The manifests that an index names.
    pub children: Vec<String>,
    /// Size in bytes of every manifest, configuration and layer, by digest. Several images can share one.
    pub blobs: BTreeMap<String, u64>,
    /// None where it is not an image, but for example a layer cache.
    pub metadata: Option<Metadata>,
}

/// What an image's configuration says about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// When it was built; a builder may write the commit's time.
    pub created: Option<Timestamp>,
    /// The label `org.opencontainers.image.version`.
    pub version: Option<String>,
    /// The label `org.opencontainers.image.revision`: the commit.
    pub revision: Option<String>,
}

/// Every tagged image of the repository, the newest first; images without a time come last.
pub async fn list(image: &ServiceImage<'_>) -> Result<Vec<StoredImage>, Failure> {
    let images = read_all(image.repository().await?).await;
    Ok(images.with_context(|| format!("list the images of {}", image.name()))?)
}

/// Replaces control characters: text from a registry must not move a terminal's cursor.
pub fn printable(text: &str) -> String {
    text.replace(char::is_control, " ")
}

impl StoredImage {
    /// Bytes of all its blobs.
    pub fn size(&self) -> u64 {
        self.blobs.values().fold(0, |sum, size| sum.saturating_add(*size))
    }

    /// Whether it has this tag.
    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|own| own == tag)
    }

    fn created(&self) -> Option<Timestamp> {
        self.metadata.as_ref()?.created
    }
}

async fn read_all(repository: &Repository) -> Result<Vec<StoredImage>, RegistryError> {
    let mut tags_of: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (tag, digest) in for_each(repository, repository.tags().await?, digest_of).await? {
        // None: the tag was deleted after it was listed.
        if let Some(digest) = digest {
            tags_of.entry(digest).or_default().push(tag);
        }
    }
    let digests = tags_of.keys().cloned().collect();
    let mut images = Vec::new();
    for (digest, image) in for_each(repository, digests, read).await? {
        if let Some(image) = image {
            images.push(StoredImage { tags: tags_of.remove(&digest).unwrap_or_default(), ..image });
        }
    }
    images.sort_by(|one, other| (other.created(), &other.tags).cmp(&(one.created(), &one.tags)));
    Ok(images)
}

async fn digest_of(repository: Repository, tag: String) -> Result<Option<String>, RegistryError> {
    repository.digest_of(&tag).await
}

async fn read(repository: Repository, digest: String) -> Result<Option<StoredImage>, RegistryError> {
    let manifest = match repository.manifest(&digest).await {
        Err(RegistryError::NotFound { .. }) => return Ok(None),
        manifest => manifest?,
    };
    let mut blobs = BTreeMap::new();
    let mut metadata = add_blobs(&repository, &manifest, &mut blobs).await?;
    let children: Vec<String> = manifest.children().map(|child| child.digest.clone()).collect();
    for child in &children {
        // An index can name manifests that were never pushed, such as those of other platforms.
        let child = match repository.manifest(child).await {
            Err(RegistryError::NotFound { .. }) => continue,
            child => child?,
        };
        let of_child = add_blobs(&repository, &child, &mut blobs).await?;
        metadata = metadata.or(of_child);
    }
    if let (Content::Index(entries), true) = (&manifest.content, children.is_empty()) {
        blobs.extend(entries.iter().map(|entry| (entry.digest.clone(), entry.size)));
    }
    Ok(Some(StoredImage { digest, tags: Vec::new(), children, blobs, metadata }))
}

/// Adds the blobs of a manifest, and returns the image's metadata; none for a provenance attestation, which an index holds
/// beside its images.
async fn add_blobs(
    repository: &Repository,
    manifest: &Manifest,
    blobs: &mut BTreeMap<String, u64>,
) -> Result<Option<Metadata>, RegistryError> {
    blobs.insert(manifest.digest.clone(), manifest.bytes.len() as u64);
    let Content::Image(image) = &manifest.content else { return Ok(None) };
    let own = image.layers.iter().chain([&image.config]);
    blobs.extend(own.map(|blob| (blob.digest.clone(), blob.size)));
    if !image.is_image() {
        return Ok(None);
    }
    let config: ImageConfig = repository.config(image).await?;
    let label = |name: &str| config.label(&format!("org.opencontainers.image.{name}")).map(str::to_owned);
    let metadata = Metadata { created: config.created, version: label("version"), revision: label("revision") };
    Ok((config.os != "unknown").then_some(metadata))
}

/// Sends one request for each key, several at a time. The answers are in the order of the keys.
async fn for_each<T, F>(
    repository: &Repository,
    keys: Vec<String>,
    request: fn(Repository, String) -> F,
) -> Result<Vec<(String, T)>, RegistryError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, RegistryError>> + Send + 'static,
{
    let mut keys = keys.into_iter().collect::<BTreeSet<_>>().into_iter();
    let (mut running, mut answers) = (JoinSet::new(), Vec::new());
    loop {
        while running.len() < CONCURRENT_REQUESTS
            && let Some(key) = keys.next()
        {
            let answer = request(repository.clone(), key.clone());
            running.spawn(async move { (key, answer.await) });
        }
        let Some(ended) = running.join_next().await else { break };
        match ended {
            Ok((key, answer)) => answers.push((key, answer?)),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    answers.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(answers)
}
