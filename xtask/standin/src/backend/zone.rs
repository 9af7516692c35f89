//! Hosted zones of the Route 53 server.

use anyhow::{Context as _, Result, bail};
use aws_sdk_route53::Client;
use aws_sdk_route53::types::{ChangeAction, HostedZoneConfig, RrType, Vpc, VpcRegion};
use serde_json::json;

use super::route53::{ApiError, change_record, get_zone};
use crate::fields::{block, is_true, non_empty_text, text};
use crate::template::last_segment;
use crate::value::{Map, Value};

/// Creates a zone, which sets its id to the server's, or updates its comment.
pub async fn apply(route53: &Client, before: Option<&Map>, mut values: Map) -> Result<Map> {
    let or_empty = |field: &str| text(&values, field).unwrap_or_default();
    let (name, comment) = (or_empty("name"), or_empty("comment"));
    let id = if before.is_some() {
        let id = or_empty("zone_id");
        let sent = route53.update_hosted_zone_comment().id(&id).comment(comment).send().await;
        sent.map_err(ApiError::from).with_context(|| format!("update the zone {id}"))?;
        id
    } else {
        let vpc = block(&values, "vpc").map(|vpc| {
            let region = text(vpc, "vpc_region").map(|region| VpcRegion::from(region.as_str()));
            Vpc::builder().set_vpc_id(text(vpc, "vpc_id")).set_vpc_region(region).build()
        });
        let config = HostedZoneConfig::builder().comment(comment).private_zone(vpc.is_some()).build();
        // The generated id is unique, as a caller reference must be.
        let create = route53.create_hosted_zone().name(&name).caller_reference(or_empty("zone_id")).set_vpc(vpc);
        let created = create.hosted_zone_config(config).send().await.map_err(ApiError::from);
        let created = created.with_context(|| format!("create the zone {name}"))?;
        last_segment(created.hosted_zone().context("the server returned no zone")?.id()).to_owned()
    };
    let zone = get_zone(route53, &id).await?;
    let zone = zone.with_context(|| format!("the zone {name} does not exist after it was created"))?;
    for (field, value) in [
        ("id", json!(id)),
        ("zone_id", json!(id)),
        ("arn", json!(arn(&id))),
        ("name_servers", json!(zone.name_servers)),
        ("primary_name_server", json!(zone.name_servers.first().map_or("", String::as_str))),
    ] {
        values.insert(field.to_owned(), value.into());
    }
    Ok(values)
}

/// Updates the comment to the server's. Returns `None` if the zone does not exist.
pub async fn read(route53: &Client, mut values: Map) -> Result<Option<Map>> {
    let id = text(&values, "zone_id").unwrap_or_default();
    let Some(zone) = get_zone(route53, &id).await? else { return Ok(None) };
    values.insert("comment".to_owned(), Value::String(zone.comment));
    Ok(Some(values))
}

/// Deletes a zone. Fails if it contains records, unless `force_destroy` is set.
pub async fn delete(route53: &Client, values: &Map) -> Result<()> {
    let id = text(values, "zone_id").unwrap_or_default();
    let context = || format!("delete the zone {id}");
    if is_true(values, "force_destroy")
        && let Some(zone) = get_zone(route53, &id).await?
    {
        let sets = route53.list_resource_record_sets().hosted_zone_id(&id).send().await.map_err(ApiError::from);
        for set in sets.with_context(context)?.resource_record_sets {
            let is_apex = set.name().trim_end_matches('.') == zone.name;
            if !(is_apex && [RrType::Ns, RrType::Soa].contains(set.r#type())) {
                change_record(route53, &id, ChangeAction::Delete, set).await?;
            }
        }
    }
    match route53.delete_hosted_zone().id(&id).send().await.map_err(ApiError::from) {
        Ok(_) | Err(ApiError::NoSuchZone) => Ok(()),
        Err(error) => Err(error).with_context(context),
    }
}

/// Reads the data source: the zone with this `zone_id` or `name`. Fails unless exactly one zone matches.
pub async fn read_data_source(route53: &Client, config: &Map) -> Result<Map> {
    let private = is_true(config, "private_zone");
    let mut found = Vec::new();
    match (non_empty_text(config, "zone_id"), non_empty_text(config, "name")) {
        (Some(id), _) => found.extend(get_zone(route53, &id).await?),
        (None, Some(name)) => {
            let mut pages = route53.list_hosted_zones().into_paginator().send();
            while let Some(page) = pages.next().await {
                for zone in page.map_err(ApiError::from).context("list the zones")?.hosted_zones {
                    if zone.name.trim_end_matches('.') == name.trim_end_matches('.') {
                        found.extend(get_zone(route53, &zone.id).await?.filter(|zone| zone.private == private));
                    }
                }
            }
        }
        (None, None) => bail!("either name or zone_id must be set"),
    }
    let (Some(zone), 0) = (found.pop(), found.len()) else {
        bail!("{} Route 53 hosted zones match", if found.is_empty() { "no" } else { "multiple" });
    };
    let values = json!({
        "zone_id": zone.id, "name": zone.name, "comment": zone.comment, "private_zone": zone.private,
        "resource_record_set_count": zone.record_count, "name_servers": zone.name_servers,
        "primary_name_server": zone.name_servers.first(), "arn": arn(&zone.id),
    });
    Ok(Value::from(values).map().cloned().unwrap_or_default())
}

fn arn(id: &str) -> String {
    format!("arn:aws:route53:::hostedzone/{id}")
}
