//! The queues that a bucket tells of its objects.

use anyhow::{Context as _, Result};
use aws_sdk_s3::Client;
use aws_sdk_s3::types::{
    Event, FilterRule, FilterRuleName, NotificationConfiguration, NotificationConfigurationFilter, QueueConfiguration,
    S3KeyFilter,
};
use serde_json::json;

use super::reply::{Reply, classify, require_bucket};
use crate::fields::{non_empty_text, texts};
use crate::value::{Map, Value};

/// Returns the queues as blocks.
pub async fn get(s3: &Client, bucket: &str) -> Result<Reply<Value>> {
    let reply = classify(s3.get_bucket_notification_configuration().bucket(bucket).send().await);
    let reply = reply.with_context(|| format!("get the notifications of {bucket}"))?;
    Ok(match reply {
        // A bucket always has a configuration, which may be empty.
        Reply::Value(found) if found.queue_configurations().is_empty() => Reply::NotSet,
        reply => reply.map(|found| found.queue_configurations().iter().map(to_json).collect()),
    })
}

/// Writes the queues of blocks.
pub async fn put(s3: &Client, bucket: &str, queues: &Value) -> Result<()> {
    let queues = queues.list().iter().filter_map(Value::map).map(from_values).collect::<Result<Vec<_>>>()?;
    let all = NotificationConfiguration::builder().set_queue_configurations(Some(queues)).build();
    let put = s3.put_bucket_notification_configuration().bucket(bucket).notification_configuration(all);
    require_bucket("write the notifications of", bucket, put.send().await)
}

/// Removes all of them. Succeeds if the bucket does not exist.
pub async fn delete(s3: &Client, bucket: &str) -> Result<()> {
    let none = NotificationConfiguration::builder().build();
    let put = s3.put_bucket_notification_configuration().bucket(bucket).notification_configuration(none);
    classify(put.send().await).map(drop).with_context(|| format!("remove the notifications of {bucket}"))
}

fn from_values(queue: &Map) -> Result<QueueConfiguration> {
    let rule = |name: FilterRuleName, field: &str| {
        Some(FilterRule::builder().name(name).value(non_empty_text(queue, field)?).build())
    };
    let rules = [rule(FilterRuleName::Prefix, "filter_prefix"), rule(FilterRuleName::Suffix, "filter_suffix")];
    let rules: Vec<_> = rules.into_iter().flatten().collect();
    let filter = (!rules.is_empty()).then(|| {
        let key = S3KeyFilter::builder().set_filter_rules(Some(rules)).build();
        NotificationConfigurationFilter::builder().key(key).build()
    });
    let events = texts(queue, "events").iter().map(|event| Event::from(event.as_str())).collect();
    let built = QueueConfiguration::builder()
        .set_id(non_empty_text(queue, "id"))
        .set_queue_arn(non_empty_text(queue, "queue_arn"))
        .set_events(Some(events))
        .set_filter(filter);
    Ok(built.build()?)
}

fn to_json(queue: &QueueConfiguration) -> serde_json::Value {
    let rules = queue.filter().and_then(|filter| filter.key()).map(S3KeyFilter::filter_rules).unwrap_or_default();
    let value = |name: &FilterRuleName| rules.iter().find(|rule| rule.name() == Some(name)).and_then(FilterRule::value);
    let events: Vec<_> = queue.events().iter().map(Event::as_str).collect();
    json!({
        "id": queue.id(), "queue_arn": queue.queue_arn(), "events": events,
        "filter_prefix": value(&FilterRuleName::Prefix), "filter_suffix": value(&FilterRuleName::Suffix),
    })
}
