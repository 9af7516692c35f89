//! A bucket, by the S3 protocol, of whatever make the service is.

pub mod error;
pub mod objects;
mod settings;

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_sdk_s3::primitives::ByteStream;
pub use aws_sdk_s3::types::builders::LifecycleRuleBuilder;
pub use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, ExpirationStatus, Grant, LifecycleExpiration, LifecycleRule, LifecycleRuleFilter,
    NoncurrentVersionExpiration, Owner, PublicAccessBlockConfiguration,
};
use aws_sdk_s3::types::{
    BucketLocationConstraint, CreateBucketConfiguration, Delete, ObjectIdentifier, TransitionDefaultMinimumObjectSize,
};
use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};

use self::error::{Kind, Result, S3Error};
use super::aws::http_client;
use super::registry::http::is_loopback;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may take; what fails for a passing reason is asked for three times.
const ANSWER: Duration = Duration::from_secs(30);

/// Where a bucket is, and who asks.
pub struct Place<'a> {
    /// Its name.
    pub bucket: &'a str,
    /// Its region, which requests are signed for.
    pub region: &'a str,
    /// The service's address; Amazon's of the region if nothing is said.
    pub endpoint: Option<&'a str>,
    /// Whether the service is Amazon's: others do not know its checksums, nor its names of hosts.
    pub amazon: bool,
    /// The access key's id.
    pub key: &'a str,
    /// Its secret.
    pub secret: &'a SecretString,
    /// What goes with a key that is lent for a while.
    pub token: Option<&'a SecretString>,
}

/// A bucket, whether it exists or not. Every call is one request, but for those that fail for a passing reason.
#[derive(Clone)]
pub struct Bucket {
    client: Client,
    name: String,
    endpoint: Option<String>,
}

/// Without the client, which has credentials.
impl std::fmt::Debug for Bucket {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Bucket({})", self.location())
    }
}

/// What becomes of objects after a while.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lifecycle {
    /// Its rules, everybody's.
    pub rules: Vec<LifecycleRule>,
    /// From which size on objects are moved to other classes, where somebody has set that.
    smallest: Option<TransitionDefaultMinimumObjectSize>,
}

/// Who may do what, beside policies.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Acl {
    /// Whose it is.
    pub owner: Option<Owner>,
    /// What others, and the owner, may do.
    pub grants: Vec<Grant>,
}

