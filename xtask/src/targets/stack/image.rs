//! The image of a stack's release: built from a commit, and in the environment's registry.

use anyhow::{Context as _, anyhow};

use crate::env::Env;
use crate::failure::Failure;
use crate::image::build::{find, find_or_build};
use crate::image::inputs::Inputs;
use crate::image::{ServiceImage, push};
use crate::release::{Artifact, ArtifactForm, Migration, Published, PublishedForm, Source};
use crate::report::Ongoing;

/// Builds the image of a source, unless the registry or the Docker engine has it.
pub async fn build(env: &Env<'_>, source: &Source, step: &Ongoing) -> Result<Artifact, Failure> {
    let image = ServiceImage::find(env)?;
    let inputs = Inputs::of(&image, source).await?;
    let built = find_or_build(&image, &inputs, false, step).await?;
    let form = ArtifactForm::Image { name: built.name };
    Ok(Artifact { source: source.clone(), migrations: Migration::of(env.config)?, form })
}

/// Whether the registry or the Docker engine has the image.
pub async fn has_built(env: &Env<'_>, artifact: &Artifact) -> bool {
    let ArtifactForm::Image { name } = &artifact.form else { return false };
    let found = async {
        let image = ServiceImage::find(env)?;
        find(&image, &Inputs::of(&image, &artifact.source).await?).await
    };
    matches!(found.await, Ok(Some(found)) if found.name == *name)
}

/// Pushes the image, unless the registry has it.
pub async fn publish(env: &Env<'_>, artifact: &Artifact, step: &Ongoing) -> Result<Published, Failure> {
    let image = ServiceImage::find(env)?;
    let inputs = Inputs::of(&image, &artifact.source).await?;
    let built = find_or_build(&image, &inputs, false, step).await?;
    let pushed = push::publish(&image, &inputs, &built, step).await?;
    Ok(Published {
        source: artifact.source.clone(),
        digest: pushed.digest,
        migrations: artifact.migrations.clone(),
        form: PublishedForm::Image { name: pushed.name },
    })
}

/// Whether the registry has the image with this digest.
pub async fn has_published(env: &Env<'_>, published: &Published) -> bool {
    let PublishedForm::Image { .. } = &published.form else { return false };
    let found = async { push::is_published(&ServiceImage::find(env)?, &published.digest).await };
    matches!(found.await, Ok(true))
}

/// `name@sha256:…` of a source's image, as the registry has it. Refused if it was not pushed.
pub async fn pushed(env: &Env<'_>, source: &Source) -> Result<String, Failure> {
    let image = ServiceImage::find(env)?;
    let inputs = Inputs::of(&image, source).await?;
    let (name, tag) = (image.name(), inputs.tag());
    let digest = image.repository().await?.digest_of(&tag).await;
    let digest = digest.with_context(|| format!("look for the image {name}:{tag} in the registry"))?;
    let digest = digest.ok_or_else(|| {
        let commit = &source.commit[..12];
        Failure::Refused(anyhow!(
            "the registry has no image of {commit}, {name}:{tag}\n  push it: cargo xtask image push {}",
            env.name()
        ))
    })?;
    Ok(format!("{name}@{digest}"))
}
