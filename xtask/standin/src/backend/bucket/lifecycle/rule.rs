//! A lifecycle rule in a common format, and its conversion from and to the SDK's type.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, ExpirationStatus, LifecycleExpiration, LifecycleRule, LifecycleRuleAndOperator,
    LifecycleRuleFilter, NoncurrentVersionExpiration, NoncurrentVersionTransition, Tag, Transition,
    TransitionStorageClass,
};

/// A field that is not set is 0 or empty.
#[derive(Debug, Default, PartialEq)]
pub struct Rule {
    pub id: String,
    pub enabled: bool,
    pub prefix: String,
    pub tags: BTreeMap<String, String>,
    pub size_greater_than: i64,
    pub size_less_than: i64,
    pub days: i64,
    pub date: String,
    pub expired_delete_marker: bool,
    pub noncurrent_days: i64,
    /// How many noncurrent versions are kept.
    pub noncurrent_kept: i64,
    pub abort_upload_days: i64,
    /// Days, date and storage class.
    pub transitions: Vec<(i64, String, String)>,
    /// Days, kept versions and storage class.
    pub noncurrent_transitions: Vec<(i64, i64, String)>,
}

impl Rule {
    pub fn from_s3(rule: &LifecycleRule) -> Self {
        let wide = |number: Option<i32>| i64::from(number.unwrap_or_default());
        let date =
            |date: Option<&DateTime>| date.and_then(|date| date.fmt(DateTimeFormat::DateTime).ok()).unwrap_or_default();
        let (filter, expiration) = (rule.filter(), rule.expiration());
        let and = filter.and_then(LifecycleRuleFilter::and);
        let prefix = and.and_then(LifecycleRuleAndOperator::prefix).or_else(|| filter?.prefix());
        let tags =
            and.map(LifecycleRuleAndOperator::tags).unwrap_or_default().iter().chain(filter.and_then(|it| it.tag()));
        let (larger, smaller) = (
            and.and_then(|it| it.object_size_greater_than()).or_else(|| filter?.object_size_greater_than()),
            and.and_then(|it| it.object_size_less_than()).or_else(|| filter?.object_size_less_than()),
        );
        let noncurrent = rule.noncurrent_version_expiration();
        Self {
            id: rule.id().unwrap_or_default().to_owned(),
            enabled: *rule.status() == ExpirationStatus::Enabled,
            prefix: prefix.unwrap_or_default().to_owned(),
            tags: tags.map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect(),
            size_greater_than: larger.unwrap_or_default(),
            size_less_than: smaller.unwrap_or_default(),
            days: wide(expiration.and_then(LifecycleExpiration::days)),
            date: date(expiration.and_then(LifecycleExpiration::date)),
            expired_delete_marker: expiration
                .and_then(LifecycleExpiration::expired_object_delete_marker)
                .unwrap_or_default(),
            noncurrent_days: wide(noncurrent.and_then(NoncurrentVersionExpiration::noncurrent_days)),
            noncurrent_kept: wide(noncurrent.and_then(NoncurrentVersionExpiration::newer_noncurrent_versions)),
            abort_upload_days: wide(rule.abort_incomplete_multipart_upload().and_then(|it| it.days_after_initiation())),
            transitions: rule
                .transitions()
                .iter()
                .map(|it| (wide(it.days()), date(it.date()), class_name(it.storage_class())))
                .collect(),
            noncurrent_transitions: rule
                .noncurrent_version_transitions()
                .iter()
                .map(|it| {
                    (wide(it.noncurrent_days()), wide(it.newer_noncurrent_versions()), class_name(it.storage_class()))
                })
                .collect(),
        }
    }

    pub fn to_s3(&self) -> Result<LifecycleRule> {
        let days = |days: i64| i32::try_from(days).ok().filter(|days| *days != 0);
        let size = |size: i64| (size != 0).then_some(size);
        let date = |text: &str| -> Result<_> {
            let read = |text| {
                DateTime::from_str(text, DateTimeFormat::DateTime).context("a lifecycle rule has an invalid date")
            };
            (!text.is_empty()).then(|| read(text)).transpose()
        };
        let tags = self.tags.iter().map(|(key, value)| Ok(Tag::builder().key(key).value(value).build()?));
        let tags = tags.collect::<Result<Vec<_>>>()?;
        let filter = if tags.is_empty() && self.size_greater_than == 0 && self.size_less_than == 0 {
            LifecycleRuleFilter::builder().prefix(&self.prefix)
        } else {
            let and = LifecycleRuleAndOperator::builder().set_tags(Some(tags)).prefix(&self.prefix);
            let and = and
                .set_object_size_greater_than(size(self.size_greater_than))
                .set_object_size_less_than(size(self.size_less_than));
            LifecycleRuleFilter::builder().and(and.build())
        };
        let expiration = LifecycleExpiration::builder().set_days(days(self.days)).set_date(date(&self.date)?);
        let expiration =
            expiration.set_expired_object_delete_marker(self.expired_delete_marker.then_some(true)).build();
        let noncurrent = NoncurrentVersionExpiration::builder().set_noncurrent_days(days(self.noncurrent_days));
        let noncurrent = noncurrent.set_newer_noncurrent_versions(days(self.noncurrent_kept)).build();
        let abort = AbortIncompleteMultipartUpload::builder().set_days_after_initiation(days(self.abort_upload_days));
        let mut rule = LifecycleRule::builder()
            .set_id(Some(self.id.clone()).filter(|id| !id.is_empty()))
            .status(if self.enabled { ExpirationStatus::Enabled } else { ExpirationStatus::Disabled })
            .filter(filter.build())
            .set_expiration(Some(expiration).filter(|it| *it != LifecycleExpiration::builder().build()))
            .set_noncurrent_version_expiration(
                Some(noncurrent).filter(|it| *it != NoncurrentVersionExpiration::builder().build()),
            )
            .set_abort_incomplete_multipart_upload((self.abort_upload_days != 0).then(|| abort.build()));
        for (after, at, class) in &self.transitions {
            let class = TransitionStorageClass::from(class.as_str());
            rule = rule.transitions(
                Transition::builder().set_days(days(*after)).set_date(date(at)?).storage_class(class).build(),
            );
        }
        for (after, kept, class) in &self.noncurrent_transitions {
            let it = NoncurrentVersionTransition::builder().set_noncurrent_days(days(*after));
            let it = it
                .set_newer_noncurrent_versions(days(*kept))
                .storage_class(TransitionStorageClass::from(class.as_str()));
            rule = rule.noncurrent_version_transitions(it.build());
        }
        Ok(rule.build()?)
    }
}

fn class_name(class: Option<&TransitionStorageClass>) -> String {
    class.map(|class| class.as_str().to_owned()).unwrap_or_default()
}
