//! Custom domains of containers. The platform checks the CNAME record once, when the domain is created, and requests a
//! certificate only if the record points to the container.
//!
//! The provider has no attribute for the status: it is in the file `domain-<id>.json` of the state folder.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use hickory_proto::rr::{Name, RData, RecordType};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::Resource;
use crate::dns::Resolver;
use crate::fields::text;
use crate::services::Services;
use crate::template::last_segment;
use crate::value::Map;

const CONTAINER: &str = "scaleway_container";

/// The time between two questions to the DNS server.
const INTERVAL: Duration = Duration::from_millis(200);

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Status {
    /// `creating`, `ready` or `error`.
    pub status: String,
    pub error_message: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Creates a domain. The call succeeds if the check fails, as with the real provider: then the status is `error`.
pub async fn apply(dns: &Resolver, resource: Resource<'_>, values: Map) -> Result<Map> {
    let (id, hostname) = (text(&values, "id").unwrap_or_default(), text(&values, "hostname").unwrap_or_default());
    let target = container_host(resource, &values)?;
    let created_at = Timestamp::now();
    let write = |status: &str, error_message: Option<String>| {
        let status = Status { status: status.to_owned(), error_message, created_at, updated_at: Timestamp::now() };
        write(resource.services, &id, &status)
    };
    write("creating", None)?;
    let checked = tokio::select! {
        checked = check(dns, &hostname, &target, resource.services.domain_timeout) => checked,
        () = resource.stopped() => Err(anyhow!("OpenTofu was asked to stop, and the provider stopped waiting for the domain")),
    };
    match checked {
        Ok(Ok(())) => write("ready", None)?,
        Ok(Err(reason)) => write("error", Some(reason))?,
        Err(error) => {
            delete(resource.services, &values)?;
            return Err(error);
        }
    }
    Ok(values)
}

/// Forgets the status.
pub fn delete(services: &Services, values: &Map) -> Result<()> {
    match fs_err::remove_file(file(services, &text(values, "id").unwrap_or_default())) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// The status of a domain. Without a DNS server, each domain is ready.
pub fn status(services: &Services, id: &str) -> Result<Status> {
    let file = file(services, id);
    if !file.exists() {
        let status = if services.dns.is_some() { "creating" } else { "ready" }.to_owned();
        let now = Timestamp::now();
        return Ok(Status { status, error_message: None, created_at: now, updated_at: now });
    }
    let text = fs_err::read_to_string(&file)?;
    serde_json::from_str(&text).with_context(|| format!("{} is not the status of a domain", file.display()))
}

/// Waits until the name has a CNAME record that leads to the container. The inner error is why it has none.
async fn check(dns: &Resolver, hostname: &str, target: &str, limit: Duration) -> Result<Result<(), String>> {
    let name =
        |text: &str| Name::from_ascii(format!("{text}.")).with_context(|| format!("{text:?} is not a host name"));
    let (hostname, target) = (name(hostname)?, name(target)?);
    let end = Instant::now() + limit;
    loop {
        let answer = dns.resolve(&hostname, RecordType::A, true).await;
        let targets = answer.answers.iter().filter_map(|record| match &record.data {
            RData::CNAME(target) => Some(&target.0),
            _ => None,
        });
        let targets: Vec<_> = targets.collect();
        if targets.contains(&&target) {
            return Ok(Ok(()));
        }
        if Instant::now() + INTERVAL > end {
            let found = match &targets[..] {
                [] => format!("{} ({})", answer.code, "no CNAME record"),
                _ => targets.iter().map(|name| name.to_ascii()).collect::<Vec<_>>().join(", "),
            };
            return Ok(Err(format!("the domain {hostname} must have a CNAME record to {target}; found: {found}")));
        }
        sleep(INTERVAL).await;
    }
}

fn container_host(resource: Resource<'_>, values: &Map) -> Result<String> {
    let id = text(values, "container_id").unwrap_or_default();
    let schema = resource.provider.resources.get(CONTAINER).context("the schema has no containers")?;
    let container = resource.store.get(CONTAINER, &id, &schema.object)?;
    let container = container.with_context(|| format!("resource container with ID {id} is not found"))?;
    text(&container, "domain_name").context("the container has no address")
}

fn write(services: &Services, id: &str, status: &Status) -> Result<()> {
    let file = file(services, id);
    let temporary = file.with_extension("new");
    fs_err::write(&temporary, serde_json::to_string_pretty(status)?)?;
    fs_err::rename(&temporary, &file)?;
    Ok(())
}

fn file(services: &Services, id: &str) -> PathBuf {
    services.state.join(format!("domain-{}.json", last_segment(id)))
}
