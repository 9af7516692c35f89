//! Converts lifecycle rules from and to the formats of three providers.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::rule::Rule;
use crate::fields::{self, blocks, is_true};
use crate::value::{Map, Value};

/// Cloudflare's rules count seconds, the others days.
const DAY: i64 = 24 * 60 * 60;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Format {
    /// `rule` of `aws_s3_bucket_lifecycle_configuration`.
    Aws,
    /// `rules` of `cloudflare_r2_bucket_lifecycle`.
    Cloudflare,
    /// `lifecycle_rule` of `scaleway_object_bucket`.
    Scaleway,
}

/// Reads a rule of a resource.
pub fn from_values(format: Format, of: &Map) -> Rule {
    let id = text(of, "id");
    if format == Format::Cloudflare {
        let expiration = block(&block(of, "delete_objects_transition"), "condition");
        let abort = block(&block(of, "abort_multipart_uploads_transition"), "condition");
        return Rule {
            id,
            enabled: is_true(of, "enabled"),
            prefix: text(&block(of, "conditions"), "prefix"),
            days: number(&expiration, "max_age") / DAY,
            date: text(&expiration, "date"),
            abort_upload_days: number(&abort, "max_age") / DAY,
            transitions: collect(of, "storage_class_transitions", |it| {
                let when = block(it, "condition");
                (number(&when, "max_age") / DAY, text(&when, "date"), text(it, "storage_class"))
            }),
            ..Rule::default()
        };
    }
    let (expiration, noncurrent) = (block(of, "expiration"), block(of, "noncurrent_version_expiration"));
    let rule = Rule {
        id,
        days: number(&expiration, "days"),
        date: text(&expiration, "date"),
        expired_delete_marker: is_true(&expiration, "expired_object_delete_marker"),
        noncurrent_days: number(&noncurrent, "noncurrent_days"),
        noncurrent_kept: number(&noncurrent, "newer_noncurrent_versions"),
        transitions: collect(of, "transition", |it| (number(it, "days"), text(it, "date"), text(it, "storage_class"))),
        noncurrent_transitions: collect(of, "noncurrent_version_transition", |it| {
            (number(it, "noncurrent_days"), number(it, "newer_noncurrent_versions"), text(it, "storage_class"))
        }),
        ..Rule::default()
    };
    if format == Format::Scaleway {
        return Rule {
            enabled: is_true(of, "enabled"),
            prefix: text(of, "prefix"),
            tags: tags(of),
            size_greater_than: number(of, "object_size_greater_than"),
            size_less_than: number(of, "object_size_less_than"),
            abort_upload_days: number(of, "abort_incomplete_multipart_upload_days"),
            ..rule
        };
    }
    let filter = block(of, "filter");
    let tag = block(&filter, "tag");
    let filter = if block(&filter, "and").is_empty() { filter } else { block(&filter, "and") };
    let one = (!tag.is_empty()).then(|| (text(&tag, "key"), text(&tag, "value")));
    Rule {
        enabled: text(of, "status") == "Enabled",
        prefix: [text(&filter, "prefix"), text(of, "prefix")].concat(),
        tags: tags(&filter).into_iter().chain(one).collect(),
        size_greater_than: number(&filter, "object_size_greater_than"),
        size_less_than: number(&filter, "object_size_less_than"),
        abort_upload_days: number(&block(of, "abort_incomplete_multipart_upload"), "days_after_initiation"),
        ..rule
    }
}

