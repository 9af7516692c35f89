//! What can go wrong with a bucket, told apart where a caller decides. The codes are those of Amazon's "Error responses"
//! (S3 API reference, 2006-03-01), which the other services took over.

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

/// What calls end with.
pub type Result<T> = std::result::Result<T, S3Error>;

/// An error as the client makes it.
pub type Sdk<E> = SdkError<E, HttpResponse>;

/// Codes that say that whoever asks is not known, or not as they say.
const UNKNOWN: [&str; 7] = [
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
    "Unauthorized",
];

/// Codes that ask to try again: too much at once, two writers at once, or a fault of the service itself.
const BUSY: [&str; 6] = [
    "ConditionalRequestConflict",
    "InternalError",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "TooManyRequests",
];

/// Why a call came to nothing.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{what}: {said}")]
pub struct S3Error {
    /// What was tried, on which bucket: `read the policy of states`.
    pub what: String,
    /// What it comes to.
    pub kind: Kind,
    /// What was answered, with its code.
    pub said: String,
}

/// What an error comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// There is no such bucket.
    NoBucket,
    /// Nothing of this kind is set.
    Unset,
    /// The service has no such thing.
    Unsupported,
    /// Whoever asks may not.
    Denied,
    /// Whoever asks is not known: the key is wrong or too old, or the clock is.
    Unknown,
    /// The bucket is in this region; in another one than was asked for, if the service does not say in which.
    Elsewhere(Option<String>),
    /// What the write was to depend on is not so.
    Condition,
    /// The name is somebody else's.
    Taken,
    /// The bucket is there already, and of whoever asks.
    Own,
    /// There was no answer.
    Away,
    /// The service asks to try again later.
    Busy,
    /// The object is larger than it may be.
    TooLarge,
    /// All else.
    Other,
}

impl S3Error {
    /// Whether the same call may succeed in a moment. Whether it has happened already is not known.
    pub fn is_passing(&self) -> bool {
        matches!(self.kind, Kind::Away | Kind::Busy)
    }

    pub fn of<E>(what: String, error: Sdk<E>) -> Self
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        let Some(answer) = error.raw_response() else {
            let said = match &error {
                SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
                    Some(connector) => causes(connector),
                    None => "no connection".to_owned(),
                },
                SdkError::TimeoutError(_) => "it took too long".to_owned(),
                other => DisplayErrorContext(other).to_string(),
            };
            let kind = match error {
                SdkError::DispatchFailure(_) | SdkError::TimeoutError(_) => Kind::Away,
                _ => Kind::Other,
            };
            return Self { what, kind, said };
        };
        let status = answer.status().as_u16();
        let region = answer.headers().get("x-amz-bucket-region").map(str::to_owned);
        let code = error.code().filter(|code| !code.is_empty() && *code != "NotFound");
        let kind = kind(status, code, region);
        let said = match (code, error.message()) {
            (Some(code), Some(message)) => format!("{message} ({code})"),
            (Some(code), None) => code.to_owned(),
            // A request for the head alone is answered by a status alone.
            (None, _) => format!("status {status}"),
        };
        Self { what, kind, said }
    }
}

fn kind(status: u16, code: Option<&str>, region: Option<String>) -> Kind {
    match (status, code.unwrap_or_default()) {
        (_, code) if UNKNOWN.contains(&code) => Kind::Unknown,
        (_, "AuthorizationHeaderMalformed" | "PermanentRedirect") | (301 | 307, _) => Kind::Elsewhere(region),
        (_, "NoSuchBucket") | (404, "") => Kind::NoBucket,
        (_, "BucketAlreadyExists") => Kind::Taken,
        (_, "BucketAlreadyOwnedByYou") => Kind::Own,
        (_, "NotImplemented") | (405 | 501, _) => Kind::Unsupported,
        (_, code) if BUSY.contains(&code) => Kind::Busy,
        (429 | 500..=599, _) => Kind::Busy,
        (412, _) => Kind::Condition,
        (401, _) => Kind::Unknown,
        (403, _) => Kind::Denied,
        (404, _) => Kind::Unset,
        // A key for another region, asked for the head alone.
        (400, "") if region.is_some() => Kind::Elsewhere(region),
        _ => Kind::Other,
    }
}

/// An error and what is behind it, each once.
fn causes(error: &dyn std::error::Error) -> String {
    let mut said = Vec::<String>::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !said.iter().any(|before| before.contains(&text)) {
            said.push(text);
        }
        next = error.source();
    }
    said.join(": ")
}
