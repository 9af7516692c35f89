//! What a repository holds, and who needs it: what `image list` shows and `image prune` decides by.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use tokio::task::JoinSet;

use super::Images;
use crate::clients::registry::Repository;
use crate::clients::registry::error::RegistryError;
use crate::clients::registry::manifest::{Content, ImageConfig, Manifest};
use crate::clients::registry::reference::Reference;
use crate::state::history::{self, Outcome, Record};
use crate::state::store::Store;

/// Questions to a registry at a time.
const AT_ONCE: usize = 8;

/// Everything under one digest that has a tag.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// The digest that the tags name.
    pub digest: String,
    /// The tags, in order.
    pub tags: Vec<String>,
    /// Of an index, the manifests that it names.
    pub children: Vec<String>,
    /// Bytes by the digests of what it consists of; parts are shared with others.
    pub parts: BTreeMap<String, u64>,
    /// What it says of itself; none if it is no image, such as a layer cache.
    pub about: Option<About>,
}

/// What an image says of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct About {
    /// When it was made; its builder may have said the commit's time.
    pub created: Option<Timestamp>,
    /// Its label `org.opencontainers.image.version`.
    pub version: Option<String>,
    /// Its label `org.opencontainers.image.revision`: the commit.
    pub revision: Option<String>,
}

impl Held {
    /// Bytes of all its parts.
    pub fn size(&self) -> u64 {
        self.parts.values().fold(0, |sum, size| sum.saturating_add(*size))
    }
}

/// Reads everything in the repository that has a tag, the newest first; what says no time comes last.
pub async fn survey(repository: &Repository) -> Result<Vec<Held>> {
    let mut tags_of: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (tag, digest) in for_each(repository, repository.tags().await?, digest_of).await? {
        // A tag may go between the list and this question.
        if let Some(digest) = digest {
            tags_of.entry(digest).or_default().push(tag);
        }
    }
    let digests = tags_of.keys().cloned().collect();
    let mut all = Vec::new();
    for (digest, read) in for_each(repository, digests, read).await? {
        if let Some(held) = read {
            all.push(Held { tags: tags_of.remove(&digest).unwrap_or_default(), ..held });
        }
    }
    all.sort_by(|one, other| (created(other), &other.tags).cmp(&(created(one), &one.tags)));
    Ok(all)
}

/// Which environments need which digests, and what for. Environments whose images are in other repositories do not count.
/// Fails when the records of one that counts cannot be read.
pub async fn needed(images: &Images<'_>) -> Result<Needed> {
    let here: Reference = images.name().parse()?;
    let mut needed = Needed::default();
    for environment in images.config.environments.values() {
        let Some(registry) = environment.registry() else { continue };
        // Registries have several names.
        let other: Reference = format!("{registry}/{}", images.image.name).parse()?;
        if (other.host(), other.repository()) != (here.host(), here.repository()) {
            continue;
        }
        let name = &environment.name;
        let store = Store::folder(images.config.root.join(".deploy").join(name));
        let records = history::read_all(&store).await.with_context(|| {
            format!("read what was deployed to {name}: without that, nobody knows which images it needs")
        })?;
        needed.add(name, &records, environment.keep_releases);
    }
    Ok(needed)
}

/// Digests that environments need.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Needed {
    /// What for, by digest: `production runs it`.
    pub by_digest: BTreeMap<String, Vec<String>>,
    /// Environments of which no deploy is recorded.
    pub unknown: Vec<String>,
}

impl Needed {
    /// What this environment runs, what it can go back to, and what served before those.
    fn add(&mut self, environment: &str, records: &[Record], keep_releases: usize) {
        let lives: Vec<&Record> = records.iter().rev().filter(|record| record.outcome == Outcome::Live).collect();
        let mut kept: Vec<&str> = Vec::new();
        for record in &lives {
            let Some(digest) = record.digest.as_deref() else { continue };
            if !kept.contains(&digest) && kept.len() < keep_releases.max(1) {
                let what = if kept.is_empty() { "runs it" } else { "can go back to it" };
                kept.push(digest);
                self.insert(digest, format!("{environment} {what}"));
            }
        }
        for record in
            lives.iter().filter(|record| record.digest.as_deref().is_some_and(|digest| kept.contains(&digest)))
        {
            let before = records.iter().find(|other| Some(&other.id) == record.previous.as_ref());
            if let Some(digest) =
                before.and_then(|before| before.digest.as_deref()).filter(|digest| !kept.contains(digest))
            {
                self.insert(digest, format!("{environment} ran it before"));
            }
        }
        if lives.is_empty() {
            self.unknown.push(environment.to_owned());
        }
    }

