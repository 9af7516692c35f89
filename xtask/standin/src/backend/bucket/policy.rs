//! Bucket policies. Scaleway's policy language differs from the one that S3 servers implement.

use anyhow::{Context as _, Result};
use aws_sdk_s3::Client;
use serde_json::{Value as Json, json};

use super::reply::{Reply, classify, require_bucket};
use crate::value::Value;

pub async fn get(s3: &Client, bucket: &str) -> Result<Reply<Value>> {
    let reply = classify(s3.get_bucket_policy().bucket(bucket).send().await);
    Ok(reply.with_context(|| format!("get the policy of {bucket}"))?.map(|output| json!(output.policy)))
}

/// Writes a policy, or deletes it if the value is null.
pub async fn put(s3: &Client, bucket: &str, policy: &Value) -> Result<()> {
    match policy.text() {
        Some(text) => {
            let put = s3.put_bucket_policy().bucket(bucket).policy(text);
            require_bucket("write the policy of", bucket, put.send().await)
        }
        None => require_bucket("delete the policy of", bucket, s3.delete_bucket_policy().bucket(bucket).send().await),
    }
}

/// Converts the statements of a Scaleway policy whose principal is everyone to an S3 policy. Returns null if there are
/// none. Statements for Scaleway's principals are left out: the server has one key, which has every permission.
pub fn public_statements(policy: &Value) -> Value {
    let policy = policy.text().and_then(|text| serde_json::from_str::<Json>(&text).ok()).unwrap_or_default();
    let texts = |value: &Json| match value {
        Json::Array(all) => all.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
        one => Vec::from_iter(one.as_str().map(str::to_owned)),
    };
    let is_public = |it: &&Json| it["Principal"] == "*" || it["Principal"]["SCW"] == "*";
    let statements = policy["Statement"].as_array().into_iter().flatten().filter(is_public).map(|it| {
        let resources = texts(&it["Resource"]).into_iter().map(|name| format!("arn:aws:s3:::{name}"));
        json!({
            "Effect": it["Effect"], "Principal": "*", "Action": texts(&it["Action"]),
            "Resource": resources.collect::<Vec<_>>(),
        })
    });
    let statements: Vec<_> = statements.collect();
    if statements.is_empty() {
        return Value::Null;
    }
    Value::String(json!({ "Version": "2012-10-17", "Statement": statements }).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_statements_for_everyone_are_converted() {
        let scaleway =
            json!({ "Effect": "Allow", "Principal": { "SCW": "application_id:1" }, "Action": "s3:*", "Resource": "b" });
        let everyone =
            json!({ "Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject"], "Resource": ["b/media/*"] });
        let policy = |statements: &[&Json]| {
            Value::String(json!({ "Version": "2023-04-17", "Statement": statements }).to_string())
        };
        assert!(public_statements(&policy(&[&scaleway])).is_null());
        let converted = public_statements(&policy(&[&scaleway, &everyone])).text().unwrap();
        let converted: Json = serde_json::from_str(&converted).unwrap();
        assert_eq!(converted["Statement"].as_array().unwrap().len(), 1);
        assert_eq!(converted["Statement"][0]["Resource"], json!(["arn:aws:s3:::b/media/*"]));
    }
}
