//! The image of a release: in the registry, or in the host's engine alone.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, anyhow};

use super::Host;
use crate::clients::docker::Engine;
use crate::config::{self, Target};
use crate::env::Env;
use crate::failure::Failure;
use crate::image::ServiceImage;
use crate::image::build::{Location, find_or_build};
use crate::image::inputs::Inputs;
use crate::release::{Artifact, Published, PublishedForm};
use crate::report::Ongoing;
use crate::state::history::{self, Outcome, Record};
use crate::targets::docker;
use crate::targets::stack::image as of_registry;

/// Puts the image where the hosts' engines get it.
pub async fn publish(
    env: &Env<'_>,
    hosts: &[&Host<'_>],
    artifact: &Artifact,
    step: &Ongoing,
) -> Result<Published, Failure> {
    if env.environment.registry().is_some() {
        return of_registry::publish(env, artifact, step).await;
    }
    let mut engines = Vec::new();
    for host in hosts {
        engines.push((host.engine().await?, host.name()));
    }
    publish_in(env, &engines, artifact, step).await
}

/// Puts the image into these engines, which have names for people, unless it was built there.
pub async fn publish_in(
    env: &Env<'_>,
    engines: &[(Engine, String)],
    artifact: &Artifact,
    step: &Ongoing,
) -> Result<Published, Failure> {
    let image = ServiceImage::find(env)?;
    let inputs = Inputs::of(&image, &artifact.source).await?;
    let built = find_or_build(&image, &inputs, false, step).await?;
    let Location::Engine { id, engine } = &built.location else {
        return Err(Failure::Refused(anyhow!(
            "a buildkitd built the image, and {0} has no registry to push it to\n  unset BUILDKIT_HOST, or add `registry` to environments.{0} where that is a Docker host",
            env.name()
        )));
    };
    for (of_host, name) in engines {
        if of_host.image(id).await?.is_none() {
            step.progress(&format!("copying the image to {name}"));
            // By its name, which an engine copies with it.
            engine.copy(&built.name, of_host).await.with_context(|| format!("bring the image to {name}"))?;
            if of_host.image(id).await?.is_none() {
                return Err(anyhow!("the engine of {name} gave the image {} another id than {id}", built.name).into());
            }
        }
    }
    Ok(Published {
        source: artifact.source.clone(),
        digest: id.clone(),
        migrations: artifact.migrations.clone(),
        form: PublishedForm::Image { name: image.name() },
    })
}

/// Whether the image is still there.
pub async fn is_there(host: &Host<'_>, published: &Published) -> Result<bool, Failure> {
    let name = named(host, &ServiceImage::find(host.env)?, &published.digest);
    if host.engine().await?.image(&name).await?.is_some() {
        return Ok(true);
    }
    Ok(host.target.registry.is_some() && of_registry::has_published(host.env, published).await)
}

/// Makes sure that the host's engine has the image, and returns the name by which it does.
pub async fn pull(host: &Host<'_>, published: &Published) -> Result<String, Failure> {
    let image = ServiceImage::find(host.env)?;
    let name = named(host, &image, &published.digest);
    if host.target.registry.is_some() {
        Box::pin(docker::pull(&host.engine().await?, &image, &name)).await?;
    }
    Ok(name)
}

/// Removes the images of all but the newest releases of these, which went live. Environments that share an engine share its images:
/// one that another environment can go back to stays.
pub async fn prune<'r>(host: &Host<'_>, live: impl DoubleEndedIterator<Item = &'r Record>) -> Result<()> {
    let old = outdated(host.env, &host.target.hosts, live).await;
    if old.is_empty() {
        return Ok(());
    }
    let image = ServiceImage::find(host.env).map_err(Failure::into_error)?;
    remove(host.env, &host.engine().await?, old.into_iter().map(|digest| named(host, &image, digest))).await;
    Ok(())
}

/// The digests of all but the newest releases of these, which went live, and of those that another environment on the engines of these
/// hosts can go back to; without hosts, on this machine's engine. None, with a warning, where that is not known.
pub async fn outdated<'r>(
    env: &Env<'_>,
    hosts: &[config::Host],
    live: impl DoubleEndedIterator<Item = &'r Record>,
) -> Vec<&'r String> {
    let mut old: Vec<&String> = newest(live).into_iter().skip(env.environment.keep_releases).collect();
    if old.is_empty() {
        return old;
    }
    match kept_by_others(env, hosts).await {
        Ok(others) => old.retain(|digest| !others.contains(*digest)),
        Err(failure) => {
            let error = failure.into_error();
            env.report.warn(&format!(
                "no old image was removed: another environment may need it, and cannot be asked: {error:#}"
            ));
            old.clear();
        }
    }
    old
}

/// Removes images from an engine. One that a container uses stays.
pub async fn remove(env: &Env<'_>, engine: &Engine, names: impl Iterator<Item = String>) {
    for name in names {
        if let Err(error) = engine.remove(&name).await {
            env.report.note(&format!("an old image was not removed: {error:#}"));
        }
    }
}

/// The digests of these releases, newest first, each once.
fn newest<'r>(live: impl DoubleEndedIterator<Item = &'r Record>) -> Vec<&'r String> {
    let mut digests: Vec<&String> = Vec::new();
    for digest in live.rev().filter_map(|record| record.digest.as_ref()) {
        if !digests.contains(&digest) {
            digests.push(digest);
        }
    }
    digests
}

/// What the other environments on the engines of these hosts can go back to; without hosts, on this machine's engine.
async fn kept_by_others(env: &Env<'_>, hosts: &[config::Host]) -> Result<BTreeSet<String>, Failure> {
    let mut kept = BTreeSet::new();
    for environment in env.config.environments.values() {
        let others: &[config::Host] = match &environment.target {
            Target::Compose(other) if other.proxy.is_some() => &other.hosts,
            Target::Local(_) if env.config.service.image => &[],
            _ => continue,
        };
        let is_among = |other: &config::Host| hosts.iter().any(|host| host.machine() == other.machine());
        let is_shared = others.iter().any(is_among) || others.is_empty() && hosts.is_empty();
        if environment.name == env.name() || !is_shared {
            continue;
        }
        let records = history::recent(env.other(environment).store()?).await?;
        let live = records.iter().filter(|record| record.outcome == Outcome::Live);
        kept.extend(newest(live).into_iter().take(environment.keep_releases).cloned());
    }
    Ok(kept)
}

/// What a host's engine calls the image with this digest: by its registry, or by its id where it has no registry.
fn named(host: &Host<'_>, image: &ServiceImage<'_>, digest: &str) -> String {
    match host.target.registry {
        Some(_) => format!("{}@{digest}", image.name()),
        None => digest.to_owned(),
    }
}
