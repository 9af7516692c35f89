//! Errors of S3 calls, in the kinds that callers handle differently. The codes are those of Amazon's "Error responses"
//! (S3 API reference, 2006-03-01), which other services have adopted.

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

pub type Result<T> = std::result::Result<T, S3Error>;

/// An error of the SDK.
pub type Sdk<E> = SdkError<E, HttpResponse>;

/// Codes of requests whose credentials or signature the server rejects.
const UNKNOWN: [&str; 7] = [
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
    "Unauthorized",
];

/// Codes of transient errors: rate limits, concurrent writers and internal errors of the service.
const BUSY: [&str; 6] = [
    "ConditionalRequestConflict",
    "InternalError",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "TooManyRequests",
];

#[derive(Clone, Debug, thiserror::Error)]
#[error("{what}: {said}")]
pub struct S3Error {
    /// The call and the bucket: `read the policy of states`.
    pub what: String,
    pub kind: Kind,
    /// The server's message and code.
    pub said: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The bucket does not exist.
    NoBucket,
    /// The object or the setting does not exist.
    Unset,
    /// The service does not support this call.
    Unsupported,
    /// The credentials are valid and lack the permission.
    Denied,
    /// The server rejects the credentials: the key is wrong or expired, or this machine's clock is wrong.
    Unknown,
    /// The bucket is in another region: this one, if the service reports it.
    Elsewhere(Option<String>),
    /// The condition of the write does not hold.
    Condition,
    /// Another account has a bucket of this name.
    Taken,
    /// This account already has the bucket.
    Own,
    /// The server did not answer.
    Away,
    /// The server asks the client to retry later.
    Busy,
    /// The object exceeds the caller's limit.
    TooLarge,
    Other,
}

impl S3Error {
    /// Whether a retry may succeed. The failed call may have taken effect.
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
            // What it sent is not shown by the SDK's own text.
            (None, _) if answer.status().is_success() => {
                let why = std::error::Error::source(&error).map(causes).unwrap_or_default();
                format!(
                    "the server answered with status {status}, and not as an S3 server does ({why}); is the endpoint that of an S3 service?"
                )
            }
            // The answer to a HEAD request has no body.
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
        // A HEAD request that was signed for another region.
        (400, "") if region.is_some() => Kind::Elsewhere(region),
        _ => Kind::Other,
    }
}

/// An error and its sources, without repetitions.
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
