//! The smaller settings of a bucket: versioning, tags, encryption, public access, the access control list.

use anyhow::{Context as _, Result};
use aws_sdk_s3::Client;
use aws_sdk_s3::types::{
    BucketCannedAcl, BucketVersioningStatus, PublicAccessBlockConfiguration, ServerSideEncryption,
    ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration, ServerSideEncryptionRule, Tag, Tagging,
    VersioningConfiguration,
};
use serde_json::json;

use super::{Answer, answer, done};
use crate::value::Value;

/// Whether old versions are kept, in a block with this field.
pub async fn versioning(s3: &Client, bucket: &str, field: &str) -> Result<Answer<Value>> {
    Ok(status(s3, bucket).await?.map(|status| {
        if field == "enabled" { json!([{ field: status == "Enabled" }]) } else { json!([{ field: status }]) }
    }))
}

/// Keeps old versions, or no more.
pub async fn put_versioning(s3: &Client, bucket: &str, value: &Value) -> Result<()> {
    let block = value.list().first().and_then(Value::map).cloned().unwrap_or_default();
    let status = match (block.get("enabled"), block.get("status").and_then(Value::text).as_deref()) {
        (Some(Value::Bool(true)), _) | (_, Some("Enabled")) => BucketVersioningStatus::Enabled,
        (_, Some("Suspended")) => BucketVersioningStatus::Suspended,
        // It has never been on.
        (_, Some("Disabled")) => return Ok(()),
        _ => return suspend(s3, bucket).await,
    };
    put_status(s3, bucket, status).await
}

/// Keeps no more versions, if any were kept.
pub async fn suspend(s3: &Client, bucket: &str) -> Result<()> {
    match status(s3, bucket).await? {
        Answer::Is(status) if status == "Enabled" => put_status(s3, bucket, BucketVersioningStatus::Suspended).await,
        _ => Ok(()),
    }
}

/// `Enabled`, `Suspended`, or `Disabled` of what never was on.
async fn status(s3: &Client, bucket: &str) -> Result<Answer<String>> {
    let there = s3.get_bucket_versioning().bucket(bucket).send().await;
    let whole = |status: Option<&str>| Answer::Is(status.unwrap_or("Disabled").to_owned());
    let raw = there.as_ref().err().and_then(|error| error.raw_response());
    if let Some(body) = raw.filter(|raw| raw.status().is_success()).and_then(|raw| raw.body().bytes()) {
        // moto 5.2 gives the answer another name, and the SDK reads none of another name.
        let text = String::from_utf8_lossy(body);
        return Ok(whole(text.split("<Status>").nth(1).and_then(|rest| rest.split('<').next())));
    }
    Ok(match answer(there).with_context(|| format!("ask whether {bucket} keeps versions"))? {
        Answer::Is(there) => whole(there.status().map(BucketVersioningStatus::as_str)),
        Answer::Unset => Answer::Unset,
        Answer::NoBucket => Answer::NoBucket,
        Answer::Unknown => Answer::Unknown,
    })
}

async fn put_status(s3: &Client, bucket: &str, status: BucketVersioningStatus) -> Result<()> {
    let versioning = VersioningConfiguration::builder().status(status).build();
    let put = s3.put_bucket_versioning().bucket(bucket).versioning_configuration(versioning);
    done("set whether versions are kept of", bucket, put.send().await)
}

/// Its tags.
pub async fn tags(s3: &Client, bucket: &str) -> Result<Answer<Value>> {
    let there = answer(s3.get_bucket_tagging().bucket(bucket).send().await);
    let there = there.with_context(|| format!("ask for the tags of {bucket}"))?;
    Ok(there.map(|there| there.tag_set.into_iter().map(|tag| (tag.key, json!(tag.value))).collect()))
}

/// Tags it.
pub async fn put_tags(s3: &Client, bucket: &str, value: &Value) -> Result<()> {
    let all = value.map().into_iter().flatten().filter_map(|(key, value)| Some((key, value.text()?)));
    let all = all.map(|(key, value)| Ok(Tag::builder().key(key).value(value).build()?)).collect::<Result<Vec<_>>>()?;
    let tagging = Tagging::builder().set_tag_set(Some(all)).build()?;
    done("tag", bucket, s3.put_bucket_tagging().bucket(bucket).tagging(tagging).send().await)
}

/// What its objects are encrypted with.
pub async fn encryption(s3: &Client, bucket: &str) -> Result<Answer<Value>> {
    let there = answer(s3.get_bucket_encryption().bucket(bucket).send().await);
    let there = there.with_context(|| format!("ask for the encryption of {bucket}"))?;
    Ok(there.map(|there| {
        let rules = there.server_side_encryption_configuration.map(|all| all.rules).unwrap_or_default();
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

/// Encrypts its objects.
pub async fn put_encryption(s3: &Client, bucket: &str, value: &Value) -> Result<()> {
    let mut all = ServerSideEncryptionConfiguration::builder();
    for rule in value.list().iter().filter_map(Value::map) {
        let block = rule.get("apply_server_side_encryption_by_default").map(Value::list).unwrap_or_default();
        let block = block.first().and_then(Value::map).cloned().unwrap_or_default();
        let text = |field: &str| block.get(field).and_then(Value::text).filter(|text| !text.is_empty());
        let by_default = ServerSideEncryptionByDefault::builder()
            .set_sse_algorithm(text("sse_algorithm").map(|name| ServerSideEncryption::from(name.as_str())))
            .set_kms_master_key_id(text("kms_master_key_id"))
            .build()?;
        let key = rule.get("bucket_key_enabled") == Some(&Value::Bool(true));
        let rule = ServerSideEncryptionRule::builder().apply_server_side_encryption_by_default(by_default);
        all = all.rules(rule.bucket_key_enabled(key).build());
    }
    let put = s3.put_bucket_encryption().bucket(bucket).server_side_encryption_configuration(all.build()?);
    done("set the encryption of", bucket, put.send().await)
}

/// What nobody may make public.
pub async fn public_access(s3: &Client, bucket: &str) -> Result<Answer<Value>> {
    let there = answer(s3.get_public_access_block().bucket(bucket).send().await);
    let there = there.with_context(|| format!("ask for the public access block of {bucket}"))?;
    Ok(there.map(|there| {
        let block = there.public_access_block_configuration.unwrap_or_else(|| PublicAccessBlockConfiguration::builder().build());
        json!({
            "block_public_acls": block.block_public_acls(), "block_public_policy": block.block_public_policy(),
            "ignore_public_acls": block.ignore_public_acls(), "restrict_public_buckets": block.restrict_public_buckets(),
        })
    }))
}

/// Sees that nobody makes it public.
pub async fn put_public_access(s3: &Client, bucket: &str, values: &Value) -> Result<()> {
    let on = |field: &str| values.map().and_then(|values| values.get(field)) == Some(&Value::Bool(true));
    let block = PublicAccessBlockConfiguration::builder()
        .block_public_acls(on("block_public_acls"))
        .block_public_policy(on("block_public_policy"))
        .ignore_public_acls(on("ignore_public_acls"))
        .restrict_public_buckets(on("restrict_public_buckets"));
    let put = s3.put_public_access_block().bucket(bucket).public_access_block_configuration(block.build());
    done("set the public access block of", bucket, put.send().await)
}

/// Gives it a canned access control list.
pub async fn put_acl(s3: &Client, bucket: &str, value: &Value) -> Result<()> {
    let acl = BucketCannedAcl::from(value.text().unwrap_or_default().as_str());
    done("set the access control list of", bucket, s3.put_bucket_acl().bucket(bucket).acl(acl).send().await)
}
