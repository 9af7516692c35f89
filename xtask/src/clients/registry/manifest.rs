//! What a registry holds of an image (OCI image specification 1.1; Docker's own types are the same under other names).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// All that is understood. A registry that is not told this answers with a converted manifest, and another digest.
pub const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                          application/vnd.docker.distribution.manifest.list.v2+json, \
                          application/vnd.docker.distribution.manifest.v2+json";

/// A manifest as the registry has it: its bytes, and what they say.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// SHA-256 of the bytes.
    pub digest: String,
    /// Their type.
    pub media_type: String,
    /// The bytes that the digest is of.
    pub bytes: Vec<u8>,
    /// What they say.
    pub content: Content,
}

/// What a manifest is of.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// One image, or what is kept like one.
    Image(Parts),
    /// Images of several platforms, or what is kept like them: a layer cache's index names layers.
    Index(Vec<Descriptor>),
}

/// The parts of an image.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Parts {
    /// Its configuration.
    pub config: Descriptor,
    /// Its layers, the lowest first.
    #[serde(default)]
    pub layers: Vec<Descriptor>,
}

/// Names a blob or a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Its type.
    #[serde(default)]
    pub media_type: String,
    /// `sha256:<hex>`.
    pub digest: String,
    /// Bytes.
    pub size: u64,
    /// What it runs on, if it is an image in an index.
    pub platform: Option<Platform>,
}

/// What an image runs on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Platform {
    /// `amd64`.
    pub architecture: String,
    /// `linux`.
    pub os: String,
    /// `v7`.
    pub variant: Option<String>,
}

/// An image's configuration: what it runs, and how it came about.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ImageConfig {
    /// When it was made, or what its builder was told to say.
    pub created: Option<Timestamp>,
    /// `amd64`.
    pub architecture: String,
    /// `linux`.
    pub os: String,
    /// `v7`.
    pub variant: Option<String>,
    /// How its container runs.
    #[serde(deserialize_with = "null_is_nothing")]
    pub config: Runs,
    /// The instructions that made it, the first one first.
    #[serde(deserialize_with = "null_is_nothing")]
    pub history: Vec<Instruction>,
}

/// How an image's container runs.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Runs {
    /// As whom; empty is root.
    pub user: String,
    /// `NAME=value`, each.
    pub env: Option<Vec<String>>,
    /// The program and its first arguments.
    pub entrypoint: Option<Vec<String>>,
    /// The arguments after those.
    pub cmd: Option<Vec<String>>,
    /// Where.
    pub working_dir: String,
    /// Ports, as `8080/tcp`.
    pub exposed_ports: Option<BTreeMap<String, serde::de::IgnoredAny>>,
    /// By name.
    pub labels: Option<BTreeMap<String, String>>,
    /// How its health is asked.
    pub healthcheck: Option<HealthCheck>,
}

/// How a container's health is asked.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HealthCheck {
    /// `CMD` or `CMD-SHELL`, and what they run.
    #[serde(deserialize_with = "null_is_nothing")]
    pub test: Vec<String>,
}

/// One instruction of a Dockerfile, as it was run.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Instruction {
    /// Its words.
    pub created_by: String,
    /// Whether it made no layer.
    pub empty_layer: bool,
}

impl Manifest {
    /// Reads a manifest's bytes. Fails, with the reason, on anything else.
    pub fn read(digest: String, media_type: &str, bytes: Vec<u8>) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Index {
            #[serde(default)]
            manifests: Vec<Descriptor>,
        }
        let broken = |error: serde_json::Error| format!("what it gives as {media_type} is none: {error}");
        let content = match media_type {
            OCI_INDEX | DOCKER_LIST => {
                Content::Index(serde_json::from_slice::<Index>(&bytes).map_err(broken)?.manifests)
            }
            OCI_MANIFEST | DOCKER_MANIFEST => Content::Image(serde_json::from_slice(&bytes).map_err(broken)?),
            other => return Err(format!("its type is {other:?}, which is no manifest of an image")),
        };
        Ok(Self { digest, media_type: media_type.to_owned(), bytes, content })
    }

    /// The manifests that this one names: those of an index. What an index names besides is left out.
    pub fn children(&self) -> impl Iterator<Item = &Descriptor> {
        let all: &[Descriptor] = match &self.content {
            Content::Index(children) => children,
            Content::Image(_) => &[],
        };
        all.iter().filter(|child| is_manifest(&child.media_type))
    }

    /// The image in an index that is for a platform such as `linux/amd64`. An index of one image has no other.
    pub fn for_platform(&self, platform: &str) -> Option<&Descriptor> {
        let images =
            || self.children().filter(|child| child.platform.as_ref().is_none_or(|platform| platform.os != "unknown"));
        let fits = |child: &&Descriptor| child.platform.as_ref().is_some_and(|of| of.is(platform));
        images().find(fits).or_else(|| images().next().filter(|only| only.platform.is_none() && images().count() == 1))
    }
}

impl Parts {
    /// Whether it is an image that can run, and not something else that is kept like one.
    pub fn is_image(&self) -> bool {
        let config = self.config.media_type.as_str();
        matches!(config, "application/vnd.oci.image.config.v1+json" | "application/vnd.docker.container.image.v1+json")
    }

    /// Bytes of all parts: what is pulled.
    pub fn size(&self) -> u64 {
        self.layers.iter().fold(self.config.size, |sum, layer| sum.saturating_add(layer.size))
    }
}

impl Platform {
    fn is(&self, wanted: &str) -> bool {
        let mut parts = wanted.split('/');
        let (os, architecture, variant) = (parts.next(), parts.next(), parts.next());
        os == Some(&self.os)
            && architecture == Some(&self.architecture)
            && variant.is_none_or(|variant| self.variant.as_deref() == Some(variant))
    }
}

impl ImageConfig {
    /// What it runs on: `linux/amd64`, `linux/arm/v7`.
    pub fn platform(&self) -> String {
        let variant = self.variant.as_deref().filter(|_| self.architecture == "arm");
        [Some(self.os.as_str()), Some(&self.architecture), variant].into_iter().flatten().collect::<Vec<_>>().join("/")
    }

    /// A label's value.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.config.labels.as_ref()?.get(name).map(String::as_str)
    }
}

/// Whether a media type is that of a manifest or an index.
pub fn is_manifest(media_type: &str) -> bool {
    matches!(media_type, OCI_INDEX | OCI_MANIFEST | DOCKER_LIST | DOCKER_MANIFEST)
}

/// Builders in Go write an empty list as null.
fn null_is_nothing<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(value: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(value)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_null_is_nothing() {
        let config =
            r#"{"os":"linux","architecture":"arm","variant":"v7","config":null,"history":null,"created":null}"#;
        let config: ImageConfig = serde_json::from_str(config).unwrap();
        assert_eq!((config.platform().as_str(), config.history.len()), ("linux/arm/v7", 0));
        let runs = r#"{"config":{"Env":null,"Cmd":null,"Labels":null,"Healthcheck":{"Test":null},"ExposedPorts":{"80/tcp":{}}}}"#;
        let config: ImageConfig = serde_json::from_str(runs).unwrap();
        assert_eq!(config.label("a"), None);
    }

    #[test]
    fn what_accompanies_images_in_an_index_is_none_of_a_platform() {
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
        // An index without platforms is of the one image that it has.
        let bare = image("");
        assert!(read(&[&provenance, &bare]).for_platform("linux/arm64").is_some());
        assert_eq!(read(&[&bare, &bare]).for_platform("linux/arm64"), None);
    }
}
