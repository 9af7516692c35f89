//! Every question about a bucket, asked concurrently.

use std::collections::BTreeMap;

use serde_json::Value;

use super::provider::{Feature, unsupported};
use crate::clients::s3::error::{Kind, Result, S3Error};
use crate::clients::s3::{Acl, Bucket, Lifecycle, PublicAccessBlockConfiguration};
use crate::config::Provider;

/// The answers. A feature that the provider is known not to support was not asked for: it is [`Kind::Unsupported`].
pub struct Answers {
    /// Its region, if the service tells.
    pub region: Result<Option<String>>,
    /// Whether it belongs to the account of the key.
    pub own: Result<bool>,
    /// The keys of its first thousand objects.
    pub keys: Result<Vec<String>>,
    /// Whether versioning is on.
    pub versioning: Result<bool>,
    /// The public access block.
    pub public_access: Result<Option<PublicAccessBlockConfiguration>>,
    /// The access control list.
    pub acl: Result<Acl>,
    /// The algorithm of its default encryption.
    pub encryption: Result<Option<String>>,
    /// The bucket policy.
    pub policy: Result<Option<Value>>,
    /// The lifecycle rules.
    pub lifecycle: Result<Lifecycle>,
    /// The tags.
    pub tags: Result<BTreeMap<String, String>>,
}

impl Answers {
    /// Asks everything in one round trip.
    pub async fn ask(bucket: &Bucket, provider: Provider) -> Self {
        let unless = |feature| unsupported(provider, feature);
        let (region, own, keys, versioning, public_access, acl, encryption, policy, lifecycle, tags) = tokio::join!(
            bucket.region(),
            bucket.is_own(),
            bucket.keys(),
            ask_unless(unless(Feature::Versioning), bucket.versioning()),
            ask_unless(unless(Feature::PublicAccess), bucket.public_access()),
            ask_unless(unless(Feature::Grants), bucket.acl()),
            ask_unless(unless(Feature::Encryption), bucket.encryption()),
            ask_unless(unless(Feature::Policy), bucket.policy()),
            bucket.lifecycle(),
            ask_unless(unless(Feature::Tags), bucket.tags()),
        );
        Self { region, own, keys, versioning, public_access, acl, encryption, policy, lifecycle, tags }
    }

    /// Why the answers say nothing about the bucket: the service did not answer, or does not accept the key.
    pub fn no_answer(&self) -> Option<S3Error> {
        let errors = [self.own.as_ref().err(), self.keys.as_ref().err(), self.region.as_ref().err()];
        let others = [self.versioning.as_ref().err(), self.policy.as_ref().err(), self.lifecycle.as_ref().err()];
        let mut errors = errors.into_iter().chain(others).flatten();
        errors.find(|error| matches!(error.kind, Kind::Unknown | Kind::Away)).cloned()
    }
}

async fn ask_unless<T>(unsupported: Option<&str>, ask: impl Future<Output = Result<T>>) -> Result<T> {
    match unsupported {
        Some(said) => Err(S3Error { what: "ask".to_owned(), kind: Kind::Unsupported, said: said.to_owned() }),
        None => ask.await,
    }
}
