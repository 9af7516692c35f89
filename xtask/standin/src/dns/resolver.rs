//! What the DNS server answers to a question.

use std::net::IpAddr;
use std::sync::Arc;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{A, AAAA};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::zones::{ALIAS_TTL, Zone, Zones};
use crate::gateway::is_platform_host;

/// The most CNAME records of one answer.
const MAX_CHAIN: usize = 8;

/// The TTL of the names that no zone holds.
const TTL: u32 = 60;

pub struct Resolver {
    /// None without a Route 53 server.
    pub zones: Option<Zones>,
    /// Where the names of containers point to.
    pub gateway: Option<IpAddr>,
    /// Where the names of Route 53's name servers point to: this server.
    pub own: IpAddr,
}

#[derive(Debug, Default)]
pub struct Answer {
    pub code: ResponseCode,
    /// Whether a hosted zone contains the name.
    pub authoritative: bool,
    pub answers: Vec<Record>,
    /// The SOA record of a negative answer, or the NS records of a referral.
    pub authorities: Vec<Record>,
}

impl Resolver {
    /// Answers a question. With `recursive`, CNAME records are followed to their ends, as a recursive resolver does; without
    /// it, the answer is that of the name's own zone.
    pub async fn resolve(&self, name: &Name, kind: RecordType, recursive: bool) -> Answer {
        let mut whole = self.step(name, kind).await;
        let mut answered = 1;
        while let Some(target) = last_target(&whole.answers, kind).filter(|_| recursive) {
            answered += 1;
            if answered > MAX_CHAIN || whole.answers.iter().any(|record| record.name == target) {
                return Answer { code: ResponseCode::ServFail, ..Answer::default() };
            }
            let next = self.step(&target, kind).await;
            whole.code = next.code;
            whole.authorities = next.authorities;
            whole.answers.extend(next.answers);
        }
        whole
    }

    /// Answers from one zone.
    async fn step(&self, name: &Name, kind: RecordType) -> Answer {
        let text = name.to_ascii().trim_end_matches('.').to_lowercase();
        let fixed = if is_platform_host(&text) { self.gateway } else { None };
        let fixed = fixed.or_else(|| is_name_server(&text).then_some(self.own));
        if let Some(address) = fixed {
            let data = match address {
                IpAddr::V4(address) => RData::A(A(address)),
                IpAddr::V6(address) => RData::AAAA(AAAA(address)),
            };
            let matches = [data.record_type(), RecordType::ANY].contains(&kind);
            let answers = matches.then(|| Record::from_rdata(name.clone(), TTL, data));
            return Answer { answers: answers.into_iter().collect(), ..Answer::default() };
        }
        let zone = match &self.zones {
            Some(zones) => zones.containing(name).await,
            None => Ok(None),
        };
        match zone {
            Ok(Some(zone)) => self.in_zone(&zone, name, kind).await,
            Ok(None) => Answer { code: ResponseCode::NXDomain, ..Answer::default() },
            Err(error) => {
                eprintln!("the DNS server cannot answer {name} {kind}: {error:#}");
                Answer { code: ResponseCode::ServFail, ..Answer::default() }
            }
        }
    }

    async fn in_zone(&self, zone: &Arc<Zone>, name: &Name, kind: RecordType) -> Answer {
        if let Some(servers) = delegation(zone, name) {
            return Answer { authorities: servers, ..Answer::default() };
        }
        let Some(owner) = owner(zone, name) else {
            let authorities = zone.negative().into_iter().collect();
            return Answer { code: ResponseCode::NXDomain, authoritative: true, authorities, ..Answer::default() };
        };
        let of = |kind| zone.at(&owner).filter(move |record| kind == RecordType::ANY || record.record_type() == kind);
        let mut answers: Vec<Record> = of(kind).cloned().collect();
        if answers.is_empty() {
            answers.extend(of(RecordType::CNAME).cloned());
        }
        if let Some(alias) = zone.aliases.iter().find(|alias| alias.name == owner && alias.kind == kind) {
            let found = Box::pin(self.resolve(&alias.target, kind, true)).await.answers.into_iter();
            let found = found.filter(|record| record.record_type() == kind);
            answers.extend(found.map(|record| Record::from_rdata(name.clone(), ALIAS_TTL, record.data)));
        }
        for record in &mut answers {
            record.name = name.clone();
        }
        let authorities = if answers.is_empty() { zone.negative().into_iter().collect() } else { Vec::new() };
        Answer { authoritative: true, answers, authorities, ..Answer::default() }
    }
}

/// The name whose records answer for `name`: itself or a wildcard. None if it does not exist.
fn owner(zone: &Zone, name: &Name) -> Option<Name> {
    if zone.exists(name) {
        return Some(name.clone());
    }
    let mut above = name.base_name();
    // The closest name that exists decides (RFC 4592, 3.3.1).
    while zone.origin.zone_of(&above) && !zone.exists(&above) && above != zone.origin {
        above = above.base_name();
    }
    let wildcard = above.prepend_label("*").ok()?;
    zone.exists(&wildcard).then_some(wildcard)
}

/// The NS records by which the zone delegates the name to other servers.
fn delegation(zone: &Zone, name: &Name) -> Option<Vec<Record>> {
    let mut cut = name.clone();
    while cut != zone.origin && zone.origin.zone_of(&cut) {
        let servers: Vec<_> = zone.at(&cut).filter(|record| record.record_type() == RecordType::NS).cloned().collect();
        if !servers.is_empty() {
            return Some(servers);
        }
        cut = cut.base_name();
    }
    None
}

/// Where the last record points to, if it is a CNAME that was not asked for.
fn last_target(answers: &[Record], kind: RecordType) -> Option<Name> {
    match &answers.last()?.data {
        RData::CNAME(target) if ![RecordType::CNAME, RecordType::ANY].contains(&kind) => Some(target.0.clone()),
        _ => None,
    }
}

/// Whether this is a name server of Route 53, such as `ns-2048.awsdns-64.com`.
fn is_name_server(name: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mut labels = name.splitn(3, '.');
    let mut number = |prefix: &str| labels.next().and_then(|label| label.strip_prefix(prefix)).is_some_and(digits);
    number("ns-") && number("awsdns-")
}
