//! Where media is stored.

use std::path::PathBuf;

use axum::http::Uri;
use secrecy::SecretString;

use super::{
    cdn::{self, CdnSettings},
    registry::{Kind, Registry},
};

/// The storage backend and its settings.
#[derive(Clone, Debug)]
pub enum StorageSettings {
    /// A local folder.
    Local {
        /// Created if it does not exist.
        upload_dir: PathBuf,
    },
    /// A bucket.
    S3(Box<S3Settings>),
}

/// The bucket of an S3-compatible store, and the credentials for it.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the help of each setting is in `declare`")]
pub struct S3Settings {
    pub bucket: String,
    pub region: String,
    /// `None`: Amazon's for the region.
    pub endpoint: Option<String>,
    pub access_key_id: String,
    pub secret_access_key: SecretString,
    /// Without a slash at its end.
    pub public_url: Option<String>,
    pub cdn: Option<CdnSettings>,
    pub queue_url: Option<String>,
    /// Created if it does not exist.
    pub spool_dir: PathBuf,
}

/// The value of `STORAGE_BACKEND`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum StorageBackend {
    /// The folder UPLOAD_DIR
    Local,
    /// The bucket S3_BUCKET
    S3,
}

impl StorageSettings {
    pub(super) fn declare(registry: &mut Registry) -> Option<Self> {
        let backend = registry
            .setting(
                "STORAGE_BACKEND",
                Kind::Choice(&["local", "s3"]),
                "Where media is stored: local is a folder on this machine, s3 a bucket of an S3-compatible store",
            )
            .or("local", |text| match text {
                "local" => Ok(StorageBackend::Local),
                "s3" => Ok(StorageBackend::S3),
                _ => Err("local or s3"),
            });
        let (local, s3) = (backend == Some(StorageBackend::Local), backend == Some(StorageBackend::S3));
        let upload_dir = registry
            .setting(
                "UPLOAD_DIR",
                Kind::Path,
                "Folder for originals and thumbnails; it must persist across releases and be used with one database only. Required by STORAGE_BACKEND=local",
            )
            .supplied_by("data-folder:uploads")
            .required_if(local, "STORAGE_BACKEND is local", path);
        let because = "STORAGE_BACKEND is s3";
        let bucket = registry
            .setting("S3_BUCKET", Kind::Text, "Name of the bucket, which must exist and be used with one database only. Required by STORAGE_BACKEND=s3")
            .required_if(s3, because, word);
        let region = registry
            .setting(
                "S3_REGION",
                Kind::Text,
                "Region of the bucket, such as eu-west-1 or fr-par; auto for Cloudflare R2. Required by STORAGE_BACKEND=s3",
            )
            .required_if(s3, because, word);
        let endpoint = registry
            .setting(
                "S3_ENDPOINT",
                Kind::Url,
                "URL of the store, such as https://s3.fr-par.scw.cloud or https://ACCOUNT.r2.cloudflarestorage.com; unset for Amazon S3",
            )
            .optional(http_url);
        let access_key_id = registry
            .setting(
                "S3_ACCESS_KEY_ID",
                Kind::Text,
                "Access key id; it may read, write, delete and list the objects of the bucket. Required by STORAGE_BACKEND=s3",
            )
            .secret()
            .required_if(s3, because, word);
        let secret_access_key = registry
            .setting("S3_SECRET_ACCESS_KEY", Kind::Text, "Secret of that access key. Required by STORAGE_BACKEND=s3")
            .secret()
            .required_if(s3, because, |text| word(text).map(SecretString::from));
        let public_url = registry
            .setting(
                "S3_PUBLIC_URL",
                Kind::Url,
                "URL below which everyone can read the bucket's objects, such as https://media.example.com; unset for presigned URLs, valid for 1 hour, or those of CDN_URL",
            )
            .optional(http_url);
        let cdn = cdn::declare(registry, matches!(public_url, Some(Some(_))));
        let queue_url = registry
            .setting(
                "QUEUE_URL",
                Kind::Url,
                "URL of the SQS queue in the bucket's region that gets an event for each new object under uploads/, such as https://sqs.eu-north-1.amazonaws.com/123456789012/uploads; the access key may receive from it. Unset: clients tell of what they have put into the bucket, and the worker looks for the rest",
            )
            .optional(queue_url);
        let spool_dir = registry
            .setting(
                "SPOOL_DIR",
                Kind::Path,
                "Folder for files while they are received, with room for several; it need not persist. Required by STORAGE_BACKEND=s3",
            )
            .required_if(s3, because, path);
        // What is missing below is a problem that is already reported.
        match backend? {
            StorageBackend::Local => Some(Self::Local { upload_dir: upload_dir?? }),
            StorageBackend::S3 => Some(Self::S3(Box::new(S3Settings {
                bucket: bucket??,
                region: region??,
                endpoint: endpoint?,
                access_key_id: access_key_id??,
                secret_access_key: secret_access_key??,
                public_url: public_url?,
                cdn: cdn?,
                queue_url: queue_url?,
                spool_dir: spool_dir??,
            }))),
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "every folder may be named")]
fn path(text: &str) -> Result<PathBuf, &'static str> {
    Ok(PathBuf::from(text))
}

fn word(text: &str) -> Result<String, &'static str> {
    let fits = text.chars().all(|c| c.is_ascii_graphic());
    fits.then(|| text.to_owned()).ok_or("visible ASCII characters without spaces")
}

fn queue_url(text: &str) -> Result<String, &'static str> {
    let expected = "a URL such as https://sqs.eu-north-1.amazonaws.com/123456789012/uploads";
    let url = http_url(text).map_err(|_| expected)?;
    let has_name = url.parse::<Uri>().is_ok_and(|uri| uri.path().len() > 1);
    has_name.then_some(url).ok_or(expected)
}

/// Without slashes at its end.
fn http_url(text: &str) -> Result<String, &'static str> {
    let expected = "a URL such as https://media.example.com, without a query";
    let uri: Uri = text.parse().map_err(|_| expected)?;
    let fits = matches!(uri.scheme_str(), Some("http" | "https"))
        && uri.host().is_some_and(|host| !host.is_empty())
        && !text.contains(['?', '#', '@']);
    fits.then(|| text.trim_end_matches('/').to_owned()).ok_or(expected)
}
