//! An environment on a Docker host, where the toolkit or Docker Compose runs the service.

use super::check;
use super::environment::Target;
use super::field::{Field, Table, key};

const REGISTRY: &str = "ghcr.io/my-service";
const SERVICE: &str = "{ health: [app, health] }";
const WORKER: &str = "{ args: [worker], health: [app, worker, status] }";
const PROXY: &str = "caddy:2.10@sha256:DIGEST";
const HOST: &str = "ssh://deploy@host.example.org";
const CPUS: &str = "1";
const MEMORY: u32 = 1024;

/// Containers of a Docker host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compose {
    /// The registry of their image, with the namespace: `ghcr.io/meemi`. Without one, the image is loaded into the host's engine.
    pub registry: Option<String>,
    /// The host, if it is another machine.
    pub host: Option<Host>,
    /// The image of the proxy that a deploy switches. Without one, Docker Compose runs the service.
    pub proxy: Option<String>,
    /// The public host name, for which the proxy gets a certificate.
    pub domain: Option<String>,
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

/// Another machine, which is reached by SSH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// `user@host`, or a host alone.
    pub destination: String,
    /// The port of its SSH server, if it is not the one that ssh(1) takes by itself.
    pub port: Option<u16>,
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
    let registry =
        |field: Field<'_>| field.text("a registry with a namespace, without `https://` and tag", check::is_registry);
    let proxy = table.optional(
        key(
            "proxy",
            PROXY,
            "The image of the proxy that a deploy switches, by its digest. \
                 Without it, Docker Compose runs the service.",
        ),
        |field| {
            field.text(
                "the image of Caddy by its digest: `name@sha256:…`, or `sha256:…` of one that the host has",
                is_pinned,
            )
        },
    );
    let (registry, host, domain) = match proxy {
        Some(None) => (
            table
                .required(
                    key(
                        "registry",
                        REGISTRY,
                        "The registry of the image, with the namespace. Required without \
                 `proxy`; with it, the image may be loaded into the host's engine.",
                    ),
                    registry,
                )
                .map(Some),
            Some(None),
            Some(None),
        ),
        _ => (
            table.optional(
                key(
                    "registry",
                    REGISTRY,
                    "The registry of the image, with the namespace. Required without \
                 `proxy`; with it, the image may be loaded into the host's engine.",
                ),
                registry,
            ),
            table.optional(
                key(
                    "host",
                    HOST,
                    "The Docker host, if it is another machine, which is reached by SSH. \
                 Only with `proxy`.",
                )
                .otherwise("this machine"),
                |field| {
                    let text = field.text(
                        "the address of a host: `ssh://`, a user if needed, a host and a port if needed",
                        |text| host(text).is_some(),
                    )?;
                    host(&text)
                },
            ),
            table.optional(
                key(
                    "domain",
                    "media.example.org",
                    "The public host name, for which the proxy gets a certificate. Only \
                 with `proxy`.",
                ),
                |field| field.text("a host name of two labels or more, in lower case", check::is_host_name),
            ),
        ),
    };
    let port = table.required(
        key("port", "3000", "The port of the host's loopback address at which the service answers."),
        |field| field.number("a port number from 1 to 65535", |port: &u16| *port > 0),
    );
    let service = table.required(
        key("service", SERVICE, "The container that serves: how it is checked, and what it may use."),
        |field| field.table(container),
    );
    let worker = table.optional(
        key("worker", WORKER, "A second container of the same image, which works beside the one that serves."),
        |field| {
            field.table(|table| {
                let args = table
                    .required(key("args", "[worker]", "The worker's arguments of the service's binary."), |field| {
                        arguments(&field, "worker")
                    });
                let container = container(table);
                Some((args?, container?))
            })
        },
    );
    Some(Target::Compose(Compose {
        registry: registry?,
        host: host?,
        proxy: proxy?,
        domain: domain?,
        port: port?,
        service: service?,
        worker: worker?,
    }))
}

fn container(table: &mut Table<'_>) -> Option<Container> {
    let health = table.required(
        key("health", "[app, health]", "A command in the image that fails while the container does not work."),
        |field| {
            let health = arguments(&field, "app")?;
            if health.is_empty() { field.expected("a command of the image") } else { Some(health) }
        },
    );
    let cpus = table
        .optional(key("cpus", CPUS, "How many processors the container may use.").otherwise(CPUS), |field| {
            field.number("a number of processors from 0.01 to 1024", |cpus| (0.01..=1024.0).contains(cpus))
        });
    let memory = table.optional(
        key("memory", "1G", "How much memory the container may use, in MiB (`M`) or GiB (`G`).").otherwise("1G"),
        |field| {
            let text = field.text("an amount of memory from 6M on, such as 512M or 2G", |text| mib(text).is_some())?;
            mib(&text)
        },
    );
    Some(Container {
        health: health?,
        cpus: cpus?.map_or_else(|| CPUS.to_owned(), |cpus: f64| cpus.to_string()),
        memory: memory?.unwrap_or(MEMORY),
    })
}

fn arguments(field: &Field<'_>, example: &str) -> Option<Vec<String>> {
    field.list(example, |item| item.text("an argument", check::is_argument))
}

/// An image by its digest or id.
fn is_pinned(text: &str) -> bool {
    let (name, digest) = text.rsplit_once('@').map_or((None, text), |(name, digest)| (Some(name), digest));
    let is_hash = |hash: &str| hash.len() == 64 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_name = |name: &str| {
        check::is_tagged_image(name)
            || check::is_repository(name)
            || name.split_once('/').is_some_and(|(host, path)| check::is_registry(host) && check::is_repository(path))
    };
    digest.strip_prefix("sha256:").is_some_and(is_hash) && name.is_none_or(is_name)
}

/// `ssh://[user@]host[:port]`, of characters that mean nothing to a shell, and no option of ssh(1).
fn host(text: &str) -> Option<Host> {
    let rest = text.strip_prefix("ssh://")?;
    let (destination, port) = match rest.rsplit_once(':') {
        Some((destination, port)) => (destination, Some(port.parse().ok().filter(|port| *port > 0)?)),
        None => (rest, None),
    };
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    destination.split('@').all(is_name).then_some(())?;
    (destination.split('@').count() <= 2).then(|| Host { destination: destination.to_owned(), port })
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
