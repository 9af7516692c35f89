//! Jobs: `JobDefinition`, `JobRun` and references to secrets of Serverless Jobs v1alpha2.

use anyhow::{Result, bail};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::answer::{Call, Outcome};
use super::{Platform, vault};
use crate::backend::container::probe::duration;
use crate::backend::job::{Run, Spec};
use crate::fields::{blocks, text, texts};
use crate::template::last_segment;
use crate::value::Map;

const TYPE: &str = "scaleway_job_definition";

/// How long a run may take, unless the definition says it.
const TIMEOUT: &str = "24h";

pub fn list(platform: &Platform, call: &Call, region: &str) -> Result<Outcome> {
    let mut all = platform.server.stored(TYPE)?;
    all.retain(|values| {
        let project = call.parameter("project_id");
        project.is_none_or(|project| text(values, "project_id").as_deref() == Some(project))
            && text(values, "id").is_some_and(|id| id.starts_with(&format!("{region}/")))
    });
    let all: Vec<_> = all.iter().map(|values| json(region, values)).collect();
    Ok(call.page("job_definitions", &all))
}

pub fn get(platform: &Platform, region: &str, id: &str) -> Result<Outcome> {
    let found = definition(platform, region, id)?;
    Ok(found.map_or_else(|| missing(id), |values| Outcome::Done(json(region, &values))))
}

pub async fn create(platform: &Platform, call: &Call, region: &str) -> Result<Outcome> {
    let same = [
        "name",
        "project_id",
        "description",
        "cpu_limit",
        "memory_limit",
        "local_storage_capacity",
        "image_uri",
        "args",
        "startup_command",
    ];
    for required in ["name", "image_uri", "cpu_limit", "memory_limit", "local_storage_capacity"] {
        if call.body[required].is_null() || call.body[required] == "" {
            return Ok(Outcome::invalid(required, "is required"));
        }
    }
    let mut arguments = vault::arguments(&call.body, &same);
    arguments.insert("region".to_owned(), region.into());
    for (field, argument) in [("environment_variables", "env"), ("job_timeout", "timeout")] {
        if !call.body[field].is_null() {
            arguments.insert(argument.to_owned(), call.body[field].clone().into());
        }
    }
    match platform.server.create(TYPE, arguments).await? {
        Ok(values) => Ok(Outcome::Done(json(region, &values))),
        Err(why) => Ok(Outcome::invalid("name", &why)),
    }
}

/// Deletes a definition. Its runs that have not ended end with it.
pub async fn delete(platform: &Platform, region: &str, id: &str) -> Result<Outcome> {
    if definition(platform, region, id)?.is_none() {
        return Ok(missing(id));
    }
    for mut run in runs_of(platform, region, id)? {
        run.settle(&platform.services).await?;
    }
    platform.server.resource(TYPE)?.store.remove(TYPE, &format!("{region}/{id}"))?;
    Ok(Outcome::Done(Value::Null))
}

/// Lets the runs of a definition have secrets.
pub async fn refer(platform: &Platform, call: &Call, region: &str) -> Result<Outcome> {
    let id = call.body["job_definition_id"].as_str().unwrap_or_default();
    let Some(values) = definition(platform, region, id)? else { return Ok(missing(id)) };
    let mut references: Vec<Value> =
        blocks(&values, "secret_reference").map(|one| crate::value::Value::Map(one.clone()).json()).collect();
    for secret in call.body["secrets"].as_array().into_iter().flatten() {
        let (secret_id, version) = (secret["secret_manager_id"].as_str(), secret["secret_manager_version"].as_str());
        let (Some(secret_id), Some(version)) = (secret_id, version) else {
            return Ok(Outcome::invalid("secrets", "each needs secret_manager_id and secret_manager_version"));
        };
        if vault::access(platform, region, secret_id, version)?.is_none() {
            return Ok(Outcome::not_found("secret_version", secret_id));
        }
        references.push(json!({
            "secret_id": format!("{region}/{secret_id}"),
            "secret_version": version,
            "secret_reference_id": secret_id,
            "environment": secret["env_var_name"],
            "file": secret["path"],
        }));
    }
    let changed = [("secret_reference".to_owned(), Value::from(references.clone()).into())].into();
    platform.server.change(TYPE, &format!("{region}/{id}"), changed).await?;
    Ok(Outcome::Done(json!({ "secrets": references.iter().map(|one| json!({
        "secret_id": one["secret_reference_id"],
        "secret_manager_id": one["secret_id"].as_str().map(last_segment),
        "secret_manager_version": one["secret_version"],
        "job_definition_id": id,
        "env_var": { "name": one["environment"] },
    })).collect::<Vec<_>>() })))
}

