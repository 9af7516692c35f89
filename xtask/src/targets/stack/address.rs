//! The public address of a stack's release: its DNS record at the zone's own name servers, then as this machine resolves it, then the
//! certificate and the version that answers there.
//!
//! Whether Route 53 has taken the record over is not asked here: the AWS provider ends an apply when the change is INSYNC
//! (hashicorp/terraform-provider-aws, internal/service/route53/record.go, `waitChangeInsync`). That the name servers answer with it is
//! another matter: a record of the same name in another zone, or a zone that is not delegated, is INSYNC too.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use futures_util::future::join_all;

use super::outputs::DnsRecord;
use crate::clients::dns::{self, Authority, Dns, Kind, Said};
use crate::clients::service::{Answer, Network, Readiness, Service};
use crate::failure::Failure;
use crate::report::{Ongoing, Part};

/// The first questions come quickly, then ever slower: a certificate takes minutes.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Where people reach a release.
pub struct PublicAddress {
    /// The address, without a slash at its end.
    pub url: String,
    /// What is asked there.
    pub service: Service,
    host: String,
    record: Option<DnsRecord>,
    names: Names,
    /// What makes it impossible that it answers.
    broken: Vec<String>,
}

/// Who resolves names.
#[derive(Clone, Default)]
pub struct Names {
    /// The only server that is asked; none for the system's resolver and the zones' own name servers.
    only: Option<Arc<Dns>>,
}

impl Names {
    /// By the DNS server with this address, or as the system does it.
    pub fn of(server: Option<&str>) -> Result<Self> {
        let dns = |server| Dns::new(Some(server)).context(dns::SERVER);
        Ok(Self { only: server.map(dns).transpose()?.map(Arc::new) })
    }

    /// A network in which they are resolved.
    pub fn network(&self) -> Network {
        let resolver = self.only.clone().map(|dns| dns as Arc<dyn reqwest::dns::Resolve>);
        Network { resolver, ..Network::default() }
    }

    /// A client that is not `only` for its resolver.
    fn dns(&self) -> Result<Arc<Dns>> {
        match &self.only {
            Some(dns) => Ok(Arc::clone(dns)),
            None => Dns::new(None).map(Arc::new),
        }
    }

    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>> {
        match &self.only {
            Some(dns) => dns.addresses(host).await,
            None => Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect()),
        }
    }
}

impl PublicAddress {
    /// `readiness` is the path that is asked.
    pub fn new(
        url: &str,
        readiness: &str,
        record: Option<DnsRecord>,
        names: Names,
        network: Network,
        broken: Vec<String>,
    ) -> Result<Self> {
        let parsed = reqwest::Url::parse(url).with_context(|| format!("the output `url` of the stack, {url:?}"))?;
        let host = parsed.host_str().with_context(|| format!("the output `url` of the stack, {url:?}, has no host"))?;
        let service = Service::through(format!("{url}{readiness}"), network)?;
        Ok(Self { url: url.to_owned(), service, host: host.to_owned(), record, names, broken })
    }

    /// Waits until the release answers there, ready, in this version. Fails after `timeout` with what was seen last; `seen` gets
    /// every answer.
    pub async fn verify(
        &self,
        version: &str,
        timeout: Duration,
        seen: impl Fn(String),
        step: &Ongoing,
    ) -> Result<Readiness, Failure> {
        if !self.broken.is_empty() {
            return Err(anyhow!("{} cannot answer: {}", self.url, self.broken.join("; ")).into());
        }
        let mut wait = Wait { timeout, until: Instant::now() + timeout, pause: SHORTEST_PAUSE, step };
        if let Some(record) = &self.record {
            let began = Instant::now();
            let answered = self.at_the_zone(record, &mut wait, &seen).await?;
            step.part(&answered, Part::Done(began.elapsed()));
        }
        if self.host.parse::<IpAddr>().is_err() && !self.host.starts_with('[') {
            let began = Instant::now();
            let to = self.resolves(&mut wait, &seen).await?;
            step.part(&format!("{} resolves to {to}", self.host), Part::Done(began.elapsed()));
        }
        Ok(self.answers(version, &mut wait, &seen).await?)
    }

    /// Waits until every name server of the zone answers with the record.
    async fn at_the_zone(&self, record: &DnsRecord, wait: &mut Wait<'_>, seen: &impl Fn(String)) -> Result<String> {
        let (name, kind) = (&record.name, record.kind);
        let should = format!("{kind} {}", listed(&record.values));
        let dns = self.names.dns()?;
        let mut servers: Vec<Authority> = Vec::new();
        wait.afresh();
        loop {
            let what = if servers.is_empty() {
                match dns.authorities(name, kind).await {
                    Ok(found) => {
                        servers = found;
                        continue;
                    }
                    Err(error) => vec![format!("its name servers were not found: {error:#}")],
                }
            } else {
                let said = join_all(servers.iter().map(|server| server.records(name, kind))).await;
                let wrong = servers.iter().zip(&said).filter(|(_, said)| !record.is_answered_by(said));
                wrong.map(|(server, said)| format!("{} {}", server.server, describe(said, kind))).collect()
            };
            if what.is_empty() {
                return Ok(match servers.len() {
                    1 => format!("the name server of {name} answers with its record"),
                    more => format!("all {more} name servers of {name} answer with its record"),
                });
            }
            seen(format!("DNS: {}", what.join("; ")));
            if wait.is_over(&format!("DNS of {name}: {}", what[0])).await {
                return Err(anyhow!(
                    "{name} should be {should}, and not every name server of its zone says so after {} s:\n    {}\n  compare with \
                     the zone at its provider: dig {kind} {name} @{}; if the network allows one DNS server only, set \
                     DNS_SERVER=ADDRESS; resolvers may keep what they were told for the TTL, {} s",
                    wait.timeout.as_secs(),
                    what.join("\n    "),
                    servers.first().map_or("SERVER", |server| &server.server),
                    record.ttl,
                ));
            }
        }
    }

