//! Whether the stack pins the versions of providers that the stand-in has the schemas of.

use anyhow::Result;
use camino::Utf8Path;
use devservers::standin::{self, Source};
use xtask::fs::found;
use xtask::tofu::LOCK_FILE;

/// What a user has to know of the versions, a line for each provider whose pinned version is another one. A stack without a lock file
/// pins none.
pub fn differences(stack: &Utf8Path) -> Result<Vec<String>> {
    let Some(lock) = found(fs_err::read_to_string(stack.join(LOCK_FILE)))? else { return Ok(Vec::new()) };
    Ok(compare(&pinned(&lock), &standin::versions()?))
}

fn compare(pinned: &[(String, String)], sources: &[Source]) -> Vec<String> {
    let mut lines = Vec::new();
    for (provider, version) in pinned {
        let Some(source) = sources.iter().find(|source| source.provider == *provider) else { continue };
        if source.version != *version {
            let date = source.date.as_ref().map(|date| format!(" of {date}")).unwrap_or_default();
            lines.push(format!(
                "{LOCK_FILE} pins {provider} {version}, and the rehearsal has the schema of {}{date}: what differs is not rehearsed",
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
                ".terraform.lock.hcl pins scaleway/scaleway 2.99.0, and the rehearsal has the schema of 2.81.0 of 2026-08: what \
              differs is not rehearsed"
            ]
        );
    }

    #[test]
    fn the_stand_in_says_the_versions_of_its_schemas() {
        assert!(standin::versions().unwrap().iter().any(|source| source.provider == "scaleway/scaleway"));
    }
}
