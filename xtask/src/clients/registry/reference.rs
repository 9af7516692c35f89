//! Image names, as in a Dockerfile: `[host[:port]/]repository[:tag][@digest]`.
//!
//! The grammar is the distribution project's. The part before the first `/` is a host if it has a dot or a port, or is
//! `localhost`; otherwise the registry is Docker Hub.

use std::str::FromStr;

/// Docker Hub in image names; its API has another host.
const DOCKER_HUB: &str = "docker.io";

/// A repository in a registry, with a tag or digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    host: Host,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

/// A registry's host, with its port if the name has one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Host(String);

/// Why a text is not an image name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an image name: {why}; an image name looks like registry.example.org/group/name:tag")]
pub struct BadReference {
    text: String,
    why: String,
}

impl Reference {
    /// The registry.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The repository's name in the registry; on Docker Hub with `library/`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, if the name has one.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if the name has one: `sha256:` and 64 hexadecimal digits.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// The digest, else the tag, else `latest`.
    pub fn tag_or_digest(&self) -> &str {
        self.digest().or(self.tag()).unwrap_or("latest")
    }

    /// Host and repository; on Docker Hub without host and `library/`.
    pub fn name(&self) -> String {
        if self.host.0 == DOCKER_HUB {
            return self.repository.strip_prefix("library/").unwrap_or(&self.repository).to_owned();
        }
        format!("{}/{}", self.host, self.repository)
    }

    /// The same repository with this tag or digest.
    pub fn with(&self, tag_or_digest: &str) -> Result<Self, BadReference> {
        let separator = if tag_or_digest.contains(':') { '@' } else { ':' };
        format!("{}{separator}{tag_or_digest}", self.name()).parse()
    }

    /// `name:tag@digest`. The digest decides; the tag is information.
    pub fn pinned(&self, digest: &str) -> Result<Self, BadReference> {
        format!("{}:{}@{digest}", self.name(), self.tag().unwrap_or("latest")).parse()
    }
}

impl Host {
    /// The URL of its API, without a path: https, and http for this machine only.
    pub fn url(&self) -> String {
        let scheme = if self.is_loopback() { "http" } else { "https" };
        let host = if self.0 == DOCKER_HUB { "registry-1.docker.io" } else { &self.0 };
        format!("{scheme}://{host}")
    }

    /// Its key in Docker's configuration and for helper programs.
    pub fn docker_key(&self) -> &str {
        if self.0 == DOCKER_HUB { "https://index.docker.io/v1/" } else { &self.0 }
    }

    /// The region of a Scaleway registry: `rg.<region>.scw.cloud`.
    pub fn scaleway_region(&self) -> Option<&str> {
        let region = self.0.strip_prefix("rg.")?.strip_suffix(".scw.cloud")?;
        (!region.contains('.')).then_some(region)
    }

    /// Whether the host is this machine.
    pub fn is_loopback(&self) -> bool {
        let name = self.0.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(self.0.as_str(), |(name, _)| name);
        crate::config::is_loopback(name)
    }
}

impl FromStr for Reference {
    type Err = BadReference;

    fn from_str(text: &str) -> Result<Self, BadReference> {
        parse(text).map_err(|why| BadReference { text: text.to_owned(), why })
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a text is `sha256:` and 64 lower-case hexadecimal digits. The specification has other algorithms, which registries
/// do not use for manifests.
pub fn is_digest(text: &str) -> bool {
    let digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    text.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.chars().all(digit))
}

/// Whether a text is a valid tag.
pub fn is_tag(tag: &str) -> bool {
    let character = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    (1..=128).contains(&tag.len()) && !tag.starts_with(['.', '-']) && tag.chars().all(character)
}

fn parse(text: &str) -> Result<Reference, String> {
    if text.contains("://") {
        return Err("it begins with a scheme; remove the scheme".to_owned());
    }
    let (rest, digest) = text.split_once('@').map_or((text, None), |(rest, digest)| (rest, Some(digest)));
    if let Some(digest) = digest.filter(|digest| !is_digest(digest)) {
        return Err(format!("{digest:?} is not a digest (sha256: and 64 hexadecimal digits)"));
    }
    let (host, path) = match rest.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path),
        _ => (DOCKER_HUB, rest),
    };
    let (repository, tag) = path.split_once(':').map_or((path, None), |(path, tag)| (path, Some(tag)));
    if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
        return Err(format!("{tag:?} is not a tag (up to 128 letters, digits, `_`, `.` and `-`)"));
    }
    if !is_host(host) {
        return Err(format!("{host:?} is not a valid host"));
    }
    // Other names of Docker Hub.
    let host = if matches!(host, "index.docker.io" | "registry-1.docker.io") { DOCKER_HUB } else { host };
    if let Some(part) = repository.split('/').find(|part| !is_part(part)) {
        return Err(format!(
            "{part:?} is not valid in a repository's name (lower-case letters and digits, separated by `.`, `_` or `-`)"
        ));
    }
    if repository.len() > 255 {
        return Err("the repository's name has more than 255 characters".to_owned());
    }
    let official = host == DOCKER_HUB && !repository.contains('/');
    Ok(Reference {
        host: Host(host.to_owned()),
        repository: if official { format!("library/{repository}") } else { repository.to_owned() },
        tag: tag.map(str::to_owned),
        digest: digest.map(str::to_owned),
    })
}

