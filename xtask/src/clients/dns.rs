//! DNS: the name servers to which a zone's parent delegates it (RFC 1034, 4.2), and the records that they answer with.

mod records;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures_util::future::join_all;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};

pub use self::records::{Authority, Kind, Said};

/// Limit for one query to one server. Each query is sent at most twice.
const ONE_QUESTION: Duration = Duration::from_secs(2);
/// Limit for all queries of one call, for networks that drop DNS packets.
const TAKES: Duration = Duration::from_secs(12);
const PORT: u16 = 53;

/// The variable with the address of the single server that a client may ask.
pub const SERVER: &str = "DNS_SERVER";

/// A DNS client of the system's name servers, or of a single server.
pub struct Dns {
    resolver: TokioResolver,
    /// The single server, if the system's are not used.
    only: Option<SocketAddr>,
    /// The port of the zones' own name servers: 53, except in tests.
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// The servers that answered, for messages.
    pub by: String,
    /// The zone's name servers, in lower case and without final dots. Empty if the parent does not delegate the zone.
    pub name_servers: BTreeSet<String>,
}

impl Dns {
    /// Queries only this server, given as `ADDRESS` or `ADDRESS:PORT`, which must answer for all zones. Without it, queries
    /// the system's name servers and then the zones' own. Fails if the system has none.
    pub fn new(server: Option<&str>) -> Result<Self> {
        let Some(server) = server else {
            let mut builder = TokioResolver::builder_tokio().context("find out which name servers this system asks")?;
            *builder.options_mut() = options(builder.options_mut().clone());
            return Ok(Self { resolver: builder.build()?, only: None, port: PORT });
        };
        let address = server.parse::<SocketAddr>();
        let address = address.or_else(|_| server.parse::<IpAddr>().map(|address| SocketAddr::new(address, PORT)));
        let address = address.with_context(|| format!("{server:?} is not the address of a DNS server"))?;
        Ok(Self { resolver: asking(&[address], ResolverOpts::default())?, only: Some(address), port: PORT })
    }

    /// The delegation of this zone in its parent. A single server answers in the parent's place. Fails if no server that
    /// knows the parent can be reached.
    pub async fn delegation(&self, zone: &str) -> Result<Delegation> {
        let zone = Name::from_ascii(format!("{zone}.")).with_context(|| format!("{zone:?} is not a zone name"))?;
        let asked = tokio::time::timeout(TAKES, self.ask(&zone)).await;
        asked.with_context(|| format!("no answer in {} s", TAKES.as_secs()))?
    }

    async fn ask(&self, zone: &Name) -> Result<Delegation> {
        let (by, parent) = match self.only {
            Some(server) => (server.to_string(), self.resolver.clone()),
            None => self.parent(zone).await?,
        };
        let answer = parent.lookup(zone.clone(), RecordType::NS).await;
        let name_servers = match answer {
            // The zone's own server has the records in its answer; its parent has them in a referral.
            Ok(found) => name_servers(&found, zone),
            Err(error) => match unless_absent(error) {
                None => BTreeSet::new(),
                Some(error) => bail!("{by}: {error}"),
            },
        };
        Ok(Delegation { by, name_servers })
    }

    /// A resolver of the name servers of the nearest parent zone, and their description.
    async fn parent(&self, zone: &Name) -> Result<(String, TokioResolver)> {
        let Some((above, names)) = self.zone_of(zone.base_name()).await? else {
            bail!("no zone above {} has name servers", plain(zone));
        };
        let addresses = join_all(names.iter().map(|name| self.addresses_of_server(name))).await;
        let mut servers = addresses.concat();
        if servers.is_empty() {
            bail!("none of {} has an address", servers_of(&above));
        }
        servers.sort_by_key(SocketAddr::is_ipv6);
        Ok((servers_of(&above), asking(&servers, direct())?))
    }

    /// The zone that has a name, and its name servers.
    async fn zone_of(&self, mut name: Name) -> Result<Option<(Name, BTreeSet<String>)>> {
        loop {
            match self.resolver.lookup(name.clone(), RecordType::NS).await {
                Ok(found) => {
                    let servers = name_servers(&found, &name);
                    // An alias is answered with its records, of which none is the name's.
                    if !servers.is_empty() {
                        return Ok(Some((name, servers)));
                    }
                }
                Err(error) => {
                    if let Some(error) = unless_absent(error) {
                        bail!("looking for {}: {error}", servers_of(&name));
                    }
                }
            }
            if name.is_root() {
                return Ok(None);
            }
            name = name.base_name();
        }
    }

    /// The addresses of a zone's name server, IPv4 first: not every machine has IPv6. Empty if it has none.
    async fn addresses_of_server(&self, name: &str) -> Vec<SocketAddr> {
        let found = self.resolver.lookup_ip(format!("{name}.")).await;
        let addresses = found.iter().flat_map(|found| found.iter());
        let mut servers: Vec<SocketAddr> = addresses.map(|address| SocketAddr::new(address, self.port)).collect();
        servers.sort_by_key(SocketAddr::is_ipv6);
        servers
    }
}

/// A resolver that queries only these servers.
fn asking(servers: &[SocketAddr], with: ResolverOpts) -> Result<TokioResolver> {
    let server = |address: &SocketAddr| {
        let mut server = NameServerConfig::udp_and_tcp(address.ip());
        for connection in &mut server.connections {
            connection.port = address.port();
        }
        server
    };
    let config = ResolverConfig::from_name_servers(servers.iter().map(server).collect());
    let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    builder.with_options(options(with)).build().context("set up the DNS client")
}

/// For the name servers of a zone itself.
fn direct() -> ResolverOpts {
    let mut direct = ResolverOpts::default();
    direct.recursion_desired = false;
    direct
}

fn options(mut options: ResolverOpts) -> ResolverOpts {
    options.timeout = ONE_QUESTION;
    options.attempts = 1;
    // A deploy that waits for a record asks again, and needs the answer of that time.
    options.cache_size = 0;
    options
}

/// The error, unless it means that the name does not exist or has no records of the type.
fn unless_absent(error: NetError) -> Option<NetError> {
    let absent = error.is_no_records_found();
    (!absent).then_some(error)
}

fn name_servers(found: &Lookup, zone: &Name) -> BTreeSet<String> {
    let of_zone = found.message().all_sections().filter(|record| record.name == *zone);
    of_zone.filter_map(|record| if let RData::NS(server) = &record.data { Some(plain(server)) } else { None }).collect()
}

fn servers_of(zone: &Name) -> String {
    if zone.is_root() { "the root's name servers".to_owned() } else { format!("the name servers of {}", plain(zone)) }
}

/// A name in lower case, without the final dot.
fn plain(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_lowercase()
}

#[cfg(test)]
mod tests;
