//! Containers: `Container` of Serverless Containers v1.

use anyhow::Result;
use serde_json::{Map as Json, Value, json};

use super::Platform;
use super::answer::{Call, Outcome};
use crate::backend::container::engine_name;
use crate::fields::{block, blocks, text};
use crate::template::last_segment;
use crate::value::Map;

pub const TYPE: &str = "scaleway_container";

/// The fields that have the same name and form in the provider.
const SAME: [&str; 14] = [
    "name",
    "description",
    "status",
    "error_message",
    "environment_variables",
    "min_scale",
    "max_scale",
    "memory_limit_bytes",
    "local_storage_limit_bytes",
    "privacy",
    "protocol",
    "port",
    "https_connections_only",
    "sandbox",
];

pub async fn list(platform: &Platform, call: &Call, region: &str) -> Result<Outcome> {
    let mut all = Vec::new();
    for stored in platform.server.stored(TYPE)? {
        let key = text(&stored, "id").unwrap_or_default();
        let of_namespace = |id: &str| text(&stored, "namespace_id").is_some_and(|own| last_segment(&own) == id);
        let matches = key.starts_with(&format!("{region}/"))
            && call.parameter("namespace_id").is_none_or(of_namespace)
            && call.parameter("name").is_none_or(|name| text(&stored, "name").is_some_and(|own| own.contains(name)));
        if matches && let Some(values) = current(platform, &key, stored).await? {
            all.push(json(region, &values));
        }
    }
    Ok(call.page("containers", &all))
}

pub async fn get(platform: &Platform, region: &str, id: &str) -> Result<Outcome> {
    let key = format!("{region}/{id}");
    let resource = platform.server.resource(TYPE)?;
    let found = match resource.store.get(TYPE, &key, resource.object)? {
        Some(stored) => current(platform, &key, stored).await?,
        None => None,
    };
    Ok(found.map_or_else(|| Outcome::not_found("container", id), |values| Outcome::Done(json(region, &values))))
}

/// A namespace of containers: `Namespace`.
pub fn namespace(platform: &Platform, region: &str, id: &str) -> Result<Outcome> {
    const NAMESPACE: &str = "scaleway_container_namespace";
    let resource = platform.server.resource(NAMESPACE)?;
    let found = resource.store.get(NAMESPACE, &format!("{region}/{id}"), resource.object)?;
    let shown = |values: Map| {
        json!({
            "id": id,
            "name": text(&values, "name"),
            "description": text(&values, "description").unwrap_or_default(),
            "project_id": text(&values, "project_id"),
            "environment_variables": values.get("environment_variables").map(crate::value::Value::json),
            "secret_environment_variables": hidden(&values),
            "status": "ready",
            "region": region,
        })
    };
    Ok(found.map_or_else(|| Outcome::not_found("namespace", id), |values| Outcome::Done(shown(values))))
}

/// The values with the state of the engine's container. None if it does not exist.
async fn current(platform: &Platform, key: &str, stored: Map) -> Result<Option<Map>> {
    let rollout = || platform.services.rollouts.status(&engine_name(&platform.services, key));
    let mut values = if rollout().is_some() { Some(stored) } else { platform.server.current(TYPE, key).await? };
    if let (Some(values), Some(status)) = (&mut values, rollout()) {
        values.insert("status".to_owned(), status.into());
    }
    Ok(values)
}

fn json(region: &str, values: &Map) -> Value {
    let mut json = Json::new();
    for field in SAME {
        json.insert(field.to_owned(), values.get(field).map_or(Value::Null, crate::value::Value::json));
    }
    let list = |field: &str| crate::fields::texts(values, field);
    let last = |field: &str| text(values, field).map(|id| last_segment(&id).to_owned());
    let number = |field: &str| values.get(field).map_or(Value::Null, crate::value::Value::json);
    for (field, value) in [
        ("id", json!(last("id"))),
        ("namespace_id", json!(last("namespace_id"))),
        ("private_network_id", json!(last("private_network_id"))),
        ("region", json!(region)),
        ("image", json!(text(values, "image").or_else(|| text(values, "registry_image")))),
        ("public_endpoint", json!(text(values, "public_endpoint"))),
        ("mvcpu_limit", number("cpu_limit")),
        ("timeout", json!(text(values, "timeout").map(|seconds| format!("{seconds}s")))),
        ("tags", json!(list("tags"))),
        ("command", json!(list("command"))),
        ("args", json!(list("args"))),
        ("secret_environment_variables", hidden(values)),
        ("startup_probe", probe(values, "startup_probe")),
        ("liveness_probe", probe(values, "liveness_probe")),
    ] {
        json.insert(field.to_owned(), value);
    }
    Value::Object(json)
}

/// The names of secrets. The platform returns digests of their values; not even those are shown here.
fn hidden(values: &Map) -> Value {
    let secret = values.get("secret_environment_variables").and_then(crate::value::Value::map);
    let names: Json<String, Value> = secret.into_iter().flatten().map(|(name, _)| (name.clone(), json!(""))).collect();
    Value::Object(names)
}

fn probe(values: &Map, name: &str) -> Value {
    let Some(probe) = block(values, name) else { return Value::Null };
    let mut json = json!({ "interval": text(probe, "interval"), "timeout": text(probe, "timeout") });
    json["failure_threshold"] = probe.get("failure_threshold").map_or(Value::Null, crate::value::Value::json);
    match blocks(probe, "http").next() {
        Some(http) => json["http"] = json!({ "path": text(http, "path") }),
        None => json["tcp"] = json!({}),
    }
    json
}
