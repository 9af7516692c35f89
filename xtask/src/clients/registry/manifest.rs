//! Manifests, indexes and configurations (OCI image specification 1.1; Docker's older media types have the same content).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// The annotations by which BuildKit attaches statements to an image of an index (its document `attestation-storage.md`): of the
/// manifest that has them, what it is and of which image, and of each of them its type.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";
const PREDICATE_TYPE: &str = "in-toto.io/predicate-type";

/// The supported media types. Without this header a registry converts a manifest, which changes its digest.
pub const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                          application/vnd.docker.distribution.manifest.list.v2+json, \
                          application/vnd.docker.distribution.manifest.v2+json";

/// The most manifests of an index and layers of an image or cache. Engines run no image with more than 127 layers, and each entry
/// can take a request.
const MAX_ENTRIES: usize = 2000;

/// A manifest or index, as bytes and parsed.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// `sha256:…` of the bytes.
    pub digest: String,
    pub media_type: String,
    pub bytes: Vec<u8>,
    pub content: Content,
}

/// The content of a [`Manifest`].
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// One image, or an artifact in the same format.
    Image(ImageManifest),
    /// The images of several platforms. The index of a layer cache names layers instead.
    Index(Vec<Descriptor>),
}

/// The manifest of an image.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ImageManifest {
    pub config: Descriptor,
    /// The lowest first.
    #[serde(default)]
    pub layers: Vec<Descriptor>,
}

/// A reference to a blob or manifest.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    #[serde(default)]
    pub media_type: String,
    /// `sha256:<hex>`.
    pub digest: String,
    /// In bytes.
    pub size: u64,
    /// Of an image in an index.
    pub platform: Option<Platform>,
    /// What its builder says of it.
    #[serde(default, deserialize_with = "null_as_default")]
    pub annotations: BTreeMap<String, String>,
}

/// Operating system and processor of an image.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Platform {
    /// For example `amd64`.
    pub architecture: String,
    /// For example `linux`.
    pub os: String,
    /// For example `v7`.
    pub variant: Option<String>,
}

/// An image's configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ImageConfig {
    /// When it was built, or SOURCE_DATE_EPOCH of its build.
    pub created: Option<Timestamp>,
    /// For example `amd64`.
    pub architecture: String,
    /// For example `linux`.
    pub os: String,
    /// For example `v7`.
    pub variant: Option<String>,
    /// How a container of it runs.
    #[serde(deserialize_with = "null_as_default")]
    pub config: ContainerConfig,
    /// The instructions that built it, in order.
    #[serde(deserialize_with = "null_as_default")]
    pub history: Vec<HistoryEntry>,
}

/// How a container of an image runs.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerConfig {
    /// Empty for root.
    pub user: String,
    /// `NAME=value`.
    pub env: Option<Vec<String>>,
    /// Program and first arguments.
    pub entrypoint: Option<Vec<String>>,
    /// More arguments.
    pub cmd: Option<Vec<String>>,
    pub working_dir: String,
    /// For example `8080/tcp`.
    pub exposed_ports: Option<BTreeMap<String, serde::de::IgnoredAny>>,
    pub labels: Option<BTreeMap<String, String>>,
    pub healthcheck: Option<HealthCheck>,
}

/// The health check of a container.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HealthCheck {
    /// `CMD` or `CMD-SHELL`, then the command.
    #[serde(deserialize_with = "null_as_default")]
    pub test: Vec<String>,
}

/// One instruction of the Dockerfile.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct HistoryEntry {
    pub created_by: String,
    /// Whether it created no layer.
    pub empty_layer: bool,
}

impl Manifest {
    /// Parses a manifest. Fails with the reason.
    pub fn read(digest: String, media_type: &str, bytes: Vec<u8>) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Index {
            #[serde(default)]
            manifests: Vec<Descriptor>,
        }
        let broken = |error: serde_json::Error| format!("the content is not valid {media_type}: {error}");
        let content = match media_type {
            OCI_INDEX | DOCKER_LIST => {
                Content::Index(serde_json::from_slice::<Index>(&bytes).map_err(broken)?.manifests)
            }
            OCI_MANIFEST | DOCKER_MANIFEST => Content::Image(serde_json::from_slice(&bytes).map_err(broken)?),
            other => return Err(format!("the media type {other:?} is not a manifest of an image")),
        };
        let entries = match &content {
            Content::Index(entries) => entries.len(),
            Content::Image(image) => image.layers.len(),
        };
        if entries > MAX_ENTRIES {
            return Err(format!("it has {entries} entries, and more than {MAX_ENTRIES} are not read"));
        }
        Ok(Self { digest, media_type: media_type.to_owned(), bytes, content })
    }

    /// The manifests that an index names, without its other entries.
    pub fn children(&self) -> impl Iterator<Item = &Descriptor> {
        let all: &[Descriptor] = match &self.content {
            Content::Index(children) => children,
            Content::Image(_) => &[],
        };
        all.iter().filter(|child| is_manifest(&child.media_type))
    }

    /// The manifests of an index that have statements about the image with this digest.
    pub fn attestations_of(&self, digest: &str) -> impl Iterator<Item = &Descriptor> {
        let is =
            |child: &Descriptor, name: &str, value: &str| child.annotations.get(name).is_some_and(|own| own == value);
        self.children().filter(move |child| {
            is(child, REFERENCE_TYPE, "attestation-manifest") && is(child, REFERENCE_DIGEST, digest)
        })
    }

    /// The image of an index for a platform such as `linux/amd64`; the only image of an index without platforms.
    pub fn for_platform(&self, platform: &str) -> Option<&Descriptor> {
        let images =
            || self.children().filter(|child| child.platform.as_ref().is_none_or(|platform| platform.os != "unknown"));
        let fits = |child: &&Descriptor| child.platform.as_ref().is_some_and(|of| of.is(platform));
        images().find(fits).or_else(|| images().next().filter(|only| only.platform.is_none() && images().count() == 1))
    }
}

