//! The Domain Name System: whom a zone's parent sends those to who ask for the zone (RFC 1034, 4.2).

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

/// One question to one server; each is asked twice.
const ONE_QUESTION: Duration = Duration::from_secs(2);
/// All questions together: a network that swallows them is not waited for longer.
const TAKES: Duration = Duration::from_secs(12);
const PORT: u16 = 53;

/// Whoever is asked: the name servers that this machine's system knows, or a single one.
pub struct Dns {
    resolver: TokioResolver,
    /// The only server that is asked, if it is one.
    only: Option<SocketAddr>,
    /// Where the zones' own name servers listen: 53 everywhere.
    port: u16,
}

/// What was answered for a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// Who answered, for people.
    pub by: String,
    /// The names of the zone's name servers, in lower case and without dots at their ends. None where the parent knows no such
    /// zone.
    pub name_servers: BTreeSet<String>,
}

impl Dns {
    /// Asks this server only, given as `ADDRESS` or `ADDRESS:PORT`: one that answers for all zones. Without it, asks those of
    /// the system, and then the zones' own. Fails where the system names none.
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

    /// Whom the parent of this zone sends to. A server that is the only one to be asked may answer in the parent's place.
    /// Fails where nobody who knows can be asked.
    pub async fn delegation(&self, zone: &str) -> Result<Delegation> {
        let zone = Name::from_ascii(format!("{zone}.")).with_context(|| format!("{zone:?} is no name of a zone"))?;
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
            // A server that knows the zone itself answers; its parent points to it.
            Ok(found) => name_servers(&found, zone),
            Err(error) => match unless_absent(error) {
                None => BTreeSet::new(),
                Some(error) => bail!("{by}: {error}"),
            },
        };
        Ok(Delegation { by, name_servers })
    }

    /// The name servers of the nearest zone above.
    async fn parent(&self, zone: &Name) -> Result<(String, TokioResolver)> {
        let mut above = zone.base_name();
        let names = loop {
            match self.resolver.lookup(above.clone(), RecordType::NS).await {
                Ok(found) => break name_servers(&found, &above),
                Err(error) => {
                    if let Some(error) = unless_absent(error) {
                        bail!("looking for {}: {error}", servers_of(&above));
                    }
                    if above.is_root() {
                        bail!("no name server tells of any zone above {}", plain(zone));
                    }
                }
            }
            above = above.base_name();
        };
        let addresses = join_all(names.iter().map(|name| self.resolver.lookup_ip(format!("{name}.")))).await;
        // One that has no address now is why there are others.
        let addresses = addresses.iter().flatten().flat_map(|addresses| addresses.iter());
        let mut servers: Vec<SocketAddr> = addresses.map(|address| SocketAddr::new(address, self.port)).collect();
        if servers.is_empty() {
            bail!("none of {} has an address", servers_of(&above));
        }
        // Those of this machine's kind of network first: not every machine has both.
        servers.sort_by_key(SocketAddr::is_ipv6);
        let mut direct = ResolverOpts::default();
        direct.recursion_desired = false;
        Ok((servers_of(&above), asking(&servers, direct)?))
    }
}

/// A resolver that asks these servers and nobody else.
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

fn options(mut options: ResolverOpts) -> ResolverOpts {
    options.timeout = ONE_QUESTION;
    options.attempts = 1;
    options
}

/// The error, unless it says that there is no such name or that it has no name servers.
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

/// A name as people write it.
fn plain(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_lowercase()
}

#[cfg(test)]
mod tests;
