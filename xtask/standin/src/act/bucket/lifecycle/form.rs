//! The same lifecycle rules as three providers write them.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::Rule;
use crate::act::bucket::Part;
use crate::value::{Map, Value};

/// Seconds in which Cloudflare counts what others count in days.
const DAY: i64 = 24 * 60 * 60;

fn text(of: &Map, field: &str) -> String {
    of.get(field).and_then(Value::text).unwrap_or_default()
}

fn number(of: &Map, field: &str) -> i64 {
    text(of, field).parse().unwrap_or_default()
}

/// A block, of which there is one, or an object.
fn block(of: &Map, field: &str) -> Map {
    let value = of.get(field).unwrap_or(&Value::Null);
    value.map().or_else(|| value.list().first()?.map()).cloned().unwrap_or_default()
}

fn blocks<T>(of: &Map, field: &str, read: impl Fn(&Map) -> T) -> Vec<T> {
    of.get(field).map(Value::list).unwrap_or_default().iter().filter_map(Value::map).map(read).collect()
}

fn tags(of: &Map) -> BTreeMap<String, String> {
    let all = of.get("tags").and_then(Value::map).into_iter().flatten();
    all.filter_map(|(key, value)| Some((key.clone(), value.text()?))).collect()
}

/// A rule as a provider writes it.
pub fn read(part: Part, of: &Map) -> Rule {
    let id = text(of, "id");
    if matches!(part, Part::LifecycleConditions) {
        let end = block(&block(of, "delete_objects_transition"), "condition");
        let unfinished = block(&block(of, "abort_multipart_uploads_transition"), "condition");
        return Rule {
            id,
            enabled: of.get("enabled") == Some(&Value::Bool(true)),
            prefix: text(&block(of, "conditions"), "prefix"),
            days: number(&end, "max_age") / DAY,
            date: text(&end, "date"),
            unfinished_days: number(&unfinished, "max_age") / DAY,
            moves: blocks(of, "storage_class_transitions", |it| {
                let when = block(it, "condition");
                (number(&when, "max_age") / DAY, text(&when, "date"), text(it, "storage_class"))
            }),
            ..Rule::default()
        };
    }
    let (end, old) = (block(of, "expiration"), block(of, "noncurrent_version_expiration"));
    let rule = Rule {
        id,
        days: number(&end, "days"),
        date: text(&end, "date"),
        marker: end.get("expired_object_delete_marker") == Some(&Value::Bool(true)),
        old_days: number(&old, "noncurrent_days"),
        old_kept: number(&old, "newer_noncurrent_versions"),
        moves: blocks(of, "transition", |it| (number(it, "days"), text(it, "date"), text(it, "storage_class"))),
        old_moves: blocks(of, "noncurrent_version_transition", |it| {
            (number(it, "noncurrent_days"), number(it, "newer_noncurrent_versions"), text(it, "storage_class"))
        }),
        ..Rule::default()
    };
    if matches!(part, Part::Lifecycle) {
        return Rule {
            enabled: of.get("enabled") == Some(&Value::Bool(true)),
            prefix: text(of, "prefix"),
            tags: tags(of),
            larger: number(of, "object_size_greater_than"),
            smaller: number(of, "object_size_less_than"),
            unfinished_days: number(of, "abort_incomplete_multipart_upload_days"),
            ..rule
        };
    }
    let filter = block(of, "filter");
    let tag = block(&filter, "tag");
    let narrow = if block(&filter, "and").is_empty() { filter } else { block(&filter, "and") };
    let one = (!tag.is_empty()).then(|| (text(&tag, "key"), text(&tag, "value")));
    Rule {
        enabled: text(of, "status") == "Enabled",
        prefix: [text(&narrow, "prefix"), text(of, "prefix")].concat(),
        tags: tags(&narrow).into_iter().chain(one).collect(),
        larger: number(&narrow, "object_size_greater_than"),
        smaller: number(&narrow, "object_size_less_than"),
        unfinished_days: number(&block(of, "abort_incomplete_multipart_upload"), "days_after_initiation"),
        ..rule
    }
}

