//! The protocol's headers: what requests have, and what answers have.

use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, Request},
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION},
        request::Parts,
    },
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use ring::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use serde_json::json;

use super::super::{
    answers::Answer,
    error::ApiError,
    openapi::{Input, Operation, Output},
    upload::REJECTED,
};
use crate::{error_code::ErrorCode, resumable::ResumableUpload};

const VERSION: &str = "1.0.0";

const PART: &str = "application/offset+octet-stream";

const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const TUS_VERSION: HeaderName = HeaderName::from_static("tus-version");
const TUS_EXTENSION: HeaderName = HeaderName::from_static("tus-extension");
const TUS_MAX_SIZE: HeaderName = HeaderName::from_static("tus-max-size");
const TUS_CHECKSUM_ALGORITHM: HeaderName = HeaderName::from_static("tus-checksum-algorithm");
const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
const UPLOAD_METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const UPLOAD_EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
const UPLOAD_CHECKSUM: HeaderName = HeaderName::from_static("upload-checksum");
/// Our own: the id of the media that an upload has become.
const UPLOAD_MEDIA: HeaderName = HeaderName::from_static("upload-media");

/// `Tus-Resumable`: the request is of the version of the protocol that the service has.
pub struct Protocol;

/// `Upload-Length`: at least 1 byte.
pub struct UploadLength(pub u64);

/// `Upload-Offset`, in bytes.
pub struct UploadOffset(pub u64);

/// The `filename` of `Upload-Metadata`: pairs of a key and a Base64 value, separated by commas.
pub struct FileName(pub Option<String>);

/// `Upload-Checksum`.
pub struct PartChecksum(pub Option<Checksum>);

/// The checksum of a part.
pub struct Checksum {
    pub algorithm: &'static digest::Algorithm,
    pub digest: Vec<u8>,
}

/// A body of the type of a part.
pub struct PartBody(pub Body);

/// What the service has of the protocol.
pub struct Capabilities {
    /// Of a file, in bytes.
    pub max_size: u64,
}

/// A new upload.
pub struct Created(pub ResumableUpload);

/// How much of an upload has arrived, in bytes; what it has become, if that is all.
pub struct Progress<const STATUS: u16> {
    pub upload: ResumableUpload,
    pub offset: u64,
}

/// The upload is deleted.
pub struct Ended;

impl UploadLength {
    fn parse(headers: &HeaderMap) -> Result<Self, ApiError> {
        let length = number(headers, &UPLOAD_LENGTH)?.filter(|length| *length > 0);
        length.map(Self).ok_or_else(|| bad_upload("Upload-Length must be the size of the file in bytes, at least 1"))
    }
}

impl UploadOffset {
    fn parse(headers: &HeaderMap) -> Result<Self, ApiError> {
        number(headers, &UPLOAD_OFFSET)?.map(Self).ok_or_else(|| bad_upload("Upload-Offset is missing"))
    }
}

impl FileName {
    fn parse(headers: &HeaderMap) -> Result<Self, ApiError> {
        let Some(value) = headers.get(UPLOAD_METADATA) else { return Ok(Self(None)) };
        let bad = || bad_upload("Upload-Metadata must have pairs of a key and a Base64 value, separated by commas");
        let pairs = value.to_str().map_err(|_| bad())?.split(',').map(str::trim);
        let Some(encoded) = pairs.filter_map(|pair| pair.split_once(' ')).find(|(key, _)| *key == "filename") else {
            return Ok(Self(None));
        };
        let name = BASE64_STANDARD.decode(encoded.1.trim()).map_err(|_| bad())?;
        let name = String::from_utf8(name).map_err(|_| bad())?;
        Ok(Self(Some(name).filter(|name| !name.is_empty())))
    }
}

impl PartChecksum {
    fn parse(headers: &HeaderMap) -> Result<Self, ApiError> {
        let Some(value) = headers.get(UPLOAD_CHECKSUM) else { return Ok(Self(None)) };
        let bad = || bad_upload("Upload-Checksum must be sha1 or sha256, a space, and the Base64 of the digest");
        let (algorithm, digest) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(bad)?;
        let algorithm = match algorithm {
            // Every tus server has it. It protects against errors of transmission, and against nothing else.
            "sha1" => &SHA1_FOR_LEGACY_USE_ONLY,
            "sha256" => &SHA256,
            _ => return Err(bad()),
        };
        Ok(Self(Some(Checksum { algorithm, digest: BASE64_STANDARD.decode(digest.trim()).map_err(|_| bad())? })))
    }
}

impl Protocol {
    fn parse(headers: &HeaderMap) -> Result<Self, ApiError> {
        if headers.get(TUS_RESUMABLE).is_some_and(|value| value == VERSION) {
            return Ok(Self);
        }
        Err(ApiError::new(ErrorCode::BadTusVersion, "Tus-Resumable must be 1.0.0"))
    }
}

/// Extracts a header by its `parse`, and describes it.
macro_rules! header {
    ($extractor:ident, $name:literal, $required:literal, $error:ident, $description:literal, $schema:tt) => {
        impl<S: Send + Sync> FromRequestParts<S> for $extractor {
            type Rejection = ApiError;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
                Self::parse(&parts.headers)
            }
        }

        impl Input for $extractor {
            fn describe(operation: &mut Operation<'_>) {
                operation.header($name, $required, $description, json!($schema));
                operation.errors(&[ErrorCode::$error]);
            }
        }
    };
}

