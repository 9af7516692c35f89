//! Registry namespaces: `Namespace` of Container Registry v1. A namespace that is created here can be imported with OpenTofu.

use anyhow::Result;
use serde_json::{Value, json};

use super::Platform;
use super::answer::{Call, Outcome};
use crate::fields::{is_true, text};
use crate::template::last_segment;
use crate::value::Map;

const TYPE: &str = "scaleway_registry_namespace";

pub fn list(platform: &Platform, call: &Call, region: &str) -> Result<Outcome> {
    let mut all = platform.server.stored(TYPE)?;
    let wanted = |values: &Map, field: &str| {
        call.parameter(field).is_none_or(|value| text(values, field).as_deref() == Some(value))
    };
    all.retain(|values| {
        // The filter matches parts of names.
        let named =
            call.parameter("name").is_none_or(|name| text(values, "name").is_some_and(|own| own.contains(name)));
        named
            && wanted(values, "project_id")
            && text(values, "id").is_some_and(|id| id.starts_with(&format!("{region}/")))
    });
    let all: Vec<_> = all.iter().map(|values| json(region, values)).collect();
    Ok(call.page("namespaces", &all))
}

pub fn get(platform: &Platform, region: &str, id: &str) -> Result<Outcome> {
    let resource = platform.server.resource(TYPE)?;
    let found = resource.store.get(TYPE, &format!("{region}/{id}"), resource.object)?;
    Ok(found.map_or_else(|| Outcome::not_found("namespace", id), |values| Outcome::Done(json(region, &values))))
}

pub async fn create(platform: &Platform, call: &Call, region: &str) -> Result<Outcome> {
    let Some(name) = call.body["name"].as_str().filter(|name| !name.is_empty()) else {
        return Ok(Outcome::invalid("name", "is required"));
    };
    // Names are unique in a region.
    if platform.server.stored(TYPE)?.iter().any(|values| text(values, "name").as_deref() == Some(name)) {
        return Ok(Outcome::conflict("Namespace already exists"));
    }
    let mut arguments = arguments(&call.body);
    arguments.insert("name".to_owned(), name.into());
    arguments.insert("region".to_owned(), region.into());
    match platform.server.create(TYPE, arguments).await? {
        Ok(values) => Ok(Outcome::Done(json(region, &values))),
        Err(why) => Ok(Outcome::invalid("name", &why)),
    }
}

pub async fn change(platform: &Platform, call: &Call, region: &str, id: &str) -> Result<Outcome> {
    let (key, resource) = (format!("{region}/{id}"), platform.server.resource(TYPE)?);
    if resource.store.get(TYPE, &key, resource.object)?.is_none() {
        return Ok(Outcome::not_found("namespace", id));
    }
    let values = platform.server.change(TYPE, &key, arguments(&call.body)).await?;
    Ok(Outcome::Done(json(region, &values)))
}

/// The arguments that a request sets.
fn arguments(body: &Value) -> Map {
    let set = ["project_id", "description", "is_public"].into_iter();
    let set = set.filter_map(|field| Some((field.to_owned(), body.get(field)?.clone().into())));
    set.filter(|(_, value): &(String, crate::value::Value)| !value.is_null()).collect()
}

fn json(region: &str, values: &Map) -> Value {
    json!({
        "id": text(values, "id").map(|id| last_segment(&id).to_owned()),
        "name": text(values, "name"),
        "description": text(values, "description").unwrap_or_default(),
        "organization_id": text(values, "organization_id"),
        "project_id": text(values, "project_id"),
        "endpoint": text(values, "endpoint"),
        "is_public": is_true(values, "is_public"),
        "status": "ready",
        "status_message": "",
        "region": region,
    })
}