impl ImageManifest {
    /// Whether it is an image, and not another artifact in the same format.
    pub fn is_image(&self) -> bool {
        let config = self.config.media_type.as_str();
        matches!(config, "application/vnd.oci.image.config.v1+json" | "application/vnd.docker.container.image.v1+json")
    }

    /// Compressed bytes of configuration and layers.
    pub fn size(&self) -> u64 {
        self.layers.iter().fold(self.config.size, |sum, layer| sum.saturating_add(layer.size))
    }
}

impl Descriptor {
    /// The type of the statement that it is, such as `https://slsa.dev/provenance/v1`.
    pub fn predicate(&self) -> Option<&str> {
        self.annotations.get(PREDICATE_TYPE).map(String::as_str)
    }
}

impl Platform {
    fn is(&self, platform: &str) -> bool {
        let mut parts = platform.split('/');
        let (os, architecture, variant) = (parts.next(), parts.next(), parts.next());
        os == Some(&self.os)
            && architecture == Some(&self.architecture)
            && variant.is_none_or(|variant| self.variant.as_deref() == Some(variant))
    }
}

impl ImageConfig {
    /// For example `linux/amd64` or `linux/arm/v7`.
    pub fn platform(&self) -> String {
        let variant = self.variant.as_deref().filter(|_| self.architecture == "arm");
        [Some(self.os.as_str()), Some(&self.architecture), variant].into_iter().flatten().collect::<Vec<_>>().join("/")
    }

    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.config.labels.as_ref()?.get(name).map(String::as_str)
    }
}

/// Whether a media type is that of a manifest or an index.
pub fn is_manifest(media_type: &str) -> bool {
    matches!(media_type, OCI_INDEX | OCI_MANIFEST | DOCKER_LIST | DOCKER_MANIFEST)
}

/// Builders written in Go encode an empty list as null.
fn null_as_default<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(value: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(value)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_read_as_the_default() {
        let config =
            r#"{"os":"linux","architecture":"arm","variant":"v7","config":null,"history":null,"created":null}"#;
        let config: ImageConfig = serde_json::from_str(config).unwrap();
        assert_eq!((config.platform().as_str(), config.history.len()), ("linux/arm/v7", 0));
        let runs = r#"{"config":{"Env":null,"Cmd":null,"Labels":null,"Healthcheck":{"Test":null},"ExposedPorts":{"80/tcp":{}}}}"#;
        let config: ImageConfig = serde_json::from_str(runs).unwrap();
        assert_eq!(config.label("a"), None);
    }

    #[test]
    fn attestations_in_an_index_are_not_images() {
        let image = |platform: &str| {
            format!(r#"{{"mediaType":"{OCI_MANIFEST}","digest":"sha256:{}","size":1{platform}}}"#, platform.len())
        };
        let amd64 = image(r#","platform":{"os":"linux","architecture":"amd64"}"#);
        let provenance = image(r#","platform":{"os":"unknown","architecture":"unknown"}"#);
        let read = |children: &[&String]| {
            let children: Vec<&str> = children.iter().map(|child| child.as_str()).collect();
            let text = format!(r#"{{"manifests":[{}]}}"#, children.join(","));
            Manifest::read("d".to_owned(), OCI_INDEX, text.into_bytes()).unwrap()
        };
        let both = read(&[&provenance, &amd64]);
        assert!(both.for_platform("linux/amd64").is_some());
        assert_eq!((both.for_platform("unknown/unknown"), both.for_platform("linux/arm64")), (None, None));
        // An index without platforms names one image.
        let bare = image("");
        assert!(read(&[&provenance, &bare]).for_platform("linux/arm64").is_some());
        assert_eq!(read(&[&bare, &bare]).for_platform("linux/arm64"), None);
    }
}
