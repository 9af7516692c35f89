//! An environment on a Docker host, where Docker Compose runs the service.

use super::check;
use super::environment::Target;
use super::field::{Field, Table};

const REGISTRY: &str = "ghcr.io/my-service";
const SERVICE: &str = "{ health: [app, health] }";
const WORKER: &str = "{ args: [worker], health: [app, worker, status] }";
const CPUS: &str = "1";
const MEMORY: u32 = 1024;

/// Containers of a Docker host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compose {
    /// The registry of their image, with the namespace: `ghcr.io/meemi`.
    pub registry: String,
    /// The port of the host's loopback address at which the service answers.
    pub port: u16,
    /// The container that serves.
    pub service: Container,
    /// The container that works beside it, with its arguments of the service's binary.
    pub worker: Option<(Vec<String>, Container)>,
}

impl Compose {
    /// The file that an environment of this name is rendered to.
    pub fn file(environment: &str) -> String {
        format!("docker-compose.{environment}.yml")
    }
}

/// What a container may use, and how it is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// A command of the image that fails while the container does not work.
    pub health: Vec<String>,
    /// How many processors it may use: `1`, `0.5`.
    pub cpus: String,
    /// How much memory it may use, in MiB.
    pub memory: u32,
}

/// Reads the keys of the target among those of the environment.
pub(super) fn compose(table: &mut Table<'_>) -> Option<Target> {
    let registry = table.required("registry", REGISTRY, |field| {
        field.text("a registry with a namespace, without `https://` and tag", check::is_registry)
    });
    let port =
        table.required("port", "3000", |field| field.number("a port number from 1 to 65535", |port: &u16| *port > 0));
    let service = table.required("service", SERVICE, |field| field.table(container));
    let worker = table.optional("worker", WORKER, |field| {
        field.table(|table| {
            let args = table.required("args", "[worker]", |field| arguments(&field, "worker"));
            let container = container(table);
            Some((args?, container?))
        })
    });
    Some(Target::Compose(Compose { registry: registry?, port: port?, service: service?, worker: worker? }))
}

fn container(table: &mut Table<'_>) -> Option<Container> {
    let health = table.required("health", "[app, health]", |field| {
        let health = arguments(&field, "app")?;
        if health.is_empty() { field.expected("a command of the image") } else { Some(health) }
    });
    let cpus = table.optional("cpus", CPUS, |field| {
        field.number("a number of processors from 0.01 to 1024", |cpus| (0.01..=1024.0).contains(cpus))
    });
    let memory = table.optional("memory", "1G", |field| {
        let text = field.text("an amount of memory from 6M on, such as 512M or 2G", |text| mib(text).is_some())?;
        mib(&text)
    });
    Some(Container {
        health: health?,
        cpus: cpus?.map_or_else(|| CPUS.to_owned(), |cpus: f64| cpus.to_string()),
        memory: memory?.unwrap_or(MEMORY),
    })
}

fn arguments(field: &Field<'_>, example: &str) -> Option<Vec<String>> {
    field.list(example, |item| item.text("an argument", check::is_argument))
}

/// An amount of memory in MiB; none for another text, or for less than Docker accepts.
fn mib(text: &str) -> Option<u32> {
    let (number, factor) = match (text.strip_suffix('M'), text.strip_suffix('G')) {
        (Some(number), _) => (number, 1),
        (_, Some(number)) => (number, 1024),
        (None, None) => return None,
    };
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse::<u32>().ok().filter(|_| is_number)?.checked_mul(factor).filter(|mib| *mib >= 6)
}
