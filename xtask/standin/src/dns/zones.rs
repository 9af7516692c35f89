//! The public hosted zones of the Route 53 server. If it does not answer, its name servers still do, with the records that
//! they had last.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use aws_sdk_route53::Client;
use aws_sdk_route53::types::ResourceRecordSet;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::template::last_segment;

/// The time limit of a request. A DNS client waits two seconds.
const PATIENCE: Duration = Duration::from_millis(1500);

/// How long the server is not asked again after it did not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// The TTL of an alias record.
pub const ALIAS_TTL: u32 = 60;

pub struct Zones {
    route53: Client,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Whether `zones` was ever read.
    is_loaded: bool,
    /// Names and ids.
    zones: Vec<(Name, String)>,
    /// By zone id.
    contents: HashMap<String, Arc<Zone>>,
    not_before: Option<Instant>,
}

pub struct Zone {
    pub origin: Name,
    pub records: Vec<Record>,
    pub aliases: Vec<Alias>,
}

pub struct Alias {
    pub name: Name,
    pub kind: RecordType,
    pub target: Name,
}

impl Zones {
    pub fn new(route53: Client) -> Self {
        Self { route53, kept: Mutex::default() }
    }

    /// The zone with the longest name that contains this name. Fails if the Route 53 server does not answer and never has.
    pub async fn containing(&self, name: &Name) -> Result<Option<Arc<Zone>>> {
        let mut kept = self.kept.lock().await;
        let mut failure = None;
        if kept.not_before.is_none_or(|then| then <= Instant::now()) {
            let loaded = timeout(PATIENCE, self.load(&mut kept, name)).await;
            failure = loaded.context("the Route 53 server does not answer").and_then(|loaded| loaded).err();
            kept.not_before = failure.is_some().then(|| Instant::now() + PAUSE);
        }
        let found = kept.id_containing(name).map(|id| kept.contents.get(&id).cloned());
        match (found, failure) {
            (Some(Some(zone)), _) => Ok(Some(zone)),
            (Some(None), None) => bail!("the records of the zone of {name} were never read"),
            (None, _) if kept.is_loaded => Ok(None),
            (None, None) => bail!("the zones were never read"),
            (_, Some(error)) => Err(error),
        }
    }

    async fn load(&self, kept: &mut Kept, name: &Name) -> Result<()> {
        let mut zones = Vec::new();
        let mut pages = self.route53.list_hosted_zones().into_paginator().send();
        while let Some(page) = pages.next().await {
            let public = |zone: &aws_sdk_route53::types::HostedZone| !zone.config().is_some_and(|it| it.private_zone());
            for zone in page.context("list the zones")?.hosted_zones.into_iter().filter(public) {
                zones.push((name_of(&zone.name)?, last_segment(&zone.id).to_owned()));
            }
        }
        (kept.zones, kept.is_loaded) = (zones, true);
        if let Some(id) = kept.id_containing(name) {
            let origin = kept.zones.iter().find(|(_, other)| *other == id).map(|(name, _)| name.clone());
            let zone = self.zone(&id, origin.unwrap_or_default()).await?;
            kept.contents.insert(id, Arc::new(zone));
        }
        Ok(())
    }

    async fn zone(&self, id: &str, origin: Name) -> Result<Zone> {
        let mut zone = Zone { origin, records: Vec::new(), aliases: Vec::new() };
        let (mut name, mut kind) = (None, None);
        loop {
            let list = self.route53.list_resource_record_sets().hosted_zone_id(id);
            let page = list.set_start_record_name(name).set_start_record_type(kind).send().await;
            let page = page.with_context(|| format!("list the records of the zone {id}"))?;
            page.resource_record_sets.iter().try_for_each(|set| zone.add(set))?;
            if !page.is_truncated {
                return Ok(zone);
            }
            (name, kind) = (page.next_record_name, page.next_record_type);
        }
    }
}

impl Kept {
    fn id_containing(&self, name: &Name) -> Option<String> {
        let containing = self.zones.iter().filter(|(origin, _)| origin.zone_of(name));
        containing.max_by_key(|(origin, _)| origin.num_labels()).map(|(_, id)| id.clone())
    }
}

impl Zone {
    /// The records at exactly this name.
    pub fn at<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = &'a Record> {
        self.records.iter().filter(move |record| record.name == *name)
    }

    /// Whether the name or a name below it has records.
    pub fn exists(&self, name: &Name) -> bool {
        let mut names = self.records.iter().map(|it| &it.name).chain(self.aliases.iter().map(|it| &it.name));
        names.any(|other| name.zone_of(other))
    }

    /// Its SOA record with the TTL of negative answers (RFC 2308, 3).
    pub fn negative(&self) -> Option<Record> {
        let mut soa = self.at(&self.origin).find(|record| record.record_type() == RecordType::SOA)?.clone();
        if let RData::SOA(data) = &soa.data {
            soa.ttl = soa.ttl.min(data.minimum);
        }
        Some(soa)
    }

    fn add(&mut self, set: &ResourceRecordSet) -> Result<()> {
        let name = name_of(set.name())?;
        let Ok(kind) = set.r#type().as_str().parse::<RecordType>() else { return Ok(()) };
        if let Some(alias) = set.alias_target() {
            self.aliases.push(Alias { name, kind, target: name_of(alias.dns_name())? });
            return Ok(());
        }
        let ttl = set.ttl().and_then(|ttl| ttl.try_into().ok()).unwrap_or_default();
        for record in set.resource_records() {
            match RData::try_from_str(kind, record.value()) {
                Ok(data) => self.records.push(Record::from_rdata(name.clone(), ttl, absolute(data))),
                Err(error) => eprintln!("the DNS server skips the {kind} record {name} {:?}: {error}", record.value()),
            }
        }
        Ok(())
    }
}

/// Names in records need no final dot in Route 53.
fn absolute(mut data: RData) -> RData {
    match &mut data {
        RData::CNAME(target) => target.0.set_fqdn(true),
        RData::NS(target) => target.0.set_fqdn(true),
        RData::MX(target) => target.exchange.set_fqdn(true),
        RData::SOA(soa) => {
            soa.mname.set_fqdn(true);
            soa.rname.set_fqdn(true);
        }
        _ => {}
    }
    data
}

/// Route 53 returns `*` as the octal code `\052`.
fn name_of(text: &str) -> Result<Name> {
    let text = text.replace("\\052", "*");
    let mut name = Name::from_ascii(&text).with_context(|| format!("{text:?} is not a name"))?;
    name.set_fqdn(true);
    Ok(name)
}