/// Converts a rule to the JSON of a resource.
pub fn to_json(format: Format, rule: &Rule) -> Json {
    let Rule { id, enabled, prefix, tags, .. } = rule;
    let set = |number: i64| (number != 0).then_some(number);
    let date = Some(&rule.date).filter(|date| !date.is_empty());
    if format == Format::Cloudflare {
        let condition = |days: i64, date: Option<&String>| match date {
            Some(date) => json!({ "type": "Date", "date": date }),
            None => json!({ "type": "Age", "max_age": days * DAY }),
        };
        let expires = rule.days != 0 || date.is_some();
        let transitions = rule.transitions.iter().map(|(days, date, class)| {
            json!({ "condition": condition(*days, Some(date).filter(|date| !date.is_empty())), "storage_class": class })
        });
        return json!({
            "id": id, "enabled": enabled, "conditions": { "prefix": prefix },
            "delete_objects_transition": expires.then(|| json!({ "condition": condition(rule.days, date) })),
            "abort_multipart_uploads_transition":
                set(rule.abort_upload_days).map(|days| json!({ "condition": condition(days, None) })),
            "storage_class_transitions": (!rule.transitions.is_empty()).then(|| transitions.collect::<Json>()),
        });
    }
    let some = |there: bool, block: Json| if there { json!([block]) } else { json!([]) };
    let expiration =
        json!({ "days": set(rule.days), "date": date, "expired_object_delete_marker": rule.expired_delete_marker });
    let noncurrent =
        json!({ "noncurrent_days": set(rule.noncurrent_days), "newer_noncurrent_versions": set(rule.noncurrent_kept) });
    let transitions = rule.transitions.iter().map(|(days, date, class)| {
        json!({ "days": set(*days), "date": Some(date).filter(|date| !date.is_empty()), "storage_class": class })
    });
    let noncurrent_transitions = rule.noncurrent_transitions.iter().map(|(days, kept, class)| {
        json!({ "noncurrent_days": days, "newer_noncurrent_versions": set(*kept), "storage_class": class })
    });
    let filter = json!({
        "prefix": prefix, "tags": tags,
        "object_size_greater_than": set(rule.size_greater_than), "object_size_less_than": set(rule.size_less_than),
    });
    let mut all = json!({
        "id": id,
        "expiration": some(rule.days != 0 || date.is_some() || rule.expired_delete_marker, expiration),
        "noncurrent_version_expiration": some(rule.noncurrent_days != 0 || rule.noncurrent_kept != 0, noncurrent),
        "transition": transitions.collect::<Json>(), "noncurrent_version_transition": noncurrent_transitions.collect::<Json>(),
    });
    let own = if format == Format::Scaleway {
        all["enabled"] = json!(enabled);
        all["abort_incomplete_multipart_upload_days"] = json!(set(rule.abort_upload_days));
        filter
    } else {
        let abort = json!({ "days_after_initiation": rule.abort_upload_days });
        let simple = tags.is_empty() && rule.size_greater_than == 0 && rule.size_less_than == 0;
        let filter = if simple { json!({ "prefix": prefix }) } else { json!({ "and": [filter] }) };
        json!({
            "status": if *enabled { "Enabled" } else { "Disabled" }, "filter": [filter],
            "abort_incomplete_multipart_upload": some(rule.abort_upload_days != 0, abort),
        })
    };
    for (field, value) in own.as_object().into_iter().flatten() {
        all[field] = value.clone();
    }
    all
}

fn text(map: &Map, name: &str) -> String {
    fields::text(map, name).unwrap_or_default()
}

fn number(map: &Map, name: &str) -> i64 {
    text(map, name).parse().unwrap_or_default()
}

fn block(map: &Map, name: &str) -> Map {
    fields::block(map, name).cloned().unwrap_or_default()
}

fn collect<T>(map: &Map, name: &str, read: impl Fn(&Map) -> T) -> Vec<T> {
    blocks(map, name).map(read).collect()
}

fn tags(map: &Map) -> BTreeMap<String, String> {
    let tags = map.get("tags").and_then(Value::map).into_iter().flatten();
    tags.filter_map(|(key, value)| Some((key.clone(), value.text()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_round_trip_through_each_format() {
        let simple = Rule { id: "a".to_owned(), enabled: true, days: 7, abort_upload_days: 1, ..Rule::default() };
        let prefix = Rule {
            prefix: "media/".to_owned(),
            date: "2030-01-01T00:00:00Z".to_owned(),
            transitions: vec![(3, String::new(), "GLACIER".to_owned())],
            ..Rule::default()
        };
        let full = Rule {
            tags: [("kind".to_owned(), "draft".to_owned())].into(),
            size_greater_than: 10,
            expired_delete_marker: true,
            noncurrent_days: 30,
            noncurrent_kept: 2,
            noncurrent_transitions: vec![(5, 0, "GLACIER".to_owned())],
            ..Rule::default()
        };
        for format in [Format::Aws, Format::Cloudflare, Format::Scaleway] {
            // Cloudflare's rules have no tags, sizes and noncurrent versions.
            let count = if format == Format::Cloudflare { 2 } else { 3 };
            for rule in [&simple, &prefix, &full].into_iter().take(count) {
                let Value::Map(values) = to_json(format, rule).into() else { panic!() };
                assert_eq!(&from_values(format, &values), rule, "{format:?}");
            }
        }
    }
}
