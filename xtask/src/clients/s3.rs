//! A bucket of any service that speaks the S3 protocol.

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
use super::aws::{BodyLimit, http_client};
use super::patience::Patience;
use super::registry::http::is_loopback;

/// Limit for opening a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// The most bytes of an answer: more than the largest object that is read.
const LARGEST_ANSWER: usize = 257 << 20;
/// The most pages of a list, of 1000 entries each.
const MAX_PAGES: usize = 1000;
/// Limit for one attempt. The SDK makes three attempts when an error is transient.
const ANSWER: Duration = Duration::from_secs(30);

/// The address of a bucket and the credentials for it.
pub struct Place<'a> {
    pub bucket: &'a str,
    /// Requests are signed for this region.
    pub region: &'a str,
    /// The URL of the service. `None`: Amazon's endpoint for the region.
    pub endpoint: Option<&'a str>,
    /// Whether the service is Amazon's. Others support neither its checksums nor a host name for each bucket.
    pub amazon: bool,
    /// The access key id.
    pub key: &'a str,
    /// The secret access key.
    pub secret: &'a SecretString,
    /// The session token of temporary credentials.
    pub token: Option<&'a SecretString>,
    /// How long a server that does not answer is asked again for an object.
    pub patience: &'a Patience,
}

/// A bucket, which may not exist. Every call is one request, repeated only after a transient error.
#[derive(Clone)]
pub struct Bucket {
    client: Client,
    name: String,
    endpoint: Option<String>,
    patience: Patience,
}

/// Leaves out the client, which holds the credentials.
impl std::fmt::Debug for Bucket {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Bucket({})", self.location())
    }
}

/// The lifecycle configuration of a bucket.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lifecycle {
    /// All rules, those of other programs included.
    pub rules: Vec<LifecycleRule>,
    /// The minimum size of objects that are moved to another storage class, if it is set.
    smallest: Option<TransitionDefaultMinimumObjectSize>,
}

/// The access control list of a bucket. Policies are separate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Acl {
    pub owner: Option<Owner>,
    /// The permissions of the owner and of others.
    pub grants: Vec<Grant>,
}

impl Bucket {
    /// Sends no request.
    pub fn new(place: &Place<'_>) -> Self {
        let token = place.token.map(|token| token.expose_secret().to_owned());
        let credentials = Credentials::new(place.key, place.secret.expose_secret(), token, None, "environment");
        let is_here =
            place.endpoint.and_then(|endpoint| Url::parse(endpoint).ok()).is_some_and(|url| is_loopback(&url));
        let mut config = Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http_client(is_here))
            .interceptor(BodyLimit(LARGEST_ANSWER))
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
        let patience = place.patience.clone();
        Self { client: Client::from_conf(config.build()), name: place.bucket.to_owned(), endpoint, patience }
    }

    /// Another bucket of the same service, which may not exist either.
    pub fn beside(&self, name: String) -> Self {
        Self { name, ..self.clone() }
    }

    /// The name and the endpoint, for messages.
    pub fn location(&self) -> String {
        let at = self.endpoint.as_ref().map(|endpoint| format!(" at {endpoint}")).unwrap_or_default();
        format!("the bucket {}{at}", self.name)
    }

    /// The region, if the service reports it.
    pub async fn region(&self) -> Result<Option<String>> {
        let sent = self.client.head_bucket().bucket(&self.name).send().await;
        let head = sent.map_err(|error| self.error("look at", error))?;
        Ok(head.bucket_region().map(str::to_owned))
    }

    /// Whether the bucket belongs to the account of this key.
    pub async fn is_own(&self) -> Result<bool> {
        let mut pages = self.client.list_buckets().prefix(&self.name).into_paginator().send();
        for _ in 0..MAX_PAGES {
            let Some(page) = pages.next().await else { break };
            let page = page.map_err(|error| self.error("list the buckets of this key, to find", error))?;
            if page.buckets().iter().any(|bucket| bucket.name() == Some(&self.name)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Creates the bucket, private. `constraint` is the region, for services that require it in the request. Succeeds if
    /// this account already has the bucket.
    pub async fn create(&self, constraint: Option<&str>) -> Result<()> {
        let place = constraint.map(|region| {
            CreateBucketConfiguration::builder().location_constraint(BucketLocationConstraint::from(region)).build()
        });
        let call = self.client.create_bucket().bucket(&self.name).set_create_bucket_configuration(place);
        match call.send().await.map_err(|error| self.error("create", error)) {
            Err(error) if error.kind == Kind::Own => Ok(()),
            other => other.map(drop),
        }
    }

    /// The keys of the first objects, at most 1000.
    pub async fn keys(&self) -> Result<Vec<String>> {
        let listed = self.client.list_objects_v2().bucket(&self.name).send().await;
        let listed = listed.map_err(|error| self.error("list the objects of", error))?;
        Ok(listed.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect())
    }

    /// Writes a new object and returns its version id, if the bucket is versioned. Fails with [`Kind::Condition`] if the
    /// object exists.
    pub async fn put_new(&self, key: &str, body: &'static str) -> Result<Option<String>> {
        let call = self.client.put_object().bucket(&self.name).key(key).if_none_match("*");
        let put = call.body(ByteStream::from_static(body.as_bytes())).send().await;
        let put = put.map_err(|error| self.error(&format!("write {key} into"), error))?;
        Ok(put.version_id().map(str::to_owned))
    }

    /// Deletes an object. A versioned bucket keeps it below a delete marker, whose version id is returned.
    pub async fn delete(&self, key: &str) -> Result<Option<String>> {
        let deleted = self.client.delete_object().bucket(&self.name).key(key).send().await;
        let deleted = deleted.map_err(|error| self.error(&format!("delete {key} from"), error))?;
        Ok(deleted.version_id().map(str::to_owned))
    }

    /// Deletes at most 1000 objects. With a version id, only that version is deleted, permanently. Missing ones are no error.
    pub async fn delete_all(&self, objects: &[(String, Option<String>)]) -> Result<()> {
        let object = |(key, version): &(String, Option<String>)| {
            ObjectIdentifier::builder().key(key).set_version_id(version.clone()).build()
        };
        let all: std::result::Result<Vec<ObjectIdentifier>, _> = objects.iter().map(object).collect();
        let all = all.and_then(|all| Delete::builder().set_objects(Some(all)).quiet(true).build());
        let all = all.map_err(|error| self.invalid("name objects of", &error))?;
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

    /// Deletes the bucket, which must be empty.
    pub async fn remove(&self) -> Result<()> {
        let removed = self.client.delete_bucket().bucket(&self.name).send().await;
        removed.map(drop).map_err(|error| self.error("delete", error))
    }

    fn error<E>(&self, what: &str, error: error::Sdk<E>) -> S3Error
    where
        E: std::error::Error + aws_sdk_s3::error::ProvideErrorMetadata + 'static,
    {
        S3Error::of(format!("{what} {}", self.name), error)
    }

    fn invalid(&self, what: &str, error: &dyn std::error::Error) -> S3Error {
        S3Error { what: format!("{what} {}", self.name), kind: Kind::Other, said: error.to_string() }
    }
}
