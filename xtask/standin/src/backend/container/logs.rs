//! The log lines of a container: those of the engine, and those of versions that have ended.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use anyhow::{Context as _, Result};
use bollard::Docker;
use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::StreamExt as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::engine::inspect;
use super::rollout::next_name;
use super::{namespace, platform_name};
use crate::backend::Resource;
use crate::fields::text;
use crate::services::Services;
use crate::template::last_segment;
use crate::value::Map;

/// How many lines of a version that has ended are kept.
const KEPT: &str = "200";

/// How the files of kept lines begin.
const FILES: &str = "logs-";

/// What identifies the lines of a container, as Cockpit labels them.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Labels {
    pub project_id: String,
    pub region: String,
    pub resource_id: String,
    /// `<namespace><8 digits>-<name>`.
    pub resource_name: String,
    pub resource_type: String,
    pub service_name: String,
}

impl Labels {
    /// A label by its name; empty if there is no such label.
    pub fn get(&self, name: &str) -> &str {
        match name {
            "project_id" => &self.project_id,
            "region" => &self.region,
            "resource_id" => &self.resource_id,
            "resource_name" => &self.resource_name,
            "resource_type" => &self.resource_type,
            "service_name" => &self.service_name,
            _ => "",
        }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Line {
    pub labels: Labels,
    /// Nanoseconds since 1970.
    pub time: i64,
    /// `stdout` or `stderr`.
    pub stream: String,
    /// One for each version.
    pub instance: String,
    pub message: String,
}

/// The lines of a container that runs, or whose last version has failed, since this time in nanoseconds or a little earlier.
pub async fn lines(docker: &Docker, labels: &Labels, name: &str, since: i64) -> Result<Vec<Line>> {
    let mut all = Vec::new();
    for name in [name, &next_name(name)] {
        all.extend(from_engine(docker, labels, name, "all", since).await?);
    }
    Ok(all)
}

/// The lines of versions that have ended, also of containers that are deleted.
pub fn kept(services: &Services) -> Result<Vec<Line>> {
    let mut all = Vec::new();
    for entry in fs_err::read_dir(&services.state)? {
        let path = entry?.path();
        if path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(FILES)) {
            // A line that a crash has cut off is skipped.
            let text = fs_err::read_to_string(&path)?;
            all.extend(text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok()));
        }
    }
    Ok(all)
}

/// Keeps the last lines of a version that is about to be removed. Does nothing if it does not exist.
pub async fn keep(docker: &Docker, resource: Resource<'_>, values: &Map, name: &str) -> Result<()> {
    let labels = labels(resource, values);
    let lines = from_engine(docker, &labels, name, KEPT, 0).await?;
    if lines.is_empty() {
        return Ok(());
    }
    keep_lines(resource.services, &labels, &lines)
}

/// Keeps the lines of something that is about to be removed.
pub fn keep_lines(services: &Services, labels: &Labels, lines: &[Line]) -> Result<()> {
    let file = services.state.join(format!("{FILES}{}.jsonl", labels.resource_id));
    let mut text = String::new();
    for line in lines {
        text.push_str(&serde_json::to_string(line)?);
        text.push('\n');
    }
    let mut options = fs_err::OpenOptions::new();
    options.create(true).append(true).options_mut().mode(0o600);
    options.open(&file)?.write_all(text.as_bytes()).with_context(|| format!("write {}", file.display()))
}

/// The labels of a container's lines.
pub fn labels(resource: Resource<'_>, values: &Map) -> Labels {
    let id = text(values, "id").unwrap_or_default();
    let project = namespace(resource, values).and_then(|namespace| text(&namespace, "project_id"));
    Labels {
        project_id: project.unwrap_or_default(),
        region: id.split_once('/').map(|(region, _)| region.to_owned()).unwrap_or_default(),
        resource_id: last_segment(&id).to_owned(),
        resource_name: platform_name(resource, values),
        resource_type: "serverless_container".to_owned(),
        service_name: "serverless_container".to_owned(),
    }
}

/// The lines of a container as the engine has them. None if it does not exist.
pub async fn from_engine(docker: &Docker, labels: &Labels, name: &str, tail: &str, since: i64) -> Result<Vec<Line>> {
    let Some(container) = inspect(docker, name).await? else { return Ok(Vec::new()) };
    let version: String = container.id.unwrap_or_default().chars().take(10).collect();
    let instance = format!("{}-deployment-{version}", labels.resource_name);
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true).timestamps(true).tail(tail);
    // The engine takes whole seconds.
    let options = options.since((since / 1_000_000_000).try_into().unwrap_or_default()).build();
    let mut log = docker.logs(name, Some(options));
    let mut lines = Vec::new();
    // An error is a container that was removed meanwhile.
    while let Some(Ok(output)) = log.next().await {
        let stream = if matches!(output, LogOutput::StdErr { .. }) { "stderr" } else { "stdout" };
        let text = String::from_utf8_lossy(&output.into_bytes()).into_owned();
        let Some((time, message)) = text.split_once(' ') else { continue };
        let Ok(time) = time.parse::<Timestamp>() else { continue };
        lines.push(Line {
            labels: labels.clone(),
            time: time.as_nanosecond().try_into().unwrap_or_default(),
            stream: stream.to_owned(),
            instance: instance.clone(),
            message: message.trim_end_matches(['\n', '\r']).to_owned(),
        });
    }
    Ok(lines)
}
