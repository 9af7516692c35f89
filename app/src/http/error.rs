//! Error responses: a status, a stable code for programs, and a message for people.

use axum::{
    Json,
    http::{
        HeaderValue, StatusCode,
        header::{RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::{
    auth::{AuthError, PasswordError},
    ingest::IngestError,
    storage::StorageError,
    validate::ValidationError,
};

/// The middleware renders it as JSON, because the body contains the request id.
#[derive(Clone, Debug)]
pub struct ApiError {
    pub status: StatusCode,
    /// Clients rely on it, so it must not change.
    pub code: &'static str,
    pub message: String,
    /// The `Retry-After` header, in seconds.
    pub retry_after: Option<u64>,
}

impl ApiError {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after: None }
    }

    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "a valid bearer token is required; log in to get one")
    }

    /// The bearer token is valid, but does not allow this.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "not found")
    }

    /// Another request changed it first.
    pub fn other_version() -> Self {
        let message = "the media has another version than If-Match says; get it again";
        Self::new(StatusCode::PRECONDITION_FAILED, "other_version", message)
    }

    pub fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// Logs the error; the response does not contain it.
    pub fn internal(error: impl std::fmt::Display) -> Self {
        tracing::error!(error = format!("{error:#}"), "request failed");
        let message = "internal error; the service log has the details under this request id";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// The error for a response that axum or a layer made without an `ApiError`.
    pub fn from_status(status: StatusCode) -> Self {
        let (code, message) = match status {
            StatusCode::NOT_FOUND => return Self::not_found(),
            StatusCode::METHOD_NOT_ALLOWED => ("method_not_allowed", "this path does not support this method"),
            StatusCode::REQUEST_TIMEOUT => ("timeout", "the request took too long"),
            StatusCode::PAYLOAD_TOO_LARGE => ("too_large", "the request body is too large"),
            StatusCode::PRECONDITION_FAILED => ("precondition_failed", "a condition of the request does not hold"),
            StatusCode::RANGE_NOT_SATISFIABLE => ("bad_range", "the range is outside the file"),
            status if status.is_server_error() => ("internal", "internal error"),
            _ => ("bad_request", "the request is malformed"),
        };
        Self::new(status, code, message)
    }

    pub fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    pub fn render(&self, request_id: &str) -> Response {
        let error = json!({ "code": self.code, "message": self.message, "request_id": request_id });
        let mut response = (self.status, Json(json!({ "error": error }))).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<ValidationError> for ApiError {
    fn from(error: ValidationError) -> Self {
        let status = match error {
            ValidationError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            ValidationError::UnsupportedType { .. } | ValidationError::UnsupportedCodec { .. } => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            ValidationError::MissingFile
            | ValidationError::EmptyFile
            | ValidationError::InvalidName
            | ValidationError::InvalidTags
            | ValidationError::InvalidDescription { .. } => StatusCode::BAD_REQUEST,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::new(status, error.code(), error.to_string())
    }
}

impl From<IngestError> for ApiError {
    fn from(error: IngestError) -> Self {
        match error {
            IngestError::Invalid(error) => error.into(),
            IngestError::KeyReused => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", error.to_string())
            }
            IngestError::Storage(error) => error.into(),
            IngestError::Internal(error) => error.into(),
        }
    }
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Full => {
                tracing::error!("the disk is full");
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "storage_full", "the service has no space left")
            }
            StorageError::Unavailable(error) => {
                tracing::error!(error = format!("{error:#}"), "the storage is unavailable");
                let message = "the storage is unavailable";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message).retry_after(5)
            }
            StorageError::Internal(error) => Self::internal(error),
        }
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        let message = error.to_string();
        match error {
            AuthError::BootstrapClosed => Self::new(StatusCode::FORBIDDEN, "bootstrap_closed", message),
            AuthError::BadBootstrapToken => Self::new(StatusCode::FORBIDDEN, "bad_bootstrap_token", message),
            AuthError::BadInvite => Self::new(StatusCode::FORBIDDEN, "bad_invite", message),
            AuthError::InvalidUsername => Self::bad_request("invalid_username", message),
            AuthError::UsernameTaken => Self::new(StatusCode::CONFLICT, "username_taken", message),
            AuthError::WeakPassword => Self::bad_request("weak_password", message),
            AuthError::BadCredentials => Self::new(StatusCode::UNAUTHORIZED, "bad_credentials", message),
            // Not 401, by which clients know that their token is invalid.
            AuthError::WrongPassword => Self::new(StatusCode::FORBIDDEN, "wrong_password", message),
            AuthError::TooManyAttempts(error) => Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", message)
                .retry_after(error.retry_after.as_secs() + 1),
            AuthError::Password(PasswordError::Busy) => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "busy", message).retry_after(2)
            }
            AuthError::Password(PasswordError::Hashing(_)) | AuthError::Token(_) => Self::internal(message),
            AuthError::Database(error) => error.into(),
        }
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        let unreachable = matches!(error, sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed);
        let internal = Self::internal(error);
        if !unreachable {
            return internal;
        }
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "the database is unreachable").retry_after(5)
    }
}

impl From<anyhow::Error> for ApiError {
    fn from(error: anyhow::Error) -> Self {
        let error = match error.downcast::<sqlx::Error>() {
            Ok(error) => return error.into(),
            Err(error) => error,
        };
        match error.downcast::<StorageError>() {
            Ok(error) => error.into(),
            Err(error) => Self::internal(error),
        }
    }
}

impl From<std::io::Error> for ApiError {
    fn from(error: std::io::Error) -> Self {
        StorageError::from(error).into()
    }
}
