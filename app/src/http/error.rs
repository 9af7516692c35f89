//! What a failed request is answered with: a status, a stable code for programs and a sentence for people.

use axum::{
    Json,
    http::{
        HeaderValue, StatusCode,
        header::{RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::{intake::Failure, password::Unavailable, validate::ValidationError};

/// The answer to a request that failed. It becomes a body in `super::around`, which knows the request's id.
#[derive(Clone, Debug)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// The code that clients can rely on.
    pub code: &'static str,
    /// What happened, for people.
    pub message: String,
    /// In how many seconds to try again.
    pub retry_after: Option<u64>,
}

impl ApiError {
    /// An answer of this status, code and message.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after: None }
    }

    /// 401: no token, or one that is not valid.
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "sign in: a valid bearer token is needed")
    }

    /// 404
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "there is nothing here")
    }

    /// 400 with a code of its own.
    pub fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 500. What happened is for the log alone.
    pub fn internal(error: impl std::fmt::Display) -> Self {
        tracing::error!(error = format!("{error:#}"), "request failed");
        let message = "something went wrong here; the log tells more under this request id";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// The error that stands for a status which some layer answered without one.
    pub fn of_status(status: StatusCode) -> Self {
        let (code, message) = match status {
            StatusCode::NOT_FOUND => return Self::not_found(),
            StatusCode::METHOD_NOT_ALLOWED => ("method_not_allowed", "this address does not take this method"),
            StatusCode::REQUEST_TIMEOUT => ("timeout", "the request took too long"),
            StatusCode::PAYLOAD_TOO_LARGE => ("too_large", "the request is larger than allowed here"),
            StatusCode::RANGE_NOT_SATISFIABLE => ("bad_range", "the file has no such range"),
            status if status.is_server_error() => ("internal", "something went wrong here"),
            _ => ("bad_request", "the request cannot be understood"),
        };
        Self::new(status, code, message)
    }

    /// The JSON answer.
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
    fn from(refusal: ValidationError) -> Self {
        let status = match refusal {
            ValidationError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            ValidationError::UnsupportedType { .. } | ValidationError::TypeMismatch { .. } => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            ValidationError::MissingFile
            | ValidationError::EmptyFile
            | ValidationError::InvalidName
            | ValidationError::InvalidDescription { .. } => StatusCode::BAD_REQUEST,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::new(status, refusal.code(), refusal.to_string())
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => refusal.into(),
            Failure::Broken(error) => error.into(),
        }
    }
}

impl From<Unavailable> for ApiError {
    fn from(unavailable: Unavailable) -> Self {
        let (code, retry_after) = match &unavailable {
            Unavailable::Broken(_) => return Self::internal(unavailable),
            Unavailable::Busy => ("busy", 2),
            Unavailable::Throttled { retry_after } => ("too_many_attempts", retry_after.as_secs() + 1),
        };
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, code, unavailable.to_string());
        Self { retry_after: Some(retry_after), ..error }
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        let away = matches!(error, sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed);
        let internal = Self::internal(error);
        if !away {
            return internal;
        }
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "the database does not answer");
        Self { retry_after: Some(5), ..error }
    }
}

impl From<anyhow::Error> for ApiError {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<sqlx::Error>() {
            Ok(error) => error.into(),
            Err(error) => Self::internal(error),
        }
    }
}

impl From<std::io::Error> for ApiError {
    fn from(error: std::io::Error) -> Self {
        Self::internal(error)
    }
}
