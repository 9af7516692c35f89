//! The extractor of JSON bodies.

use std::{fmt, marker::PhantomData, time::Duration};

use axum::{
    Json,
    extract::{FromRequest, Request},
    http::StatusCode,
};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, MapAccess, Visitor, value::MapAccessDeserializer},
};

use tokio::time::timeout;

use super::error::ApiError;
use crate::error_code::ErrorCode;

/// How long a body may take in all. What a request may do is decided before its body arrives, and its connection is not closed for
/// another one.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Extracts a JSON object. Errors: 400 `bad_json`, 408 `timeout`, 413 `too_large`.
pub struct JsonBody<T>(pub T);

/// What is read from an object only: serde also reads a struct from an array.
struct Object<T>(T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    /// Replaces the parser's error message, because it may quote the body, which may contain a password.
    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let read = timeout(TIMEOUT, Json::from_request(request, state)).await;
        match read.map_err(|_| ApiError::new(ErrorCode::Timeout, "the body did not arrive within 30 seconds"))? {
            Ok(Json(Object(value))) => Ok(Self(value)),
            Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Err(ApiError::from_status(StatusCode::PAYLOAD_TOO_LARGE))
            }
            Err(_) => Err(ApiError::new(ErrorCode::BadJson, "the body is not a JSON object with the expected fields")),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FromMap(PhantomData)).map(Self)
    }
}

struct FromMap<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for FromMap<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}
