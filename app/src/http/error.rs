//! Error responses: a status, a stable code for programs, and a message for people.

use axum::{
    Json,
    http::{
        HeaderValue, StatusCode,
        header::{RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    auth::{AuthError, PasswordError, members::MemberError},
    db,
    error_code::ErrorCode,
    ingest::IngestError,
    storage::StorageError,
    validate::ValidationError,
};

/// The middleware renders it as JSON, because the body contains the request id.
#[derive(Clone, Debug)]
pub struct ApiError {
    pub status: StatusCode,
    pub code: ErrorCode,
    pub message: String,
    /// The `Retry-After` header, in seconds.
    pub retry_after: Option<u64>,
    /// The connection to the database ended under a query: another try may succeed at once.
    pub was_cut: bool,
}

/// The body of every answer with an error.
#[derive(Serialize, JsonSchema)]
pub struct ErrorResponse<'a> {
    error: ErrorBody<'a>,
}

#[derive(Serialize, JsonSchema)]
struct ErrorBody<'a> {
    code: ErrorCode,
    /// For people.
    message: &'a str,
    /// As in the header `X-Request-Id` and in the service's log.
    request_id: &'a str,
}

impl ApiError {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(code.status()).expect("each code has a status of HTTP");
        Self { status, code, message: message.into(), retry_after: None, was_cut: false }
    }

    pub fn unauthorized() -> Self {
        Self::new(ErrorCode::Unauthorized, "a valid bearer token is required; log in to get one")
    }

    /// The bearer token is valid, but does not allow this.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Forbidden, message)
    }

    pub fn not_found() -> Self {
        Self::new(ErrorCode::NotFound, "not found")
    }

    /// Another request changed it first.
    pub fn other_version() -> Self {
        let message = "the media has another version than If-Match says; get it again";
        Self::new(ErrorCode::OtherVersion, message)
    }

    /// Logs the error; the response does not contain it.
    pub fn internal(error: impl std::fmt::Display) -> Self {
        tracing::error!(error = format!("{error:#}"), "request failed");
        let message = "internal error; the service log has the details under this request id";
        Self::new(ErrorCode::Internal, message)
    }

    /// The error for a response that axum or a layer made without an `ApiError`.
    pub fn from_status(status: StatusCode) -> Self {
        let (code, message) = match status {
            StatusCode::NOT_FOUND => return Self::not_found(),
            StatusCode::METHOD_NOT_ALLOWED => (ErrorCode::MethodNotAllowed, "this path does not support this method"),
            StatusCode::REQUEST_TIMEOUT => (ErrorCode::Timeout, "the request took too long"),
            StatusCode::PAYLOAD_TOO_LARGE => (ErrorCode::TooLarge, "the request body is too large"),
            StatusCode::PRECONDITION_FAILED => {
                (ErrorCode::PreconditionFailed, "a condition of the request does not hold")
            }
            StatusCode::RANGE_NOT_SATISFIABLE => (ErrorCode::BadRange, "the range is outside the file"),
            status if status.is_server_error() => (ErrorCode::Internal, "internal error"),
            _ => (ErrorCode::BadRequest, "the request is malformed"),
        };
        Self { status, ..Self::new(code, message) }
    }

    pub fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    pub fn render(&self, request_id: &str) -> Response {
        let error = ErrorBody { code: self.code, message: &self.message, request_id };
        let mut response = (self.status, Json(ErrorResponse { error })).into_response();
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
        Self::new(error.code(), error.to_string())
    }
}

impl From<IngestError> for ApiError {
    fn from(error: IngestError) -> Self {
        match error {
            IngestError::Invalid(error) => error.into(),
            IngestError::ProcessingFailed => Self::new(ErrorCode::ProcessingFailed, error.to_string()),
            IngestError::KeyReused => Self::new(ErrorCode::IdempotencyKeyReused, error.to_string()),
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
                Self::new(ErrorCode::StorageFull, "the service has no space left")
            }
            StorageError::Unavailable(error) => {
                tracing::error!(error = format!("{error:#}"), "the storage is unavailable");
                Self::new(ErrorCode::Unavailable, "the storage is unavailable").retry_after(5)
            }
            StorageError::Internal(error) => Self::internal(error),
        }
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        let message = error.to_string();
        match error {
            AuthError::BootstrapClosed => Self::new(ErrorCode::BootstrapClosed, message),
            AuthError::BadBootstrapToken => Self::new(ErrorCode::BadBootstrapToken, message),
            AuthError::BadInvite => Self::new(ErrorCode::BadInvite, message),
            AuthError::InvalidUsername => Self::new(ErrorCode::InvalidUsername, message),
            AuthError::UsernameTaken => Self::new(ErrorCode::UsernameTaken, message),
            AuthError::WeakPassword => Self::new(ErrorCode::WeakPassword, message),
            AuthError::BadCredentials => Self::new(ErrorCode::BadCredentials, message),
            // Not 401, by which clients know that their token is invalid.
            AuthError::WrongPassword => Self::new(ErrorCode::WrongPassword, message),
            AuthError::KeptElsewhere => Self::new(ErrorCode::AccountsElsewhere, message),
            AuthError::NoKeys(_) => Self::new(ErrorCode::Unavailable, message).retry_after(5),
            AuthError::TooManyAttempts(error) => {
                Self::new(ErrorCode::TooManyAttempts, message).retry_after(error.retry_after.as_secs() + 1)
            }
            AuthError::Member(error) => error.into(),
            AuthError::Password(PasswordError::Busy) => Self::new(ErrorCode::Busy, message).retry_after(2),
            AuthError::Password(PasswordError::Hashing(_)) | AuthError::Token(_) => Self::internal(message),
            AuthError::Database(error) => error.into(),
        }
    }
}

impl From<MemberError> for ApiError {
    fn from(error: MemberError) -> Self {
        match error {
            MemberError::NotFound => Self::not_found(),
            MemberError::LastAdmin => Self::new(ErrorCode::LastAdmin, error.to_string()),
            MemberError::NotAdmin => Self::forbidden(error.to_string()),
            MemberError::Database(error) => error.into(),
        }
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        if !db::is_away(&error) {
            return Self::internal(error);
        }
        tracing::warn!(%error, "the database is away");
        let away = Self::new(ErrorCode::Unavailable, "the database is unreachable");
        Self { was_cut: db::was_cut(&error), ..away.retry_after(5) }
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
