//! A DNS zone of the Route 53 server.

use anyhow::{Context as _, Result, bail};
use aws_sdk_route53::Client;
use aws_sdk_route53::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_route53::types::{ChangeAction, HostedZoneConfig, RrType, Vpc, VpcRegion};
use serde_json::json;

use super::record::change;
use crate::template::last;
use crate::value::{Map, Value};

/// What the server knows of a zone.
pub struct Zone {
    /// Without the path before it.
    pub id: String,
    /// Without the last dot.
    pub name: String,
    comment: String,
    private: bool,
    records: i64,
    servers: Vec<String>,
}

/// Why a server has not done it.
pub enum Refused {
    /// There is no such zone.
    Absent,
    /// Anything else.
    Other(anyhow::Error),
}

impl Refused {
    /// As an error.
    pub fn into_error(self) -> anyhow::Error {
        match self {
            Self::Absent => anyhow::anyhow!("NoSuchHostedZone: there is no such zone"),
            Self::Other(error) => error,
        }
    }
}

/// Makes it, or changes its comment. It gets the server's id.
pub async fn make(route53: &Client, before: Option<&Map>, mut values: Map) -> Result<Map> {
    let text = |field: &str| values.get(field).and_then(Value::text).unwrap_or_default();
    let (name, comment) = (text("name"), text("comment"));
    let id = if before.is_some() {
        let id = text("zone_id");
        let sent = route53.update_hosted_zone_comment().id(&id).comment(comment).send().await;
        sent.map_err(|error| refused(error).into_error()).with_context(|| format!("change the zone {id}"))?;
        id
    } else {
        let vpc = values.get("vpc").and_then(|vpc| vpc.list().first()?.map()).map(|vpc| {
            let text = |field: &str| vpc.get(field).and_then(Value::text);
            let region = text("vpc_region").map(|region| VpcRegion::from(region.as_str()));
            Vpc::builder().set_vpc_id(text("vpc_id")).set_vpc_region(region).build()
        });
        let config = HostedZoneConfig::builder().comment(comment).private_zone(vpc.is_some()).build();
        // The id that it has until now is as unique as a reference must be.
        let made = route53.create_hosted_zone().name(&name).caller_reference(text("zone_id")).set_vpc(vpc);
        let made = made.hosted_zone_config(config).send().await.map_err(|error| refused(error).into_error());
        let made = made.with_context(|| format!("make the zone {name}"))?;
        last(made.hosted_zone().context("the server has made no zone")?.id()).to_owned()
    };
    let zone = get(route53, &id).await?.with_context(|| format!("the zone {name} is gone right after it was made"))?;
    let arn = Value::String(format!("arn:aws:route53:::hostedzone/{id}"));
    values.extend(
        [("id", id.as_str().into()), ("zone_id", id.as_str().into()), ("arn", arn)].map(|(k, v)| (k.to_owned(), v)),
    );
    values.insert("primary_name_server".to_owned(), zone.servers.first().map_or("", |server| server).into());
    values.insert("name_servers".to_owned(), json!(zone.servers).into());
    Ok(values)
}

/// The values, with the comment that the server has. `None` where the zone is gone.
pub async fn look(route53: &Client, mut values: Map) -> Result<Option<Map>> {
    let id = values.get("zone_id").and_then(Value::text).unwrap_or_default();
    let Some(zone) = get(route53, &id).await? else { return Ok(None) };
    values.insert("comment".to_owned(), Value::String(zone.comment));
    Ok(Some(values))
}

/// Removes it. Fails if there are records in it, unless `force_destroy` is set.
pub async fn end(route53: &Client, values: &Map) -> Result<()> {
    let id = values.get("zone_id").and_then(Value::text).unwrap_or_default();
    let said = || format!("remove the zone {id}");
    if values.get("force_destroy") == Some(&Value::Bool(true))
        && let Some(zone) = get(route53, &id).await?
    {
        let all = route53.list_resource_record_sets().hosted_zone_id(&id).send().await;
        for set in all.map_err(|error| refused(error).into_error()).with_context(said)?.resource_record_sets {
            let own = set.name().trim_end_matches('.') == zone.name && [RrType::Ns, RrType::Soa].contains(set.r#type());
            if !own {
                change(route53, &id, ChangeAction::Delete, set).await?;
            }
        }
    }
    match route53.delete_hosted_zone().id(&id).send().await.map_err(refused) {
        Ok(_) | Err(Refused::Absent) => Ok(()),
        Err(refused) => Err(refused.into_error()).with_context(said),
    }
}

/// A zone, by its id.
pub async fn get(route53: &Client, id: &str) -> Result<Option<Zone>> {
    let there = match route53.get_hosted_zone().id(last(id)).send().await.map_err(refused) {
        Ok(there) => there,
        Err(Refused::Absent) => return Ok(None),
        Err(refused) => return Err(refused.into_error()).with_context(|| format!("ask for the zone {id}")),
    };
    let zone = there.hosted_zone.context("the server says nothing of a zone")?;
    let config = zone.config.unwrap_or_else(|| HostedZoneConfig::builder().build());
    Ok(Some(Zone {
        id: last(&zone.id).to_owned(),
        name: zone.name.trim_end_matches('.').to_owned(),
        comment: config.comment.unwrap_or_default(),
        private: config.private_zone,
        records: zone.resource_record_set_count.unwrap_or_default(),
        servers: there.delegation_set.map(|set| set.name_servers).unwrap_or_default(),
    }))
}

/// What a data source asks for, by `zone_id` or by `name`. Fails where that is no zone, or more than one.
pub async fn asked(route53: &Client, asked: &Map) -> Result<Map> {
    let text = |field: &str| asked.get(field).and_then(Value::text).filter(|text| !text.is_empty());
    let private = asked.get("private_zone") == Some(&Value::Bool(true));
    let mut found = Vec::new();
    match (text("zone_id"), text("name")) {
        (Some(id), _) => found.extend(get(route53, &id).await?),
        (None, Some(name)) => {
            let mut pages = route53.list_hosted_zones().into_paginator().send();
            while let Some(page) = pages.next().await {
                for zone in page.map_err(|error| refused(error).into_error()).context("list the zones")?.hosted_zones {
                    if zone.name.trim_end_matches('.') == name.trim_end_matches('.') {
                        found.extend(get(route53, &zone.id).await?.filter(|zone| zone.private == private));
                    }
                }
            }
        }
        (None, None) => bail!("either name or zone_id must be set"),
    }
    let (Some(zone), 0) = (found.pop(), found.len()) else {
        bail!("{} Route 53 hosted zones match what is asked for", if found.is_empty() { "no" } else { "multiple" });
    };
    let answer = json!({
        "zone_id": zone.id, "name": zone.name, "comment": zone.comment, "private_zone": zone.private,
        "resource_record_set_count": zone.records, "name_servers": zone.servers,
        "primary_name_server": zone.servers.first(), "arn": format!("arn:aws:route53:::hostedzone/{}", zone.id),
    });
    Ok(Value::from(answer).map().cloned().unwrap_or_default())
}

/// Sorts what a server has refused.
pub fn refused<E>(error: SdkError<E>) -> Refused
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match error.code() {
        Some("NoSuchHostedZone") => Refused::Absent,
        Some(code) => Refused::Other(anyhow::anyhow!("{code}: {}", error.message().unwrap_or("without a word"))),
        None => Refused::Other(anyhow::anyhow!("{}", DisplayErrorContext(error))),
    }
}
