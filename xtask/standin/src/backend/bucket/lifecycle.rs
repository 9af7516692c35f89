//! The lifecycle rules of a bucket.

mod provider_format;
mod rule;

use anyhow::{Context as _, Result};
use aws_sdk_s3::Client;
use aws_sdk_s3::types::BucketLifecycleConfiguration;

pub use self::provider_format::Format;
use self::provider_format::{from_values, to_json};
use self::rule::Rule;
use super::reply::{Reply, classify, require_bucket};
use crate::value::Value;

/// Returns the server's rules in the provider's format.
pub async fn get(format: Format, s3: &Client, bucket: &str) -> Result<Reply<Value>> {
    let reply = classify(s3.get_bucket_lifecycle_configuration().bucket(bucket).send().await);
    let reply = reply.with_context(|| format!("get the lifecycle rules of {bucket}"))?;
    Ok(reply.map(|output| output.rules().iter().map(|rule| to_json(format, &Rule::from_s3(rule))).collect()))
}

pub async fn put(format: Format, s3: &Client, bucket: &str, value: &Value) -> Result<()> {
    let rules = sorted_rules(format, value).iter().map(Rule::to_s3).collect::<Result<Vec<_>>>()?;
    let rules = BucketLifecycleConfiguration::builder().set_rules(Some(rules)).build()?;
    let put = s3.put_bucket_lifecycle_configuration().bucket(bucket).lifecycle_configuration(rules);
    require_bucket("write the lifecycle rules of", bucket, put.send().await)
}

/// Whether two lists hold the same rules, in any order.
pub fn equivalent(format: Format, one: &Value, other: &Value) -> bool {
    sorted_rules(format, one) == sorted_rules(format, other)
}

fn sorted_rules(format: Format, value: &Value) -> Vec<Rule> {
    let mut rules: Vec<_> = value.list().iter().filter_map(Value::map).map(|rule| from_values(format, rule)).collect();
    rules.sort_by(|one, other| one.id.cmp(&other.id));
    rules
}
