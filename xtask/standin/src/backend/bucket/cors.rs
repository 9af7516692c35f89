//! The CORS rules of a bucket.

use anyhow::{Context as _, Result};
use aws_sdk_s3::Client;
use aws_sdk_s3::types::{CorsConfiguration, CorsRule};
use serde_json::json;

use super::reply::{Reply, classify, require_bucket};
use crate::fields::{non_empty_text, text, texts};
use crate::value::{Map, Value};

/// Returns the rules. `nested` puts the methods, origins and headers into an object `allowed`.
pub async fn get(s3: &Client, bucket: &str, nested: bool) -> Result<Reply<Value>> {
    let reply = classify(s3.get_bucket_cors().bucket(bucket).send().await);
    let reply = reply.with_context(|| format!("get the CORS rules of {bucket}"))?;
    Ok(reply.map(|output| output.cors_rules().iter().map(|rule| to_json(rule, nested)).collect()))
}

/// Writes rules of either format.
pub async fn put(s3: &Client, bucket: &str, rules: &Value) -> Result<()> {
    let rules = rules.list().iter().filter_map(Value::map).map(from_values).collect::<Result<Vec<_>>>()?;
    let rules = CorsConfiguration::builder().set_cors_rules(Some(rules)).build()?;
    let put = s3.put_bucket_cors().bucket(bucket).cors_configuration(rules);
    require_bucket("write the CORS rules of", bucket, put.send().await)
}

fn from_values(rule: &Map) -> Result<CorsRule> {
    let list = |map: &Map, name: &str| Some(texts(map, name)).filter(|texts| !texts.is_empty());
    let allowed = |nested: &str, flat: &str| match rule.get("allowed").and_then(Value::map) {
        Some(allowed) => list(allowed, nested),
        None => list(rule, flat),
    };
    let built = CorsRule::builder()
        .set_id(non_empty_text(rule, "id"))
        .set_allowed_methods(allowed("methods", "allowed_methods"))
        .set_allowed_origins(allowed("origins", "allowed_origins"))
        .set_allowed_headers(allowed("headers", "allowed_headers"))
        .set_expose_headers(list(rule, "expose_headers"))
        .set_max_age_seconds(text(rule, "max_age_seconds").and_then(|seconds| seconds.parse().ok()));
    Ok(built.build()?)
}

fn to_json(rule: &CorsRule, nested: bool) -> serde_json::Value {
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
