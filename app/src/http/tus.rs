//! `/api/uploads`: resumable uploads by tus 1.0.0 (tus.io/protocols/resumable-upload), with its extensions creation,
//! expiration, termination and checksum. A complete upload is added like a direct one.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{FromRequestParts, Path, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION},
        request::Parts,
    },
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use http_body_util::BodyExt;
use ring::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use tokio::io::AsyncWriteExt;

use super::{access::Uploader, error::ApiError, upload::UploadLimits};
use crate::{
    auth::Access,
    ingest::{Added, Ingest, Upload},
    media::MediaId,
    resumable::{Part, ResumableUpload, ResumableUploads},
    storage::StorageError,
    validate,
};

const VERSION: &str = "1.0.0";

/// The status of a part whose checksum differs; the protocol made it up.
const CHECKSUM_MISMATCH: u16 = 460;

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

/// The upload that a request names: one of the account's own. Checks the version of the protocol. Errors: 401, 403, 404, 412.
pub struct Named {
    upload: ResumableUpload,
    access: Access,
}

/// `OPTIONS /api/uploads`: what the service has of the protocol.
pub async fn options(State(limits): State<UploadLimits>) -> Response {
    let headers = [
        (TUS_RESUMABLE, VERSION.to_owned()),
        (TUS_VERSION, VERSION.to_owned()),
        (TUS_EXTENSION, "creation,expiration,termination,checksum".to_owned()),
        (TUS_MAX_SIZE, limits.max_bytes().to_string()),
        (TUS_CHECKSUM_ALGORITHM, "sha1,sha256".to_owned()),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// `POST /api/uploads`: creates an upload of `Upload-Length` bytes. `Upload-Metadata` may have a `filename`. Errors: 400
/// `bad_upload`, 400 `invalid_name`, 412 `bad_tus_version`, 413 `too_large`, 429 `too_many_uploads`.
pub async fn create(
    State(uploads): State<ResumableUploads>,
    State(limits): State<UploadLimits>,
    Uploader(access): Uploader,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    check_version(&headers)?;
    let length = number(&headers, &UPLOAD_LENGTH)?.filter(|length| *length > 0);
    let length = length.ok_or_else(|| bad_upload("Upload-Length must be the size of the file in bytes, at least 1"))?;
    limits.check_size(length)?;
    let name = file_name(&headers)?.unwrap_or_else(|| "untitled".to_owned());
    let upload = uploads.create(access.account.id, length, validate::name(&name)?).await?.ok_or_else(|| {
        let message = "too many uploads of this account are unfinished";
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_uploads", message).retry_after(60)
    })?;
    let headers = [
        (TUS_RESUMABLE, VERSION.to_owned()),
        (LOCATION, format!("/api/uploads/{}", upload.id)),
        (UPLOAD_EXPIRES, expires(&upload)),
    ];
    Ok((StatusCode::CREATED, headers).into_response())
}

/// `HEAD /api/uploads/{id}`: how much has arrived. Of a complete one, `Upload-Media` has the id of the media. Errors: 404.
pub async fn offset(
    State(uploads): State<ResumableUploads>,
    State(ingest): State<Arc<Ingest>>,
    named: Named,
) -> Result<Response, ApiError> {
    let Named { mut upload, access } = named;
    if upload.media.is_none() && arrived(&uploads, &upload).await? == upload.length {
        // All had arrived, but adding it failed or its answer was lost.
        add(&uploads, &ingest, &mut upload, &access).await?;
    }
    let offset = arrived(&uploads, &upload).await?;
    Ok((StatusCode::OK, state(&upload, offset)).into_response())
}

/// `PATCH /api/uploads/{id}`: appends a part at `Upload-Offset`. With the last one, the file is added. Errors: those of a
/// direct upload, 400 `bad_upload`, 404, 409 `other_offset`, 412, 413, 415 `unsupported_type`, 423 `locked`, 460
/// `checksum_mismatch`.
pub async fn append(
    State(uploads): State<ResumableUploads>,
    State(ingest): State<Arc<Ingest>>,
    State(limits): State<UploadLimits>,
    named: Named,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let Named { mut upload, access } = named;
    if headers.get(CONTENT_TYPE).is_none_or(|value| value != "application/offset+octet-stream") {
        let message = "the type of a part is application/offset+octet-stream";
        return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_type", message));
    }
    let given = number(&headers, &UPLOAD_OFFSET)?.ok_or_else(|| bad_upload("Upload-Offset is missing"))?;
    let checksum = headers.get(UPLOAD_CHECKSUM).map(Checksum::parse).transpose()?;
    let _permit = limits.begin()?;
    if upload.media.is_none() {
        let part = uploads.open(upload.id).await?.ok_or_else(|| {
            ApiError::new(StatusCode::LOCKED, "locked", "another request is sending a part of this upload")
        })?;
        if given != part.offset {
            return Err(other_offset(part.offset));
        }
        receive(part, upload.length, body, checksum).await?;
        if arrived(&uploads, &upload).await? == upload.length {
            add(&uploads, &ingest, &mut upload, &access).await?;
        }
    } else if given != upload.length {
        return Err(other_offset(upload.length));
    }
    let offset = arrived(&uploads, &upload).await?;
    Ok((StatusCode::NO_CONTENT, state(&upload, offset)).into_response())
}

/// `DELETE /api/uploads/{id}`: ends an upload. What was added stays. Errors: 404, 412.
pub async fn terminate(State(uploads): State<ResumableUploads>, named: Named) -> Result<Response, ApiError> {
    uploads.delete(named.upload.id).await?;
    Ok((StatusCode::NO_CONTENT, [(TUS_RESUMABLE, VERSION)]).into_response())
}

/// Appends a body to the file. A part whose checksum differs, or that is too long, is cut off again.
async fn receive(part: Part, length: u64, mut body: Body, checksum: Option<Checksum>) -> Result<(), ApiError> {
    let Part { file, offset } = part;
    let mut file = tokio::fs::File::from_std(file);
    let mut hash = checksum.as_ref().map(|checksum| digest::Context::new(checksum.algorithm));
    let mut end = offset;
    let mut refused = None;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { break };
        let Some(bytes) = frame.data_ref() else { continue };
        end += bytes.len() as u64;
        if end > length {
            refused =
                Some(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the part ends after Upload-Length"));
            break;
        }
        if let Some(hash) = &mut hash {
            hash.update(bytes);
        }
        file.write_all(bytes).await.map_err(StorageError::from)?;
    }
    file.flush().await.map_err(StorageError::from)?;
    let is_right = checksum.zip(hash).is_none_or(|(checksum, hash)| hash.finish().as_ref() == checksum.digest);
    if refused.is_none() && !is_right {
        let status = StatusCode::from_u16(CHECKSUM_MISMATCH).map_err(ApiError::internal)?;
        refused =
            Some(ApiError::new(status, "checksum_mismatch", "the part has another checksum than Upload-Checksum"));
    }
    match refused {
        Some(error) => {
            file.set_len(offset).await.map_err(StorageError::from)?;
            Err(error)
        }
        None => Ok(()),
    }
}

/// Adds the complete file. What is rejected is deleted; after another failure, the client's next request tries again.
async fn add(
    uploads: &ResumableUploads,
    ingest: &Arc<Ingest>,
    upload: &mut ResumableUpload,
    access: &Access,
) -> Result<(), ApiError> {
    let added = ingest
        .add(Upload {
            file: uploads.received(upload).await?,
            name: upload.name.clone(),
            description: String::new(),
            uploader: access.account.id,
            idempotency_key: None,
        })
        .await;
    let error = match added {
        Ok(Added::New(media) | Added::Duplicate(media) | Added::Repeated(media)) => {
            uploads.finish(upload.id, media).await?;
            upload.media = Some(media);
            return Ok(());
        }
        Err(error) => ApiError::from(error),
    };
    if error.status.is_client_error() {
        uploads.delete(upload.id).await?;
    }
    Err(error)
}

async fn arrived(uploads: &ResumableUploads, upload: &ResumableUpload) -> Result<u64, ApiError> {
    if upload.media.is_some() {
        return Ok(upload.length);
    }
    uploads.offset(upload.id).await?.ok_or_else(ApiError::not_found)
}

fn state(upload: &ResumableUpload, offset: u64) -> HeaderMap {
    let mut headers = HeaderMap::from_iter([
        (TUS_RESUMABLE, HeaderValue::from_static(VERSION)),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (UPLOAD_OFFSET, offset.into()),
        (UPLOAD_LENGTH, upload.length.into()),
    ]);
    // Both have ASCII characters only.
    headers.extend(HeaderValue::from_str(&expires(upload)).ok().map(|value| (UPLOAD_EXPIRES, value)));
    let media = upload.media.and_then(|media| HeaderValue::from_str(&media.to_string()).ok());
    headers.extend(media.map(|value| (UPLOAD_MEDIA, value)));
    headers
}

/// RFC 9110 has this format of dates.
fn expires(upload: &ResumableUpload) -> String {
    httpdate::fmt_http_date(upload.expires_at.into())
}

/// The checksum of a part.
struct Checksum {
    algorithm: &'static digest::Algorithm,
    digest: Vec<u8>,
}

impl Checksum {
    fn parse(value: &HeaderValue) -> Result<Self, ApiError> {
        let bad = || bad_upload("Upload-Checksum must be sha1 or sha256, a space, and the Base64 of the digest");
        let (algorithm, digest) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(bad)?;
        let algorithm = match algorithm {
            // Every tus server has it. It protects against errors of transmission, and against nothing else.
            "sha1" => &SHA1_FOR_LEGACY_USE_ONLY,
            "sha256" => &SHA256,
            _ => return Err(bad()),
        };
        Ok(Self { algorithm, digest: BASE64_STANDARD.decode(digest.trim()).map_err(|_| bad())? })
    }
}

/// The `filename` of `Upload-Metadata`: pairs of a key and a Base64 value, separated by commas.
fn file_name(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get(UPLOAD_METADATA) else { return Ok(None) };
    let bad = || bad_upload("Upload-Metadata must have pairs of a key and a Base64 value, separated by commas");
    let pairs = value.to_str().map_err(|_| bad())?.split(',').map(str::trim);
    let Some(encoded) = pairs.filter_map(|pair| pair.split_once(' ')).find(|(key, _)| *key == "filename") else {
        return Ok(None);
    };
    let name = BASE64_STANDARD.decode(encoded.1.trim()).map_err(|_| bad())?;
    let name = String::from_utf8(name).map_err(|_| bad())?;
    Ok(Some(name).filter(|name| !name.is_empty()))
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let parsed = value.to_str().ok().and_then(|text| text.parse().ok());
    parsed.map(Some).ok_or_else(|| bad_upload(&format!("{name} must be a number of bytes")))
}

fn check_version(headers: &HeaderMap) -> Result<(), ApiError> {
    if headers.get(TUS_RESUMABLE).is_some_and(|value| value == VERSION) {
        return Ok(());
    }
    Err(ApiError::new(StatusCode::PRECONDITION_FAILED, "bad_tus_version", "Tus-Resumable must be 1.0.0"))
}

fn bad_upload(message: &str) -> ApiError {
    ApiError::bad_request("bad_upload", message)
}

fn other_offset(offset: u64) -> ApiError {
    ApiError::new(StatusCode::CONFLICT, "other_offset", format!("{offset} bytes have arrived"))
}

impl<S: Send + Sync> FromRequestParts<S> for Named
where
    Uploader: FromRequestParts<S, Rejection = ApiError>,
    ResumableUploads: axum::extract::FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Uploader(access) = Uploader::from_request_parts(parts, state).await?;
        check_version(&parts.headers)?;
        let Path(id) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| ApiError::not_found())?;
        let id: MediaId = id.parse().map_err(|_| ApiError::not_found())?;
        let uploads = <ResumableUploads as axum::extract::FromRef<S>>::from_ref(state);
        let upload = uploads.find(id, access.account.id).await?.ok_or_else(ApiError::not_found)?;
        Ok(Self { upload, access })
    }
}
