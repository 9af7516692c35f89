//! The kinds of bucket settings: how each is read, written, deleted and compared.

use anyhow::Result;
use aws_sdk_s3::Client;
use serde::Deserialize;

use super::lifecycle::{self, Format};
use super::reply::{Reply, classify};
use super::{cors, notification, policy, settings};
use crate::backend::compare::equivalent;
use crate::value::{Map, Value};

/// A setting of a bucket. A setting that providers write in different formats has a kind for each format.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SettingKind {
    /// A canned ACL. Written, but not read back.
    Acl,
    /// CORS rules as blocks.
    Cors,
    /// CORS rules with an object `allowed`.
    CorsCloudflare,
    /// The algorithm and key of server-side encryption.
    Encryption,
    LifecycleAws,
    LifecycleCloudflare,
    LifecycleScaleway,
    /// The queues that the bucket tells of its objects.
    Notification,
    /// A policy as JSON.
    Policy,
    /// A policy in Scaleway's language, of which the server gets the statements for everyone.
    PolicyScaleway,
    /// The public access block: four fields of the resource.
    PublicAccessBlock,
    Tags,
    /// Versioning as a block with `status`.
    VersioningAws,
    /// Versioning as a block with `enabled`.
    VersioningScaleway,
}

impl SettingKind {
    /// Returns the server's setting in the provider's format.
    pub async fn get(self, s3: &Client, bucket: &str) -> Result<Reply<Value>> {
        match self {
            Self::Acl => Ok(Reply::NotSupported),
            Self::Cors => cors::get(s3, bucket, false).await,
            Self::CorsCloudflare => cors::get(s3, bucket, true).await,
            Self::Encryption => settings::encryption(s3, bucket).await,
            Self::LifecycleAws => lifecycle::get(Format::Aws, s3, bucket).await,
            Self::LifecycleCloudflare => lifecycle::get(Format::Cloudflare, s3, bucket).await,
            Self::LifecycleScaleway => lifecycle::get(Format::Scaleway, s3, bucket).await,
            Self::Notification => notification::get(s3, bucket).await,
            Self::Policy => policy::get(s3, bucket).await,
            // A policy without a statement for everyone does not exist on the server.
            Self::PolicyScaleway => match policy::get(s3, bucket).await? {
                Reply::NotSet => Ok(Reply::Value(Value::Null)),
                reply => Ok(reply),
            },
            Self::PublicAccessBlock => settings::public_access_block(s3, bucket).await,
            Self::Tags => settings::tags(s3, bucket).await,
            Self::VersioningAws => settings::versioning(s3, bucket, "status").await,
            Self::VersioningScaleway => settings::versioning(s3, bucket, "enabled").await,
        }
    }

    /// Writes a value that is not empty.
    pub async fn put(self, s3: &Client, bucket: &str, value: &Value) -> Result<()> {
        match self {
            Self::Acl => settings::put_acl(s3, bucket, value).await,
            Self::Cors | Self::CorsCloudflare => cors::put(s3, bucket, value).await,
            Self::Encryption => settings::put_encryption(s3, bucket, value).await,
            Self::LifecycleAws => lifecycle::put(Format::Aws, s3, bucket, value).await,
            Self::LifecycleCloudflare => lifecycle::put(Format::Cloudflare, s3, bucket, value).await,
            Self::LifecycleScaleway => lifecycle::put(Format::Scaleway, s3, bucket, value).await,
            Self::Notification => notification::put(s3, bucket, value).await,
            Self::Policy => policy::put(s3, bucket, value).await,
            Self::PolicyScaleway => policy::put(s3, bucket, &policy::public_statements(value)).await,
            Self::PublicAccessBlock => settings::put_public_access_block(s3, bucket, value).await,
            Self::Tags => settings::put_tags(s3, bucket, value).await,
            Self::VersioningAws | Self::VersioningScaleway => settings::put_versioning(s3, bucket, value).await,
        }
    }

    /// Removes the setting. Succeeds if the bucket does not exist.
    pub async fn delete(self, s3: &Client, bucket: &str) -> Result<()> {
        match self {
            // The real providers leave the ACL in place, too.
            Self::Acl => {}
            Self::Cors | Self::CorsCloudflare => drop(classify(s3.delete_bucket_cors().bucket(bucket).send().await)?),
            Self::Encryption => drop(classify(s3.delete_bucket_encryption().bucket(bucket).send().await)?),
            Self::LifecycleAws | Self::LifecycleCloudflare | Self::LifecycleScaleway => {
                drop(classify(s3.delete_bucket_lifecycle().bucket(bucket).send().await)?);
            }
            Self::Notification => notification::delete(s3, bucket).await?,
            Self::Policy | Self::PolicyScaleway => {
                drop(classify(s3.delete_bucket_policy().bucket(bucket).send().await)?);
            }
            Self::PublicAccessBlock => drop(classify(s3.delete_public_access_block().bucket(bucket).send().await)?),
            Self::Tags => drop(classify(s3.delete_bucket_tagging().bucket(bucket).send().await)?),
            Self::VersioningAws | Self::VersioningScaleway => settings::suspend_versioning(s3, bucket).await?,
        }
        Ok(())
    }
}

/// The value of a setting in a resource. The field `*` is the whole resource.
pub fn value_of(field: &str, values: &Map) -> Value {
    if field == "*" { Value::Map(values.clone()) } else { values.get(field).cloned().unwrap_or(Value::Null) }
}

/// Sets a field to the server's value, unless the present value is equivalent.
pub fn update_if_different(kind: SettingKind, field: &str, values: &mut Map, current: Value) {
    if let ("*", Value::Map(fields)) = (field, &current) {
        fields.iter().for_each(|(field, current)| update_if_different(kind, field, values, current.clone()));
        return;
    }
    let value = value_of(field, values);
    let same = match kind {
        SettingKind::LifecycleAws => lifecycle::equivalent(Format::Aws, &value, &current),
        SettingKind::LifecycleCloudflare => lifecycle::equivalent(Format::Cloudflare, &value, &current),
        SettingKind::LifecycleScaleway => lifecycle::equivalent(Format::Scaleway, &value, &current),
        SettingKind::PolicyScaleway => equivalent(&policy::public_statements(&value), &current),
        _ => equivalent(&value, &current),
    };
    if !same {
        values.insert(field.to_owned(), current);
    }
}
