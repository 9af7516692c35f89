//! The replies of an S3 server to requests about a bucket.

use anyhow::{Context as _, Result, bail};
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use crate::value::Value;

pub enum Reply<T> {
    Value(T),
    /// The bucket does not have this setting.
    NotSet,
    NoBucket,
    /// The server does not support this setting.
    NotSupported,
}

impl<T> Reply<T> {
    /// Converts the value to the JSON of a resource.
    pub fn map(self, convert: impl FnOnce(T) -> serde_json::Value) -> Reply<Value> {
        match self {
            Self::Value(value) => Reply::Value(convert(value).into()),
            Self::NotSet => Reply::NotSet,
            Self::NoBucket => Reply::NoBucket,
            Self::NotSupported => Reply::NotSupported,
        }
    }
}

/// Sorts the result of a request. Fails with the server's message if it is any other error.
pub fn classify<T, E>(result: Result<T, SdkError<E>>) -> Result<Reply<T>>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let error = match result {
        Ok(value) => return Ok(Reply::Value(value)),
        Err(error) => error,
    };
    let status = error.raw_response().map(|response| response.status().as_u16());
    match error.code().unwrap_or_default() {
        "NoSuchBucket" => Ok(Reply::NoBucket),
        "ServerSideEncryptionConfigurationNotFoundError" => Ok(Reply::NotSet),
        code if code.starts_with("NoSuch") => Ok(Reply::NotSet),
        // A bucket whose ACLs are disabled rejects only the ACL.
        "NotImplemented" | "AccessControlListNotSupported" => Ok(Reply::NotSupported),
        "" if status == Some(501) => Ok(Reply::NotSupported),
        "" => bail!("{}", DisplayErrorContext(error)),
        code => bail!("{code}: {}", error.message().unwrap_or("no message")),
    }
}

/// Checks the result of a request that changes a bucket. Succeeds if the server does not support the setting.
pub fn require_bucket<T, E>(action: &str, bucket: &str, result: Result<T, SdkError<E>>) -> Result<()>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match classify(result).with_context(|| format!("{action} {bucket}"))? {
        Reply::NoBucket => bail!("{action} {bucket}: NoSuchBucket: the bucket does not exist"),
        _ => Ok(()),
    }
}
