//! An environment at an Easypanel, whose services run the image.

use super::check;
use super::compose::{self, Host};
use super::environment::Target;
use super::field::{Field, Table, key};
use super::stack::{State, bucket};

const SERVICES: usize = 20;

/// Services of a project at an Easypanel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Easypanel {
    /// The panel's address, without a path: `https://panel.example.org`.
    pub panel: String,
    /// The project there.
    pub project: String,
    /// Its app services that run the image, at least one. The first one answers at `address`.
    pub services: Vec<String>,
    /// Where people reach the service, without a path.
    pub address: String,
    /// The registry of the image, with the namespace: `ghcr.io/meemi`.
    pub registry: String,
    /// The machine on which the panel runs the services, for `logs` and `run`.
    pub host: Option<EngineHost>,
    /// The bucket of lease, journal and records. Without one, they are on this machine.
    pub state: Option<State>,
}

/// Where the Docker engine of a panel is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineHost {
    /// On this machine, at this address: `unix:///var/run/docker.sock`.
    Socket(String),
    /// On another machine, which is reached by SSH.
    Remote(Host),
}

/// Reads the keys of the target among those of the environment.
pub(super) fn easypanel(table: &mut Table<'_>) -> Option<Target> {
    let address = |field: Field<'_>| {
        field.text("`https://` and a host, without a path; `http://` for this machine", check::is_endpoint)
    };
    let panel = table.required(key("panel", "https://panel.example.org", "The panel's address."), address);
    let project = table.required(key("project", "my-service", "The project at the panel."), |field| name(&field));
    let services = table.required(
        key(
            "services",
            "[web, worker]",
            "The project's app services that run the image. The first one answers at `address`.",
        ),
        |field| services(&field),
    );
    let address = table.required(
        key("address", "https://media.example.org", "Where people reach the service: a domain of the first service."),
        address,
    );
    let registry = table
        .required(key("registry", "ghcr.io/my-service", "The registry of the image, with the namespace."), |field| {
            field.text("a registry with a namespace, without `https://` and tag", check::is_registry)
        });
    let state = table.optional(
        key(
            "state",
            "{ bucket: my-service-state, region: fr-par, provider: scaleway }",
            "The bucket of lease, journal and records, which every machine that deploys sees.",
        )
        .otherwise("this machine's .deploy"),
        |field| field.table(bucket),
    );
    let host = table.optional(
        key(
            "host",
            "ssh://root@panel.example.org",
            "The machine on which the panel runs its services, whose Docker engine `logs` and `run` use: reached by SSH, or \
             `unix:///var/run/docker.sock` for this one.",
        )
        .otherwise("`logs` and `run` are refused"),
        |field| host(&field),
    );
    Some(Target::Easypanel(Easypanel {
        panel: panel?,
        project: project?,
        services: services?,
        address: address?,
        registry: registry?,
        host: host?,
        state: state?,
    }))
}

fn services(field: &Field<'_>) -> Option<Vec<String>> {
    let services = field.list("web", |item| name(&item))?;
    let is_repeated = |name: &String| services.iter().filter(|other| *other == name).count() > 1;
    if services.iter().any(is_repeated) {
        return field.refuse("a service is repeated", "name each service once");
    }
    if services.is_empty() || services.len() > SERVICES {
        return field.refuse("names no service, or more than 20", "name 1 to 20 services");
    }
    Some(services)
}

/// The machine of a panel's engine.
fn host(field: &Field<'_>) -> Option<EngineHost> {
    let is_socket = |text: &str| {
        text.starts_with("unix:///") && text.len() > "unix:///".len() && !text.contains(char::is_whitespace)
    };
    let text = field.text("the address of a host: `ssh://`, a user if needed, a host and a port if needed; or `unix://` and the path of a socket", |text| {
        is_socket(text) || compose::host(text).is_some()
    })?;
    if is_socket(&text) {
        return Some(EngineHost::Socket(text));
    }
    compose::host(&text).map(EngineHost::Remote)
}

/// The name of a project or service at Easypanel.
fn name(field: &Field<'_>) -> Option<String> {
    field.text("a name at Easypanel: lower-case letters, digits, `-` and `_`", |text| {
        let is_inner = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        text.len() <= 63 && text.bytes().all(is_inner) && text.bytes().next().is_some_and(|first| first != b'-')
    })
}
