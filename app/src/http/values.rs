//! Values of requests and answers that the API's description names a format for.

use std::borrow::Cow;

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use uuid::Uuid;

use super::{
    error::ApiError,
    openapi::{Input, Operation},
};
use crate::media::MediaId;

/// The schema of a time.
pub struct Rfc3339;

/// The id of a media or of an upload in a path. Rejects anything else with 404.
pub struct MediaPath(pub MediaId);

/// The id of a row in a path. Rejects anything else with 404.
pub struct RowPath(pub Uuid);

impl JsonSchema for Rfc3339 {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Rfc3339".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

macro_rules! path {
    ($extractor:ident, $id:ty) => {
        impl<S: Send + Sync> FromRequestParts<S> for $extractor {
            type Rejection = ApiError;

            async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
                let path = Path::<String>::from_request_parts(parts, state).await;
                path.ok().and_then(|Path(id)| id.parse().ok()).map(Self).ok_or_else(ApiError::not_found)
            }
        }

        impl Input for $extractor {
            fn describe(operation: &mut Operation<'_>) {
                operation.path_parameter::<$id>();
            }
        }
    };
}

path!(MediaPath, MediaId);
path!(RowPath, Uuid);
