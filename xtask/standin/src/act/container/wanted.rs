//! What a container's values come to.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use anyhow::{Context as _, Result};
use bollard::models::{ContainerCreateBody, ContainerInspectResponse, HostConfig, PortBinding};
use sha2::{Digest as _, Sha256};

use super::probe::Probe;
use crate::act::Resource;
use crate::value::{Map, Value};

/// The label with all that a version is.
const VERSION: &str = "standin.version";

/// How long an operation may take where a stack does not say it, as at the real provider.
const TIMEOUT: &str = "12m30s";

/// What is to run.
pub struct Wanted {
    /// As the engine pulls it.
    pub image: String,
    /// As the engine makes it.
    pub body: ContainerCreateBody,
    /// What must answer before it serves, one after the other.
    pub probes: Vec<Probe>,
    /// How long that may take together.
    pub timeout: Duration,
    /// In it.
    pub port: u16,
}

impl Wanted {
    /// Fails on a value that the schema allows and that means nothing.
    pub fn read(of: Resource<'_>, new: bool, values: &Map) -> Result<Self> {
        let get = |name: &str| values.get(name).filter(|value| !value.is_null());
        let number = |name: &str| get(name)?.text()?.parse::<f64>().ok();
        let texts = |name: &str| get(name).map(|value| value.list().iter().filter_map(Value::text).collect::<Vec<_>>());
        let text = |name: &str| get(name).and_then(Value::text).filter(|text| !text.is_empty());
        let image = image(text("image").context("image is not set")?, text("registry_sha256"));
        let port = number("port").map_or(8080, |port| port as u16);
        let inside = format!("{port}/tcp");
        // The older attribute counts megabytes.
        let memory = number("memory_limit").filter(|mega| *mega > 0.0).map(|mega| mega * 1e6);
        let memory = memory.or_else(|| number("memory_limit_bytes")).map(|bytes| bytes as i64);
        let bound = PortBinding { host_ip: Some("127.0.0.1".to_owned()), host_port: Some(String::new()) };
        let host = HostConfig {
            memory,
            // As much in all: no swap.
            memory_swap: memory,
            cpu_period: Some(100_000),
            // Of thousandths of a CPU.
            cpu_quota: number("cpu_limit").map(|thousandths| (thousandths * 100.0) as i64),
            port_bindings: Some([(inside.clone(), Some(vec![bound]))].into()),
            ..HostConfig::default()
        };
        let mut body = ContainerCreateBody {
            image: Some(image.clone()),
            env: Some(environment(of, values, port)?),
            entrypoint: texts("command").filter(|all| !all.is_empty()),
            cmd: texts("args").filter(|all| !all.is_empty()),
            exposed_ports: Some(vec![inside]),
            host_config: Some(host),
            ..ContainerCreateBody::default()
        };
        let probes = Probe::all(values)?;
        let sha = text("registry_sha256");
        let version = Sha256::digest(serde_json::to_string(&(&body, &probes, sha)).expect("they are JSON"));
        let labels = [
            ("standin.state", of.machine.mark.clone()),
            ("standin.id", text("id").unwrap_or_default()),
            (VERSION, hex::encode(version)),
        ];
        body.labels = Some(labels.map(|(name, value)| (name.to_owned(), value)).into());
        let timeout = timeout(values, if new { "create" } else { "update" })?;
        Ok(Self { image, body, probes, timeout, port })
    }

    /// Whether a container is of this version.
    pub fn is_that_of(&self, there: &ContainerInspectResponse) -> bool {
        let of = |labels: &HashMap<String, String>| labels.get(VERSION).cloned();
        let has = there.config.as_ref().and_then(|config| of(config.labels.as_ref()?));
        has.is_some() && has == self.body.labels.as_ref().and_then(of)
    }
}

/// A digest names the image whatever its tag has become.
fn image(image: String, digest: Option<String>) -> String {
    let whole = |digest: &str| digest.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64);
    match digest.filter(|digest| whole(digest)) {
        Some(digest) if !image.contains('@') => {
            let name = image.rfind(':').filter(|at| !image[*at..].contains('/')).map_or(&*image, |at| &image[..at]);
            format!("{name}@{digest}")
        }
        _ => image,
    }
}

/// What it sees: its namespace's variables, its own over them, and its port.
fn environment(of: Resource<'_>, values: &Map, port: u16) -> Result<Vec<String>> {
    let namespace = match (values.get("namespace_id").and_then(Value::text), &of.provider.resources) {
        (Some(id), types) => match types.get("scaleway_container_namespace") {
            Some(schema) => of.store.get("scaleway_container_namespace", &id, &schema.object)?,
            None => None,
        },
        _ => None,
    };
    let mut all = BTreeMap::new();
    for from in [&namespace.unwrap_or_default(), values] {
        for name in ["environment_variables", "secret_environment_variables"] {
            let set = from.get(name).and_then(Value::map).into_iter().flatten();
            all.extend(set.filter_map(|(name, value)| Some((name.clone(), value.text()?))));
        }
    }
    all.insert("PORT".to_owned(), port.to_string());
    Ok(all.into_iter().map(|(name, value)| format!("{name}={value}")).collect())
}

fn timeout(values: &Map, operation: &str) -> Result<Duration> {
    let set = values.get("timeouts").and_then(Value::map);
    let set = |name: &str| set.and_then(|set| set.get(name)?.text());
    let text = set(operation).or_else(|| set("default")).unwrap_or_else(|| TIMEOUT.to_owned());
    super::probe::duration(&text).with_context(|| format!("timeouts.{operation} is {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_names_the_image_whatever_its_tag() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let named = |name: &str| image(name.to_owned(), Some(digest.clone()));
        assert_eq!(named("127.0.0.1:5000/media/app:1"), format!("127.0.0.1:5000/media/app@{digest}"));
        assert_eq!(named("127.0.0.1:5000/media/app"), format!("127.0.0.1:5000/media/app@{digest}"));
        assert_eq!(named("app@sha256:b"), "app@sha256:b");
        // Any text makes a new version; only a digest names one.
        assert_eq!(image("app:1".to_owned(), Some("today".to_owned())), "app:1");
    }

    #[test]
    fn an_operation_takes_as_long_as_a_stack_says() {
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