impl Bucket {
    /// Nothing is asked yet.
    pub fn new(place: &Place<'_>) -> Self {
        let token = place.token.map(|token| token.expose_secret().to_owned());
        let credentials = Credentials::new(place.key, place.secret.expose_secret(), token, None, "environment");
        let is_here =
            place.endpoint.and_then(|endpoint| Url::parse(endpoint).ok()).is_some_and(|url| is_loopback(&url));
        let mut config = Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http_client(is_here))
            .region(Region::new(place.region.to_owned()))
            .credentials_provider(credentials)
            .retry_config(RetryConfig::standard())
            .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ANSWER).build())
            .force_path_style(!place.amazon);
        if !place.amazon {
            config = config
                .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
                .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        }
        config.set_endpoint_url(place.endpoint.map(str::to_owned));
        let endpoint = place.endpoint.map(str::to_owned);
        Self { client: Client::from_conf(config.build()), name: place.bucket.to_owned(), endpoint }
    }

    /// Another one of the same service, which need not exist either.
    pub fn beside(&self, name: String) -> Self {
        Self { name, ..self.clone() }
    }

    /// Its name and where it is, for people.
    pub fn location(&self) -> String {
        let at = self.endpoint.as_ref().map(|endpoint| format!(" at {endpoint}")).unwrap_or_default();
        format!("the bucket {}{at}", self.name)
    }

    /// Its region, if the service tells.
    pub async fn region(&self) -> Result<Option<String>> {
        let sent = self.client.head_bucket().bucket(&self.name).send().await;
        let head = sent.map_err(|error| self.error("look at", error))?;
        Ok(head.bucket_region().map(str::to_owned))
    }

    /// Whether it is among the buckets of whoever asks.
    pub async fn is_own(&self) -> Result<bool> {
        let mut pages = self.client.list_buckets().prefix(&self.name).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.error("list the buckets of whoever owns", error))?;
            if page.buckets().iter().any(|bucket| bucket.name() == Some(&self.name)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes it; `constraint` is the region where the service wants it said. Nobody else gets to see what is in it. One that
    /// is there already and of whoever asks is fine.
    pub async fn create(&self, constraint: Option<&str>) -> Result<()> {
        let place = constraint.map(|region| {
            CreateBucketConfiguration::builder().location_constraint(BucketLocationConstraint::from(region)).build()
        });
        let call = self.client.create_bucket().bucket(&self.name).set_create_bucket_configuration(place);
        match call.send().await.map_err(|error| self.error("make", error)) {
            Err(error) if error.kind == Kind::Own => Ok(()),
            other => other.map(drop),
        }
    }

    /// The names of its first objects, a thousand at most.
    pub async fn keys(&self) -> Result<Vec<String>> {
        let listed = self.client.list_objects_v2().bucket(&self.name).send().await;
        let listed = listed.map_err(|error| self.error("list the objects of", error))?;
        Ok(listed.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect())
    }

    /// Writes an object that must not be there yet: its version, where it has versions. Fails with [`Kind::Condition`] when
    /// it is there.
    pub async fn put_new(&self, key: &str, body: &'static str) -> Result<Option<String>> {
        let call = self.client.put_object().bucket(&self.name).key(key).if_none_match("*");
        let put = call.body(ByteStream::from_static(body.as_bytes())).send().await;
        let put = put.map_err(|error| self.error(&format!("write {key} into"), error))?;
        Ok(put.version_id().map(str::to_owned))
    }

    /// Deletes an object. In a bucket that keeps versions it is there still, below a mark: the mark's version is returned.
    pub async fn delete(&self, key: &str) -> Result<Option<String>> {
        let deleted = self.client.delete_object().bucket(&self.name).key(key).send().await;
        let deleted = deleted.map_err(|error| self.error(&format!("delete {key} from"), error))?;
        Ok(deleted.version_id().map(str::to_owned))
    }

    /// Deletes objects, or of those with a version that one alone and for good: a thousand at most, which are there or not.
    pub async fn delete_all(&self, objects: &[(String, Option<String>)]) -> Result<()> {
        let object = |(key, version): &(String, Option<String>)| {
            ObjectIdentifier::builder().key(key).set_version_id(version.clone()).build()
        };
        let all: std::result::Result<Vec<ObjectIdentifier>, _> = objects.iter().map(object).collect();
        let all = all.and_then(|all| Delete::builder().set_objects(Some(all)).quiet(true).build());
        let all = all.map_err(|error| self.unsaid("name objects of", &error))?;
        let deleted = self.client.delete_objects().bucket(&self.name).delete(all).send().await;
        let deleted = deleted.map_err(|error| self.error("delete objects from", error))?;
        match deleted.errors() {
            [] => Ok(()),
            [first, ..] => {
                let (key, code) = (first.key().unwrap_or_default(), first.code().unwrap_or_default());
                let said = format!("{} ({code})", first.message().unwrap_or_default());
                Err(S3Error { what: format!("delete {key} from {}", self.name), kind: Kind::Other, said })
            }
        }
    }

    /// Removes the bucket, which must be empty.
    pub async fn remove(&self) -> Result<()> {
        let removed = self.client.delete_bucket().bucket(&self.name).send().await;
        removed.map(drop).map_err(|error| self.error("remove", error))
    }

    fn error<E>(&self, what: &str, error: error::Sdk<E>) -> S3Error
    where
        E: std::error::Error + aws_sdk_s3::error::ProvideErrorMetadata + 'static,
    {
        S3Error::of(format!("{what} {}", self.name), error)
    }

    fn unsaid(&self, what: &str, error: &dyn std::error::Error) -> S3Error {
        S3Error { what: format!("{what} {}", self.name), kind: Kind::Other, said: error.to_string() }
    }
}
