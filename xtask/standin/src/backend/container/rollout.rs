//! Replaces a container: the new version starts beside the old one and takes its place when its probes succeed.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bollard::Docker;
use bollard::errors::Error;
use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, RenameContainerOptionsBuilder,
    StopContainerOptionsBuilder,
};
use futures_util::StreamExt as _;

use super::engine::{inspect, is_running, published_address, remove};
use super::probe;
use super::{logs, spec::Spec};
use crate::backend::Resource;
use crate::value::Map;

/// How long the previous version may take for the requests that it has, before it gets SIGTERM.
const DRAIN: Duration = Duration::from_secs(10);

/// Seconds between SIGTERM and SIGKILL.
const GRACE_PERIOD: i32 = 10;

const INTERRUPTED: &str = "OpenTofu was asked to stop, and the provider stopped waiting for the container";

/// The name of a version that has not yet replaced the container.
pub fn next_name(name: &str) -> String {
    format!("{name}-next")
}

/// Starts a version, waits for its probes, forwards connections to it and stops the previous version.
///
/// The inner error is why the version did not come up. The previous version is then unchanged; without one, the failed
/// container remains for inspection.
pub async fn start(
    docker: &Docker,
    resource: Resource<'_>,
    values: &Map,
    name: &str,
    spec: &Spec,
) -> Result<Result<(), String>> {
    let pulled = tokio::select! {
        pulled = pull(docker, &spec.image) => pulled?,
        () = resource.stopped() => bail!(INTERRUPTED),
    };
    if pulled.is_err() {
        return Ok(pulled);
    }
    let next = next_name(name);
    remove(docker, &next).await?;
    let options = CreateContainerOptionsBuilder::new().name(&next).build();
    if let Err(error) = docker.create_container(Some(options), spec.body.clone()).await {
        return engine_message(error).map(Err).context("create a container");
    }
    let started = match docker.start_container(&next, None).await {
        Ok(()) => tokio::select! {
            ready = probe::wait(docker, &next, &spec.probes, spec.port, spec.timeout) => ready?,
            () = resource.stopped() => {
                remove(docker, &next).await?;
                bail!(INTERRUPTED)
            }
        },
        Err(error) => Err(engine_message(error).context("start a container")?),
    };
    let has_previous = inspect(docker, name).await?.is_some();
    match &started {
        Ok(()) => {
            if let Some(container) = inspect(docker, &next).await?
                && let Some(previous) = resource.services.proxies.set_target(name, published_address(&container)?)
            {
                previous.answered(DRAIN).await;
            }
            let options = StopContainerOptionsBuilder::new().t(GRACE_PERIOD).build();
            // Fails if the container has already exited. It is removed in any case.
            docker.stop_container(name, Some(options)).await.ok();
            logs::keep(docker, resource, values, name).await?;
            remove(docker, name).await?;
        }
        Err(_) if has_previous => {
            logs::keep(docker, resource, values, &next).await?;
            remove(docker, &next).await?;
            return Ok(started);
        }
        Err(_) => {}
    }
    rename(docker, &next, name).await?;
    Ok(started)
}

/// The container's current version. A process that crashed while it stopped the previous version has left the new one under
/// its first name: it takes its place now.
pub async fn current(
    docker: &Docker,
    resource: Resource<'_>,
    values: &Map,
    name: &str,
) -> Result<Option<ContainerInspectResponse>> {
    let found = inspect(docker, name).await?;
    if found.as_ref().is_some_and(is_running) {
        return Ok(found);
    }
    let next = next_name(name);
    if !inspect(docker, &next).await?.as_ref().is_some_and(is_running) {
        return Ok(found);
    }
    logs::keep(docker, resource, values, name).await?;
    remove(docker, name).await?;
    rename(docker, &next, name).await?;
    inspect(docker, name).await
}

async fn rename(docker: &Docker, from: &str, to: &str) -> Result<()> {
    let options = RenameContainerOptionsBuilder::new().name(to).build();
    docker.rename_container(from, options).await.with_context(|| format!("rename the container to {to}"))
}

/// Pulls an image. A tag of a registry is always pulled, because it can point to another image now. An image with a digest
/// or without a registry is not pulled if the engine has it.
pub async fn pull(docker: &Docker, image: &str) -> Result<Result<(), String>> {
    let host = image.split_once('/').map(|(host, _)| host);
    let is_remote_tag = !image.contains('@') && host.is_some_and(|host| host.contains(['.', ':']));
    if !is_remote_tag && docker.inspect_image(image).await.is_ok() {
        return Ok(Ok(()));
    }
    let has_tag = image.contains('@') || image.rsplit('/').next().is_some_and(|name| name.contains(':'));
    // Without a tag, the engine would pull all tags.
    let from = if has_tag { image.to_owned() } else { format!("{image}:latest") };
    let options = CreateImageOptionsBuilder::new().from_image(&from).build();
    let mut events = docker.create_image(Some(options), None, None);
    while let Some(event) = events.next().await {
        if let Err(error) = event {
            let message = engine_message(error).context("pull an image")?;
            return Ok(Err(format!("{from} cannot be pulled: {message}")));
        }
    }
    Ok(Ok(()))
}

/// The error message in the engine's response. Fails if the engine did not respond.
fn engine_message(error: Error) -> Result<String> {
    match error {
        Error::DockerResponseServerError { message, .. } => Ok(message),
        Error::DockerStreamError { error } => Ok(error),
        other => Err(other).context("the Docker engine did not respond"),
    }
}
