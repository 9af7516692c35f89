//! Reads and replaces the settings of a bucket. A setting that is not set is `None` or empty.

use std::collections::BTreeMap;

use aws_sdk_s3::types::{
    AccessControlPolicy, BucketLifecycleConfiguration, BucketVersioningStatus, PublicAccessBlockConfiguration,
    ServerSideEncryption, ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration, ServerSideEncryptionRule,
    Tag, Tagging, VersioningConfiguration,
};
use serde_json::Value;

use super::error::{Kind, Result};
use super::{Acl, Bucket, Lifecycle};

impl Bucket {
    /// Whether the bucket keeps overwritten and deleted objects.
    pub async fn versioning(&self) -> Result<bool> {
        let read = self.client.get_bucket_versioning().bucket(&self.name).send().await;
        let read = read.map_err(|error| self.error("read the versioning of", error))?;
        Ok(read.status() == Some(&BucketVersioningStatus::Enabled))
    }

    pub async fn put_versioning(&self) -> Result<()> {
        let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let call = self.client.put_bucket_versioning().bucket(&self.name).versioning_configuration(on);
        call.send().await.map(drop).map_err(|error| self.error("turn on the versioning of", error))
    }

    /// Which public ACLs and policies the bucket rejects or ignores.
    pub async fn public_access(&self) -> Result<Option<PublicAccessBlockConfiguration>> {
        let read = self.client.get_public_access_block().bucket(&self.name).send().await;
        let read = read.map_err(|error| self.error("read the public access block of", error));
        Ok(set(read)?.and_then(|read| read.public_access_block_configuration))
    }

    pub async fn put_public_access(&self, block: PublicAccessBlockConfiguration) -> Result<()> {
        let call = self.client.put_public_access_block().bucket(&self.name).public_access_block_configuration(block);
        call.send().await.map(drop).map_err(|error| self.error("set the public access block of", error))
    }

    pub async fn acl(&self) -> Result<Acl> {
        let read = self.client.get_bucket_acl().bucket(&self.name).send().await;
        let read = read.map_err(|error| self.error("read the grants of", error))?;
        Ok(Acl { owner: read.owner, grants: read.grants.unwrap_or_default() })
    }

    pub async fn put_acl(&self, acl: &Acl) -> Result<()> {
        let policy = AccessControlPolicy::builder().set_owner(acl.owner.clone()).set_grants(Some(acl.grants.clone()));
        let call = self.client.put_bucket_acl().bucket(&self.name).access_control_policy(policy.build());
        call.send().await.map(drop).map_err(|error| self.error("set the grants of", error))
    }

    /// The default encryption of new objects: `AES256` or `aws:kms`.
    pub async fn encryption(&self) -> Result<Option<String>> {
        let read = self.client.get_bucket_encryption().bucket(&self.name).send().await;
        let read = set(read.map_err(|error| self.error("read the encryption of", error)))?;
        let rules = read.and_then(|read| read.server_side_encryption_configuration);
        let mut rules = rules.into_iter().flat_map(|configuration| configuration.rules);
        let algorithm = rules.find_map(|rule| rule.apply_server_side_encryption_by_default);
        Ok(algorithm.map(|default| default.sse_algorithm.as_str().to_owned()))
    }

    /// Turns on encryption with keys that the service manages.
    pub async fn put_encryption(&self) -> Result<()> {
        let algorithm = ServerSideEncryptionByDefault::builder().sse_algorithm(ServerSideEncryption::Aes256).build();
        let rule =
            |default| ServerSideEncryptionRule::builder().apply_server_side_encryption_by_default(default).build();
        let configuration = algorithm
            .and_then(|default| ServerSideEncryptionConfiguration::builder().rules(rule(default)).build())
            .map_err(|error| self.invalid("describe the encryption of", &error))?;
        let call = self.client.put_bucket_encryption().bucket(&self.name);
        let sent = call.server_side_encryption_configuration(configuration).send().await;
        sent.map(drop).map_err(|error| self.error("turn on the encryption of", error))
    }

    pub async fn policy(&self) -> Result<Option<Value>> {
        let read = self.client.get_bucket_policy().bucket(&self.name).send().await;
        let read = set(read.map_err(|error| self.error("read the policy of", error)))?;
        let text = read.and_then(|read| read.policy).filter(|text| !text.trim().is_empty());
        let policy = text.map(|text| serde_json::from_str(&text)).transpose();
        policy.map_err(|error| self.invalid("parse the policy of", &error))
    }

    /// Replaces the policy; `None` deletes it.
    pub async fn put_policy(&self, policy: Option<&Value>) -> Result<()> {
        let Some(policy) = policy else {
            let sent = self.client.delete_bucket_policy().bucket(&self.name).send().await;
            return sent.map(drop).map_err(|error| self.error("delete the policy of", error));
        };
        let call = self.client.put_bucket_policy().bucket(&self.name).policy(policy.to_string());
        call.send().await.map(drop).map_err(|error| self.error("set the policy of", error))
    }

    pub async fn lifecycle(&self) -> Result<Lifecycle> {
        let read = self.client.get_bucket_lifecycle_configuration().bucket(&self.name).send().await;
        let read = set(read.map_err(|error| self.error("read the lifecycle of", error)))?;
        let lifecycle = read.map(|read| Lifecycle {
            rules: read.rules.unwrap_or_default(),
            smallest: read.transition_default_minimum_object_size,
        });
        Ok(lifecycle.unwrap_or_default())
    }

    pub async fn put_lifecycle(&self, lifecycle: &Lifecycle) -> Result<()> {
        let rules = BucketLifecycleConfiguration::builder().set_rules(Some(lifecycle.rules.clone())).build();
        let rules = rules.map_err(|error| self.invalid("describe the lifecycle of", &error))?;
        let call = self.client.put_bucket_lifecycle_configuration().bucket(&self.name).lifecycle_configuration(rules);
        let sent = call.set_transition_default_minimum_object_size(lifecycle.smallest.clone()).send().await;
        sent.map(drop).map_err(|error| self.error("set the lifecycle of", error))
    }

    pub async fn tags(&self) -> Result<BTreeMap<String, String>> {
        let read = self.client.get_bucket_tagging().bucket(&self.name).send().await;
        let read = set(read.map_err(|error| self.error("read the tags of", error)))?;
        let tags = read.map(|read| read.tag_set).unwrap_or_default();
        Ok(tags.into_iter().map(|tag| (tag.key, tag.value)).collect())
    }

    /// Replaces all tags.
    pub async fn put_tags(&self, tags: &BTreeMap<String, String>) -> Result<()> {
        let tag = |(key, value)| Tag::builder().key(key).value(value).build();
        let all: std::result::Result<Vec<Tag>, _> = tags.iter().map(tag).collect();
        let tagging = all.and_then(|all| Tagging::builder().set_tag_set(Some(all)).build());
        let tagging = tagging.map_err(|error| self.invalid("describe the tags of", &error))?;
        let call = self.client.put_bucket_tagging().bucket(&self.name).tagging(tagging);
        call.send().await.map(drop).map_err(|error| self.error("set the tags of", error))
    }
}

/// Turns the error for a missing setting into `None`.
fn set<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.kind == Kind::Unset => Ok(None),
        Err(error) => Err(error),
    }
}
