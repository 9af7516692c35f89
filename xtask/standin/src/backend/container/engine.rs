//! Requests to the Docker engine about one container.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context as _, Result};
use bollard::Docker;
use bollard::errors::Error;
use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::{LogsOptionsBuilder, RemoveContainerOptionsBuilder};
use futures_util::StreamExt as _;

/// How many lines of a container's log an error message contains.
const LOG_LINES: &str = "10";

/// Returns `None` if the container does not exist.
pub async fn inspect(docker: &Docker, name: &str) -> Result<Option<ContainerInspectResponse>> {
    match docker.inspect_container(name, None).await {
        Ok(container) => Ok(Some(container)),
        Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("inspect the container {name}")),
    }
}

/// Removes a container. Succeeds if it does not exist.
pub async fn remove(docker: &Docker, name: &str) -> Result<()> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    match docker.remove_container(name, Some(options)).await {
        Ok(()) | Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("remove the container {name}")),
    }
}

pub fn is_running(container: &ContainerInspectResponse) -> bool {
    container.state.as_ref().and_then(|state| state.running).unwrap_or_default()
}

/// The address at which the engine publishes the container's port.
pub fn published_address(container: &ContainerInspectResponse) -> Result<SocketAddr> {
    let ports = container.network_settings.as_ref().and_then(|network| network.ports.as_ref());
    let bound = ports.and_then(|ports| ports.values().flatten().flatten().find_map(|bound| bound.host_port.as_ref()));
    let port = bound.and_then(|port| port.parse().ok());
    Ok((Ipv4Addr::LOCALHOST, port.context("the Docker engine publishes no port of the container")?).into())
}

/// Why a container does not run, with the end of its log.
pub async fn exit_reason(docker: &Docker, name: &str, container: &ContainerInspectResponse) -> String {
    let state = container.state.clone().unwrap_or_default();
    let memory = if state.oom_killed == Some(true) { " (out of memory)" } else { "" };
    let reason = match state.error.filter(|error| !error.is_empty()) {
        Some(error) => error,
        None => format!("the container exited with exit code {}{memory}", state.exit_code.unwrap_or_default()),
    };
    format!("{reason}{}", log_tail(docker, name).await)
}

/// The end of a container's log, to be appended to an error message. Empty if the log is.
pub async fn log_tail(docker: &Docker, name: &str) -> String {
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail(LOG_LINES).build();
    let mut log = docker.logs(name, Some(options));
    let mut lines = String::new();
    while let Some(Ok(line)) = log.next().await {
        lines.push_str(&String::from_utf8_lossy(&line.into_bytes()));
    }
    if lines.trim().is_empty() { String::new() } else { format!("; last log lines:\n{}", lines.trim_end()) }
}
