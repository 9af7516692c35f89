//! `image prune`: deletes what nothing runs and nothing can go back to. What is not known to be useless stays.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::{Value, json};

use super::limits::human_bytes;
use super::survey::{Held, Needed, needed, survey};
use super::{CACHE_TAG, Images, list};
use crate::clients::registry::Repository;
use crate::clients::registry::error::RegistryError;
use crate::clients::scaleway;
use crate::confirm::confirmed;
use crate::failure::Failure;
use crate::release::short_digest;

/// How it is asked for.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// How many of the newest are kept beside those that are needed.
    pub keep: usize,
    /// Only say what would go.
    pub dry_run: bool,
    /// Do not ask.
    pub yes: bool,
}

/// What stays and what goes.
#[derive(Debug, Default, PartialEq)]
struct Plan {
    /// Each with why.
    kept: Vec<(Held, String)>,
    /// Each with the manifests that go with it: those that only its index names.
    gone: Vec<(Held, Vec<String>)>,
    /// Bytes that nothing needs any more then.
    freed: u64,
}

/// Shows what goes, asks, and deletes it.
pub async fn prune(images: &Images<'_>, how: How) -> Result<(), Failure> {
    let repository = images.repository().await?;
    let plan = make_plan(images, repository, how.keep).await?;
    let unknown = needed(images).await?.unknown;
    let name = &images.environment.name;
    if !unknown.is_empty() {
        images.report.warn(&format!(
            "no deploy to {} is recorded here; if one was made elsewhere, its image is not known to be needed",
            unknown.join(", ")
        ));
    }
    if how.dry_run || plan.gone.is_empty() {
        images.report.result(plan.detail(&[]), &plan.text());
        return Ok(());
    }
    images.report.headline(&plan.text());
    if !how.yes {
        let question = format!("Delete these {}? They cannot be brought back.", plan.gone.len());
        if !confirmed(&images.report, &images.env.stop, &question, "nothing was deleted").await? {
            return Err(Failure::Refused(anyhow!("nothing was deleted; type: cargo xtask image prune {name} --yes")));
        }
        // Whoever thinks about the question may do so for an hour.
        if make_plan(images, repository, how.keep).await? != plan {
            return Err(Failure::Refused(anyhow!(
                "nothing was deleted: what the registry holds has changed meanwhile; type it again: cargo xtask image prune {name}"
            )));
        }
    }
    let mut deleted = Vec::new();
    let outcome = delete(images, repository, &plan, &mut deleted).await;
    let count = deleted.len();
    outcome.with_context(|| {
        format!("delete images; {count} of {} were, and the others are as before; to go on, type: cargo xtask image prune {name}", plan.gone.len())
    })?;
    let text =
        format!("deleted {count}; {} are free when the registry has collected its garbage", human_bytes(plan.freed));
    images.report.result(plan.detail(&deleted), &text);
    Ok(())
}

async fn make_plan(images: &Images<'_>, repository: &Repository, keep: usize) -> Result<Plan> {
    // The records first: an image that is deployed in between is among the newest.
    let needed = needed(images).await?;
    Ok(Plan::make(survey(repository).await?, &needed, keep))
}

