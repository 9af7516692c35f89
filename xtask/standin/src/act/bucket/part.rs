//! A setting of a bucket: which of the server's it is, and how its value is compared.

use anyhow::Result;
use aws_sdk_s3::Client;
use serde::Deserialize;

use super::{Answer, cors, lifecycle, policy, settings};
use crate::value::{Map, Value};

/// A setting of a bucket. Where providers write the same one differently, each way has a name.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// A canned access control list: written, and not read back.
    Acl,
    /// Who may read it from other sites' pages: blocks with all in them.
    Cors,
    /// The same, with what is allowed in an object of its own.
    CorsAllowed,
    /// The algorithm that objects are encrypted with.
    Encryption,
    /// When objects end: blocks as Scaleway writes them.
    Lifecycle,
    /// The same, as AWS's own resource writes them.
    LifecycleFilter,
    /// The same, as Cloudflare writes them.
    LifecycleConditions,
    /// A policy's JSON.
    Policy,
    /// The same in Scaleway's language: the server gets what everybody may.
    PolicyScaleway,
    /// What nobody may make public: four fields of the resource itself.
    PublicAccess,
    /// Its tags.
    Tags,
    /// Whether old versions are kept: `enabled`.
    Versioning,
    /// The same: `status`.
    VersioningStatus,
}

impl Part {
    /// What the server has, as the provider writes it.
    pub async fn get(self, s3: &Client, bucket: &str) -> Result<Answer<Value>> {
        match self {
            Self::Acl => Ok(Answer::Unknown),
            Self::Cors => cors::get(s3, bucket, false).await,
            Self::CorsAllowed => cors::get(s3, bucket, true).await,
            Self::Encryption => settings::encryption(s3, bucket).await,
            Self::Lifecycle | Self::LifecycleFilter | Self::LifecycleConditions => {
                lifecycle::get(self, s3, bucket).await
            }
            Self::Policy => policy::get(s3, bucket).await,
            // Of what concerns nobody but Scaleway's principals there is nothing at the server.
            Self::PolicyScaleway => match policy::get(s3, bucket).await? {
                Answer::Unset => Ok(Answer::Is(Value::Null)),
                there => Ok(there),
            },
            Self::PublicAccess => settings::public_access(s3, bucket).await,
            Self::Tags => settings::tags(s3, bucket).await,
            Self::Versioning => settings::versioning(s3, bucket, "enabled").await,
            Self::VersioningStatus => settings::versioning(s3, bucket, "status").await,
        }
    }

    /// Writes a value that is not empty.
    pub async fn put(self, s3: &Client, bucket: &str, value: &Value) -> Result<()> {
        match self {
            Self::Acl => settings::put_acl(s3, bucket, value).await,
            Self::Cors | Self::CorsAllowed => cors::put(s3, bucket, value).await,
            Self::Encryption => settings::put_encryption(s3, bucket, value).await,
            Self::Lifecycle | Self::LifecycleFilter | Self::LifecycleConditions => {
                lifecycle::put(self, s3, bucket, value).await
            }
            Self::Policy => policy::put(s3, bucket, value).await,
            Self::PolicyScaleway => policy::put(s3, bucket, &policy::public(value)).await,
            Self::PublicAccess => settings::put_public_access(s3, bucket, value).await,
            Self::Tags => settings::put_tags(s3, bucket, value).await,
            Self::Versioning | Self::VersioningStatus => settings::put_versioning(s3, bucket, value).await,
        }
    }

    /// Takes it away. That the bucket is gone is as good.
    pub async fn delete(self, s3: &Client, bucket: &str) -> Result<()> {
        use super::answer;
        match self {
            // It stays, as at the real providers.
            Self::Acl => {}
            Self::Cors | Self::CorsAllowed => drop(answer(s3.delete_bucket_cors().bucket(bucket).send().await)?),
            Self::Encryption => drop(answer(s3.delete_bucket_encryption().bucket(bucket).send().await)?),
            Self::Lifecycle | Self::LifecycleFilter | Self::LifecycleConditions => {
                drop(answer(s3.delete_bucket_lifecycle().bucket(bucket).send().await)?);
            }
            Self::Policy | Self::PolicyScaleway => drop(answer(s3.delete_bucket_policy().bucket(bucket).send().await)?),
            Self::PublicAccess => drop(answer(s3.delete_public_access_block().bucket(bucket).send().await)?),
            Self::Tags => drop(answer(s3.delete_bucket_tagging().bucket(bucket).send().await)?),
            Self::Versioning | Self::VersioningStatus => settings::suspend(s3, bucket).await?,
        }
        Ok(())
    }
}

/// What a resource's values have for a setting.
pub fn held(field: &str, values: &Map) -> Value {
    if field == "*" { Value::Map(values.clone()) } else { values.get(field).cloned().unwrap_or(Value::Null) }
}

/// Puts what the server has in place of what is otherwise there.
pub fn differing(part: Part, field: &str, values: &mut Map, there: Value) {
    if let ("*", Value::Map(all)) = (field, &there) {
        all.iter().for_each(|(field, there)| differing(part, field, values, there.clone()));
        return;
    }
    let held = held(field, values);
    let same = match part {
        Part::Lifecycle | Part::LifecycleFilter | Part::LifecycleConditions => lifecycle::same(part, &held, &there),
        Part::PolicyScaleway => normal(&policy::public(&held)) == normal(&there),
        _ => normal(&held) == normal(&there),
    };
    if !same {
        values.insert(field.to_owned(), there);
    }
}

/// A value such that those which mean the same are the same: without what is empty or off, lists in one order, JSON in one
/// spelling. Null if nothing is left.
pub fn normal(value: &Value) -> Value {
    match value {
        Value::Map(map) => {
            let left: Map = map.iter().map(|(name, value)| (name.clone(), normal(value))).collect();
            let left: Map = left.into_iter().filter(|(_, value)| !value.is_null()).collect();
            if left.is_empty() { Value::Null } else { Value::Map(left) }
        }
        Value::List(items) => {
            let mut left: Vec<_> = items.iter().map(normal).filter(|item| !item.is_null()).collect();
            left.sort_by_key(|item| item.json().to_string());
            if left.is_empty() { Value::Null } else { Value::List(left) }
        }
        Value::String(text) if text.is_empty() => Value::Null,
        Value::String(text) if text.starts_with('{') => match serde_json::from_str::<serde_json::Value>(text) {
            Ok(json) => normal(&json.into()),
            Err(_) => value.clone(),
        },
        Value::Bool(false) | Value::Unknown => Value::Null,
        Value::Number(number) if number.to_string() == "0" => Value::Null,
        plain => plain.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_means_the_same_is_the_same() {
        let same = |one: serde_json::Value, other: serde_json::Value| normal(&one.into()) == normal(&other.into());
        assert!(same(json!([{ "enabled": false, "id": "" }]), json!(null)));
        assert!(same(json!({ "methods": ["GET", "PUT"], "age": 1 }), json!({ "age": 1, "methods": ["PUT", "GET"] })));
        assert!(same(json!("{\"a\": [1, 2]}"), json!("{\"a\":[1,2]}")));
        assert!(!same(json!(["GET"]), json!(["PUT"])));
        assert!(!same(json!([{ "enabled": true }]), json!([])));
    }
}
