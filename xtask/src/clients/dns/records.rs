//! What name servers answer of a name's records, each server by itself, and the addresses that a name resolves to.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};
use hickory_resolver::TokioResolver;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use reqwest::dns::{Resolve, Resolving};

use super::{Dns, TAKES, asking, direct, plain};

/// The types of records that tell where a name leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An IPv4 address.
    A,
    /// An IPv6 address.
    Aaaa,
    /// Another name.
    Cname,
}

/// What a name server says of a name's records of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// It has these, as [`Kind::plain`] writes them, and others may keep them for so many seconds.
    Records { values: BTreeSet<String>, ttl: u32 },
    /// It has none.
    Nothing {
        /// Whether it has the name, with records of other types.
        name_exists: bool,
        /// How many seconds others may remember that (RFC 2308), if it says so.
        remembered: Option<u32>,
    },
    /// It did not answer, for this reason.
    Failed(String),
}

/// One name server of a zone.
pub struct Authority {
    /// Its name; an address where only one server is asked.
    pub server: String,
    resolver: Option<TokioResolver>,
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "A" => Ok(Self::A),
            "AAAA" => Ok(Self::Aaaa),
            "CNAME" => Ok(Self::Cname),
            other => Err(format!("records of the type {other:?} are not compared")),
        }
    }
}

impl Kind {
    /// A value as every server writes it: addresses in their shortest form, names in lower case without the final dot.
    pub fn plain(self, value: &str) -> String {
        match self {
            Self::A | Self::Aaaa => value.parse::<IpAddr>().map_or_else(|_| value.to_owned(), |ip| ip.to_string()),
            Self::Cname => value.trim_end_matches('.').to_lowercase(),
        }
    }

    fn record_type(self) -> RecordType {
        match self {
            Self::A => RecordType::A,
            Self::Aaaa => RecordType::AAAA,
            Self::Cname => RecordType::CNAME,
        }
    }

    fn value(self, data: &RData) -> Option<String> {
        match (self, data) {
            (Self::A, RData::A(address)) => Some(address.to_string()),
            (Self::Aaaa, RData::AAAA(address)) => Some(address.to_string()),
            (Self::Cname, RData::CNAME(name)) => Some(plain(name)),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.record_type())
    }
}

impl Dns {
    /// The name servers of the zone that has a name, each of which is asked by itself; where only one server is asked, that one.
    /// Fails if they cannot be found.
    pub async fn authorities(&self, name: &str, kind: Kind) -> Result<Vec<Authority>> {
        if let Some(server) = self.only {
            return Ok(vec![Authority { server: server.to_string(), resolver: Some(self.resolver.clone()) }]);
        }
        let name = absolute(name)?;
        // A zone's own name has no CNAME.
        let from = if kind == Kind::Cname { name.base_name() } else { name.clone() };
        let found = tokio::time::timeout(TAKES, self.zone_of(from)).await;
        let found = found.with_context(|| format!("no answer in {} s", TAKES.as_secs()))??;
        let Some((_, servers)) = found else { bail!("no zone of {} has name servers", plain(&name)) };
        let mut authorities = Vec::new();
        for server in servers {
            let addresses = self.addresses_of_server(&server).await;
            let resolver = if addresses.is_empty() { None } else { Some(asking(&addresses, direct())?) };
            authorities.push(Authority { server, resolver });
        }
        Ok(authorities)
    }

    /// The addresses that a name resolves to.
    pub async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>> {
        Ok(self.resolver.lookup_ip(absolute(name)?).await?.iter().collect())
    }
}

/// For HTTP clients.
impl Resolve for Dns {
    fn resolve(&self, name: reqwest::dns::Name) -> Resolving {
        let (resolver, name) = (self.resolver.clone(), format!("{}.", name.as_str().trim_end_matches('.')));
        Box::pin(async move {
            let found = resolver.lookup_ip(name).await?;
            // The client puts the port of the URL in the place of 0.
            let addresses: Vec<SocketAddr> = found.iter().map(|address| SocketAddr::new(address, 0)).collect();
            Ok(Box::new(addresses.into_iter()) as reqwest::dns::Addrs)
        })
    }
}

impl Authority {
    /// What it answers of a name's records of one type.
    pub async fn records(&self, name: &str, kind: Kind) -> Said {
        let Some(resolver) = &self.resolver else { return Said::Failed("it has no address".to_owned()) };
        let name = match absolute(name) {
            Ok(name) => name,
            Err(error) => return Said::Failed(format!("{error:#}")),
        };
        match tokio::time::timeout(TAKES, resolver.lookup(name.clone(), kind.record_type())).await {
            Ok(Ok(found)) => {
                let own = || found.answers().iter().filter(|record| record.name == name);
                let values: BTreeSet<String> = own().filter_map(|record| kind.value(&record.data)).collect();
                if values.is_empty() {
                    return Said::Nothing { name_exists: true, remembered: None };
                }
                Said::Records { values, ttl: own().map(|record| record.ttl).min().unwrap_or_default() }
            }
            Ok(Err(NetError::Dns(DnsError::NoRecordsFound(none)))) => Said::Nothing {
                name_exists: none.response_code != ResponseCode::NXDomain,
                remembered: none.negative_ttl,
            },
            Ok(Err(error)) => Said::Failed(error.to_string()),
            Err(_) => Said::Failed(format!("no answer in {} s", TAKES.as_secs())),
        }
    }

    /// How many seconds resolvers may remember that a name beside this one does not exist (RFC 2308, 5), if the zone says so.
    pub async fn absence_lasts(&self, name: &str) -> Option<u32> {
        // A name with a CNAME answers everything with that, so the name above is asked.
        let above = absolute(name).ok()?.base_name();
        match tokio::time::timeout(TAKES, self.resolver.as_ref()?.lookup(above, RecordType::SOA)).await.ok()? {
            Ok(found) => found.answers().iter().find_map(|record| match &record.data {
                RData::SOA(soa) => Some(soa.minimum.min(record.ttl)),
                _ => None,
            }),
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) => none.negative_ttl,
            Err(_) => None,
        }
    }
}

fn absolute(name: &str) -> Result<Name> {
    Name::from_ascii(format!("{}.", name.trim_end_matches('.'))).with_context(|| format!("{name:?} is not a host name"))
}
