//! Pinning: writes the current digests of the base images, as their registries report them, into `image.lock`.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};

use super::ServiceImage;
use super::lock_file::LockFile;
use crate::clients::registry::Repository;
use crate::clients::registry::manifest::{Content, Manifest};
use crate::clients::registry::reference::Reference;

/// The base images' digests, compared with `image.lock`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// By name.
    pub bases: BTreeMap<String, PinnedBase>,
    /// Names in `image.lock` that are no longer in deploy.yaml.
    pub removed: Vec<String>,
    /// Whether `image.lock` is written.
    pub written: bool,
}

/// The digest of one base image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedBase {
    /// As its registry reports it now.
    pub digest: String,
    /// Compared with `image.lock`.
    pub change: Change,
}

/// A base image's digest, compared with `image.lock`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// `image.lock` has the same digest.
    Unchanged,
    /// `image.lock` has another digest.
    Newer,
    /// `image.lock` has none.
    New,
}

/// Asks the registries for the digest of every base image, and with `write` replaces `image.lock` if a digest differs. If one
/// registry fails, nothing is written.
pub async fn pin(image: &ServiceImage<'_>, write: bool) -> Result<Pinned> {
    let old = LockFile::read(image.env.root())?;
    let (mut new, mut bases) = (LockFile::default(), BTreeMap::new());
    for name in image.spec.of_others() {
        let digest = current_digest(image, name)
            .await
            .with_context(|| format!("ask the registry for the digest of {name}; image.lock was not changed"))?;
        let change = match old.digests.get(name) {
            Some(before) if *before == digest => Change::Unchanged,
            Some(_) => Change::Newer,
            None => Change::New,
        };
        new.digests.insert(name.clone(), digest.clone());
        bases.insert(name.clone(), PinnedBase { digest, change });
    }
    let removed = old.digests.keys().filter(|name| !bases.contains_key(*name)).cloned().collect();
    let mut pinned = Pinned { bases, removed, written: false };
    if write && pinned.is_changed() {
        new.write(image.env.root())?;
        pinned.written = true;
    }
    Ok(pinned)
}

impl Pinned {
    /// Whether `image.lock` differed from what the registries reported.
    pub fn is_changed(&self) -> bool {
        !self.removed.is_empty() || self.bases.values().any(|base| base.change != Change::Unchanged)
    }
}

impl Change {
    /// For tables.
    pub fn words(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Newer => "newer",
            Self::New => "new",
        }
    }
}

/// The digest of the manifest that the registry serves under a name; it is verified, and has an image for the platform.
async fn current_digest(image: &ServiceImage<'_>, name: &str) -> Result<String> {
    let reference: Reference = name.parse()?;
    let repository = Repository::new(&reference, image.credentials(reference.host()).await?, &image.env.patience)?;
    let manifest = repository.manifest(reference.tag_or_digest()).await?;
    let platform = &image.spec.platform;
    ensure!(
        supports(&repository, &manifest, platform).await?,
        "it has no image for {platform}; set another base image or another platform in deploy.yaml"
    );
    Ok(manifest.digest)
}

async fn supports(repository: &Repository, manifest: &Manifest, platform: &str) -> Result<bool> {
    let image = match &manifest.content {
        Content::Index(_) => return Ok(manifest.for_platform(platform).is_some()),
        Content::Image(image) => image,
    };
    Ok(image.is_image() && repository.config(image).await?.platform() == platform)
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;

    use super::*;
    use crate::config::Config;
    use crate::env::Env;
    use crate::failure::Failure;
    use crate::image::lock_file::FILE;
    use crate::report::{Audience, Report};
    use crate::secrets::Redactor;
    use crate::signals::Stop;
    use devservers::http::{HttpServer, Response};
    use devservers::registry::{DockerRegistry, Image, Login, digest_of};

    fn image<'a>(tags: &'a [&'a str], created: &'a str) -> Image<'a> {
        Image { tags, created, version: "1", layer: 100 }
    }

    /// Pins two base images of the registry at an address, in this folder.
    async fn pin_two(folder: &tempfile::TempDir, address: &str, write: bool) -> Result<Pinned, Failure> {
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
        let (_, stop) = Stop::channel();
        let env = Env::find(&config, "local", &report, &stop)?;
        Ok(pin(&ServiceImage::find(&env)?, write).await?)
    }

    #[tokio::test]
    async fn digests_come_from_the_registry_and_a_newer_one_is_a_change() {
        let Some(registry) = testkit::or_skip("image pin", DockerRegistry::start(Login::Open)) else { return };
        let folder = tempfile::tempdir().unwrap();
        let (a, _) = registry.push_index("base/a", &["1"], &[image(&[], "2026-01-01T00:00:00Z")]);
        let b = registry.push("base/b", &image(&["1"], "2026-01-01T00:00:00Z"));

        let lock = || LockFile::read(&Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap()).unwrap();
        let name = format!("{}/base/a:1", registry.address);

        let missing = pin_two(&folder, &registry.address, false).await.unwrap();
        assert_eq!((missing.is_changed(), missing.written), (true, false));
        assert_eq!(missing.bases[&name], PinnedBase { digest: a.clone(), change: Change::New });
        assert!(!folder.path().join(FILE).exists());

        assert!(pin_two(&folder, &registry.address, true).await.unwrap().written);
        assert_eq!(lock().pinned(&name), Some(format!("{name}@{a}")));
        assert_eq!(lock().digests.values().collect::<Vec<_>>(), [&a, &b]);
        assert_eq!(lock().pinned("other:1"), None);
        let text = fs_err::read_to_string(folder.path().join(FILE)).unwrap();
        for write in [false, true] {
            let same = pin_two(&folder, &registry.address, write).await.unwrap();
            assert_eq!((same.is_changed(), same.written), (false, false));
        }

        let newer = registry.push("base/b", &image(&["1"], "2026-02-01T00:00:00Z"));
        assert!(pin_two(&folder, &registry.address, false).await.unwrap().is_changed());
        assert_eq!(fs_err::read_to_string(folder.path().join(FILE)).unwrap(), text);
        assert!(pin_two(&folder, &registry.address, true).await.unwrap().written);
        assert_eq!(lock().digests.values().collect::<Vec<_>>(), [&a, &newer]);
    }

    #[tokio::test]
    async fn when_one_registry_fails_nothing_is_written() {
        let Some(registry) = testkit::or_skip("image pin, one missing", DockerRegistry::start(Login::Open)) else {
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        registry.push("base/a", &image(&["1"], "2026-01-01T00:00:00Z"));
        let error = format!("{:#}", pin_two(&folder, &registry.address, true).await.unwrap_err().into_error());
        assert!(error.contains("base/b:1") && error.contains("not changed"), "{error}");
        assert!(!folder.path().join(FILE).exists());

        let lie = HttpServer::start(|_| {
            let response = Response::new(200).body("application/vnd.oci.image.index.v1+json", "{}");
            response.header("Docker-Content-Digest", &digest_of(b"invented"))
        });
        assert!(pin_two(&folder, &lie.address, true).await.is_err());
        assert!(!folder.path().join(FILE).exists());
    }

    #[tokio::test]
    async fn a_base_image_of_another_platform_is_refused() {
        let Some(registry) = testkit::or_skip("image pin, platform", DockerRegistry::start(Login::Open)) else {
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        registry.push_cache("base/a", "1");
        let error = format!("{:#}", pin_two(&folder, &registry.address, true).await.unwrap_err().into_error());
        assert!(error.contains("no image for linux/amd64"), "{error}");
    }
}
