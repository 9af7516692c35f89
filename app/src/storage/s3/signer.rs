//! Signs URLs, each of which lets its bearer send one request to the bucket: Signature Version 4 in the query.
//!
//! The SDK's own way puts a whole request together for each URL, which takes many times as long as its signature.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use aws_sdk_s3::{Client, config::Credentials, presigning::PresigningConfig};
use aws_sigv4::{
    http_request::{
        PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
        UriPathNormalizationMode, sign,
    },
    sign::v4::SigningParams,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret as _;
use tokio::sync::OnceCell;

use super::{StorageError, StorageKey, error::failed};
use crate::settings::S3Settings;

/// What Signature Version 4 encodes in a query: all but RFC 3986's unreserved characters.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Any key, to learn what is before one.
const KEY: &str = "key";

/// A request that is to be allowed.
#[derive(Clone, Debug)]
pub(super) struct Signable<'a> {
    pub method: &'static str,
    pub key: StorageKey,
    /// Names, which have no other than unreserved characters, and values as they are.
    pub query: &'a [(&'static str, &'a str)],
    /// The request must have them. In lower case.
    pub headers: &'a [(&'static str, &'a str)],
    /// When the URL begins to be valid.
    pub begins_at: SystemTime,
    /// In whole seconds.
    pub life: Duration,
}

impl Signable<'_> {
    /// To read an object.
    pub(super) fn read(key: StorageKey, begins_at: SystemTime, life: Duration) -> Self {
        Self { method: "GET", key, query: &[], headers: &[], begins_at, life }
    }
}

pub(super) struct Signer {
    client: Client,
    bucket: Arc<str>,
    credentials: Credentials,
    region: String,
    /// The URL of an object, up to its key.
    address: OnceCell<String>,
}

impl Signer {
    /// `client` is the one of these settings.
    pub(super) fn new(client: Client, settings: &S3Settings) -> Self {
        let (id, secret) = (&settings.access_key_id, settings.secret_access_key.expose_secret());
        Self {
            client,
            bucket: settings.bucket.as_str().into(),
            credentials: Credentials::new(id, secret, None, None, "environment"),
            region: settings.region.clone(),
            address: OnceCell::new(),
        }
    }

    /// The URL for this request. Sends none.
    pub(super) async fn url(&self, request: &Signable<'_>) -> Result<String, StorageError> {
        let address = self.address.get_or_try_init(|| self.address()).await?;
        self.sign(address, request).map_err(StorageError::Internal)
    }

    /// As the SDK addresses the bucket: it knows the forms of all regions and of other stores.
    async fn address(&self) -> Result<String, StorageError> {
        let config = PresigningConfig::expires_in(Duration::from_secs(1));
        let config = config.map_err(|error| StorageError::Internal(error.into()))?;
        let signed = self.client.get_object().bucket(&*self.bucket).key(KEY).presigned(config).await;
        let signed = signed.map_err(|error| failed("sign a URL of the bucket", error))?;
        let address = signed.uri().split('?').next().and_then(|url| url.strip_suffix(KEY));
        let address = address.context("the URL of an object does not end with its key");
        address.map(str::to_owned).map_err(StorageError::Internal)
    }

    fn sign(&self, address: &str, request: &Signable<'_>) -> anyhow::Result<String> {
        let mut url = format!("{address}{}", request.key);
        for (name, value) in request.query {
            push(&mut url, name, value);
        }
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(request.life);
        let identity = self.credentials.clone().into();
        let parameters = SigningParams::builder().identity(&identity).region(&self.region).name("s3");
        let parameters = parameters.time(request.begins_at).settings(settings).build()?.into();
        let headers = request.headers.iter().copied();
        let signable = SignableRequest::new(request.method, url.as_str(), headers, SignableBody::UnsignedPayload)?;
        let (signed, _) = sign(signable, &parameters)?.into_parts();
        let (_, query) = signed.into_parts();
        for (name, value) in query {
            push(&mut url, name, &value);
        }
        Ok(url)
    }
}

fn push(url: &mut String, name: &str, value: &str) {
    let separator = if url.contains('?') { '&' } else { '?' };
    url.extend([separator]);
    url.push_str(name);
    url.push('=');
    url.extend(utf8_percent_encode(value, ENCODED));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use secrecy::SecretString;

    use super::*;
    use crate::{media::MediaId, storage::s3::client};

    fn settings(endpoint: Option<&str>) -> S3Settings {
        S3Settings {
            bucket: "media".into(),
            region: "eu-north-1".into(),
            endpoint: endpoint.map(str::to_owned),
            access_key_id: "A+key/of=another ~store".into(),
            secret_access_key: SecretString::from("a secret"),
            public_url: None,
            cdn: None,
            queue_url: None,
            spool_dir: "/nowhere".into(),
        }
    }

    fn pairs(url: &str) -> (&str, BTreeSet<&str>) {
        let (address, query) = url.split_once('?').unwrap();
        (address, query.split('&').collect())
    }

    #[tokio::test]
    async fn urls_are_those_of_the_sdk_at_each_kind_of_address() {
        let key = StorageKey::Original(MediaId::generate());
        let life = Duration::from_secs(300);
        for (endpoint, address) in [
            (None, "https://media.s3.eu-north-1.amazonaws.com/"),
            (Some("http://127.0.0.1:9000"), "http://127.0.0.1:9000/media/"),
            (Some("https://example.com/storage/v1/s3"), "https://example.com/storage/v1/s3/media/"),
        ] {
            let settings = settings(endpoint);
            let client = client(&settings);
            let signer = Signer::new(client.clone(), &settings);
            let begins_at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
            let config = PresigningConfig::builder().start_time(begins_at).expires_in(life).build().unwrap();
            let call = client.upload_part().bucket("media").key(key.to_string()).upload_id("a/b+c=").part_number(7);
            let theirs = call.content_length(12).presigned(config).await.unwrap();
            let signable = Signable {
                method: "PUT",
                key,
                // The SDK names its operation, which no store needs.
                query: &[("x-id", "UploadPart"), ("partNumber", "7"), ("uploadId", "a/b+c=")],
                headers: &[("content-length", "12")],
                begins_at,
                life,
            };
            let ours = signer.url(&signable).await.unwrap();
            assert_eq!(pairs(&ours), pairs(theirs.uri()));
            assert!(ours.starts_with(&format!("{address}{key}?")), "{ours}");
        }
    }
}
