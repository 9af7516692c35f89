//! A version of a container is started beside the one that serves, and takes its place.

use anyhow::{Context as _, Result, bail};
use bollard::Docker;
use bollard::errors::Error;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, RenameContainerOptionsBuilder,
    StopContainerOptionsBuilder,
};
use futures_util::StreamExt as _;

use super::wanted::Wanted;
use super::{inspect, next, probe, published, remove};
use crate::act::Resource;

/// Seconds from being asked to end to being ended.
const GRACE: i32 = 10;

/// What is said to somebody who no longer waits.
const STOPPED: &str = "OpenTofu was asked to stop, and the provider gave up waiting for the container";

/// Starts a version, waits for its probes, leads people to it and ends the one before. The inner error is why it did not
/// come up: then all is as before, or, where nothing was, what has failed stays to be looked at.
pub async fn start(docker: &Docker, of: Resource<'_>, name: &str, wanted: &Wanted) -> Result<Result<(), String>> {
    let pulled = tokio::select! {
        pulled = pull(docker, &wanted.image) => pulled?,
        () = of.stopped() => bail!(STOPPED),
    };
    if pulled.is_err() {
        return Ok(pulled);
    }
    let next = next(name);
    remove(docker, &next).await?;
    let options = CreateContainerOptionsBuilder::new().name(&next).build();
    if let Err(error) = docker.create_container(Some(options), wanted.body.clone()).await {
        return refused(error).map(Err).context("make a container");
    }
    let came_up = match docker.start_container(&next, None).await {
        Ok(()) => tokio::select! {
            came_up = probe::wait(docker, &next, wanted) => came_up?,
            () = of.stopped() => {
                remove(docker, &next).await?;
                bail!(STOPPED)
            }
        },
        Err(error) => Err(refused(error).context("start a container")?),
    };
    let before = inspect(docker, name).await?.is_some();
    match &came_up {
        Ok(()) => {
            if let Some(there) = inspect(docker, &next).await? {
                of.machine.gateways.lead(name, published(&there)?);
            }
            let options = StopContainerOptionsBuilder::new().t(GRACE).build();
            // It may have ended already; it is removed in any case.
            docker.stop_container(name, Some(options)).await.ok();
            remove(docker, name).await?;
        }
        Err(_) if before => {
            remove(docker, &next).await?;
            return Ok(came_up);
        }
        Err(_) => {}
    }
    let options = RenameContainerOptionsBuilder::new().name(name).build();
    docker.rename_container(&next, options).await.with_context(|| format!("name the container {name}"))?;
    Ok(came_up)
}

/// Sees that the engine has an image. One of a digest is fetched once; behind a tag of a registry there may be another one
/// every time; what has no registry is the engine's own.
async fn pull(docker: &Docker, image: &str) -> Result<Result<(), String>> {
    let host = image.split_once('/').map(|(host, _)| host);
    let moves = !image.contains('@') && host.is_some_and(|host| host.contains(['.', ':']));
    if !moves && docker.inspect_image(image).await.is_ok() {
        return Ok(Ok(()));
    }
    let tagged = image.contains('@') || image.rsplit('/').next().is_some_and(|name| name.contains(':'));
    // Without either, all of its tags would come.
    let from = if tagged { image.to_owned() } else { format!("{image}:latest") };
    let options = CreateImageOptionsBuilder::new().from_image(&from).build();
    let mut pulled = docker.create_image(Some(options), None, None);
    while let Some(said) = pulled.next().await {
        if let Err(error) = said {
            return refused(error).map(|why| Err(format!("{from} cannot be pulled: {why}"))).context("pull an image");
        }
    }
    Ok(Ok(()))
}

/// What the engine has against it; fails where there is no such answer.
fn refused(error: Error) -> Result<String> {
    match error {
        Error::DockerResponseServerError { message, .. } => Ok(message),
        Error::DockerStreamError { error } => Ok(error),
        other => Err(other).context("the Docker engine did not answer"),
    }
}
