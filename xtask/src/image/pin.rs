//! `image pin`: the base images' digests, as their registries tell them, in `image.lock`. The tag says what was chosen and
//! the digest what that was: a build is the same tomorrow, and a newer base is a change that somebody sees.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::json;

use super::Images;
use crate::clients::registry::Repository;
use crate::clients::registry::manifest::{Content, Manifest};
use crate::clients::registry::reference::{Reference, is_digest};
use crate::failure::Failure;
use crate::release::short_digest;
use crate::state::store::replace_file;

/// The file's name, beside deploy.yaml.
pub const FILE: &str = "image.lock";

const HEAD: &str =
    "# The digests of the base images that deploy.yaml names. `cargo xtask image pin` writes this file; commit it.\n";

/// Digests of base images, by their names as deploy.yaml has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    digests: BTreeMap<String, String>,
}

impl Lock {
    /// Reads `root`/image.lock; one that is not there has no digests. Fails on anything but names and digests.
    pub fn read(root: &Utf8Path) -> Result<Self> {
        let path = path(root);
        let text = match fs_err::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error.into()),
        };
        let again = "it is written by: cargo xtask image pin";
        let digests: Option<BTreeMap<String, String>> =
            serde_yaml::from_str(&text).with_context(|| format!("read {path}; {again}"))?;
        let digests = digests.unwrap_or_default();
        for (name, digest) in &digests {
            name.parse::<Reference>().with_context(|| format!("read {path}; {again}"))?;
            anyhow::ensure!(is_digest(digest), "{path}: {digest:?} of {name} is not a digest; {again}");
        }
        Ok(Self { digests })
    }

    /// The name with its digest, `name:tag@sha256:…`; none if it is not pinned.
    pub fn resolve(&self, reference: &str) -> Option<String> {
        let parsed: Reference = reference.parse().ok()?;
        Some(parsed.pinned(self.digests.get(reference)?).ok()?.to_string())
    }

    fn text(&self) -> String {
        let line = |(name, digest): (&String, &String)| format!("{name:?}: {digest}\n");
        HEAD.to_owned() + &self.digests.iter().map(line).collect::<String>()
    }
}

/// Asks for every base image's digest and writes them, all or none. With `check` it writes nothing, and fails as
/// [`Failure::Pending`] when a digest is missing or another one is there now.
pub async fn pin(images: &Images<'_>, check: bool) -> Result<(), Failure> {
    let root = &images.config.root;
    let old = Lock::read(root)?;
    let mut new = Lock::default();
    for name in images.image.bases.values() {
        let untouched = if check { "" } else { "; image.lock is as it was" };
        let digest = ask(images, name).await.with_context(|| format!("ask for the digest of {name}{untouched}"))?;
        new.digests.insert(name.clone(), digest);
    }
    let state = |name: &String, digest: &String| match old.digests.get(name) {
        Some(before) if before == digest => "unchanged",
        Some(_) => "newer",
        None => "new",
    };
    let lines = new
        .digests
        .iter()
        .map(|(name, digest)| format!("{name:<32} {}  {}", short_digest(digest), state(name, digest)));
    let mut lines: Vec<String> = lines.collect();
    let gone = old.digests.keys().filter(|name| !new.digests.contains_key(*name));
    lines.extend(gone.map(|name| format!("{name:<32} no longer in deploy.yaml")));
    let changed = new != old;
    let written = changed && !check;
    if written {
        replace_file(&path(root), new.text().as_bytes())?;
        lines.push(format!("written: {FILE}; commit it"));
    }
    let detail = json!({ "bases": new.digests, "changed": changed, "written": written });
    if changed && check {
        lines.push(format!("{FILE} is not up to date; type: cargo xtask image pin"));
    }
    let nothing = "deploy.yaml names no base images (image: bases)".to_owned();
    images.report.result(detail, &if lines.is_empty() { nothing } else { lines.join("\n") });
    if changed && check {
        return Err(Failure::Pending);
    }
    Ok(())
}

/// The digest at the registry, of bytes that were seen and that have an image for the platform.
async fn ask(images: &Images<'_>, name: &str) -> Result<String> {
    let reference: Reference = name.parse()?;
    let repository = Repository::new(&reference, images.credentials(reference.host()).await?)?;
    let manifest = repository.manifest(reference.wanted()).await?;
    let platform = &images.image.platform;
    anyhow::ensure!(
        runs_on(&repository, &manifest, platform).await?,
        "it has no image for {platform}; take another base in deploy.yaml, or another platform"
    );
    Ok(manifest.digest)
}

async fn runs_on(repository: &Repository, manifest: &Manifest, platform: &str) -> Result<bool> {
    let parts = match &manifest.content {
        Content::Index(_) => return Ok(manifest.for_platform(platform).is_some()),
        Content::Image(parts) => parts,
    };
    Ok(parts.is_image() && repository.config(parts).await?.platform() == platform)
}

