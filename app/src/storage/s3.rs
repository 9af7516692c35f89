//! Stores media in a bucket of any store that speaks the S3 protocol.
//!
//! Every body is in memory while it is sent, so that its SHA-256 is part of the signature: the store refuses what arrived
//! damaged, and the SDK can send it again. Larger files are sent in parts. The SHA-256 of the whole object is kept in its
//! metadata, because ETags differ between stores.

mod error;
mod multipart;
mod parts;
mod presigned;
mod signer;
mod uploads;

use std::{
    io,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::anyhow;
use aws_sdk_s3::{
    Client,
    config::{
        BehaviorVersion, Builder, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
        http::HttpResponse, retry::RetryConfig, timeout::TimeoutConfig,
    },
    error::{ProvideErrorMetadata, SdkError},
    operation::get_object::{GetObjectOutput, builders::GetObjectFluentBuilder},
    primitives::ByteStream,
};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use ring::digest::{self, SHA256};
use secrecy::ExposeSecret as _;
use tempfile::TempPath;
use tokio::io::AsyncWriteExt as _;

use self::{
    error::failed,
    presigned::Presigned,
    signer::{Signable, Signer},
};
use super::{
    Listed, Object, Page, SignedUrl, StorageError,
    cdn::Cdn,
    key::{Prefix, StorageKey},
    spool,
};
use crate::settings::S3Settings;

/// Limit for opening a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Limit for one attempt, without the transfer of its body.
const ATTEMPT: Duration = Duration::from_secs(15);

/// The slowest transfer that is waited for, in bytes per second.
const SLOWEST: u64 = 128 << 10;

/// How often a call is sent until it succeeds, with growing random pauses from [`PAUSE`] on.
const ATTEMPTS: u32 = 4;

const PAUSE: Duration = Duration::from_millis(200);

/// Limit for the check of the bucket, which is sent once: a probe waits for it.
const CHECK: Duration = Duration::from_millis(1500);

/// Larger files are sent in parts, in bytes.
const LARGEST_SINGLE: u64 = 16 << 20;

/// How many objects are deleted at a time.
const DELETED_AT_A_TIME: usize = 8;

/// The name of the metadata with the SHA-256 of the object, in hexadecimal digits.
const SHA256_METADATA: &str = "sha256";

/// Cheap to clone.
#[derive(Clone)]
pub struct S3Storage {
    client: Client,
    bucket: Arc<str>,
    spool: Arc<Path>,
    public_url: Option<Arc<str>>,
    cdn: Option<Cdn>,
    signer: Arc<Signer>,
    presigned: Arc<Presigned>,
}

impl S3Storage {
    /// Creates the spool. Sends no request.
    pub(super) fn open(settings: &S3Settings) -> io::Result<Self> {
        spool::create(&settings.spool_dir)?;
        let client = client(settings);
        Ok(Self {
            signer: Arc::new(Signer::new(client.clone(), settings)),
            client,
            bucket: settings.bucket.as_str().into(),
            spool: settings.spool_dir.as_path().into(),
            public_url: settings.public_url.as_deref().map(Into::into),
            cdn: settings.cdn.clone().map(Cdn::new),
            presigned: Arc::default(),
        })
    }

    pub(super) fn spool(&self) -> &Path {
        &self.spool
    }

    pub(super) fn public_url(&self) -> Option<&str> {
        self.public_url.as_deref()
    }

    pub(super) fn cdn(&self) -> Option<&Cdn> {
        self.cdn.as_ref()
    }

    pub(super) async fn put_file(&self, key: StorageKey, file: &Path, content_type: &str) -> Result<(), StorageError> {
        let path = file.to_owned();
        let read = blocking(move || {
            let file = fs_err::File::open(&path)?;
            let size = file.metadata()?.len();
            // What is in memory is not read twice.
            let bytes = if size <= LARGEST_SINGLE { Some(Bytes::from(fs_err::read(&path)?)) } else { None };
            Ok((file, size, bytes))
        });
        match read.await? {
            (_, _, Some(bytes)) => self.put_bytes(key, bytes, content_type).await,
            (file, size, None) => self.put_parts(key, file, size, content_type).await,
        }
    }

    pub(super) async fn put_bytes(
        &self,
        key: StorageKey,
        bytes: Bytes,
        content_type: &str,
    ) -> Result<(), StorageError> {
        let limits = time_for(bytes.len() as u64);
        let sha256 = hex::encode(digest::digest(&SHA256, &bytes));
        let call = self.client.put_object().bucket(&*self.bucket).key(key.to_string()).content_type(content_type);
        let call = call.cache_control(key.cache_control()).metadata(SHA256_METADATA, sha256);
        let sent = call.body(ByteStream::from(bytes)).customize().config_override(limits).send().await;
        sent.map(drop).map_err(|error| failed(&format!("write {key}"), error))
    }

    pub(super) async fn head(&self, key: StorageKey) -> Result<Option<Object>, StorageError> {
        let sent = self.client.head_object().bucket(&*self.bucket).key(key.to_string()).send().await;
        let head = match sent {
            Err(error) if error.as_service_error().is_some_and(|error| error.is_not_found()) => return Ok(None),
            sent => sent.map_err(|error| failed(&format!("look at {key}"), error))?,
        };
        let sha256 = head.metadata().and_then(|metadata| hex::decode(metadata.get(SHA256_METADATA)?).ok());
        Ok(Some(Object { size: size(head.content_length()), sha256: sha256.and_then(|digest| digest.try_into().ok()) }))
    }

    /// Downloads the object into the spool; with `if_match`, none but the one with this entity tag. A download that is cut off begins again.
    pub(super) async fn download(
        &self,
        key: StorageKey,
        if_match: Option<&str>,
    ) -> Result<Option<TempPath>, StorageError> {
        let mut attempt = 1;
        loop {
            let object = match self.get(key, if_match).send().await {
                Err(error) if is_gone(&error) => return Ok(None),
                sent => sent.map_err(|error| failed(&format!("read {key}"), error))?,
            };
            match self.receive(key, object).await {
                Err(StorageError::Unavailable(error)) if attempt < ATTEMPTS => {
                    tracing::warn!(%key, error = format!("{error:#}"), "a download was cut off and begins again");
                    attempt += 1;
                }
                received => return received.map(Some),
            }
        }
    }

    fn get(&self, key: StorageKey, if_match: Option<&str>) -> GetObjectFluentBuilder {
        let call = self.client.get_object().bucket(&*self.bucket).key(key.to_string());
        call.set_if_match(if_match.map(str::to_owned))
    }

    async fn receive(&self, key: StorageKey, mut object: GetObjectOutput) -> Result<TempPath, StorageError> {
        let spool = self.spool.clone();
        let (file, path) = blocking(move || spool::create_file(&spool)).await?.into_parts();
        let (mut file, mut received) = (tokio::fs::File::from_std(file), 0);
        while let Some(chunk) = object.body.try_next().await.map_err(|error| StorageError::Unavailable(error.into()))? {
            received += chunk.len() as u64;
            file.write_all(&chunk).await?;
        }
        file.flush().await?;
        let expected = size(object.content_length());
        if received != expected {
            return Err(StorageError::Unavailable(anyhow!("read {key}: {received} of {expected} bytes arrived")));
        }
        Ok(path)
    }

    /// One request for each key: stores differ in the checksums that they demand of a request for many.
    pub(super) async fn delete(&self, keys: &[StorageKey]) -> Result<(), StorageError> {
        let deleting: Vec<_> = keys.iter().map(|key| self.clone().delete_one(*key)).collect();
        stream::iter(deleting).buffer_unordered(DELETED_AT_A_TIME).try_collect().await
    }

    async fn delete_one(self, key: StorageKey) -> Result<(), StorageError> {
        let sent = self.client.delete_object().bucket(&*self.bucket).key(key.to_string()).send().await;
        sent.map(drop).map_err(|error| failed(&format!("delete {key}"), error))
    }

    pub(super) async fn list(&self, prefix: Prefix, after: Option<String>) -> Result<Page, StorageError> {
        let call = self.client.list_objects_v2().bucket(&*self.bucket).prefix(prefix.as_str());
        let sent = call.set_start_after(after).send().await;
        let listed = sent.map_err(|error| failed(&format!("list {}", prefix.as_str()), error))?;
        let objects = listed.contents().iter().filter_map(|object| {
            let modified = object.last_modified().and_then(|time| SystemTime::try_from(*time).ok());
            // Without a time, it counts as new.
            let modified = modified.unwrap_or_else(SystemTime::now);
            Some(Listed { key: object.key()?.to_owned(), size: size(object.size()), modified })
        });
        let objects: Vec<_> = objects.collect();
        let next = listed.is_truncated().unwrap_or(false).then(|| objects.last().map(|last| last.key.clone()));
        Ok(Page { next: next.flatten(), objects })
    }

    pub(super) async fn check(&self) -> Result<(), StorageError> {
        let limits = TimeoutConfig::builder().operation_attempt_timeout(CHECK).build();
        let once = Builder::new().retry_config(RetryConfig::disabled()).timeout_config(limits);
        let call = self.client.head_bucket().bucket(&*self.bucket).customize().config_override(once);
        call.send().await.map_err(|error| failed(&format!("look at the bucket {}", self.bucket), error))?;
        let spool = self.spool.clone();
        blocking(move || spool::check_space(&spool)).await
    }

    pub(super) async fn presigned_url(&self, key: StorageKey, version: &str) -> Result<String, StorageError> {
        self.presigned.url(&self.signer, key, version).await
    }

    /// All instances give out the same URL for half of its life.
    pub(super) async fn signed_url(&self, key: StorageKey, life: Duration) -> Result<SignedUrl, StorageError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let began = UNIX_EPOCH + Duration::from_secs(now - now % (life.as_secs() / 2).max(1));
        let url = self.signer.url(&Signable::read(key, began, life)).await?;
        Ok(SignedUrl { url, expires_at: (began + life).into() })
    }
}