header!(Protocol, "Tus-Resumable", true, BadTusVersion, "The version of the protocol", {
    "type": "string", "const": VERSION
});
header!(UploadLength, "Upload-Length", true, BadUpload, "The size of the file in bytes", {
    "type": "integer", "minimum": 1, "format": "int64"
});
header!(UploadOffset, "Upload-Offset", true, BadUpload, "Where the part begins: how much has arrived, in bytes", {
    "type": "integer", "minimum": 0, "format": "int64"
});
header!(FileName, "Upload-Metadata", false, BadUpload, "Keys with values in Base64, separated by commas; `filename` is used", {
    "type": "string"
});
header!(PartChecksum, "Upload-Checksum", false, BadUpload, "`sha1` or `sha256`, a space, and the Base64 of the part's digest", {
    "type": "string", "pattern": "^sha(1|256) ([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
});

impl<S: Send + Sync> FromRequest<S> for PartBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        if request.headers().get(CONTENT_TYPE).is_none_or(|value| value != PART) {
            return Err(ApiError::new(ErrorCode::UnsupportedType, format!("the type of a part is {PART}")));
        }
        Ok(Self(request.into_body()))
    }
}

impl Input for PartBody {
    fn describe(operation: &mut Operation<'_>) {
        operation.body(PART, json!({ "type": "string", "format": "binary" }));
        // With the last part, the file is added.
        operation.errors(REJECTED);
    }
}

impl IntoResponse for Capabilities {
    fn into_response(self) -> Response {
        let headers = [
            (TUS_RESUMABLE, VERSION.to_owned()),
            (TUS_VERSION, VERSION.to_owned()),
            (TUS_EXTENSION, "creation,expiration,termination,checksum".to_owned()),
            (TUS_MAX_SIZE, self.max_size.to_string()),
            (TUS_CHECKSUM_ALGORITHM, "sha1,sha256".to_owned()),
        ];
        (StatusCode::NO_CONTENT, headers).into_response()
    }
}

impl IntoResponse for Created {
    fn into_response(self) -> Response {
        let headers = [
            (TUS_RESUMABLE, VERSION.to_owned()),
            (LOCATION, format!("/api/uploads/{}", self.0.id)),
            (UPLOAD_EXPIRES, expires(&self.0)),
        ];
        (StatusCode::CREATED, headers).into_response()
    }
}

impl<const STATUS: u16> IntoResponse for Progress<STATUS> {
    fn into_response(self) -> Response {
        let Self { upload, offset } = self;
        let mut headers = HeaderMap::from_iter([
            (TUS_RESUMABLE, HeaderValue::from_static(VERSION)),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (UPLOAD_OFFSET, offset.into()),
            (UPLOAD_LENGTH, upload.length.into()),
        ]);
        // Both have ASCII characters only.
        headers.extend(HeaderValue::from_str(&expires(&upload)).ok().map(|value| (UPLOAD_EXPIRES, value)));
        let media = upload.media.and_then(|media| HeaderValue::from_str(&media.to_string()).ok());
        headers.extend(media.map(|value| (UPLOAD_MEDIA, value)));
        Answer::<STATUS, _>(headers).into_response()
    }
}

impl IntoResponse for Ended {
    fn into_response(self) -> Response {
        (StatusCode::NO_CONTENT, [(TUS_RESUMABLE, VERSION)]).into_response()
    }
}

impl Output for Capabilities {
    fn describe(operation: &mut Operation<'_>) {
        operation.answers(204);
        operation.answer_header("Tus-Version", "The versions of the protocol, separated by commas");
        operation.answer_header("Tus-Extension", "The extensions of the protocol, separated by commas");
        operation.answer_header("Tus-Max-Size", "The maximum size of a file, in bytes");
        operation.answer_header("Tus-Checksum-Algorithm", "The algorithms of checksums, separated by commas");
    }
}

impl Output for Created {
    fn describe(operation: &mut Operation<'_>) {
        operation.answers(201);
        operation.answer_header("Location", "The path of the upload");
        operation.answer_header("Upload-Expires", "When an unfinished upload is deleted");
    }
}

impl<const STATUS: u16> Output for Progress<STATUS> {
    fn describe(operation: &mut Operation<'_>) {
        operation.answers(STATUS);
        operation.answer_header("Upload-Offset", "How much has arrived, in bytes");
        operation.answer_header("Upload-Length", "The size of the file, in bytes");
        operation.answer_header("Upload-Expires", "When an unfinished upload is deleted");
        operation.answer_header("Upload-Media", "The id of the media that a complete upload has become");
    }
}

impl Output for Ended {
    fn describe(operation: &mut Operation<'_>) {
        operation.answers(204);
    }
}

/// RFC 9110 has this format of dates.
fn expires(upload: &ResumableUpload) -> String {
    httpdate::fmt_http_date(upload.expires_at.into())
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let parsed = value.to_str().ok().and_then(|text| text.parse().ok());
    parsed.map(Some).ok_or_else(|| bad_upload(&format!("{name} must be a number of bytes")))
}

fn bad_upload(message: &str) -> ApiError {
    ApiError::new(ErrorCode::BadUpload, message)
}
