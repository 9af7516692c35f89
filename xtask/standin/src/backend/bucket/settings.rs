//! The smaller settings of a bucket: versioning, tags, encryption, public access block and ACL.

use anyhow::{Context as _, Result};
use aws_sdk_s3::Client;
use aws_sdk_s3::types::{
    BucketCannedAcl, BucketVersioningStatus, PublicAccessBlockConfiguration, ServerSideEncryption,
    ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration, ServerSideEncryptionRule, Tag, Tagging,
    VersioningConfiguration,
};
use serde_json::json;

use super::reply::{Reply, classify, require_bucket};
use crate::fields::{block, is_true, non_empty_text, text};
use crate::value::Value;

/// Returns versioning as a block with the field `enabled` or `status`.
pub async fn versioning(s3: &Client, bucket: &str, field: &str) -> Result<Reply<Value>> {
    Ok(versioning_status(s3, bucket).await?.map(|status| {
        if field == "enabled" { json!([{ field: status == "Enabled" }]) } else { json!([{ field: status }]) }
    }))
}

/// Enables or suspends versioning.
pub async fn put_versioning(s3: &Client, bucket: &str, value: &Value) -> Result<()> {
    let block = value.list().first().and_then(Value::map).cloned().unwrap_or_default();
    let status = match (is_true(&block, "enabled"), text(&block, "status").as_deref()) {
        (true, _) | (_, Some("Enabled")) => BucketVersioningStatus::Enabled,
        (_, Some("Suspended")) => BucketVersioningStatus::Suspended,
        // S3 has no request for `Disabled`: it is the state of a bucket whose versioning was never enabled.
        (_, Some("Disabled")) => return Ok(()),
        _ => return suspend_versioning(s3, bucket).await,
    };
    put_status(s3, bucket, status).await
}

/// Suspends versioning if it is enabled.
pub async fn suspend_versioning(s3: &Client, bucket: &str) -> Result<()> {
    match versioning_status(s3, bucket).await? {
        Reply::Value(status) if status == "Enabled" => put_status(s3, bucket, BucketVersioningStatus::Suspended).await,
        _ => Ok(()),
    }
}

/// `Enabled`, `Suspended`, or `Disabled` if versioning was never enabled.
async fn versioning_status(s3: &Client, bucket: &str) -> Result<Reply<String>> {
    let result = s3.get_bucket_versioning().bucket(bucket).send().await;
    let or_disabled = |status: Option<&str>| Reply::Value(status.unwrap_or("Disabled").to_owned());
    let raw = result.as_ref().err().and_then(|error| error.raw_response());
    if let Some(body) = raw.filter(|raw| raw.status().is_success()).and_then(|raw| raw.body().bytes()) {
        // moto 5.2 uses a different root element, which the SDK fails to parse.
        let text = String::from_utf8_lossy(body);
        return Ok(or_disabled(text.split("<Status>").nth(1).and_then(|rest| rest.split('<').next())));
    }
    Ok(match classify(result).with_context(|| format!("get the versioning of {bucket}"))? {
        Reply::Value(output) => or_disabled(output.status().map(BucketVersioningStatus::as_str)),
        Reply::NotSet => Reply::NotSet,
        Reply::NoBucket => Reply::NoBucket,
        Reply::NotSupported => Reply::NotSupported,
    })
}

async fn put_status(s3: &Client, bucket: &str, status: BucketVersioningStatus) -> Result<()> {
    let versioning = VersioningConfiguration::builder().status(status).build();
    let put = s3.put_bucket_versioning().bucket(bucket).versioning_configuration(versioning);
    require_bucket("set the versioning of", bucket, put.send().await)
}

pub async fn tags(s3: &Client, bucket: &str) -> Result<Reply<Value>> {
    let reply = classify(s3.get_bucket_tagging().bucket(bucket).send().await);
    let reply = reply.with_context(|| format!("get the tags of {bucket}"))?;
    Ok(reply.map(|output| output.tag_set.into_iter().map(|tag| (tag.key, json!(tag.value))).collect()))
}

