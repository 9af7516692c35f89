//! Deleting images that no environment uses. An image stays unless it is known to be unused.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};

use super::list::{StoredImage, list};
use super::signature::TAG_PREFIX;
use super::usage::{self, Usage};
use super::{CACHE_TAG, ServiceImage};
use crate::clients::registry::error::RegistryError;
use crate::clients::scaleway;
use crate::failure::Failure;
use crate::release::short_digest;
use crate::state::history::{refuse_without_live, without_live};

/// What is not known of an environment without a record of a live release.
const THINGS: &str = "the images it runs";

/// What to keep.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Number of newest images that are kept beside those in use.
    pub keep: usize,
    /// Environments that were never deployed: without a record of a live release they use no image.
    pub never_deployed: &'a [String],
}

/// Which images stay and which are deleted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Each with the reason.
    pub keep: Vec<(StoredImage, String)>,
    /// Each with the manifests that are deleted with it: those that only its index names.
    pub delete: Vec<(StoredImage, Vec<String>)>,
    /// Bytes of blobs that only deleted images have.
    pub freed: u64,
    /// Environments without a record of a live release, unless [`Options::never_deployed`] names them.
    pub unknown: Vec<String>,
}

/// Compares the images of the repository with what the environments use. Changes nothing.
pub async fn make_plan(image: &ServiceImage<'_>, options: Options<'_>) -> Result<Plan, Failure> {
    for name in options.never_deployed {
        image.env.config.environment(name)?;
    }
    // The records first: an image that is pushed and deployed in between is among the newest.
    let usage = usage::read(image).await?;
    Ok(Plan::new(list(image).await?, usage, options))
}

/// Deletes the images, and returns their digests. Deletes nothing when [`Plan::guard`] refuses.
pub async fn delete(image: &ServiceImage<'_>, plan: &Plan) -> Result<Vec<String>, Failure> {
    plan.guard()?;
    let mut deleted = Vec::new();
    match delete_all(image, plan, &mut deleted).await {
        Ok(()) => Ok(deleted),
        Err(failure) => Err(failure.map(|error| {
            let (done, all) = (deleted.len(), plan.delete.len());
            error.context(format!(
                "{done} of {all} images were deleted; to delete the rest, type the same command again"
            ))
        })),
    }
}

impl Plan {
    /// `images` has the newest first.
    fn new(images: Vec<StoredImage>, usage: Usage, options: Options<'_>) -> Self {
        let mut reasons = reasons(&images, &usage);
        let unused = images.iter().filter(|image| !reasons.contains_key(&image.digest));
        let newest: Vec<String> = unused.take(options.keep).map(|image| image.digest.clone()).collect();
        reasons.extend(newest.into_iter().map(|digest| (digest, format!("one of the {} newest", options.keep))));
        let of_kept = add_children(&images, &mut reasons);
        let tagged: BTreeSet<&String> = images.iter().map(|image| &image.digest).collect();
        let is_kept = |digest: &String| of_kept.contains(digest) || usage.by_digest.contains_key(digest);
        let mut plan = Self::default();
        for image in &images {
            match reasons.get(&image.digest) {
                Some(reason) => plan.keep.push((image.clone(), reason.clone())),
                None => {
                    let only_here = image.children.iter().filter(|child| !is_kept(child) && !tagged.contains(child));
                    plan.delete.push((image.clone(), only_here.cloned().collect()));
                }
            }
        }
        plan.freed = plan.freed_bytes();
        plan.unknown = usage.unknown.into_iter().filter(|name| !options.never_deployed.contains(name)).collect();
        plan
    }

    /// Refuses while an environment has no record of a live release: nothing says which image it runs.
    pub fn guard(&self) -> Result<(), Failure> {
        refuse_without_live(&self.unknown, THINGS)
    }

    /// Which environments have no record of a live release.
    pub fn warning(&self) -> String {
        without_live(&self.unknown, THINGS)
    }

