//! Who may read a bucket from other sites' pages.

use anyhow::{Context as _, Result};
use aws_sdk_s3::Client;
use aws_sdk_s3::types::{CorsConfiguration, CorsRule};
use serde_json::json;

use super::{Answer, answer, done};
use crate::value::{Map, Value};

/// The rules, with what is allowed in an object of its own or not.
pub async fn get(s3: &Client, bucket: &str, nested: bool) -> Result<Answer<Value>> {
    let said = || format!("ask for the CORS rules of {bucket}");
    let there = answer(s3.get_bucket_cors().bucket(bucket).send().await).with_context(said)?;
    Ok(there.map(|there| there.cors_rules().iter().map(|rule| written(rule, nested)).collect()))
}

/// Writes rules of either kind.
pub async fn put(s3: &Client, bucket: &str, rules: &Value) -> Result<()> {
    let rules = rules.list().iter().filter_map(Value::map).map(read).collect::<Result<Vec<_>>>()?;
    let rules = CorsConfiguration::builder().set_cors_rules(Some(rules)).build()?;
    let put = s3.put_bucket_cors().bucket(bucket).cors_configuration(rules);
    done("write the CORS rules of", bucket, put.send().await)
}

fn read(rule: &Map) -> Result<CorsRule> {
    let allowed = rule.get("allowed").and_then(Value::map);
    let get = |nested: &str, flat: &str| allowed.and_then(|allowed| allowed.get(nested)).or_else(|| rule.get(flat));
    let texts = |value: Option<&Value>| -> Option<Vec<String>> {
        let texts: Vec<_> = value?.list().iter().filter_map(Value::text).collect();
        (!texts.is_empty()).then_some(texts)
    };
    let built = CorsRule::builder()
        .set_id(rule.get("id").and_then(Value::text).filter(|id| !id.is_empty()))
        .set_allowed_methods(texts(get("methods", "allowed_methods")))
        .set_allowed_origins(texts(get("origins", "allowed_origins")))
        .set_allowed_headers(texts(get("headers", "allowed_headers")))
        .set_expose_headers(texts(rule.get("expose_headers")))
        .set_max_age_seconds(rule.get("max_age_seconds").and_then(|seconds| seconds.text()?.parse().ok()));
    Ok(built.build()?)
}

fn written(rule: &CorsRule, nested: bool) -> serde_json::Value {
    let (methods, origins, headers) = (rule.allowed_methods(), rule.allowed_origins(), rule.allowed_headers());
    let (id, expose, age) = (rule.id(), rule.expose_headers(), rule.max_age_seconds());
    if nested {
        let allowed = json!({ "methods": methods, "origins": origins, "headers": headers });
        json!({ "id": id, "allowed": allowed, "expose_headers": expose, "max_age_seconds": age })
    } else {
        json!({
            "id": id, "allowed_methods": methods, "allowed_origins": origins, "allowed_headers": headers,
            "expose_headers": expose, "max_age_seconds": age,
        })
    }
}
