//! All that is asked of a bucket, at once.

use std::collections::BTreeMap;

use serde_json::Value;

use super::provider::{Feature, lacks};
use crate::clients::s3::error::{Kind, Result, S3Error};
use crate::clients::s3::{Acl, Bucket, Lifecycle, PublicAccessBlockConfiguration};
use crate::config::Provider;

/// What was answered. What the provider is known to lack was not asked, and is [`Kind::Unsupported`].
pub struct Found {
    /// Its region, if that is told.
    pub region: Result<Option<String>>,
    /// Whether it is among the buckets of whoever asks.
    pub own: Result<bool>,
    /// Its first objects.
    pub keys: Result<Vec<String>>,
    /// Whether it keeps what is overwritten.
    pub versioning: Result<bool>,
    /// What it refuses of what would open it.
    pub public_access: Result<Option<PublicAccessBlockConfiguration>>,
    /// Who may do what.
    pub acl: Result<Acl>,
    /// By what it encrypts.
    pub encryption: Result<Option<String>>,
    /// Its policy.
    pub policy: Result<Option<Value>>,
    /// What becomes of objects after a while.
    pub lifecycle: Result<Lifecycle>,
    /// Its tags.
    pub tags: Result<BTreeMap<String, String>>,
}

impl Found {
    /// Asks everything side by side: one round trip.
    pub async fn ask(bucket: &Bucket, provider: Provider) -> Self {
        let (region, own, keys, versioning, public_access, acl, encryption, policy, lifecycle, tags) = tokio::join!(
            bucket.region(),
            bucket.is_own(),
            bucket.keys(),
            unless(lacks(provider, Feature::Versioning), bucket.versioning()),
            unless(lacks(provider, Feature::PublicAccess), bucket.public_access()),
            unless(lacks(provider, Feature::Grants), bucket.acl()),
            unless(lacks(provider, Feature::Encryption), bucket.encryption()),
            unless(lacks(provider, Feature::Policy), bucket.policy()),
            bucket.lifecycle(),
            unless(lacks(provider, Feature::Tags), bucket.tags()),
        );
        Self { region, own, keys, versioning, public_access, acl, encryption, policy, lifecycle, tags }
    }

    /// Why nothing of this is known: nobody answered, or whoever asks is not known.
    pub fn nobody_knows(&self) -> Option<S3Error> {
        let errors = [self.own.as_ref().err(), self.keys.as_ref().err(), self.region.as_ref().err()];
        let others = [self.versioning.as_ref().err(), self.policy.as_ref().err(), self.lifecycle.as_ref().err()];
        let mut errors = errors.into_iter().chain(others).flatten();
        errors.find(|error| matches!(error.kind, Kind::Unknown | Kind::Away)).cloned()
    }
}

async fn unless<T>(lacks: Option<&str>, ask: impl Future<Output = Result<T>>) -> Result<T> {
    match lacks {
        Some(said) => Err(S3Error { what: "ask".to_owned(), kind: Kind::Unsupported, said: said.to_owned() }),
        None => ask.await,
    }
}
