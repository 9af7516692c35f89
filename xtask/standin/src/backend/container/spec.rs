//! Converts the values of a container to a request to the Docker engine.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bollard::models::{ContainerCreateBody, HostConfig, PortBinding};

use super::namespace;
use super::probe::{Probe, duration};
use crate::backend::Resource;
use crate::fields::{block, non_empty_text, text, texts};
use crate::value::{Map, Value};

/// The real provider's default timeout of an operation.
const DEFAULT_TIMEOUT: &str = "12m30s";

pub struct Spec {
    pub image: String,
    pub body: ContainerCreateBody,
    pub probes: Vec<Probe>,
    /// The time limit of all probes together.
    pub timeout: Duration,
    /// The port in the container.
    pub port: u16,
}

impl Spec {
    /// Fails if the image is not set or a duration is not valid.
    pub fn new(resource: Resource<'_>, is_new: bool, values: &Map) -> Result<Self> {
        let number = |name: &str| text(values, name)?.parse::<f64>().ok();
        let list = |name: &str| Some(texts(values, name)).filter(|texts| !texts.is_empty());
        let image = non_empty_text(values, "image").context("image is not set")?;
        let image = with_digest(image, non_empty_text(values, "registry_sha256"));
        let port = number("port").map_or(8080, |port| port as u16);
        let inside = format!("{port}/tcp");
        // The deprecated `memory_limit` is in megabytes.
        let memory = number("memory_limit").filter(|megabytes| *megabytes > 0.0).map(|megabytes| megabytes * 1e6);
        let memory = memory.or_else(|| number("memory_limit_bytes")).map(|bytes| bytes as i64);
        let bound = PortBinding { host_ip: Some("127.0.0.1".to_owned()), host_port: Some(String::new()) };
        let host = HostConfig {
            memory,
            // The limit of memory and swap together: equal to that of memory, it disables swap.
            memory_swap: memory,
            cpu_period: Some(100_000),
            // `cpu_limit` is in thousandths of a CPU.
            cpu_quota: number("cpu_limit").map(|millis| (millis * 100.0) as i64),
            port_bindings: Some([(inside.clone(), Some(vec![bound]))].into()),
            ..HostConfig::default()
        };
        let mut body = ContainerCreateBody {
            image: Some(image.clone()),
            env: Some(environment(resource, values, port)),
            entrypoint: list("command"),
            cmd: list("args"),
            exposed_ports: Some(vec![inside]),
            host_config: Some(host),
            ..ContainerCreateBody::default()
        };
        let probes = Probe::from_values(values)?;
        let labels = [
            ("standin.state", resource.services.state_id.clone()),
            ("standin.id", text(values, "id").unwrap_or_default()),
        ];
        body.labels = Some(labels.map(|(name, value)| (name.to_owned(), value)).into());
        let timeout = timeout(values, if is_new { "create" } else { "update" })?;
        Ok(Self { image, body, probes, timeout, port })
    }
}

/// Replaces the tag of an image by the digest, if `digest` is one.
fn with_digest(image: String, digest: Option<String>) -> String {
    let is_complete = |digest: &str| digest.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64);
    match digest.filter(|digest| is_complete(digest)) {
        Some(digest) if !image.contains('@') => {
            let name = image.rfind(':').filter(|at| !image[*at..].contains('/')).map_or(&*image, |at| &image[..at]);
            format!("{name}@{digest}")
        }
        _ => image,
    }
}

/// The variables of the namespace and of the container, of which the latter take precedence, and `PORT`.
fn environment(resource: Resource<'_>, values: &Map, port: u16) -> Vec<String> {
    let mut all = BTreeMap::new();
    for values in [&namespace(resource, values).unwrap_or_default(), values] {
        for name in ["environment_variables", "secret_environment_variables"] {
            let variables = values.get(name).and_then(Value::map).into_iter().flatten();
            all.extend(variables.filter_map(|(name, value)| Some((name.clone(), value.text()?))));
        }
    }
    all.insert("PORT".to_owned(), port.to_string());
    all.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

fn timeout(values: &Map, operation: &str) -> Result<Duration> {
    let timeouts = block(values, "timeouts");
    let get = |name: &str| timeouts.and_then(|timeouts| text(timeouts, name));
    let text = get(operation).or_else(|| get("default")).unwrap_or_else(|| DEFAULT_TIMEOUT.to_owned());
    duration(&text).with_context(|| format!("timeouts.{operation} is {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_replaces_the_tag_of_an_image() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let named = |name: &str| with_digest(name.to_owned(), Some(digest.clone()));
        assert_eq!(named("127.0.0.1:5000/media/app:1"), format!("127.0.0.1:5000/media/app@{digest}"));
        assert_eq!(named("127.0.0.1:5000/media/app"), format!("127.0.0.1:5000/media/app@{digest}"));
        assert_eq!(named("app@sha256:b"), "app@sha256:b");
        // `registry_sha256` can be any string. Only a digest selects an image.
        assert_eq!(with_digest("app:1".to_owned(), Some("today".to_owned())), "app:1");
    }

    #[test]
    fn timeouts_depend_on_the_operation_and_have_a_default() {
        let of = |json: serde_json::Value| {
            let Value::Map(values) = Value::from(json) else { unreachable!() };
            timeout(&values, "update").map(|timeout| timeout.as_secs())
        };
        assert_eq!(of(serde_json::json!({})).unwrap(), 750);
        assert_eq!(of(serde_json::json!({ "timeouts": { "update": "1m30s", "default": "1s" } })).unwrap(), 90);
        assert_eq!(of(serde_json::json!({ "timeouts": { "create": "1m", "default": "5s" } })).unwrap(), 5);
        assert!(of(serde_json::json!({ "timeouts": { "update": "soon" } })).is_err());
    }
}
