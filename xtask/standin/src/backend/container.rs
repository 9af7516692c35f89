//! Containers of the Docker engine, each at an address that stays the same: a proxy's, or a host name of the gateway.
//!
//! A container is named after the resource's id, so that another process finds it after a crash. A new version starts
//! beside it with `-next` appended to the name, and takes its name when the probes succeed.

pub mod engine;
pub mod logs;
pub mod probe;
pub mod rollout;
mod spec;

use anyhow::Result;
use bollard::Docker;

use self::engine::{exit_reason, is_running, published_address, remove};
use self::rollout::next_name;
use self::spec::Spec;
use crate::backend::Resource;
use crate::fields::text;
use crate::services::Services;
use crate::template::last_segment;
use crate::value::{Map, Value};

/// Starts a container, or a new version of it: as on the platform, every update deploys, even one of the tags. If the version
/// does not come up, the call succeeds with `status = "error"`, as with the real provider, and the previous version continues to
/// serve.
pub async fn apply(docker: &Docker, resource: Resource<'_>, before: Option<&Map>, mut values: Map) -> Result<Map> {
    let name = container_name(resource, &values);
    let spec = Spec::new(resource, before.is_none(), &values)?;
    set_address(resource, &name, before, &mut values)?;
    let _rollout = resource.services.rollouts.begin(&name, if before.is_some() { "updating" } else { "creating" });
    match rollout::start(docker, resource, &values, &name, &spec).await? {
        Ok(()) => set_status(&mut values, "ready", String::new()),
        Err(reason) => set_status(&mut values, "error", reason),
    }
    Ok(values)
}

/// Updates the values with the container's state. Returns `None` if the container does not exist.
pub async fn read(docker: &Docker, resource: Resource<'_>, mut values: Map) -> Result<Option<Map>> {
    let name = container_name(resource, &values);
    if resource.services.rollouts.status(&name).is_some() {
        return Ok(Some(values));
    }
    let Some(current) = rollout::current(docker, resource, &values, &name).await? else {
        // A version that failed before it started has no container.
        return Ok(has_failed(&values).then_some(values));
    };
    let problem = if !is_running(&current) {
        Some(exit_reason(docker, &name, &current).await)
    } else if let Err(error) = set_address(resource, &name, Some(&values.clone()), &mut values) {
        Some(format!("{error:#}"))
    } else {
        // An update that has begun meanwhile decides itself which version gets requests.
        if resource.services.rollouts.status(&name).is_none() {
            resource.services.proxies.set_target(&name, published_address(&current)?);
        }
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
    for name in [name.clone(), next_name(&name)] {
        logs::keep(docker, resource, values, &name).await?;
        remove(docker, &name).await?;
    }
    Ok(())
}

/// The name in the Docker engine of the container with this id.
pub fn engine_name(services: &Services, id: &str) -> String {
    format!("standin-{}-{}", services.state_id, last_segment(id))
}

fn container_name(resource: Resource<'_>, values: &Map) -> String {
    engine_name(resource.services, &text(values, "id").unwrap_or_default())
}

fn has_failed(values: &Map) -> bool {
    values.get("status") == Some(&"error".into())
}

fn set_status(values: &mut Map, status: &str, message: String) {
    values.insert("status".to_owned(), status.into());
    values.insert("error_message".to_owned(), Value::String(message));
}

/// Writes the address to the values: the host name if there is a gateway. Otherwise opens a proxy, on its previous port if
/// there is one.
fn set_address(resource: Resource<'_>, name: &str, before: Option<&Map>, values: &mut Map) -> Result<()> {
    let (domain, scheme) = if resource.services.gateway.is_some() {
        let host = host_name(resource, values);
        resource.services.proxies.open_host(name, &host);
        (host, "https")
    } else {
        let previous = before.and_then(|before| text(before, "domain_name")?.strip_prefix("127.0.0.1:")?.parse().ok());
        let port = resource.services.proxies.open_port(name, previous)?;
        (format!("127.0.0.1:{port}"), "http")
    };
    values.insert("public_endpoint".to_owned(), Value::String(format!("{scheme}://{domain}")));
    values.insert("domain_name".to_owned(), Value::String(domain));
    Ok(())
}

/// The name that the platform gives to the container: `<namespace><8 hexadecimal digits>-<name>`, without what a DNS label
/// cannot have. The digits are those of the namespace's id.
fn platform_name(resource: Resource<'_>, values: &Map) -> String {
    let id = text(values, "namespace_id").unwrap_or_default();
    let digits: String = last_segment(&id).chars().filter(char::is_ascii_hexdigit).take(8).collect();
    let name = label(&text(values, "name").unwrap_or_default(), true);
    let namespace = namespace(resource, values).and_then(|namespace| text(&namespace, "name")).unwrap_or_default();
    let mut namespace = label(&namespace, false);
    // A DNS label has at most 63 characters.
    namespace.truncate(63_usize.saturating_sub(digits.len() + 1 + name.len()));
    format!("{namespace}{digits}-{name}")
}

fn label(text: &str, hyphens: bool) -> String {
    let text = text.to_ascii_lowercase();
    text.chars().filter(|c| c.is_ascii_alphanumeric() || hyphens && *c == '-').collect()
}

fn host_name(resource: Resource<'_>, values: &Map) -> String {
    let id = text(values, "id").unwrap_or_default();
    let region = id.split_once('/').map(|(region, _)| region.to_owned()).or_else(|| text(values, "region"));
    let region = region.unwrap_or_else(|| "fr-par".to_owned());
    format!("{}.functions.fnc.{region}.scw.cloud", platform_name(resource, values))
}

/// The container's namespace. None if the stand-in does not have it.
fn namespace(resource: Resource<'_>, values: &Map) -> Option<Map> {
    const NAMESPACE: &str = "scaleway_container_namespace";
    let schema = resource.provider.resources.get(NAMESPACE)?;
    resource.store.get(NAMESPACE, &text(values, "namespace_id")?, &schema.object).ok()?
}