/// Starts a run.
pub async fn start(platform: &Platform, call: &Call, region: &str, id: &str) -> Result<Outcome> {
    let Some(values) = definition(platform, region, id)? else { return Ok(missing(id)) };
    let mut variables = std::collections::BTreeMap::new();
    let plain = [values.get("env").map(crate::value::Value::json), Some(call.body["environment_variables"].clone())];
    for (name, value) in plain.iter().flatten().filter_map(Value::as_object).flatten() {
        variables.insert(name.clone(), value.as_str().unwrap_or_default().to_owned());
    }
    for reference in blocks(&values, "secret_reference") {
        let (secret, version) =
            (text(reference, "secret_id").unwrap_or_default(), text(reference, "secret_version").unwrap_or_default());
        let Some(value) = vault::access(platform, region, last_segment(&secret), &version)? else {
            return Ok(Outcome::not_found("secret", last_segment(&secret)));
        };
        let Some(name) = text(reference, "environment") else { bail!("the stand-in gives secrets in variables only") };
        variables.insert(name, value);
    }
    let list = |field: &str| match call.body[field].as_array() {
        Some(own) => own.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        None => texts(&values, field),
    };
    let number = |field: &str| text(&values, field).and_then(|number| number.parse().ok());
    let timeout = text(&values, "timeout").filter(|text| !text.is_empty());
    let spec = Spec {
        image: text(&values, "image_uri").unwrap_or_default(),
        startup_command: list("startup_command"),
        args: list("args"),
        variables,
        mvcpu: number("cpu_limit"),
        memory_mib: number("memory_limit"),
        timeout: duration(timeout.as_deref().unwrap_or(TIMEOUT))?,
    };
    let run = Run {
        id: uuid()?,
        region: region.to_owned(),
        definition: id.to_owned(),
        definition_name: text(&values, "name").unwrap_or_default(),
        project: text(&values, "project_id").unwrap_or_default(),
        created_at: Timestamp::now(),
        stopped: false,
        timed_out: false,
        error: None,
        ended: None,
    };
    run.clone().start(&platform.services, spec)?;
    Ok(Outcome::Done(json!({ "job_runs": [run_json(platform, &run).await?] })))
}

pub async fn runs(platform: &Platform, call: &Call, region: &str) -> Result<Outcome> {
    let mut all = Vec::new();
    for run in Run::all(&platform.services)? {
        let is = |field: &str, own: &str| call.parameter(field).is_none_or(|wanted| wanted == own);
        if run.region == region && is("job_definition_id", &run.definition) && is("project_id", &run.project) {
            all.push(run_json(platform, &run).await?);
        }
    }
    Ok(call.page("job_runs", &all))
}

pub async fn run(platform: &Platform, region: &str, id: &str) -> Result<Outcome> {
    match find(platform, region, id)? {
        Some(run) => Ok(Outcome::Done(run_json(platform, &run).await?)),
        None => Ok(Outcome::not_found("job_run", id)),
    }
}

pub async fn stop(platform: &Platform, region: &str, id: &str) -> Result<Outcome> {
    let Some(mut run) = find(platform, region, id)? else { return Ok(Outcome::not_found("job_run", id)) };
    let state = run.state(&platform.services).await?.state;
    if !matches!(state.as_str(), "queued" | "running") {
        return Ok(Outcome::conflict(&format!("the job run is {state}")));
    }
    run.stop(&platform.services)?;
    Ok(Outcome::Done(run_json(platform, &run).await?))
}

fn definition(platform: &Platform, region: &str, id: &str) -> Result<Option<Map>> {
    let resource = platform.server.resource(TYPE)?;
    resource.store.get(TYPE, &format!("{region}/{id}"), resource.object)
}

fn find(platform: &Platform, region: &str, id: &str) -> Result<Option<Run>> {
    Ok(Run::all(&platform.services)?.into_iter().find(|run| run.region == region && run.id == id))
}

fn runs_of(platform: &Platform, region: &str, definition: &str) -> Result<Vec<Run>> {
    let mut all = Run::all(&platform.services)?;
    all.retain(|run| run.region == region && run.definition == definition);
    Ok(all)
}

/// A random UUID, of version 4.
fn uuid() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex::encode(bytes);
    Ok(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
}

fn missing(id: &str) -> Outcome {
    Outcome::not_found("job_definition", id)
}

fn json(region: &str, values: &Map) -> Value {
    let same = |field: &str| values.get(field).map_or(Value::Null, crate::value::Value::json);
    json!({
        "id": text(values, "id").map(|id| last_segment(&id).to_owned()),
        "name": text(values, "name"),
        "description": text(values, "description").unwrap_or_default(),
        "project_id": text(values, "project_id"),
        "cpu_limit": same("cpu_limit"),
        "memory_limit": same("memory_limit"),
        "local_storage_capacity": same("local_storage_capacity"),
        "image_uri": text(values, "image_uri"),
        "startup_command": texts(values, "startup_command"),
        "args": texts(values, "args"),
        "environment_variables": same("env"),
        "job_timeout": text(values, "timeout"),
        "region": region,
    })
}

async fn run_json(platform: &Platform, run: &Run) -> Result<Value> {
    let now = run.state(&platform.services).await?;
    Ok(json!({
        "id": run.id,
        "job_definition_id": run.definition,
        "region": run.region,
        "created_at": run.created_at.to_string(),
        "started_at": now.started_at,
        "terminated_at": now.terminated_at,
        "state": now.state,
        "reason": now.reason,
        "exit_code": now.exit_code,
        "error_message": run.error,
    }))
}
