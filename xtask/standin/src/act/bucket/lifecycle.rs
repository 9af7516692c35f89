//! When the objects of a bucket end. Three providers write the same rules in three ways.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, ExpirationStatus, LifecycleExpiration, LifecycleRule,
    LifecycleRuleAndOperator, LifecycleRuleFilter, NoncurrentVersionExpiration, NoncurrentVersionTransition, Tag,
    Transition, TransitionStorageClass,
};
use serde_json::{Value as Json, json};

use super::{Answer, Part, answer, done};
use crate::value::{Map, Value};

/// Seconds in which Cloudflare counts what others count in days.
const DAY: i64 = 24 * 60 * 60;

/// One rule, however it is written. What is not set is 0 or empty.
#[derive(Debug, Default, PartialEq)]
struct Rule {
    id: String,
    enabled: bool,
    prefix: String,
    tags: BTreeMap<String, String>,
    larger: i64,
    smaller: i64,
    days: i64,
    date: String,
    marker: bool,
    old_days: i64,
    old_kept: i64,
    unfinished_days: i64,
    moves: Vec<(i64, String, String)>,
    old_moves: Vec<(i64, i64, String)>,
}

/// The rules that the server has, as a provider writes them.
pub async fn get(part: Part, s3: &Client, bucket: &str) -> Result<Answer<Value>> {
    let there = answer(s3.get_bucket_lifecycle_configuration().bucket(bucket).send().await);
    let there = there.with_context(|| format!("ask for the lifecycle rules of {bucket}"))?;
    Ok(there.map(|there| there.rules().iter().map(|rule| written(part, &Rule::of_server(rule))).collect()))
}

/// Writes rules.
pub async fn put(part: Part, s3: &Client, bucket: &str, value: &Value) -> Result<()> {
    let rules = rules(part, value).iter().map(Rule::for_server).collect::<Result<Vec<_>>>()?;
    let rules = BucketLifecycleConfiguration::builder().set_rules(Some(rules)).build()?;
    let put = s3.put_bucket_lifecycle_configuration().bucket(bucket).lifecycle_configuration(rules);
    done("write the lifecycle rules of", bucket, put.send().await)
}

/// Whether both say the same.
pub fn same(part: Part, one: &Value, other: &Value) -> bool {
    rules(part, one) == rules(part, other)
}

fn rules(part: Part, value: &Value) -> Vec<Rule> {
    let mut all: Vec<_> = value.list().iter().filter_map(Value::map).map(|rule| read(part, rule)).collect();
    all.sort_by(|one, other| one.id.cmp(&other.id));
    all
}

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

