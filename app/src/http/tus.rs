//! `/api/uploads`: resumable uploads by tus 1.0.0 (tus.io/protocols/resumable-upload), with its extensions creation,
//! expiration, termination and checksum. A complete upload is added like a direct one.

mod headers;

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{FromRef, FromRequestParts, State},
    http::request::Parts,
};
use http_body_util::BodyExt;
use ring::digest;
use tokio::io::AsyncWriteExt;

use self::headers::{
    Capabilities, Checksum, Created, Ended, FileName, PartBody, PartChecksum, Progress, Protocol, UploadLength,
    UploadOffset,
};
use super::{
    access::Uploader,
    error::ApiError,
    openapi::{Input, Operation},
    upload::UploadLimits,
    values::MediaPath,
};
use crate::{
    auth::Access,
    error_code::ErrorCode,
    ingest::{Added, Ingest, Upload},
    metrics::metrics,
    resumable::{Part, ResumableUpload, ResumableUploads},
    storage::StorageError,
    validate,
};

/// The upload that a request names: one of the account's own. Checks the version of the protocol. Errors: 401, 403, 404, 412.
pub struct Named {
    upload: ResumableUpload,
    access: Access,
}

/// `OPTIONS /api/uploads`: what the service has of the protocol.
pub async fn options(State(limits): State<UploadLimits>) -> Capabilities {
    Capabilities { max_size: limits.max_bytes() }
}

/// `POST /api/uploads`: creates an upload of `Upload-Length` bytes. `Upload-Metadata` may have a `filename`.
pub async fn create(
    State(uploads): State<ResumableUploads>,
    State(limits): State<UploadLimits>,
    Uploader(access): Uploader,
    _: Protocol,
    UploadLength(length): UploadLength,
    FileName(name): FileName,
) -> Result<Created, ApiError> {
    limits.check_size(length)?;
    let name = name.unwrap_or_else(|| "untitled".to_owned());
    let upload = uploads.create(access.account.id, length, validate::name(&name)?).await?.ok_or_else(|| {
        ApiError::new(ErrorCode::TooManyUploads, "too many uploads of this account are unfinished").retry_after(60)
    })?;
    Ok(Created(upload))
}

/// `HEAD /api/uploads/{id}`: how much has arrived. Of a complete one, `Upload-Media` has the id of the media.
pub async fn offset(
    State(uploads): State<ResumableUploads>,
    State(ingest): State<Arc<Ingest>>,
    named: Named,
) -> Result<Progress<200>, ApiError> {
    let Named { mut upload, access } = named;
    // All had arrived, but adding it failed or its answer was lost. While another request sends a part, that one decides what stays.
    if upload.media.is_none()
        && arrived(&uploads, &upload).await? == upload.length
        && uploads.open(upload.id).await?.is_some_and(|part| part.offset == upload.length)
    {
        add(&uploads, &ingest, &mut upload, &access).await?;
    }
    let offset = arrived(&uploads, &upload).await?;
    Ok(Progress { upload, offset })
}

/// `PATCH /api/uploads/{id}`: appends a part at `Upload-Offset`. With the last one, the file is added.
pub async fn append(
    State(uploads): State<ResumableUploads>,
    State(ingest): State<Arc<Ingest>>,
    State(limits): State<UploadLimits>,
    named: Named,
    UploadOffset(given): UploadOffset,
    PartChecksum(checksum): PartChecksum,
    PartBody(body): PartBody,
) -> Result<Progress<204>, ApiError> {
    let Named { mut upload, access } = named;
    let _place = limits.begin(access.account.id)?;
    if upload.media.is_none() {
        let part = uploads
            .open(upload.id)
            .await?
            .ok_or_else(|| ApiError::new(ErrorCode::Locked, "another request is sending a part of this upload"))?;
        if given != part.offset {
            return Err(other_offset(part.offset));
        }
        if receive(part, upload.length, body, checksum).await? == upload.length {
            add(&uploads, &ingest, &mut upload, &access).await?;
        }
    } else if given != upload.length {
        return Err(other_offset(upload.length));
    }
    let offset = arrived(&uploads, &upload).await?;
    Ok(Progress { upload, offset })
}

/// `DELETE /api/uploads/{id}`: ends an upload. What was added stays.
pub async fn terminate(State(uploads): State<ResumableUploads>, named: Named) -> Result<Ended, ApiError> {
    uploads.delete(named.upload.id).await?;
    Ok(Ended)
}

/// Appends a body to the file, and returns how much the file has then. A part whose checksum differs, or that is too long, is cut
/// off again. The file is complete for good when a request that has it open has found that: no later part begins before its end.
async fn receive(part: Part, length: u64, mut body: Body, checksum: Option<Checksum>) -> Result<u64, ApiError> {
    let Part { file, offset } = part;
    let mut file = tokio::fs::File::from_std(file);
    let mut hash = checksum.as_ref().map(|checksum| digest::Context::new(checksum.algorithm));
    let mut end = offset;
    let mut refused = None;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { break };
        let Some(bytes) = frame.data_ref() else { continue };
        metrics().received(bytes.len() as u64);
        end += bytes.len() as u64;
        if end > length {
            refused = Some(ApiError::new(ErrorCode::TooLarge, "the part ends after Upload-Length"));
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
        let message = "the part has another checksum than Upload-Checksum";
        refused = Some(ApiError::new(ErrorCode::ChecksumMismatch, message));
    }
    match refused {
        Some(error) => {
            file.set_len(offset).await.map_err(StorageError::from)?;
            Err(error)
        }
        None => Ok(end),
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

fn other_offset(offset: u64) -> ApiError {
    ApiError::new(ErrorCode::OtherOffset, format!("{offset} bytes have arrived"))
}

impl<S: Send + Sync> FromRequestParts<S> for Named
where
    Uploader: FromRequestParts<S, Rejection = ApiError>,
    ResumableUploads: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Uploader(access) = Uploader::from_request_parts(parts, state).await?;
        Protocol::from_request_parts(parts, state).await?;
        let MediaPath(id) = MediaPath::from_request_parts(parts, state).await?;
        let uploads = ResumableUploads::from_ref(state);
        let upload = uploads.find(id, access.account.id).await?.ok_or_else(ApiError::not_found)?;
        Ok(Self { upload, access })
    }
}

impl Input for Named {
    fn describe(operation: &mut Operation<'_>) {
        Uploader::describe(operation);
        Protocol::describe(operation);
        MediaPath::describe(operation);
    }
}