/// A rule as a provider would write it.
pub fn written(part: Part, rule: &Rule) -> Json {
    let Rule { id, enabled, prefix, tags, .. } = rule;
    let set = |number: i64| (number != 0).then_some(number);
    let date = Some(&rule.date).filter(|date| !date.is_empty());
    if matches!(part, Part::LifecycleConditions) {
        let age = |days: i64, date: Option<&String>| match date {
            Some(date) => json!({ "type": "Date", "date": date }),
            None => json!({ "type": "Age", "max_age": days * DAY }),
        };
        let ends = rule.days != 0 || date.is_some();
        let moves = rule.moves.iter().map(|(days, date, class)| {
            json!({ "condition": age(*days, Some(date).filter(|date| !date.is_empty())), "storage_class": class })
        });
        return json!({
            "id": id, "enabled": enabled, "conditions": { "prefix": prefix },
            "delete_objects_transition": ends.then(|| json!({ "condition": age(rule.days, date) })),
            "abort_multipart_uploads_transition":
                set(rule.unfinished_days).map(|days| json!({ "condition": age(days, None) })),
            "storage_class_transitions": (!rule.moves.is_empty()).then(|| moves.collect::<Json>()),
        });
    }
    let some = |there: bool, block: Json| if there { json!([block]) } else { json!([]) };
    let end = json!({ "days": set(rule.days), "date": date, "expired_object_delete_marker": rule.marker });
    let old = json!({ "noncurrent_days": set(rule.old_days), "newer_noncurrent_versions": set(rule.old_kept) });
    let moves = rule.moves.iter().map(|(days, date, class)| {
        json!({ "days": set(*days), "date": Some(date).filter(|date| !date.is_empty()), "storage_class": class })
    });
    let old_moves = rule.old_moves.iter().map(|(days, kept, class)| {
        json!({ "noncurrent_days": days, "newer_noncurrent_versions": set(*kept), "storage_class": class })
    });
    let narrow = json!({
        "prefix": prefix, "tags": tags,
        "object_size_greater_than": set(rule.larger), "object_size_less_than": set(rule.smaller),
    });
    let mut all = json!({
        "id": id,
        "expiration": some(rule.days != 0 || date.is_some() || rule.marker, end),
        "noncurrent_version_expiration": some(rule.old_days != 0 || rule.old_kept != 0, old),
        "transition": moves.collect::<Json>(), "noncurrent_version_transition": old_moves.collect::<Json>(),
    });
    let own = if matches!(part, Part::Lifecycle) {
        all["enabled"] = json!(enabled);
        all["abort_incomplete_multipart_upload_days"] = json!(set(rule.unfinished_days));
        narrow
    } else {
        let unfinished = json!({ "days_after_initiation": rule.unfinished_days });
        let simple = tags.is_empty() && rule.larger == 0 && rule.smaller == 0;
        let filter = if simple { json!({ "prefix": prefix }) } else { json!({ "and": [narrow] }) };
        json!({
            "status": if *enabled { "Enabled" } else { "Disabled" }, "filter": [filter],
            "abort_incomplete_multipart_upload": some(rule.unfinished_days != 0, unfinished),
        })
    };
    for (field, value) in own.as_object().into_iter().flatten() {
        all[field] = value.clone();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_was_written_is_read_as_it_was() {
        let plain = Rule { id: "a".to_owned(), enabled: true, days: 7, unfinished_days: 1, ..Rule::default() };
        let narrow = Rule {
            prefix: "media/".to_owned(),
            date: "2030-01-01T00:00:00Z".to_owned(),
            moves: vec![(3, String::new(), "GLACIER".to_owned())],
            ..Rule::default()
        };
        let whole = Rule {
            tags: [("kind".to_owned(), "draft".to_owned())].into(),
            larger: 10,
            marker: true,
            old_days: 30,
            old_kept: 2,
            old_moves: vec![(5, 0, "GLACIER".to_owned())],
            ..Rule::default()
        };
        for part in [Part::Lifecycle, Part::LifecycleFilter, Part::LifecycleConditions] {
            // Cloudflare knows nothing of tags, sizes and old versions.
            for rule in [&plain, &narrow, &whole].into_iter().take(if matches!(part, Part::LifecycleConditions) {
                2
            } else {
                3
            }) {
                let Value::Map(form) = written(part, rule).into() else { panic!() };
                assert_eq!(&read(part, &form), rule, "{part:?}");
            }
        }
    }
}
