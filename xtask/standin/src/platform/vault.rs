//! Secrets: `Secret` and `SecretVersion` of Secret Manager v1beta1.

use anyhow::Result;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::Platform;
use super::answer::{Call, Outcome};
use crate::fields::{text, texts};
use crate::template::last_segment;
use crate::value::Map;

const TYPE: &str = "scaleway_secret";
const VERSION: &str = "scaleway_secret_version";

/// The most bytes of a value.
const MAX_BYTES: usize = 65_536;

pub fn list(platform: &Platform, call: &Call, region: &str) -> Result<Outcome> {
    let mut all = platform.server.stored(TYPE)?;
    all.retain(|values| {
        let is = |field: &str| {
            call.parameter(field).is_none_or(|wanted| text(values, field).is_some_and(|own| own == wanted))
        };
        let tagged = call.parameter("tags").is_none_or(|tag| texts(values, "tags").iter().any(|own| own == tag));
        tagged && is("project_id") && is("name") && is_in(region, values)
    });
    let all: Vec<_> = all.iter().map(|values| json(region, values)).collect();
    Ok(call.page("secrets", &all))
}

pub async fn create(platform: &Platform, call: &Call, region: &str) -> Result<Outcome> {
    let Some(name) = call.body["name"].as_str().filter(|name| !name.is_empty()) else {
        return Ok(Outcome::invalid("name", "is required"));
    };
    let project = call.body["project_id"].as_str();
    let is_taken = |values: &Map| {
        text(values, "name").as_deref() == Some(name)
            && text(values, "project_id").as_deref() == project
            && is_in(region, values)
    };
    if platform.server.stored(TYPE)?.iter().any(is_taken) {
        return Ok(Outcome::conflict("secret with the same name already exists in this path"));
    }
    let mut arguments =
        arguments(&call.body, &["name", "project_id", "tags", "description", "type", "path", "protected"]);
    arguments.insert("region".to_owned(), region.into());
    let policy = &call.body["ephemeral_policy"];
    if !policy.is_null() {
        let policy = json!([{
            "ttl": policy["time_to_live"], "action": policy["action"], "expires_once_accessed": policy["expires_once_accessed"],
        }]);
        arguments.insert("ephemeral_policy".to_owned(), policy.into());
    }
    match platform.server.create(TYPE, arguments).await? {
        Ok(values) => Ok(Outcome::Done(json(region, &values))),
        Err(why) => Ok(Outcome::invalid("name", &why)),
    }
}

/// Adds a version.
pub async fn add(platform: &Platform, call: &Call, region: &str, id: &str) -> Result<Outcome> {
    let (key, resource) = (format!("{region}/{id}"), platform.server.resource(TYPE)?);
    if resource.store.get(TYPE, &key, resource.object)?.is_none() {
        return Ok(Outcome::not_found("secret", id));
    }
    let data = call.body["data"].as_str().and_then(|data| BASE64_STANDARD.decode(data).ok());
    let data = data.filter(|data| data.len() <= MAX_BYTES).and_then(|data| String::from_utf8(data).ok());
    let Some(data) = data else { return Ok(Outcome::invalid("data", "must be base64 of a text of at most 64 KiB")) };
    let revision = (versions(platform, &key)?.len() + 1).to_string();
    let arguments = json!({ "secret_id": key, "region": region, "data": data, "revision": revision });
    match platform.server.create(VERSION, arguments_of(arguments)).await? {
        Ok(_) => Ok(Outcome::Done(
            json!({ "secret_id": id, "revision": revision.parse::<u32>().unwrap_or(1), "status": "enabled" }),
        )),
        Err(why) => Ok(Outcome::invalid("data", &why)),
    }
}

pub fn delete(platform: &Platform, region: &str, id: &str) -> Result<Outcome> {
    let (key, resource) = (format!("{region}/{id}"), platform.server.resource(TYPE)?);
    if resource.store.get(TYPE, &key, resource.object)?.is_none() {
        return Ok(Outcome::not_found("secret", id));
    }
    let of_version = platform.server.resource(VERSION)?;
    for version in versions(platform, &key)? {
        of_version.store.remove(VERSION, &text(&version, "id").unwrap_or_default())?;
    }
    resource.store.remove(TYPE, &key)?;
    Ok(Outcome::Done(Value::Null))
}

/// The value of a version. None if there is no such version.
pub fn access(platform: &Platform, region: &str, id: &str, revision: &str) -> Result<Option<String>> {
    let all = versions(platform, &format!("{region}/{id}"))?;
    let found = all.iter().find(|version| text(version, "revision").as_deref() == Some(revision));
    Ok(found.and_then(|version| text(version, "data")))
}

fn versions(platform: &Platform, key: &str) -> Result<Vec<Map>> {
    let mut all = platform.server.stored(VERSION)?;
    all.retain(|version| text(version, "secret_id").as_deref() == Some(key));
    Ok(all)
}

/// The arguments of a resource that a request sets, where they have the same names.
pub fn arguments(body: &Value, fields: &[&str]) -> Map {
    let set = fields.iter().filter_map(|field| Some(((*field).to_owned(), body.get(field)?.clone().into())));
    set.filter(|(_, value): &(String, crate::value::Value)| !value.is_null()).collect()
}

fn arguments_of(json: Value) -> Map {
    json.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value.clone().into())).collect()
}

fn is_in(region: &str, values: &Map) -> bool {
    text(values, "id").is_some_and(|id| id.starts_with(&format!("{region}/")))
}

fn json(region: &str, values: &Map) -> Value {
    json!({
        "id": text(values, "id").map(|id| last_segment(&id).to_owned()),
        "name": text(values, "name"),
        "project_id": text(values, "project_id"),
        "tags": texts(values, "tags"),
        "type": text(values, "type").unwrap_or_else(|| "opaque".to_owned()),
        "path": text(values, "path").unwrap_or_else(|| "/".to_owned()),
        "status": "ready",
        "protected": false,
        "region": region,
    })
}