impl Plan {
    /// `all` has the newest first.
    fn make(all: Vec<Held>, needed: &Needed, keep: usize) -> Self {
        let mut why: BTreeMap<String, String> = BTreeMap::new();
        for held in &all {
            let uses = list::uses(held, needed);
            let tag = |name: &str| held.tags.iter().any(|tag| tag == name);
            let reason = match &held.about {
                _ if !uses.is_empty() => uses.join(", "),
                _ if tag("latest") => "is latest".to_owned(),
                _ if tag(CACHE_TAG) => "is the layer cache".to_owned(),
                None => "is no image".to_owned(),
                Some(about) if about.created.is_none() => "does not say how old it is".to_owned(),
                Some(_) => continue,
            };
            why.insert(held.digest.clone(), reason);
        }
        let newest: Vec<&Held> = all.iter().filter(|held| !why.contains_key(&held.digest)).take(keep).collect();
        why.extend(newest.into_iter().map(|held| (held.digest.clone(), format!("is among the {keep} newest"))));
        // What a kept index names is kept, also under a tag of its own.
        let mut of_kept: BTreeSet<&String> = BTreeSet::new();
        while let Some(index) = all
            .iter()
            .find(|held| why.contains_key(&held.digest) && held.children.iter().any(|child| !of_kept.contains(child)))
        {
            of_kept.extend(&index.children);
            let name = index.tags.first().cloned().unwrap_or_default();
            for child in all.iter().filter(|held| index.children.contains(&held.digest)) {
                why.entry(child.digest.clone()).or_insert_with(|| format!("is part of {name}"));
            }
        }
        let stays = |digest: &String| {
            why.contains_key(digest) || of_kept.contains(digest) || needed.by_digest.contains_key(digest)
        };
        let tagged: BTreeSet<&String> = all.iter().map(|held| &held.digest).collect();
        let mut plan = Self::default();
        for held in &all {
            match why.get(&held.digest) {
                Some(why) => plan.kept.push((held.clone(), why.clone())),
                None => {
                    let only_its = held.children.iter().filter(|child| !stays(child) && !tagged.contains(child));
                    plan.gone.push((held.clone(), only_its.cloned().collect()));
                }
            }
        }
        let needed_parts: BTreeSet<&String> = plan.kept.iter().flat_map(|(held, _)| held.parts.keys()).collect();
        let parts: BTreeMap<&String, u64> =
            plan.gone.iter().flat_map(|(held, _)| held.parts.iter().map(|(digest, size)| (digest, *size))).collect();
        plan.freed = parts.iter().filter(|(digest, _)| !needed_parts.contains(**digest)).map(|(_, size)| size).sum();
        plan
    }

    fn text(&self) -> String {
        let keep = self.kept.iter().map(|(held, why)| format!("  keep    {}", list::line(held, why)));
        let go = self.gone.iter().map(|(held, _)| format!("  delete  {}", list::line(held, "")));
        let mut lines: Vec<String> = keep.chain(go).collect();
        lines.push(format!(
            "{} stay, {} go, which would free {}",
            self.kept.len(),
            self.gone.len(),
            human_bytes(self.freed)
        ));
        lines.join("\n")
    }

    fn detail(&self, deleted: &[String]) -> Value {
        let kept: Vec<Value> = self.kept.iter().map(|(held, why)| list::detail(held, &json!([why]))).collect();
        let gone: Vec<Value> = self.gone.iter().map(|(held, _)| list::detail(held, &json!([]))).collect();
        json!({ "kept": kept, "delete": gone, "deleted": deleted, "freed_bytes": self.freed })
    }
}

/// Deletes what goes, and notes each in `deleted` as soon as it is gone.
async fn delete(images: &Images<'_>, repository: &Repository, plan: &Plan, deleted: &mut Vec<String>) -> Result<()> {
    for (held, only_its) in &plan.gone {
        for digest in std::iter::once(&held.digest).chain(only_its) {
            match repository.delete(digest).await {
                // What is gone already is what was wanted; some registries delete what an index names with it.
                Ok(()) | Err(RegistryError::NotFound { .. }) => {}
                Err(refusal @ RegistryError::DeletionRefused { .. }) => {
                    let Some(region) = repository.host().scaleway_region() else { return Err(refusal.into()) };
                    let Some(api) = images.scaleway(region).await.map_err(Failure::into_error)? else {
                        return Err(refusal.into());
                    };
                    return delete_tags(&api, repository.name(), plan, deleted).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        deleted.push(held.digest.clone());
    }
    Ok(())
}

/// The same where only tags can be deleted: those of the digests that go, unless there is one among them that was not
/// seen before; it is somebody's.
async fn delete_tags(
    api: &scaleway::Registries,
    repository: &str,
    plan: &Plan,
    deleted: &mut Vec<String>,
) -> Result<()> {
    let (namespace, image) = repository.split_once('/').context("a repository at Scaleway is in a namespace")?;
    let tags = api.tags(namespace, image).await?;
    for (held, _) in &plan.gone {
        let same: Vec<&scaleway::Tag> = tags.iter().filter(|tag| tag.digest == held.digest).collect();
        if let Some(other) = same.iter().find(|tag| !held.tags.contains(&tag.name)) {
            bail!("the tag {} names {} too, and was not there before", other.name, short_digest(&held.digest));
        }
        for tag in same {
            api.delete(tag).await?;
        }
        deleted.push(held.digest.clone());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