pub async fn put_tags(s3: &Client, bucket: &str, value: &Value) -> Result<()> {
    let all = value.map().into_iter().flatten().filter_map(|(key, value)| Some((key, value.text()?)));
    let all = all.map(|(key, value)| Ok(Tag::builder().key(key).value(value).build()?)).collect::<Result<Vec<_>>>()?;
    let tagging = Tagging::builder().set_tag_set(Some(all)).build()?;
    require_bucket("tag", bucket, s3.put_bucket_tagging().bucket(bucket).tagging(tagging).send().await)
}

pub async fn encryption(s3: &Client, bucket: &str) -> Result<Reply<Value>> {
    let reply = classify(s3.get_bucket_encryption().bucket(bucket).send().await);
    let reply = reply.with_context(|| format!("get the encryption of {bucket}"))?;
    Ok(reply.map(|output| {
        let rules = output.server_side_encryption_configuration.map(|all| all.rules).unwrap_or_default();
        let rule = |rule: &ServerSideEncryptionRule| {
            let by_default = rule.apply_server_side_encryption_by_default().map(|it| {
                json!([{ "sse_algorithm": it.sse_algorithm().as_str(), "kms_master_key_id": it.kms_master_key_id() }])
            });
            json!({
                "apply_server_side_encryption_by_default": by_default, "bucket_key_enabled": rule.bucket_key_enabled(),
            })
        };
        rules.iter().map(rule).collect()
    }))
}

pub async fn put_encryption(s3: &Client, bucket: &str, value: &Value) -> Result<()> {
    let mut all = ServerSideEncryptionConfiguration::builder();
    for rule in value.list().iter().filter_map(Value::map) {
        let by_default = block(rule, "apply_server_side_encryption_by_default").cloned().unwrap_or_default();
        let by_default = ServerSideEncryptionByDefault::builder()
            .set_sse_algorithm(
                non_empty_text(&by_default, "sse_algorithm").map(|name| ServerSideEncryption::from(name.as_str())),
            )
            .set_kms_master_key_id(non_empty_text(&by_default, "kms_master_key_id"))
            .build()?;
        let key = is_true(rule, "bucket_key_enabled");
        let rule = ServerSideEncryptionRule::builder().apply_server_side_encryption_by_default(by_default);
        all = all.rules(rule.bucket_key_enabled(key).build());
    }
    let put = s3.put_bucket_encryption().bucket(bucket).server_side_encryption_configuration(all.build()?);
    require_bucket("set the encryption of", bucket, put.send().await)
}

pub async fn public_access_block(s3: &Client, bucket: &str) -> Result<Reply<Value>> {
    let reply = classify(s3.get_public_access_block().bucket(bucket).send().await);
    let reply = reply.with_context(|| format!("get the public access block of {bucket}"))?;
    Ok(reply.map(|output| {
        let block = output.public_access_block_configuration;
        let block = block.unwrap_or_else(|| PublicAccessBlockConfiguration::builder().build());
        json!({
            "block_public_acls": block.block_public_acls(), "block_public_policy": block.block_public_policy(),
            "ignore_public_acls": block.ignore_public_acls(), "restrict_public_buckets": block.restrict_public_buckets(),
        })
    }))
}

pub async fn put_public_access_block(s3: &Client, bucket: &str, values: &Value) -> Result<()> {
    let on = |field: &str| values.map().is_some_and(|values| is_true(values, field));
    let block = PublicAccessBlockConfiguration::builder()
        .block_public_acls(on("block_public_acls"))
        .block_public_policy(on("block_public_policy"))
        .ignore_public_acls(on("ignore_public_acls"))
        .restrict_public_buckets(on("restrict_public_buckets"));
    let put = s3.put_public_access_block().bucket(bucket).public_access_block_configuration(block.build());
    require_bucket("set the public access block of", bucket, put.send().await)
}

/// Sets a canned ACL.
pub async fn put_acl(s3: &Client, bucket: &str, value: &Value) -> Result<()> {
    let acl = BucketCannedAcl::from(value.text().unwrap_or_default().as_str());
    require_bucket("set the access control list of", bucket, s3.put_bucket_acl().bucket(bucket).acl(acl).send().await)
}
