//! An environment on a Docker host, where the toolkit or Docker Compose runs the service.

use super::check;
use super::environment::Target;
use super::field::{Field, Key, Table, key};

const REGISTRY: &str = "ghcr.io/my-service";
const SERVICE: &str = "{ health: [app, health] }";
const WORKER: &str = "{ args: [worker], health: [app, worker, status] }";
const PROXY: &str = "caddy:2.10@sha256:DIGEST";
const HOST: &str = "ssh://deploy@host.example.org";
const REGISTRY_KEY: Key = key(
    "registry",
    REGISTRY,
    "The registry of the image, with the namespace. Required without `proxy`; with it, the image may be loaded into the hosts' engines.",
);
const HOSTS: usize = 50;
const CPUS: &str = "1";
const MEMORY: u32 = 1024;

/// Containers of a Docker host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compose {
    /// The registry of their image, with the namespace: `ghcr.io/meemi`. Without one, the image is loaded into the host's engine.
    pub registry: Option<String>,
    /// The hosts, if they are other machines, in the order in which a release comes to them. None for this machine's engine.
    pub hosts: Vec<Host>,
    /// How many hosts after the first one get a release at the same time.
    pub batch: usize,
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

impl Host {
    /// The machine, for any user.
    pub fn machine(&self) -> (&str, Option<u16>) {
        (self.destination.rsplit('@').next().unwrap_or_default(), self.port)
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
    let (registry, hosts, batch, domain) = match proxy {
        Some(None) => (table.required(REGISTRY_KEY, registry).map(Some), Some(None), Some(None), Some(None)),
        _ => {
            let registry = table.optional(REGISTRY_KEY, registry);
            let host = key(
                "host",
                HOST,
                "The Docker host, if it is another machine, which is reached by SSH; or a list of hosts, in the order in which a release \
                 comes to them. Only with `proxy`.",
            );
            let hosts = table.optional(host.otherwise("this machine"), |field| hosts(&field));
            let several = matches!(&hosts, Some(Some(hosts)) if hosts.len() > 1);
            let batch = key(
                "batch",
                "1",
                "How many hosts after the first one get a release at the same time. Only with a list of hosts.",
            );
            let batch = table.optional(batch.otherwise("1"), |field| {
                let batch = field.number("a number of hosts from 1 to 50", |batch| (1..=HOSTS).contains(batch))?;
                match &hosts {
                    Some(_) if !several => {
                        field.refuse_key("is for several hosts", "remove it, or write a list as `host`")
                    }
                    _ => Some(batch),
                }
            });
            let domain = key(
                "domain",
                "media.example.org",
                "The public host name, for which the proxy gets a certificate. Only with `proxy` and one host.",
            );
            let domain = table.optional(domain, |field| match several {
                false => field.text("a host name of two labels or more, in lower case", check::is_host_name),
                true => field.refuse_key(
                    "is for one host: with several, the load balancer before them has the name and its certificate",
                    "remove it",
                ),
            });
            (registry, hosts, batch, domain)
        }
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
        hosts: hosts?.unwrap_or_default(),
        batch: batch?.unwrap_or(1),
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

/// One host, or a list of them.
fn hosts(field: &Field<'_>) -> Option<Vec<Host>> {
    let one = |field: &Field<'_>| {
        let text = field
            .text("the address of a host: `ssh://`, a user if needed, a host and a port if needed", |text| {
                host(text).is_some()
            })?;
        host(&text)
    };
    if !field.is_list() {
        return Some(vec![one(field)?]);
    }
    let hosts = field.list(HOST, |field| one(&field))?;
    let is_repeated = |host: &Host| hosts.iter().filter(|other| *other == host).count() > 1;
    if hosts.iter().any(is_repeated) {
        return field.refuse("a host is repeated", "name each host once");
    }
    if hosts.is_empty() || hosts.len() > HOSTS {
        return field.refuse("names no host, or more than 50", "name 1 to 50 hosts");
    }
    Some(hosts)
}

/// `ssh://[user@]host[:port]`, of characters that mean nothing to a shell, and no option of ssh(1).
pub(super) fn host(text: &str) -> Option<Host> {
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