fn client(settings: &S3Settings) -> Client {
    let (key, secret) = (&settings.access_key_id, settings.secret_access_key.expose_secret());
    let tls = Provider::Rustls(CryptoMode::Ring);
    let limits = TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ATTEMPT).build();
    let mut config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().tls_provider(tls).build_https())
        .region(Region::new(settings.region.clone()))
        .credentials_provider(Credentials::new(key, secret, None, None, "environment"))
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(PAUSE))
        .timeout_config(limits);
    // Stores that are not Amazon's may support neither its checksums nor a host name for each bucket.
    if let Some(endpoint) = &settings.endpoint {
        config = config
            // The SDK puts the bucket's name right behind the path of one that has a path.
            .endpoint_url(format!("{endpoint}/"))
            .force_path_style(true)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    }
    Client::from_conf(config.build())
}

/// The limit for one attempt to send this many bytes.
fn time_for(bytes: u64) -> Builder {
    let limit = ATTEMPT + Duration::from_secs(bytes / SLOWEST);
    Builder::new().timeout_config(TimeoutConfig::builder().operation_attempt_timeout(limit).build())
}

fn size(length: Option<i64>) -> u64 {
    length.and_then(|length| length.try_into().ok()).unwrap_or(0)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, StorageError> {
    Ok(tokio::task::spawn_blocking(work).await.map_err(|panic| StorageError::Internal(panic.into()))??)
}

/// Whether the object that was asked for is not there any more.
fn is_gone<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let status = error.raw_response().map(|answer| answer.status().as_u16());
    let code = error.as_service_error().and_then(|error| error.code());
    status == Some(412) || code == Some("NoSuchKey")
}
