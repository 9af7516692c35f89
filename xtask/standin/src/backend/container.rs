//! Containers of the Docker engine, each behind a proxy whose address stays the same.
//!
//! A container is named after the resource's id, so that another process finds it after a crash. A new version starts
//! beside it with `-next` appended to the name, and takes its name when the probes succeed.

mod engine;
mod probe;
mod rollout;
mod spec;

use anyhow::Result;
use bollard::Docker;

use self::engine::{exit_reason, inspect, is_running, published_address, remove};
use self::rollout::next_name;
use self::spec::Spec;
use crate::backend::Resource;
use crate::fields::text;
use crate::template::last_segment;
use crate::value::{Map, Value};

/// Starts a container, or a new version of it: as on the platform, every update deploys, even one of the tags. If the version
/// does not come up, the call succeeds with `status = "error"`, as with the real provider, and the previous version continues to
/// serve.
pub async fn apply(docker: &Docker, resource: Resource<'_>, before: Option<&Map>, mut values: Map) -> Result<Map> {
    let name = container_name(resource, &values);
    let spec = Spec::new(resource, before.is_none(), &values)?;
    set_address(resource, &name, before, &mut values)?;
    match rollout::start(docker, resource, &name, &spec).await? {
        Ok(()) => set_status(&mut values, "ready", String::new()),
        Err(reason) => set_status(&mut values, "error", reason),
    }
    Ok(values)
}

/// Updates the values with the container's state. Returns `None` if the container does not exist.
pub async fn read(docker: &Docker, resource: Resource<'_>, mut values: Map) -> Result<Option<Map>> {
    let name = container_name(resource, &values);
    let Some(current) = inspect(docker, &name).await? else {
        // A version that failed before it started has no container.
        return Ok(has_failed(&values).then_some(values));
    };
    let problem = if !is_running(&current) {
        Some(exit_reason(docker, &name, &current).await)
    } else if let Err(error) = set_address(resource, &name, Some(&values.clone()), &mut values) {
        Some(format!("{error:#}"))
    } else {
        resource.services.proxies.set_target(&name, published_address(&current)?);
        None
    };
    if let Some(problem) = problem
        && !has_failed(&values)
    {
        set_status(&mut values, "error", problem);
    }
    Ok(Some(values))
}

/// Removes the container, and one that has not yet replaced it.
pub async fn delete(docker: &Docker, resource: Resource<'_>, values: &Map) -> Result<()> {
    let name = container_name(resource, values);
    resource.services.proxies.close(&name);
    remove(docker, &name).await?;
    remove(docker, &next_name(&name)).await
}

fn container_name(resource: Resource<'_>, values: &Map) -> String {
    let id = text(values, "id").unwrap_or_default();
    format!("standin-{}-{}", resource.services.state_id, last_segment(&id))
}

fn has_failed(values: &Map) -> bool {
    values.get("status") == Some(&"error".into())
}

fn set_status(values: &mut Map, status: &str, message: String) {
    values.insert("status".to_owned(), status.into());
    values.insert("error_message".to_owned(), Value::String(message));
}

/// Opens the proxy, on its previous port if there is one, and writes its address to the values.
fn set_address(resource: Resource<'_>, name: &str, before: Option<&Map>, values: &mut Map) -> Result<()> {
    let previous = before.and_then(|before| text(before, "domain_name")?.strip_prefix("127.0.0.1:")?.parse().ok());
    let port = resource.services.proxies.open(name, previous)?;
    values.insert("domain_name".to_owned(), Value::String(format!("127.0.0.1:{port}")));
    values.insert("public_endpoint".to_owned(), Value::String(format!("http://127.0.0.1:{port}")));
    Ok(())
}
