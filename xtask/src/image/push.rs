//! `image push`: the image of the checked-out commit is in the registry, under a digest that both sides agree on.

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::json;

use super::build::{At, Built, find_or_build, solve};
use super::limits::human_bytes;
use super::{CACHE_TAG, Images, Said, for_docker};
use crate::clients::buildkit::{Builder, Output};
use crate::clients::docker::{Engine, PushError};
use crate::clients::registry::Repository;
use crate::failure::Failure;
use crate::release::short_digest;
use crate::report::{Ongoing, Step};

/// Puts the image into the registry, unless it is there, gives it the commit's tags and says its digest: from here on
/// nobody speaks of a tag.
pub async fn push(images: &Images<'_>) -> Result<(), Failure> {
    let repository = images.repository().await?;
    let built = find_or_build(images, false).await?;
    let (digest, tags) =
        images.step(Step::Publish, async |step| publish(images, repository, &built, step).await).await?;
    let image = format!("{}@{digest}", images.name());
    let detail = json!({ "image": image, "digest": digest, "tags": tags, "commit": built.inputs.source.commit });
    images.report.result(detail, &image);
    Ok(())
}

async fn publish(
    images: &Images<'_>,
    repository: &Repository,
    built: &Built,
    step: &Ongoing,
) -> Result<((String, Vec<String>), Said)> {
    let (sent, own_cache) = match &built.at {
        At::Registry(digest) => (digest.clone(), true),
        At::Engine(engine, _) => {
            let own_cache = Builder::Engine(engine.clone()).capabilities().await?.registry_cache;
            (send(images, repository, engine, &built.name, step).await?, own_cache)
        }
        At::Daemon(builder, digest) => {
            let (pushed, _) = solve(images, &built.inputs, builder, Output::Push(&built.name), false, step).await?;
            if pushed.digest != *digest {
                bail!("what was pushed is {}, and what was built is {digest}; type it again", pushed.digest);
            }
            (pushed.digest, true)
        }
    };
    let tag = built.inputs.tag();
    let there = repository.digest_of(&tag).await.context("ask the registry for the digest of what was pushed")?;
    let there = there.with_context(|| format!("the registry does not have {} right after the push", built.name))?;
    if there != sent {
        bail!("the registry has {there} as {}, and {sent} was pushed; somebody else pushed the same", built.name);
    }
    let source = &built.inputs.source;
    let on_main = source.branch.as_ref() == Some(&images.config.source.main_branch);
    let latest = on_main.then_some("latest");
    // Where the builder cannot write a cache of its own, the next build takes its layers from this image.
    let cache = (!own_cache).then_some(CACHE_TAG);
    let mut given = vec![tag];
    let manifest = repository.manifest(&there).await.context("read what was pushed")?;
    for tag in [Some(source.commit.as_str()), latest, cache].into_iter().flatten() {
        if repository.digest_of(tag).await?.as_ref() != Some(&there) {
            repository.tag(&manifest, tag).await.with_context(|| format!("give the image the tag {tag}"))?;
        }
        given.push(tag.to_owned());
    }
    let said = format!("{}, tagged {}", short_digest(&there), given[1..].join(", "));
    let said = if matches!(built.at, At::Registry(_)) { Said::Reused(said) } else { Said::Done(said) };
    Ok(((there, given), said))
}

/// Has the engine push it. When the way to the registry breaks, the engine itself tries again, five times within a minute,
/// and does not send again what has arrived.
async fn send(
    images: &Images<'_>,
    repository: &Repository,
    engine: &Engine,
    name: &str,
    step: &Ongoing,
) -> Result<String> {
    let credentials = images.credentials(repository.host()).await?;
    let login = for_docker(&credentials);
    let sent = engine.push(name, login.as_ref(), |done, of| {
        step.progress(&format!("{} of {} of a layer", human_bytes(done), human_bytes(of)));
    });
    let (again, environment) = ("type it again: what has arrived is kept", &images.environment.name);
    sent.await.map_err(|error| {
        let mend = match &error {
            PushError::Unauthorized { .. } => format!("the credentials are from {}", credentials.source()),
            PushError::Network { .. } => again.to_owned(),
            PushError::Other { .. } => "see what the registry says: cargo xtask doctor".to_owned(),
        };
        anyhow!(error).context(format!("push the image for {environment}; {mend}"))
    })
}
