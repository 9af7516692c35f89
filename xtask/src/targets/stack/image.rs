//! The image of a stack's release: built from a commit, and in the environment's registry.

use anyhow::{Context as _, anyhow};

use crate::env::Env;
use crate::failure::Failure;
use crate::image::Images;
use crate::image::inputs::Inputs;
use crate::release::{Artifact, Published, PublishedForm, Source};
use crate::report::Ongoing;

/// Builds the image of a source, unless it exists.
pub async fn build(env: &Env<'_>, _: &Source, _: &Ongoing) -> Result<Artifact, Failure> {
    Err(super::Stack::new(env).unsupported("building"))
}

/// Whether the registry or the Docker engine has the image.
pub async fn has_built(_: &Env<'_>, _: &Artifact) -> bool {
    false
}

/// Pushes the image.
pub async fn publish(env: &Env<'_>, _: &Artifact, _: &Ongoing) -> Result<Published, Failure> {
    Err(super::Stack::new(env).unsupported("publishing"))
}

/// Whether the registry has the image with this digest.
pub async fn has_published(env: &Env<'_>, published: &Published) -> bool {
    let PublishedForm::Image { .. } = &published.form else { return false };
    let digest = async {
        let images = Images::find(env)?;
        Ok::<_, Failure>(images.repository().await?.digest_of(&published.digest).await.context("ask the registry")?)
    };
    matches!(digest.await, Ok(Some(digest)) if digest == published.digest)
}

/// `name@sha256:…` of a source's image, as the registry has it.
pub async fn pushed(env: &Env<'_>, _: &Source) -> Result<String, Failure> {
    let images = Images::find(env)?;
    let inputs = Inputs::gather(&images).await?;
    let (name, tag) = (images.name(), inputs.tag());
    let digest = images.repository().await?.digest_of(&tag).await;
    let digest = digest.with_context(|| format!("look for the image {name}:{tag} in the registry"))?;
    let digest = digest.ok_or_else(|| {
        let commit = &inputs.source.commit[..12];
        Failure::Refused(anyhow!(
            "the registry has no image of {commit}, {name}:{tag}\n  push it: cargo xtask image push {}",
            env.name()
        ))
    })?;
    Ok(format!("{name}@{digest}"))
}
