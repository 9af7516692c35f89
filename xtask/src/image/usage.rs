//! Which images the environments use, by the records of their deploys.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use super::ServiceImage;
use super::list::StoredImage;
use crate::clients::registry::reference::Reference;
use crate::config::Environment;
use crate::env::Env;
use crate::failure::Failure;
use crate::state::history::{self, Outcome, Record, uses};

/// Digests that environments use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// By digest, what for: `production runs it`.
    pub by_digest: BTreeMap<String, Vec<String>>,
    /// Environments without a record of a live release. Their images may be in use all the same: deployed by hand, or with
    /// records that were lost.
    pub unknown: Vec<String>,
}

/// Reads the records of every environment whose images are in the same repository. Fails when the records of one of them
/// cannot be read.
pub async fn read(image: &ServiceImage<'_>) -> Result<Usage, Failure> {
    let own = repository_of(image, image.env.environment)?;
    let mut usage = Usage::default();
    for environment in image.env.config.environments.values() {
        if environment.registry().is_none() || repository_of(image, environment)? != own {
            continue;
        }
        let name = &environment.name;
        let records = read_records(&image.env.other(environment)).await.map_err(|failure| {
            failure
                .map(|error| error.context(format!("read the deploy records of {name}, which name the images it uses")))
        })?;
        usage.add(name, &records, environment.keep_releases);
    }
    Ok(usage)
}

impl Usage {
    /// What environments use an image for. Their records name the digest of an index or of one of its manifests.
    pub fn of(&self, image: &StoredImage) -> Vec<String> {
        let digests = std::iter::once(&image.digest).chain(&image.children);
        digests.filter_map(|digest| self.by_digest.get(digest)).flatten().cloned().collect()
    }

    /// Adds the images of an environment.
    fn add(&mut self, environment: &str, records: &[Record], keep_releases: usize) {
        for (digest, what) in uses(records, keep_releases, |record| record.digest.as_deref()) {
            self.insert(digest, format!("{environment} {what}"));
        }
        if !records.iter().any(|record| record.outcome == Outcome::Live) {
            self.unknown.push(environment.to_owned());
        }
    }

    fn insert(&mut self, digest: &str, what: String) {
        let uses = self.by_digest.entry(digest.to_owned()).or_default();
        if !uses.contains(&what) {
            uses.push(what);
        }
    }
}

/// The repository of the image in an environment, without the differences between names of one registry.
fn repository_of(image: &ServiceImage<'_>, environment: &Environment) -> Result<String> {
    let name = image.name_in(environment);
    Ok(name.parse::<Reference>().with_context(|| format!("read the image name {name}"))?.name())
}

async fn read_records(env: &Env<'_>) -> Result<Vec<Record>, Failure> {
    Ok(history::read_all(env.store()?).await?)
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
    fn live_releases_rollback_targets_and_their_predecessors_are_in_use() {
        let records = [
            record("1", "a", Outcome::Live, None),
            record("2", "b", Outcome::Live, Some("1")),
            record("3", "x", Outcome::Failed, Some("2")),
            record("4", "c", Outcome::Live, Some("2")),
            record("5", "d", Outcome::Live, Some("4")),
            record("6", "c", Outcome::Live, Some("5")),
        ];
        let mut usage = Usage::default();
        usage.add("production", &records, 2);
        let expected =
            [("b", "production ran it before"), ("c", "production runs it"), ("d", "production can roll back to it")];
        let found: Vec<(&str, &str)> =
            usage.by_digest.iter().map(|(digest, uses)| (digest.as_str(), uses[0].as_str())).collect();
        assert_eq!(found, expected);
        usage.add("staging", &records[..1], 2);
        assert_eq!(usage.by_digest["a"], ["staging runs it"]);
        assert_eq!(usage.unknown, [""; 0]);
    }

    #[test]
    fn an_environment_without_a_live_release_is_unknown_and_its_failed_deploys_may_run() {
        let mut usage = Usage::default();
        usage.add("empty", &[], 2);
        usage.add("failed", &[record("1", "x", Outcome::NotRestored, None)], 2);
        assert_eq!(usage.unknown, ["empty", "failed"]);
        assert_eq!(usage.by_digest["x"], ["failed may run it (deploy not restored)"]);
        let after = [record("1", "a", Outcome::Live, None), record("2", "y", Outcome::Aborted, Some("1"))];
        usage.add("production", &after, 2);
        assert_eq!(usage.by_digest["y"], ["production may run it (deploy aborted)"]);
    }
}
