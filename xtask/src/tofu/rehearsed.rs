//! Whether a stack pins the versions of providers that a rehearsal has the schemas of: the stand-in's, which are no real providers.

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use serde::Deserialize;

use super::LOCK_FILE;
use crate::fs::found;

/// Where the schemas are from.
const SOURCES: &str = include_str!("../../standin/schemas/SOURCES.json");

/// Where a provider's schema is from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Source {
    /// Such as `scaleway/scaleway`.
    pub provider: String,
    /// The provider's version.
    pub version: String,
    /// The month in which the schema was taken, where it is known: `2026-08`.
    pub date: Option<String>,
}

/// The sources of all schemas.
pub fn sources() -> Result<Vec<Source>> {
    serde_json::from_str(SOURCES).context("read the sources of the stand-in's schemas")
}

/// What a user has to know of the versions, a line for each provider whose pinned version is another one. None where the stack has no
/// lock file, which pins none.
pub fn differences(stack: &Utf8Path) -> Result<Option<Vec<String>>> {
    let Some(lock) = found(fs_err::read_to_string(stack.join(LOCK_FILE)))? else { return Ok(None) };
    Ok(Some(compare(&pinned(&lock), &sources()?)))
}

fn compare(pinned: &[(String, String)], sources: &[Source]) -> Vec<String> {
    let mut lines = Vec::new();
    for (provider, version) in pinned {
        let Some(source) = sources.iter().find(|source| source.provider == *provider) else { continue };
        if source.version != *version {
            let date = source.date.as_ref().map(|date| format!(" of {date}")).unwrap_or_default();
            lines.push(format!(
                "{LOCK_FILE} pins {provider} {version}, and `rehearse` has the schema of {}{date}: what differs is not rehearsed",
                source.version
            ));
        }
    }
    lines
}

/// Provider and version of each block of a lock file, such as `scaleway/scaleway` and `2.81.0`.
fn pinned(lock: &str) -> Vec<(String, String)> {
    let (mut pinned, mut provider) = (Vec::new(), None);
    for line in lock.lines() {
        if let Some(address) = line.strip_prefix("provider \"").and_then(|rest| rest.split('"').next()) {
            // `registry.opentofu.org/scaleway/scaleway`
            provider = address.split_once('/').map(|(_, name)| name.to_owned());
        } else if let Some(version) = line.trim_start().strip_prefix("version") {
            let version =
                version.trim_start().strip_prefix('=').map(|version| version.trim().trim_matches('"').to_owned());
            pinned.extend(provider.take().zip(version));
        }
    }
    pinned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_than_that_of_the_schema_is_named() {
        let lock = "# maintained by tofu\nprovider \"registry.opentofu.org/hashicorp/aws\" {\n  version     = \"6.47.0\"\n  \
                    constraints = \"6.47.0\"\n}\n\nprovider \"registry.opentofu.org/scaleway/scaleway\" {\n  version = \"2.99.0\"\n}\n";
        let pinned = pinned(lock);
        let names = [("hashicorp/aws", "6.47.0"), ("scaleway/scaleway", "2.99.0")];
        assert_eq!(pinned, names.map(|(name, version)| (name.to_owned(), version.to_owned())));
        let source = |provider: &str, version: &str| Source {
            provider: provider.to_owned(),
            version: version.to_owned(),
            date: Some("2026-08".to_owned()),
        };
        let said = compare(&pinned, &[source("hashicorp/aws", "6.47.0"), source("scaleway/scaleway", "2.81.0")]);
        assert_eq!(
            said,
            [
                ".terraform.lock.hcl pins scaleway/scaleway 2.99.0, and `rehearse` has the schema of 2.81.0 of 2026-08: what \
              differs is not rehearsed"
            ]
        );
    }

    #[test]
    fn each_schema_of_the_stand_in_has_its_source() {
        let sources = sources().unwrap();
        for provider in devservers::standin::PROVIDERS {
            let dump = fs_err::read_to_string(devservers::standin::schema(&format!("{provider}.json"))).unwrap();
            let source = sources.iter().find(|source| source.provider.ends_with(provider)).unwrap();
            assert!(dump.contains(&format!("\"{}\"", source.provider)), "{source:?}");
            assert!(source.version.split('.').filter(|part| part.parse::<u32>().is_ok()).count() == 3, "{source:?}");
        }
        assert_eq!(sources.len(), devservers::standin::PROVIDERS.len());
    }
}
