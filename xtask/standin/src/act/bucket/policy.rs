//! The policy of a bucket. Scaleway's has a language of its own, which no other server knows.

use anyhow::{Context as _, Result};
use aws_sdk_s3::Client;
use serde_json::{Value as Json, json};

use super::{Answer, answer, done};
use crate::value::Value;

/// The policy that the server has.
pub async fn get(s3: &Client, bucket: &str) -> Result<Answer<Value>> {
    let there = answer(s3.get_bucket_policy().bucket(bucket).send().await);
    Ok(there.with_context(|| format!("ask for the policy of {bucket}"))?.map(|there| json!(there.policy)))
}

/// Gives the bucket a policy. None takes it away.
pub async fn put(s3: &Client, bucket: &str, policy: &Value) -> Result<()> {
    match policy.text() {
        Some(text) => {
            let put = s3.put_bucket_policy().bucket(bucket).policy(text);
            done("write the policy of", bucket, put.send().await)
        }
        None => done("take the policy from", bucket, s3.delete_bucket_policy().bucket(bucket).send().await),
    }
}

/// What a policy of Scaleway's allows to everybody, in the language of other servers; null if that is nothing. What it
/// allows to its own principals is left out: here there is one key, which may do everything.
pub fn public(policy: &Value) -> Value {
    let policy = policy.text().and_then(|text| serde_json::from_str::<Json>(&text).ok()).unwrap_or_default();
    let texts = |value: &Json| match value {
        Json::Array(all) => all.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
        one => Vec::from_iter(one.as_str().map(str::to_owned)),
    };
    let open = |it: &&Json| it["Principal"] == "*" || it["Principal"]["SCW"] == "*";
    let statements = policy["Statement"].as_array().into_iter().flatten().filter(open).map(|it| {
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
    fn only_what_everybody_may_is_written_for_other_servers() {
        let own =
            json!({ "Effect": "Allow", "Principal": { "SCW": "application_id:1" }, "Action": "s3:*", "Resource": "b" });
        let all = json!({ "Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject"], "Resource": ["b/media/*"] });
        let policy = |statements: &[&Json]| {
            Value::String(json!({ "Version": "2023-04-17", "Statement": statements }).to_string())
        };
        assert!(public(&policy(&[&own])).is_null());
        let written: Json = serde_json::from_str(&public(&policy(&[&own, &all])).text().unwrap()).unwrap();
        assert_eq!(written["Statement"].as_array().unwrap().len(), 1);
        assert_eq!(written["Statement"][0]["Resource"], json!(["arn:aws:s3:::b/media/*"]));
    }
}
