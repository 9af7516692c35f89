//! A DNS record of the Route 53 server: a plain one or an alias.

use anyhow::{Context as _, Result, bail};
use aws_sdk_route53::Client;
use aws_sdk_route53::types::{
    AliasTarget, Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType,
};
use serde_json::json;

use super::bucket::normal;
use super::zone::{self, Refused, refused};
use crate::template::last;
use crate::value::{Map, Value};

/// Ways of answering that a record of its own kind chooses between: none of them is played.
const POLICIES: [&str; 6] = ["cidr", "failover", "geolocation", "geoproximity", "latency", "weighted"];

/// Writes it. Fails if a new one is there already, unless `allow_overwrite` is set.
pub async fn make(route53: &Client, before: Option<&Map>, mut values: Map) -> Result<Map> {
    let policy = |name: &&str| values.get(&format!("{name}_routing_policy")).is_some_and(|it| !it.list().is_empty());
    if let Some(policy) = POLICIES.iter().find(|name| policy(name)) {
        bail!("the stand-in plays no {policy}_routing_policy");
    }
    let zone = text(&values, "zone_id");
    let zone_name = zone::get(route53, &zone).await?.with_context(|| format!("NoSuchHostedZone: {zone}"))?.name;
    values.insert("fqdn".to_owned(), Value::String(within(&text(&values, "name"), &zone_name)));
    let over = before.is_some() || values.get("allow_overwrite") == Some(&Value::Bool(true));
    let action = if over { ChangeAction::Upsert } else { ChangeAction::Create };
    change(route53, &zone, action, wanted(&values)?).await?;
    Ok(values)
}

/// The values, with what the server has in place of what differs. `None` where the record or its zone is gone.
pub async fn look(route53: &Client, mut values: Map) -> Result<Option<Map>> {
    let Some(there) = found(route53, &values).await? else { return Ok(None) };
    let records = there.resource_records().iter().map(|it| plain(&text(&values, "type"), it.value()));
    let alias = there.alias_target().map(|alias| {
        let same = |name: &str| dotless(name) == dotless(alias.dns_name());
        // It is kept with its dot and in small letters.
        let written = values.get("alias").and_then(|it| it.list().first()?.map()?.get("name")?.text());
        let name = written.filter(|name| same(name)).unwrap_or_else(|| dotless(alias.dns_name()));
        json!([{ "name": name, "zone_id": alias.hosted_zone_id(), "evaluate_target_health": alias.evaluate_target_health() }])
    });
    let now =
        [("ttl", json!(there.ttl())), ("records", records.collect()), ("alias", alias.unwrap_or_else(|| json!([])))];
    for (field, now) in now.map(|(field, now)| (field, Value::from(now))) {
        if normal(&now) != normal(values.get(field).unwrap_or(&Value::Null)) {
            values.insert(field.to_owned(), now);
        }
    }
    Ok(Some(values))
}

/// Removes it, whatever it has become.
pub async fn end(route53: &Client, values: &Map) -> Result<()> {
    match found(route53, values).await? {
        Some(there) => change(route53, &text(values, "zone_id"), ChangeAction::Delete, there).await,
        None => Ok(()),
    }
}

/// Changes one record.
pub async fn change(route53: &Client, zone: &str, action: ChangeAction, set: ResourceRecordSet) -> Result<()> {
    let said = format!("{action} the record {} {} of the zone {zone}", set.name(), set.r#type());
    let change = Change::builder().action(action).resource_record_set(set).build()?;
    let batch = ChangeBatch::builder().changes(change).build()?;
    let sent = route53.change_resource_record_sets().hosted_zone_id(zone).change_batch(batch).send().await;
    sent.map(drop).map_err(|error| refused(error).into_error()).context(said)
}

async fn found(route53: &Client, values: &Map) -> Result<Option<ResourceRecordSet>> {
    let (zone, kind, name) = (text(values, "zone_id"), text(values, "type"), dotless(&text(values, "fqdn")));
    let asked = route53.list_resource_record_sets().hosted_zone_id(last(&zone));
    let asked = asked.start_record_name(&name).start_record_type(RrType::from(kind.as_str()));
    let page = match asked.send().await.map_err(refused) {
        Ok(page) => page,
        Err(Refused::Absent) => return Ok(None),
        Err(refused) => return Err(refused.into_error()).with_context(|| format!("look for the record {name}")),
    };
    Ok(page.resource_record_sets.into_iter().find(|it| dotless(it.name()) == name && it.r#type().as_str() == kind))
}

fn wanted(values: &Map) -> Result<ResourceRecordSet> {
    let kind = text(values, "type");
    let texts = values.get("records").map(Value::list).unwrap_or_default().iter().filter_map(Value::text);
    let records = texts.map(|text| Ok(ResourceRecord::builder().value(quoted(&kind, &text)).build()?));
    let records = records.collect::<Result<Vec<_>>>()?;
    let alias = values.get("alias").and_then(|alias| alias.list().first()?.map()).map(|alias| {
        let health = alias.get("evaluate_target_health") == Some(&Value::Bool(true));
        let target = AliasTarget::builder().hosted_zone_id(text(alias, "zone_id")).dns_name(text(alias, "name"));
        target.evaluate_target_health(health).build()
    });
    let set = ResourceRecordSet::builder().name(text(values, "fqdn")).r#type(RrType::from(kind.as_str()));
    let set = set.set_ttl(values.get("ttl").and_then(|ttl| ttl.text()?.parse().ok()));
    let set = set.set_resource_records((!records.is_empty()).then_some(records)).set_alias_target(alias.transpose()?);
    Ok(set.build()?)
}

/// A name in its zone: a stack may leave the zone out.
fn within(name: &str, zone: &str) -> String {
    let (name, zone) = (dotless(name), dotless(zone));
    match () {
        () if name.is_empty() => zone,
        () if name == zone || name.ends_with(&format!(".{zone}")) => name,
        () => format!("{name}.{zone}"),
    }
}

/// As the server writes it, without the last dot and the one sign that it writes as a number.
fn dotless(name: &str) -> String {
    name.trim_end_matches('.').to_lowercase().replace("\\052", "*")
}

/// Texts stand in quotes at the server.
fn quoted(kind: &str, text: &str) -> String {
    if ["TXT", "SPF"].contains(&kind) { format!("\"{text}\"") } else { text.to_owned() }
}

fn plain(kind: &str, text: &str) -> String {
    let within = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    within.filter(|_| ["TXT", "SPF"].contains(&kind)).unwrap_or(text).to_owned()
}

fn text(values: &Map, field: &str) -> String {
    values.get(field).and_then(Value::text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_in_its_zone_once() {
        assert_eq!(within("www", "example.org."), "www.example.org");
        assert_eq!(within("WWW.example.org.", "example.org"), "www.example.org");
        assert_eq!(within("example.org", "example.org"), "example.org");
        assert_eq!(within("", "example.org"), "example.org");
        assert_eq!(within("notexample.org", "example.org"), "notexample.org.example.org");
        assert_eq!(plain("TXT", &quoted("TXT", "a b")), "a b");
        assert_eq!(plain("CNAME", &quoted("CNAME", "\"a\"")), "\"a\"");
    }
}