    fn freed_bytes(&self) -> u64 {
        let kept: BTreeSet<&String> = self.keep.iter().flat_map(|(image, _)| image.blobs.keys()).collect();
        let deleted: BTreeMap<&String, u64> = self
            .delete
            .iter()
            .flat_map(|(image, _)| image.blobs.iter().map(|(digest, size)| (digest, *size)))
            .collect();
        deleted.iter().filter(|(digest, _)| !kept.contains(**digest)).map(|(_, size)| size).sum()
    }
}

/// Why images stay, whatever their age.
fn reasons(images: &[StoredImage], usage: &Usage) -> BTreeMap<String, String> {
    let mut reasons = BTreeMap::new();
    for image in images {
        let uses = usage.of(image);
        let reason = match &image.metadata {
            _ if !uses.is_empty() => uses.join(", "),
            _ if image.has_tag("latest") => "has the tag latest".to_owned(),
            _ if image.has_tag(CACHE_TAG) => "is the layer cache".to_owned(),
            // A layer cache that a later one has replaced.
            None if image.tags.iter().all(|tag| tag.starts_with(TAG_PREFIX)) => continue,
            None => "is not an image".to_owned(),
            Some(metadata) if metadata.created.is_none() => "has no creation time".to_owned(),
            Some(_) => continue,
        };
        reasons.insert(image.digest.clone(), reason);
    }
    reasons
}

/// Keeps the children of kept indexes, and returns their digests. A child can have a tag and children of its own.
fn add_children(images: &[StoredImage], reasons: &mut BTreeMap<String, String>) -> BTreeSet<String> {
    let mut children = BTreeSet::new();
    loop {
        let is_new = |image: &&StoredImage| {
            reasons.contains_key(&image.digest) && image.children.iter().any(|child| !children.contains(child))
        };
        let Some(index) = images.iter().find(is_new) else { return children };
        let name = index.tags.first().cloned().unwrap_or_default();
        for child in images.iter().filter(|image| index.children.contains(&image.digest)) {
            reasons.entry(child.digest.clone()).or_insert_with(|| format!("is part of {name}"));
        }
        children.extend(index.children.iter().cloned());
    }
}

/// Deletes every image of the plan, and adds its digest to `deleted` as soon as it is gone.
async fn delete_all(image: &ServiceImage<'_>, plan: &Plan, deleted: &mut Vec<String>) -> Result<(), Failure> {
    let repository = image.repository().await?;
    for (stored, children) in &plan.delete {
        for digest in std::iter::once(&stored.digest).chain(children) {
            match repository.delete(digest).await {
                // Some registries delete the manifests of an index with it.
                Ok(()) | Err(RegistryError::NotFound { .. }) => {}
                Err(refusal @ RegistryError::DeletionRefused { .. }) => {
                    let Some(region) = repository.host().scaleway_region() else { return Err(failed(refusal)) };
                    let Some(api) = image.scaleway(region).await? else { return Err(failed(refusal)) };
                    return Ok(delete_tags(&api, repository.name(), plan, deleted).await?);
                }
                Err(error) => return Err(failed(error)),
            }
        }
        deleted.push(stored.digest.clone());
    }
    Ok(())
}

/// The same by Scaleway's API, which deletes tags instead of manifests. Fails when an image has a tag that the plan does not
/// know: another user added it since.
async fn delete_tags(
    api: &scaleway::Registries,
    repository: &str,
    plan: &Plan,
    deleted: &mut Vec<String>,
) -> Result<()> {
    let (namespace, image) = repository.split_once('/').context("the repository's name has no Scaleway namespace")?;
    let tags = api.tags(namespace, image).await?;
    for (stored, _) in &plan.delete {
        let own: Vec<&scaleway::Tag> = tags.iter().filter(|tag| tag.digest == stored.digest).collect();
        if let Some(new) = own.iter().find(|tag| !stored.has_tag(&tag.name)) {
            bail!("the tag {} was added to {} in the meantime", new.name, short_digest(&stored.digest));
        }
        for tag in own {
            api.delete(tag).await?;
        }
        deleted.push(stored.digest.clone());
    }
    Ok(())
}

fn failed(error: RegistryError) -> Failure {
    Failure::Failed(error.into())
}

#[cfg(test)]
mod tests;
