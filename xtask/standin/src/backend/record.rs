//! DNS records of the Route 53 server: plain records and aliases.

use anyhow::{Context as _, Result, bail};
use aws_sdk_route53::Client;
use aws_sdk_route53::types::{AliasTarget, ChangeAction, ResourceRecord, ResourceRecordSet, RrType};
use serde_json::json;

use super::compare::equivalent;
use super::route53::{ApiError, change_record, get_zone};
use crate::fields::{self, block, blocks, is_true, texts};
use crate::template::last_segment;
use crate::value::{Map, Value};

/// The routing policies, none of which is supported.
const ROUTING_POLICIES: [&str; 6] = ["cidr", "failover", "geolocation", "geoproximity", "latency", "weighted"];

/// Creates or updates a record. Fails if a new record already exists, unless `allow_overwrite` is set.
pub async fn apply(route53: &Client, before: Option<&Map>, mut values: Map) -> Result<Map> {
    let uses = |name: &&&str| blocks(&values, &format!("{name}_routing_policy")).next().is_some();
    if let Some(policy) = ROUTING_POLICIES.iter().find(uses) {
        bail!("{policy}_routing_policy is not supported by the stand-in");
    }
    let zone = text(&values, "zone_id");
    let zone_name = get_zone(route53, &zone).await?.with_context(|| format!("NoSuchHostedZone: {zone}"))?.name;
    values.insert("fqdn".to_owned(), Value::String(fqdn(&text(&values, "name"), &zone_name)));
    let overwrite = before.is_some() || is_true(&values, "allow_overwrite");
    let action = if overwrite { ChangeAction::Upsert } else { ChangeAction::Create };
    change_record(route53, &zone, action, record_set(&values)?).await?;
    Ok(values)
}

/// Updates the values with those that differ on the server. Returns `None` if the record or its zone does not exist.
pub async fn read(route53: &Client, mut values: Map) -> Result<Option<Map>> {
    let Some(current) = find(route53, &values).await? else { return Ok(None) };
    let records = current.resource_records().iter().map(|it| unquote(&text(&values, "type"), it.value()));
    let alias = current.alias_target().map(|alias| {
        // The server returns the name in lower case and with a trailing dot.
        let same = |name: &String| normalize(name) == normalize(alias.dns_name());
        let name = block(&values, "alias").and_then(|block| fields::text(block, "name")).filter(same);
        let name = name.unwrap_or_else(|| normalize(alias.dns_name()));
        json!([{ "name": name, "zone_id": alias.hosted_zone_id(), "evaluate_target_health": alias.evaluate_target_health() }])
    });
    for (field, value) in
        [("ttl", json!(current.ttl())), ("records", records.collect()), ("alias", alias.unwrap_or_else(|| json!([])))]
    {
        let value = Value::from(value);
        if !equivalent(&value, values.get(field).unwrap_or(&Value::Null)) {
            values.insert(field.to_owned(), value);
        }
    }
    Ok(Some(values))
}

/// Deletes a record with the values that it has on the server.
pub async fn delete(route53: &Client, values: &Map) -> Result<()> {
    match find(route53, values).await? {
        Some(current) => change_record(route53, &text(values, "zone_id"), ChangeAction::Delete, current).await,
        None => Ok(()),
    }
}

async fn find(route53: &Client, values: &Map) -> Result<Option<ResourceRecordSet>> {
    let (zone, kind, name) = (text(values, "zone_id"), text(values, "type"), normalize(&text(values, "fqdn")));
    let list = route53.list_resource_record_sets().hosted_zone_id(last_segment(&zone));
    let list = list.start_record_name(&name).start_record_type(RrType::from(kind.as_str()));
    let page = match list.send().await.map_err(ApiError::from) {
        Ok(page) => page,
        Err(ApiError::NoSuchZone) => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("look up the record {name}")),
    };
    Ok(page.resource_record_sets.into_iter().find(|it| normalize(it.name()) == name && it.r#type().as_str() == kind))
}

fn record_set(values: &Map) -> Result<ResourceRecordSet> {
    let kind = text(values, "type");
    let records = texts(values, "records").into_iter();
    let records = records.map(|text| Ok(ResourceRecord::builder().value(quote(&kind, &text)).build()?));
    let records = records.collect::<Result<Vec<_>>>()?;
    let alias = block(values, "alias").map(|alias| {
        let health = is_true(alias, "evaluate_target_health");
        let target = AliasTarget::builder().hosted_zone_id(text(alias, "zone_id")).dns_name(text(alias, "name"));
        target.evaluate_target_health(health).build()
    });
    let set = ResourceRecordSet::builder().name(text(values, "fqdn")).r#type(RrType::from(kind.as_str()));
    let set = set.set_ttl(text(values, "ttl").parse().ok());
    let set = set.set_resource_records((!records.is_empty()).then_some(records)).set_alias_target(alias.transpose()?);
    Ok(set.build()?)
}

/// The full name of a record. A configuration can leave out the zone.
fn fqdn(name: &str, zone: &str) -> String {
    let (name, zone) = (normalize(name), normalize(zone));
    match () {
        () if name.is_empty() => zone,
        () if name == zone || name.ends_with(&format!(".{zone}")) => name,
        () => format!("{name}.{zone}"),
    }
}

/// The name in lower case, without the trailing dot. Route 53 returns `*` as the octal code `\052`.
fn normalize(name: &str) -> String {
    name.trim_end_matches('.').to_lowercase().replace("\\052", "*")
}

/// Route 53 stores the values of TXT and SPF records in quotes.
fn quote(kind: &str, text: &str) -> String {
    if ["TXT", "SPF"].contains(&kind) { format!("\"{text}\"") } else { text.to_owned() }
}

fn unquote(kind: &str, text: &str) -> String {
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    inner.filter(|_| ["TXT", "SPF"].contains(&kind)).unwrap_or(text).to_owned()
}

fn text(values: &Map, field: &str) -> String {
    fields::text(values, field).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zone_is_appended_only_once() {
        assert_eq!(fqdn("www", "example.org."), "www.example.org");
        assert_eq!(fqdn("WWW.example.org.", "example.org"), "www.example.org");
        assert_eq!(fqdn("example.org", "example.org"), "example.org");
        assert_eq!(fqdn("", "example.org"), "example.org");
        assert_eq!(fqdn("notexample.org", "example.org"), "notexample.org.example.org");
        assert_eq!(unquote("TXT", &quote("TXT", "a b")), "a b");
        assert_eq!(unquote("CNAME", &quote("CNAME", "\"a\"")), "\"a\"");
    }
}