fn is_host(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    let label = |label: &str| {
        let character = |c: char| c.is_ascii_alphanumeric() || c == '-';
        !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.chars().all(character)
    };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let name =
        address.map_or_else(|| name.split('.').all(label), |address| address.parse::<std::net::Ipv6Addr>().is_ok());
    name && port.is_none_or(is_port)
}

fn is_port(port: &str) -> bool {
    port.chars().all(|c| c.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Letters and digits, separated by one `.`, one or two `_`, or any number of `-`.
fn is_part(part: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separators = part.split(alphanumeric).filter(|between| !between.is_empty());
    let is_valid = |between: &str| matches!(between, "." | "_" | "__") || between.chars().all(|c| c == '-');
    part.starts_with(alphanumeric) && part.ends_with(alphanumeric) && separators.into_iter().all(is_valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn names_are_read_as_docker_reads_them() {
        let pinned = format!("rust:1.95@{DIGEST}");
        let cases = [
            ("rust:1.95", "https://registry-1.docker.io", "library/rust", "1.95", "rust:1.95"),
            ("docker.io/library/rust", "https://registry-1.docker.io", "library/rust", "latest", "rust"),
            ("index.docker.io/a/b:c", "https://registry-1.docker.io", "a/b", "c", "a/b:c"),
            ("group/name", "https://registry-1.docker.io", "group/name", "latest", "group/name"),
            ("localhost/name:x", "http://localhost", "name", "x", "localhost/name:x"),
            ("localhost:5000/a/b/c", "http://localhost:5000", "a/b/c", "latest", "localhost:5000/a/b/c"),
            ("127.0.0.1:5000/a:b", "http://127.0.0.1:5000", "a", "b", "127.0.0.1:5000/a:b"),
            ("[::1]:5000/a", "http://[::1]:5000", "a", "latest", "[::1]:5000/a"),
            ("10.0.0.1:5000/a", "https://10.0.0.1:5000", "a", "latest", "10.0.0.1:5000/a"),
            ("localhost.example.org/a", "https://localhost.example.org", "a", "latest", "localhost.example.org/a"),
            (
                "rg.fr-par.scw.cloud/n/a__b.c--d:1",
                "https://rg.fr-par.scw.cloud",
                "n/a__b.c--d",
                "1",
                "rg.fr-par.scw.cloud/n/a__b.c--d:1",
            ),
            (&pinned, "https://registry-1.docker.io", "library/rust", DIGEST, &pinned),
        ];
        for (text, url, repository, tag_or_digest, display) in cases {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(reference.host().url(), url, "{text}");
            assert_eq!(reference.repository(), repository, "{text}");
            assert_eq!(reference.tag_or_digest(), tag_or_digest, "{text}");
            assert_eq!(reference.to_string(), display, "{text}");
            assert_eq!(reference.to_string().parse::<Reference>().unwrap(), reference, "{text}");
        }
    }

    #[test]
    fn invalid_names_are_refused_with_the_reason() {
        let cases = [
            ("", "repository's name"),
            ("https://a.example.org/b", "scheme"),
            ("Rust:1", "\"Rust\""),
            ("a//b", "\"\""),
            ("a/../b", "\"..\""),
            ("a/b_-c", "\"b_-c\""),
            ("a:", "tag"),
            ("a:b:c", "tag"),
            ("a:-b", "tag"),
            ("a@sha256:12", "digest"),
            ("a@md5:12", "digest"),
            ("a.example.org:0/b", "host"),
            ("a.example.org:99999/b", "host"),
            ("-a.example.org/b", "host"),
            ("a.example.org/b?x=y", "repository's name"),
            ("user:secret@a.example.org/b", "digest"),
            ("a.example.org\r\nX: y/b", "host"),
        ];
        for (text, why) in cases {
            let error = text.parse::<Reference>().unwrap_err().to_string();
            assert!(error.contains(why), "{text:?}: {error}");
        }
        assert!(format!("a/{}", "b".repeat(254)).parse::<Reference>().is_err());
        assert!(format!("a:{}", "b".repeat(129)).parse::<Reference>().is_err());
    }

    #[test]
    fn a_pinned_name_keeps_its_tag() {
        let reference: Reference = "rust".parse().unwrap();
        assert_eq!(reference.pinned(DIGEST).unwrap().to_string(), format!("rust:latest@{DIGEST}"));
        assert_eq!(reference.with(DIGEST).unwrap().to_string(), format!("rust@{DIGEST}"));
        assert_eq!(reference.with("1.95").unwrap().to_string(), "rust:1.95");
    }

    #[test]
    fn hosts_have_their_keys_and_regions() {
        let host = |text: &str| text.parse::<Reference>().unwrap().host().clone();
        assert_eq!(host("rust").docker_key(), "https://index.docker.io/v1/");
        assert_eq!(host("ghcr.io/a").docker_key(), "ghcr.io");
        assert_eq!(host("rg.fr-par.scw.cloud/a").scaleway_region(), Some("fr-par"));
        assert_eq!(host("rg.fr.par.scw.cloud/a").scaleway_region(), None);
        assert_eq!(host("rg.fr-par.scw.cloud.example.org/a").scaleway_region(), None);
        assert!(!host("127.0.0.1.example.org/a").is_loopback());
    }
}
