//! The extractor of JSON bodies.

use axum::{
    Json,
    extract::{FromRequest, Request},
    http::StatusCode,
};
use serde::de::DeserializeOwned;

use super::error::ApiError;

/// Extracts a JSON body. Errors: 400 `bad_json`, 413 `too_large`.
pub struct JsonBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    /// Replaces the parser's error message, because it may quote the body, which may contain a password.
    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        match Json::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Err(ApiError::from_status(StatusCode::PAYLOAD_TOO_LARGE))
            }
            Err(_) => Err(ApiError::bad_request("bad_json", "the body is not a JSON object with the expected fields")),
        }
    }
}
