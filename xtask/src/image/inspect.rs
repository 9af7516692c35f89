//! One image of the repository: its configuration, and the size of each layer.

use anyhow::{Context as _, Result, anyhow};

use super::ServiceImage;
use super::attached::{Attached, attached};
use crate::clients::registry::Repository;
use crate::clients::registry::manifest::{Content, ImageConfig, ImageManifest, Manifest};
use crate::clients::registry::reference::{Reference, is_digest};
use crate::failure::Failure;

/// One image.
#[derive(Clone, Debug)]
pub struct Inspected {
    /// `name@sha256:…`
    pub name: String,
    /// Of the manifest or index that was named.
    pub digest: String,
    /// Compressed bytes of configuration and layers.
    pub size: u64,
    /// Its configuration.
    pub config: ImageConfig,
    /// The lowest first.
    pub layers: Vec<LayerSize>,
    /// The statements that are attached to it.
    pub attached: Vec<Attached>,
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerSize {
    /// Compressed.
    pub bytes: u64,
    /// The instruction of the Dockerfile, on one line; empty where it is unknown.
    pub instruction: String,
}

/// Reads the image that a tag, a digest or a whole name of this repository names.
pub async fn inspect(image: &ServiceImage<'_>, wanted: &str) -> Result<Inspected, Failure> {
    let repository = image.repository().await?;
    let name: Reference = image.name().parse().context("read the image's name")?;
    let wanted = tag_or_digest(&name, wanted)?;
    let hint = || format!("read {wanted}; to list the images: cargo xtask image list {}", image.env.name());
    let manifest = repository.manifest(&wanted).await.with_context(hint)?;
    let of_platform = for_platform(repository, &manifest, &image.spec.platform).await?;
    let Content::Image(parts) = &of_platform.content else {
        return Err(anyhow!("{wanted} is an index that names another index, which is not supported").into());
    };
    if !parts.is_image() {
        return Err(anyhow!("{wanted} is not an image: its configuration is {:?}", parts.config.media_type).into());
    }
    let config = repository.config(parts).await.context("read the image's configuration")?;
    let attached = attached(repository, &manifest, &image.spec.platform).await?;
    Ok(Inspected {
        name: format!("{}@{}", name.name(), manifest.digest),
        digest: manifest.digest,
        size: parts.size(),
        layers: layers(parts, &config),
        attached,
        config,
    })
}

/// The tag or digest in `wanted`. Fails for a name of another repository.
fn tag_or_digest(name: &Reference, wanted: &str) -> Result<String, Failure> {
    if is_digest(wanted) {
        return Ok(wanted.to_owned());
    }
    let whole = if wanted.contains(['/', ':', '@']) { wanted.parse() } else { name.with(wanted) };
    let whole: Reference = whole.map_err(|error| Failure::Usage(error.into()))?;
    if whole.name() != name.name() {
        let error = anyhow!("{wanted} is not in the repository {}; give a tag or digest of it", name.name());
        return Err(Failure::Usage(error));
    }
    Ok(whole.tag_or_digest().to_owned())
}

/// The manifest itself, or the one that an index has for the platform.
async fn for_platform(repository: &Repository, manifest: &Manifest, platform: &str) -> Result<Manifest> {
    if let Content::Image(_) = manifest.content {
        return Ok(manifest.clone());
    }
    let child = manifest.for_platform(platform);
    let child = child.with_context(|| format!("{} has no image for {platform}", manifest.digest))?;
    Ok(repository.manifest(&child.digest).await?)
}

fn layers(manifest: &ImageManifest, config: &ImageConfig) -> Vec<LayerSize> {
    let mut instructions = config.history.iter().filter(|entry| !entry.empty_layer);
    let layer = |bytes: u64| LayerSize {
        bytes,
        instruction: instructions.next().map(|entry| instruction(&entry.created_by)).unwrap_or_default(),
    };
    manifest.layers.iter().map(|layer| layer.size).map(layer).collect()
}

/// An instruction as in the Dockerfile, on one line.
fn instruction(created_by: &str) -> String {
    let text = created_by.trim_end_matches("# buildkit").trim_start_matches("/bin/sh -c #(nop)");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_repository_are_accepted() {
        let name: Reference = "localhost:5000/group/app".parse().unwrap();
        let digest = format!("sha256:{}", "0".repeat(64));
        let by_digest = format!("localhost:5000/group/app@{digest}");
        let by_both = format!("localhost:5000/group/app:x@{digest}");
        let cases = [
            ("latest", "latest"),
            (digest.as_str(), digest.as_str()),
            ("localhost:5000/group/app:x", "x"),
            ("localhost:5000/group/app", "latest"),
            (&by_digest, &digest),
            (&by_both, &digest),
        ];
        for (wanted, expected) in cases {
            assert_eq!(tag_or_digest(&name, wanted).unwrap(), expected);
        }
        for wrong in ["rust:1", "localhost:5000/group/other:x", "a b", "", "sha256:12", "../x"] {
            let error = tag_or_digest(&name, wrong).expect_err(wrong);
            assert_eq!(error.exit_code(), 2, "{wrong}");
        }
    }

    #[test]
    fn layers_have_their_instructions() {
        let manifest = r#"{"config":{"digest":"c","size":1},"layers":[{"digest":"a","size":10},{"digest":"b","size":20},{"digest":"x","size":5}]}"#;
        let manifest: ImageManifest = serde_json::from_str(manifest).unwrap();
        let config = r#"{"history":[{"created_by":"/bin/sh -c #(nop)  ADD file in /"},{"created_by":"ENV A=b","empty_layer":true},
                        {"created_by":"RUN /bin/sh -c a \\\n  && b # buildkit"}]}"#;
        let config: ImageConfig = serde_json::from_str(config).unwrap();
        let expected = [(10, "ADD file in /"), (20, "RUN /bin/sh -c a \\ && b"), (5, "")];
        let found = layers(&manifest, &config);
        let found: Vec<(u64, &str)> = found.iter().map(|layer| (layer.bytes, layer.instruction.as_str())).collect();
        assert_eq!(found, expected);
    }
}