fn path(root: &Utf8Path) -> Utf8PathBuf {
    root.join(FILE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::report::{Audience, Report};
    use crate::secrets::Redactor;
    use devservers::http::{HttpServer, Response};
    use devservers::registry::{DockerRegistry, Image, Login, digest_of};

    fn image<'a>(tags: &'a [&'a str], created: &'a str) -> Image<'a> {
        Image { tags, created, version: "1", layer: 100 }
    }

    /// Pins two bases of the registry at an address, in this folder.
    async fn pinned(folder: &tempfile::TempDir, address: &str, check: bool) -> Result<Lock, Failure> {
        drop(rustls::crypto::ring::default_provider().install_default());
        let yaml = format!(
            "project: p\nservice: {{ package: p, settings: s.json, readiness: /r }}\n\
             image: {{ bases: {{ A_IMAGE: '{address}/base/a:1', B_IMAGE: '{address}/base/b:1' }} }}\n\
             environments: {{ local: {{ target: local, port: 3000 }} }}\n"
        );
        let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        fs_err::write(root.join("deploy.yaml"), yaml).unwrap();
        let config = Config::load(&root).unwrap();
        let report = Report::new(Audience::Plain, false, Redactor::default());
        let (_, stop) = crate::signals::Stop::channel();
        pin(&Images::find(&crate::env::Env::find(&config, "local", &report, &stop)?)?, check).await?;
        Ok(Lock::read(&root)?)
    }

    #[tokio::test]
    async fn digests_come_from_the_registry_and_a_newer_one_is_noticed() {
        let Some(registry) = testkit::or_skip("image pin", DockerRegistry::start(Login::Open)) else { return };
        let folder = tempfile::tempdir().unwrap();
        let (a, _) = registry.push_index("base/a", &["1"], &[image(&[], "2026-01-01T00:00:00Z")]);
        let b = registry.push("base/b", &image(&["1"], "2026-01-01T00:00:00Z"));

        let missing = pinned(&folder, &registry.address, true).await.unwrap_err();
        assert_eq!(missing.exit_code(), 10);
        assert!(!folder.path().join(FILE).exists());

        let lock = pinned(&folder, &registry.address, false).await.unwrap();
        let name = format!("{}/base/a:1", registry.address);
        assert_eq!(lock.resolve(&name), Some(format!("{name}@{a}")));
        assert_eq!(lock.digests.values().collect::<Vec<_>>(), [&a, &b]);
        assert_eq!(lock.resolve("other:1"), None);
        let text = fs_err::read_to_string(folder.path().join(FILE)).unwrap();
        assert_eq!(pinned(&folder, &registry.address, true).await.unwrap(), lock);
        assert_eq!(pinned(&folder, &registry.address, false).await.unwrap(), lock);

        let newer = registry.push("base/b", &image(&["1"], "2026-02-01T00:00:00Z"));
        assert_eq!(pinned(&folder, &registry.address, true).await.unwrap_err().exit_code(), 10);
        assert_eq!(fs_err::read_to_string(folder.path().join(FILE)).unwrap(), text);
        let lock = pinned(&folder, &registry.address, false).await.unwrap();
        assert_eq!(lock.digests.values().collect::<Vec<_>>(), [&a, &newer]);
    }

    #[tokio::test]
    async fn when_one_registry_fails_nothing_is_written() {
        let Some(registry) = testkit::or_skip("image pin, one missing", DockerRegistry::start(Login::Open)) else {
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        registry.push("base/a", &image(&["1"], "2026-01-01T00:00:00Z"));
        let error = format!("{:#}", pinned(&folder, &registry.address, false).await.unwrap_err().into_error());
        assert!(error.contains("base/b:1") && error.contains("as it was"), "{error}");
        assert!(!folder.path().join(FILE).exists());

        let lie = HttpServer::start(|_| {
            let response = Response::new(200).body("application/vnd.oci.image.index.v1+json", "{}");
            response.header("Docker-Content-Digest", &digest_of(b"invented"))
        });
        assert!(pinned(&folder, &lie.address, false).await.is_err());
        assert!(!folder.path().join(FILE).exists());
    }

    #[tokio::test]
    async fn a_base_of_another_platform_is_refused() {
        let Some(registry) = testkit::or_skip("image pin, platform", DockerRegistry::start(Login::Open)) else {
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        registry.push_cache("base/a", "1");
        let error = format!("{:#}", pinned(&folder, &registry.address, false).await.unwrap_err().into_error());
        assert!(error.contains("no image for linux/amd64"), "{error}");
    }

    #[test]
    fn a_lock_is_read_as_it_is_written_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        assert_eq!(Lock::read(&root).unwrap(), Lock::default());
        let digests = BTreeMap::from([("rust:1.95".to_owned(), digest_of(b"x"))]);
        let lock = Lock { digests };
        fs_err::write(root.join(FILE), lock.text()).unwrap();
        assert_eq!(Lock::read(&root).unwrap(), lock);
        for wrong in ["rust:1.95: latest", "- rust", "\"no name\": sha256:0", "{"] {
            fs_err::write(root.join(FILE), wrong).unwrap();
            let error = format!("{:#}", Lock::read(&root).unwrap_err());
            assert!(error.contains("image pin"), "{wrong}: {error}");
        }
    }
}