    /// Waits until this machine resolves the name.
    async fn resolves(&self, wait: &mut Wait<'_>, seen: &impl Fn(String)) -> Result<String> {
        let host = &self.host;
        wait.afresh();
        loop {
            let what = match self.names.resolve(host).await {
                Ok(found) if found.is_empty() => "it has no address".to_owned(),
                Ok(found) => match self.record.as_ref().and_then(|record| record.excludes(&found)) {
                    None => return Ok(listed(&found)),
                    Some(old) => format!("it still resolves to {old}"),
                },
                Err(error) => format!("{error:#}"),
            };
            seen(format!("{host}: {what}"));
            if wait.is_over(&format!("{host}: {what}")).await {
                return Err(anyhow!(
                    "this machine does not resolve {host} as its zone does, after {} s: {what}\n  {}; to ask another resolver, set \
                     DNS_SERVER=ADDRESS",
                    wait.timeout.as_secs(),
                    self.how_long_it_is_remembered().await,
                ));
            }
        }
    }

    async fn how_long_it_is_remembered(&self) -> String {
        let Some(DnsRecord { name, kind, ttl, .. }) = &self.record else {
            return "check its DNS record; a resolver remembers for a while that a name does not exist".to_owned();
        };
        let servers = match self.names.dns() {
            Ok(dns) => dns.authorities(name, *kind).await.unwrap_or_default(),
            Err(_) => Vec::new(),
        };
        let absence = match servers.first() {
            Some(server) => server.absence_lasts(name).await,
            None => None,
        };
        let absence = absence.map_or_else(|| "an unknown time".to_owned(), |seconds| format!("{seconds} s"));
        format!(
            "its resolver may remember an older answer for its TTL, {ttl} s, and that the name does not exist for {absence}"
        )
    }

    /// Waits until the version answers there, through TLS where the address says `https`.
    async fn answers(&self, version: &str, wait: &mut Wait<'_>, seen: &impl Fn(String)) -> Result<Readiness> {
        let url = &self.url;
        wait.afresh();
        loop {
            let answer = self.service.ask().await;
            let what = match answer {
                Answer::Ready(readiness) if readiness.version == version => return Ok(readiness),
                Answer::Ready(ref other) => format!("version {} answers, not {version}", other.version),
                ref other => other.describe(),
            };
            seen(format!("{url}: {what}"));
            if wait.is_over(&format!("{url}: {what}")).await {
                let next = match answer {
                    Answer::Ready(_) => format!("something else has the name {0}; find out what: dig {0}", self.host),
                    Answer::NoHandshake(_) => format!(
                        "a platform gets a certificate minutes after it has found the DNS record; to see which one is there: curl \
                         --verbose {url}"
                    ),
                    _ => format!(
                        "the container's own address answers, so the way to it does not; try: curl --verbose {url}"
                    ),
                };
                return Err(anyhow!(
                    "{url} does not answer as it should after {} s: {what}\n  {next}",
                    wait.timeout.as_secs()
                ));
            }
        }
    }
}

impl DnsRecord {
    fn is_answered_by(&self, said: &Said) -> bool {
        matches!(said, Said::Records { values, .. } if *values == self.values)
    }

    /// Addresses that a resolver gave and the record does not have, of the record's own type.
    fn excludes(&self, found: &[IpAddr]) -> Option<String> {
        let is_of_type = |ip: &&IpAddr| match self.kind {
            Kind::A => ip.is_ipv4(),
            Kind::Aaaa => ip.is_ipv6(),
            Kind::Cname => false,
        };
        let others: Vec<String> = found.iter().filter(is_of_type).map(ToString::to_string).collect();
        let others: Vec<String> = others.into_iter().filter(|ip| !self.values.contains(ip)).collect();
        (!others.is_empty()).then(|| others.join(", "))
    }
}

/// The waiting of all questions together.
struct Wait<'s> {
    timeout: Duration,
    until: Instant,
    pause: Duration,
    step: &'s Ongoing,
}

impl Wait<'_> {
    /// Another kind of question begins.
    fn afresh(&mut self) {
        self.pause = SHORTEST_PAUSE;
    }

    /// Shows what it waits for, and waits for a while; or says that the time is over.
    async fn is_over(&mut self, what: &str) -> bool {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        self.step.progress(what);
        tokio::time::sleep(self.pause.min(left)).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        false
    }
}

fn describe(said: &Said, kind: Kind) -> String {
    match said {
        Said::Records { values, ttl } => format!("says {kind} {} (resolvers keep that for {ttl} s)", listed(values)),
        Said::Nothing { name_exists, remembered } => {
            let what = if *name_exists {
                format!("has no {kind} of the name")
            } else {
                "says that it does not exist".to_owned()
            };
            match remembered {
                Some(seconds) => format!("{what} (resolvers remember that for {seconds} s)"),
                None => what,
            }
        }
        Said::Failed(why) => format!("did not answer: {why}"),
    }
}

fn listed<T: ToString>(values: impl IntoIterator<Item = T>) -> String {
    values.into_iter().map(|value| value.to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
