//! A container that runs in the Docker engine, behind an address that stays.
//!
//! Its name is of the resource's id, so that one which a crash has left behind is found again. A new version starts beside
//! it, under that name with `-next`, and takes its place once its probes answer.

mod probe;
mod start;
mod wanted;

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context as _, Result};
use bollard::Docker;
use bollard::errors::Error;
use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::{LogsOptionsBuilder, RemoveContainerOptionsBuilder};
use futures_util::StreamExt as _;

use self::wanted::Wanted;
use crate::act::Resource;
use crate::template::last;
use crate::value::{Map, Value};

/// How much of what a container has said an error repeats.
const LINES: &str = "10";

/// Runs it as the values say. That it does not come up is no failure: as at the real provider, its `status` is then
/// `error`, and what ran before serves on.
pub async fn make(docker: &Docker, of: Resource<'_>, before: Option<&Map>, mut values: Map) -> Result<Map> {
    let name = name(of, &values);
    let wanted = Wanted::read(of, before.is_none(), &values)?;
    let there = inspect(docker, &name).await?;
    let failed = before.is_some_and(failed);
    address(of, &name, before, &mut values)?;
    if there.is_some_and(|there| runs(&there) && wanted.is_that_of(&there)) && !failed {
        return Ok(values);
    }
    let came_up = start::start(docker, of, &name, &wanted).await?;
    let (status, message) = came_up.map_or_else(|why| ("error", why), |()| ("ready", String::new()));
    values.extend([("status".to_owned(), status.into()), ("error_message".to_owned(), Value::String(message))]);
    Ok(values)
}

/// The values, with what the engine says. `None` where the container is gone.
pub async fn look(docker: &Docker, of: Resource<'_>, mut values: Map) -> Result<Option<Map>> {
    let name = name(of, &values);
    let Some(there) = inspect(docker, &name).await? else {
        // What never came up need not have a container.
        return Ok(failed(&values).then_some(values));
    };
    let wrong = if !runs(&there) {
        Some(ended(docker, &name, &there).await)
    } else if let Err(error) = address(of, &name, Some(&values.clone()), &mut values) {
        Some(format!("{error:#}"))
    } else {
        of.machine.gateways.lead(&name, published(&there)?);
        None
    };
    if let Some(wrong) = wrong
        && !failed(&values)
    {
        values.extend([("status".to_owned(), "error".into()), ("error_message".to_owned(), Value::String(wrong))]);
    }
    Ok(Some(values))
}

/// Removes it, and one that has not taken its place.
pub async fn end(docker: &Docker, of: Resource<'_>, values: &Map) -> Result<()> {
    let name = name(of, values);
    of.machine.gateways.close(&name);
    remove(docker, &name).await?;
    remove(docker, &next(&name)).await
}

fn name(of: Resource<'_>, values: &Map) -> String {
    let id = values.get("id").and_then(Value::text).unwrap_or_default();
    format!("standin-{}-{}", of.machine.mark, last(&id))
}

/// The name of a version that has not taken the other's place.
fn next(name: &str) -> String {
    format!("{name}-next")
}

fn failed(values: &Map) -> bool {
    values.get("status") == Some(&"error".into())
}

/// Opens its address and writes it into the values.
fn address(of: Resource<'_>, name: &str, before: Option<&Map>, values: &mut Map) -> Result<()> {
    let had = before.and_then(|before| before.get("domain_name")?.text()?.strip_prefix("127.0.0.1:")?.parse().ok());
    let port = of.machine.gateways.open(name, had)?;
    values.insert("domain_name".to_owned(), Value::String(format!("127.0.0.1:{port}")));
    values.insert("public_endpoint".to_owned(), Value::String(format!("http://127.0.0.1:{port}")));
    Ok(())
}

async fn inspect(docker: &Docker, name: &str) -> Result<Option<ContainerInspectResponse>> {
    match docker.inspect_container(name, None).await {
        Ok(there) => Ok(Some(there)),
        Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("ask the Docker engine about the container {name}")),
    }
}

async fn remove(docker: &Docker, name: &str) -> Result<()> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    match docker.remove_container(name, Some(options)).await {
        Ok(()) | Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("remove the container {name}")),
    }
}

fn runs(there: &ContainerInspectResponse) -> bool {
    there.state.as_ref().and_then(|state| state.running).unwrap_or_default()
}

/// Where the engine has published its port.
fn published(there: &ContainerInspectResponse) -> Result<SocketAddr> {
    let ports = there.network_settings.as_ref().and_then(|network| network.ports.as_ref());
    let bound = ports.and_then(|ports| ports.values().flatten().flatten().find_map(|bound| bound.host_port.as_ref()));
    let port = bound.and_then(|port| port.parse().ok());
    Ok((Ipv4Addr::LOCALHOST, port.context("the Docker engine has published no port of the container")?).into())
}

/// Why a container does not run, and what it has said last.
async fn ended(docker: &Docker, name: &str, there: &ContainerInspectResponse) -> String {
    let state = there.state.clone().unwrap_or_default();
    let memory = if state.oom_killed == Some(true) { ", as its memory was used up" } else { "" };
    let how = match state.error.filter(|error| !error.is_empty()) {
        Some(error) => error,
        None => format!("the container ended with exit code {}{memory}", state.exit_code.unwrap_or_default()),
    };
    format!("{how}{}", said(docker, name).await)
}

/// What it has said last, to be put after an error.
async fn said(docker: &Docker, name: &str) -> String {
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail(LINES).build();
    let mut log = docker.logs(name, Some(options));
    let mut lines = String::new();
    while let Some(Ok(line)) = log.next().await {
        lines.push_str(&String::from_utf8_lossy(&line.into_bytes()));
    }
    if lines.trim().is_empty() { String::new() } else { format!("; it said last:\n{}", lines.trim_end()) }
}
