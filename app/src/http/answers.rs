//! Answers whose type tells their status and headers, so that the API's description has them.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header::CACHE_CONTROL},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::openapi::{Operation, Output};

/// An answer with this status.
pub struct Answer<const STATUS: u16, T>(pub T);

/// Done; there is nothing to tell.
pub type NoContent = Answer<204, ()>;

/// A JSON body with a token, which no cache may keep.
pub struct NoStore<T>(pub T);

impl<const STATUS: u16, T: IntoResponse> IntoResponse for Answer<STATUS, T> {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(STATUS).expect("each status in a handler's type is one of HTTP");
        (status, self.0).into_response()
    }
}

impl<T: Serialize> IntoResponse for NoStore<T> {
    fn into_response(self) -> Response {
        ([(CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(self.0)).into_response()
    }
}

impl<const STATUS: u16, T: Output> Output for Answer<STATUS, T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.answers(STATUS);
        T::describe(operation);
    }
}

impl<T: JsonSchema> Output for NoStore<T> {
    fn describe(operation: &mut Operation<'_>) {
        Json::<T>::describe(operation);
        operation.answer_header("Cache-Control", "`no-store`, because the body has a token");
    }
}