fn read(part: Part, of: &Map) -> Rule {
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

fn written(part: Part, rule: &Rule) -> Json {
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

impl Rule {
    fn of_server(rule: &LifecycleRule) -> Self {
        let wide = |number: Option<i32>| i64::from(number.unwrap_or_default());
        let date =
            |date: Option<&DateTime>| date.and_then(|date| date.fmt(DateTimeFormat::DateTime).ok()).unwrap_or_default();
        let (filter, end) = (rule.filter(), rule.expiration());
        let and = filter.and_then(LifecycleRuleFilter::and);
        let prefix = and.and_then(LifecycleRuleAndOperator::prefix).or_else(|| filter?.prefix());
        let tags =
            and.map(LifecycleRuleAndOperator::tags).unwrap_or_default().iter().chain(filter.and_then(|it| it.tag()));
        let (larger, smaller) = (
            and.and_then(|it| it.object_size_greater_than()).or_else(|| filter?.object_size_greater_than()),
            and.and_then(|it| it.object_size_less_than()).or_else(|| filter?.object_size_less_than()),
        );
        let old = rule.noncurrent_version_expiration();
        Self {
            id: rule.id().unwrap_or_default().to_owned(),
            enabled: *rule.status() == ExpirationStatus::Enabled,
            prefix: prefix.unwrap_or_default().to_owned(),
            tags: tags.map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect(),
            larger: larger.unwrap_or_default(),
            smaller: smaller.unwrap_or_default(),
            days: wide(end.and_then(LifecycleExpiration::days)),
            date: date(end.and_then(LifecycleExpiration::date)),
            marker: end.and_then(LifecycleExpiration::expired_object_delete_marker).unwrap_or_default(),
            old_days: wide(old.and_then(NoncurrentVersionExpiration::noncurrent_days)),
            old_kept: wide(old.and_then(NoncurrentVersionExpiration::newer_noncurrent_versions)),
            unfinished_days: wide(rule.abort_incomplete_multipart_upload().and_then(|it| it.days_after_initiation())),
            moves: rule
                .transitions()
                .iter()
                .map(|it| (wide(it.days()), date(it.date()), class(it.storage_class())))
                .collect(),
            old_moves: rule
                .noncurrent_version_transitions()
                .iter()
                .map(|it| (wide(it.noncurrent_days()), wide(it.newer_noncurrent_versions()), class(it.storage_class())))
                .collect(),
        }
    }

    fn for_server(&self) -> Result<LifecycleRule> {
        let days = |days: i64| i32::try_from(days).ok().filter(|days| *days != 0);
        let size = |size: i64| (size != 0).then_some(size);
        let date = |text: &str| -> Result<_> {
            let read = |text| DateTime::from_str(text, DateTimeFormat::DateTime).context("a rule's date is none");
            (!text.is_empty()).then(|| read(text)).transpose()
        };
        let tags = self.tags.iter().map(|(key, value)| Ok(Tag::builder().key(key).value(value).build()?));
        let tags = tags.collect::<Result<Vec<_>>>()?;
        let filter = if tags.is_empty() && self.larger == 0 && self.smaller == 0 {
            LifecycleRuleFilter::builder().prefix(&self.prefix)
        } else {
            let and = LifecycleRuleAndOperator::builder().set_tags(Some(tags)).prefix(&self.prefix);
            let and = and.set_object_size_greater_than(size(self.larger)).set_object_size_less_than(size(self.smaller));
            LifecycleRuleFilter::builder().and(and.build())
        };
        let end = LifecycleExpiration::builder().set_days(days(self.days)).set_date(date(&self.date)?);
        let end = end.set_expired_object_delete_marker(self.marker.then_some(true)).build();
        let old = NoncurrentVersionExpiration::builder().set_noncurrent_days(days(self.old_days));
        let old = old.set_newer_noncurrent_versions(days(self.old_kept)).build();
        let unfinished =
            AbortIncompleteMultipartUpload::builder().set_days_after_initiation(days(self.unfinished_days));
        let mut rule = LifecycleRule::builder()
            .set_id(Some(self.id.clone()).filter(|id| !id.is_empty()))
            .status(if self.enabled { ExpirationStatus::Enabled } else { ExpirationStatus::Disabled })
            .filter(filter.build())
            .set_expiration(Some(end).filter(|end| *end != LifecycleExpiration::builder().build()))
            .set_noncurrent_version_expiration(
                Some(old).filter(|old| *old != NoncurrentVersionExpiration::builder().build()),
            )
            .set_abort_incomplete_multipart_upload((self.unfinished_days != 0).then(|| unfinished.build()));
        for (after, at, class) in &self.moves {
            let class = TransitionStorageClass::from(class.as_str());
            rule = rule.transitions(
                Transition::builder().set_days(days(*after)).set_date(date(at)?).storage_class(class).build(),
            );
        }
        for (after, kept, class) in &self.old_moves {
            let it = NoncurrentVersionTransition::builder().set_noncurrent_days(days(*after));
            let it = it
                .set_newer_noncurrent_versions(days(*kept))
                .storage_class(TransitionStorageClass::from(class.as_str()));
            rule = rule.noncurrent_version_transitions(it.build());
        }
        Ok(rule.build()?)
    }
}

fn class(class: Option<&TransitionStorageClass>) -> String {
    class.map(|class| class.as_str().to_owned()).unwrap_or_default()
}
