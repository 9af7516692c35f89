//! Custom domains: `Domain` of Serverless Containers v1.

use anyhow::Result;
use serde_json::{Value, json};

use super::Platform;
use super::answer::{Call, Outcome};
use crate::backend::domain;
use crate::fields::{text, texts};
use crate::template::last_segment;
use crate::value::Map;

pub const TYPE: &str = "scaleway_container_domain";

pub fn list(platform: &Platform, call: &Call, region: &str) -> Result<Outcome> {
    let mut all = Vec::new();
    for values in platform.server.stored(TYPE)? {
        let of_container = |id: &str| text(&values, "container_id").is_some_and(|own| last_segment(&own) == id);
        let is_here = text(&values, "id").is_some_and(|id| id.starts_with(&format!("{region}/")));
        if is_here && call.parameter("container_id").is_none_or(of_container) {
            all.push(json(platform, &values)?);
        }
    }
    Ok(call.page("domains", &all))
}

pub fn get(platform: &Platform, region: &str, id: &str) -> Result<Outcome> {
    let resource = platform.server.resource(TYPE)?;
    match resource.store.get(TYPE, &format!("{region}/{id}"), resource.object)? {
        Some(values) => Ok(Outcome::Done(json(platform, &values)?)),
        None => Ok(Outcome::not_found("domain", id)),
    }
}

fn json(platform: &Platform, values: &Map) -> Result<Value> {
    let last = |field: &str| text(values, field).map(|id| last_segment(&id).to_owned());
    let state = domain::status(&platform.services, &text(values, "id").unwrap_or_default())?;
    Ok(json!({
        "id": last("id"),
        "container_id": last("container_id"),
        "hostname": text(values, "hostname"),
        "status": state.status,
        "error_message": state.error_message,
        "created_at": state.created_at,
        "updated_at": state.updated_at,
        "tags": texts(values, "tags"),
    }))
}
