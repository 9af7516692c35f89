//! The image of a stack's release: built from a commit, and in the environment's registry.

use anyhow::{Context as _, anyhow};

use crate::env::Env;
use crate::failure::Failure;
use crate::image::build::{find, find_or_build};
use crate::image::inputs::Inputs;
use crate::image::pushed::digest_of;
use crate::image::{ServiceImage, provenance, push, signature};
use crate::release::{Artifact, ArtifactForm, Migration, Provenance, Published, PublishedForm, Source};
use crate::report::Ongoing;
use crate::state::history::Record;

/// Builds the image of a source, unless the registry or the Docker engine has it. Where a workflow has to have built it, the registry
/// has it, or the source is refused.
pub async fn build(env: &Env<'_>, source: &Source, step: &Ongoing) -> Result<Artifact, Failure> {
    let image = ServiceImage::find(env)?;
    let inputs = Inputs::of(&image, source).await?;
    let name = match env.environment.verify {
        Some(_) => {
            digest_of(&image, &inputs).await?;
            format!("{}:{}", image.name(), inputs.tag())
        }
        None => find_or_build(&image, &inputs, false, step).await?.name,
    };
    let form = ArtifactForm::Image { name };
    Ok(Artifact { source: source.clone(), migrations: Migration::of(env.config)?, form })
}

/// Whether the registry or the Docker engine has the image, with its signature.
pub async fn has_built(env: &Env<'_>, artifact: &Artifact) -> bool {
    let ArtifactForm::Image { name } = &artifact.form else { return false };
    let found = async {
        let image = ServiceImage::find(env)?;
        let found = find(&image, &Inputs::of(&image, &artifact.source).await?).await?;
        let is_found = found.is_some_and(|found| found.name == *name);
        Ok::<_, Failure>(is_found && Migration::of(env.config)? == artifact.migrations)
    };
    matches!(found.await, Ok(true))
}

/// Pushes the image, unless the registry has it.
pub async fn publish(env: &Env<'_>, artifact: &Artifact, step: &Ongoing) -> Result<Published, Failure> {
    let image = ServiceImage::find(env)?;
    let inputs = Inputs::of(&image, &artifact.source).await?;
    let digest = match env.environment.verify {
        Some(_) => digest_of(&image, &inputs).await?,
        None => {
            let built = find_or_build(&image, &inputs, false, step).await?;
            push::publish(&image, &inputs, &built, step).await?.digest
        }
    };
    Ok(Published {
        source: artifact.source.clone(),
        digest,
        migrations: artifact.migrations.clone(),
        form: PublishedForm::Image { name: image.name() },
    })
}

/// Checks that the workflow that deploy.yaml allows has built what was published. None where it requires no proof.
pub async fn verify(env: &Env<'_>, published: &Published) -> Result<Option<Provenance>, Failure> {
    provenance::verify(&ServiceImage::find(env)?, &published.source, &published.digest).await
}

/// The image that a record names.
pub fn of_record(env: &Env<'_>, record: &Record) -> Result<Published, Failure> {
    let known = record.source.clone().zip(record.digest.clone());
    let (source, digest) = known.with_context(|| format!("the record {} names no image", record.id))?;
    let form = PublishedForm::Image { name: ServiceImage::find(env)?.name() };
    Ok(Published { source, digest, migrations: record.migrations.clone(), form })
}

/// The image of an earlier deploy. Refused if the registry no longer has it.
pub async fn published(env: &Env<'_>, record: &Record) -> Result<Published, Failure> {
    let published = of_record(env, record)?;
    if has_published(env, &published).await {
        return Ok(published);
    }
    let (version, name) = (record.version(), env.name());
    Err(Failure::Refused(anyhow!(
        "the registry no longer has the image of {version}; to deploy its commit again, type: \
         git checkout {} && cargo xtask deploy {name}",
        published.source.commit
    )))
}

/// Whether the registry has the image with this digest. Whether it is the image of its source, a signed record says.
pub async fn has_published(env: &Env<'_>, published: &Published) -> bool {
    let PublishedForm::Image { .. } = &published.form else { return false };
    let found = async { push::is_published(&ServiceImage::find(env)?, &published.digest).await };
    matches!(found.await, Ok(true))
}

/// Whether the registry has the image with this digest, and its signature says that it is the one of its source.
pub async fn is_of_source(env: &Env<'_>, published: &Published) -> bool {
    let PublishedForm::Image { name } = &published.form else { return false };
    let found = async {
        let image = ServiceImage::find(env)?;
        let inputs = Inputs::of(&image, &published.source).await?;
        let (is_named, digest) = (image.name() == *name, &published.digest);
        Ok::<_, Failure>(is_named && signature::is_signed(&image, inputs.subject(), digest).await?)
    };
    has_published(env, published).await && matches!(found.await, Ok(true))
}
