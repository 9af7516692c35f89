//! When the objects of a bucket end: the rules as servers have them.

mod form;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, ExpirationStatus, LifecycleExpiration, LifecycleRule,
    LifecycleRuleAndOperator, LifecycleRuleFilter, NoncurrentVersionExpiration, NoncurrentVersionTransition, Tag,
    Transition, TransitionStorageClass,
};

use self::form::{read, written};
use super::{Answer, Part, answer, done};
use crate::value::Value;

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