    fn insert(&mut self, digest: &str, what: String) {
        let all = self.by_digest.entry(digest.to_owned()).or_default();
        if !all.contains(&what) {
            all.push(what);
        }
    }
}

fn created(held: &Held) -> Option<Timestamp> {
    held.about.as_ref()?.created
}

async fn digest_of(repository: Repository, tag: String) -> Result<Option<String>, RegistryError> {
    repository.digest_of(&tag).await
}

async fn read(repository: Repository, digest: String) -> Result<Option<Held>, RegistryError> {
    let manifest = match repository.manifest(&digest).await {
        Err(RegistryError::NotFound { .. }) => return Ok(None),
        manifest => manifest?,
    };
    let mut parts = BTreeMap::new();
    let mut about = add(&repository, &manifest, &mut parts).await?;
    let children: Vec<String> = manifest.children().map(|child| child.digest.clone()).collect();
    for child in &children {
        // An index may name what was never pushed, such as another platform's image.
        let child = match repository.manifest(child).await {
            Err(RegistryError::NotFound { .. }) => continue,
            child => child?,
        };
        let of_child = add(&repository, &child, &mut parts).await?;
        about = about.or(of_child);
    }
    if let (Content::Index(entries), true) = (&manifest.content, children.is_empty()) {
        parts.extend(entries.iter().map(|entry| (entry.digest.clone(), entry.size)));
    }
    Ok(Some(Held { digest, tags: Vec::new(), children, parts, about }))
}

/// Adds a manifest's parts, and reads what the image says of itself. What accompanies images in an index (provenance) is
/// kept like an image and says nothing.
async fn add(
    repository: &Repository,
    manifest: &Manifest,
    into: &mut BTreeMap<String, u64>,
) -> Result<Option<About>, RegistryError> {
    into.insert(manifest.digest.clone(), manifest.bytes.len() as u64);
    let Content::Image(parts) = &manifest.content else { return Ok(None) };
    let blobs = parts.layers.iter().chain([&parts.config]);
    into.extend(blobs.map(|blob| (blob.digest.clone(), blob.size)));
    if !parts.is_image() {
        return Ok(None);
    }
    let config: ImageConfig = repository.config(parts).await?;
    let label = |name: &str| config.label(&format!("org.opencontainers.image.{name}")).map(str::to_owned);
    let about = About { created: config.created, version: label("version"), revision: label("revision") };
    Ok((config.os != "unknown").then_some(about))
}

/// Asks the same of each key, a few at a time.
async fn for_each<T, F>(
    repository: &Repository,
    keys: Vec<String>,
    ask: fn(Repository, String) -> F,
) -> Result<Vec<(String, T)>, RegistryError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, RegistryError>> + Send + 'static,
{
    let mut keys = keys.into_iter().collect::<BTreeSet<_>>().into_iter();
    let (mut running, mut answers) = (JoinSet::new(), Vec::new());
    loop {
        while running.len() < AT_ONCE
            && let Some(key) = keys.next()
        {
            let asked = ask(repository.clone(), key.clone());
            running.spawn(async move { (key, asked.await) });
        }
        let Some(ended) = running.join_next().await else { break };
        match ended {
            Ok((key, answer)) => answers.push((key, answer?)),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    // They come as they come, and what is compared later must not depend on that.
    answers.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::history::Kind;

    fn record(id: &str, digest: &str, outcome: Outcome, previous: Option<&str>) -> Record {
        let mut record = Record::begin(id.to_owned(), Kind::Deploy, "production", 1);
        record.digest = Some(digest.to_owned());
        record.previous = previous.map(str::to_owned);
        record.outcome = outcome;
        record
    }

    #[test]
    fn what_runs_what_can_come_back_and_what_was_before_is_needed() {
        let records = [
            record("1", "a", Outcome::Live, None),
            record("2", "b", Outcome::Live, Some("1")),
            record("3", "x", Outcome::Failed, Some("2")),
            record("4", "c", Outcome::Live, Some("2")),
            record("5", "d", Outcome::Live, Some("4")),
            record("6", "c", Outcome::Live, Some("5")),
        ];
        let mut needed = Needed::default();
        needed.add("production", &records, 2);
        let expected =
            [("b", "production ran it before"), ("c", "production runs it"), ("d", "production can go back to it")];
        let found: Vec<(&str, &str)> =
            needed.by_digest.iter().map(|(digest, what)| (digest.as_str(), what[0].as_str())).collect();
        assert_eq!(found, expected);
        needed.add("staging", &records[2..3], 2);
        assert_eq!(needed.unknown, ["staging"]);
        needed.add("staging", &records[..1], 2);
        assert_eq!(needed.by_digest["a"], ["staging runs it"]);
    }
}
