//! One job: what is done, and what becomes of its media.

use std::path::Path;

use anyhow::Context;
use bytes::Bytes;
use ring::digest::{SHA256, digest};
use time::{PrimitiveDateTime, format_description::well_known::Iso8601};
use tracing::{debug, info, warn};

use super::Worker;
use crate::{
    content::{self, ContentKind},
    jobs::{HEARTBEAT, Job, Kind},
    media::{self, Media, MediaId, Status, lifecycle},
    process::{DerivedImage, DerivedVideo, ProcessError},
    storage::{StorageError, StorageKey},
    validate::ValidationError,
};

/// What becomes of an upload whose content is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnReject {
    /// The row stays, failed, with the reason: its uploader has an answer already.
    Keep,
    /// Nothing is kept: its uploader waits for the reason.
    Discard,
}

/// How an attempt ended.
#[derive(Debug)]
pub enum Outcome {
    Done,
    /// The content is at fault, finally.
    Rejected(ValidationError),
    /// The attempt failed; a worker tries again, or the last attempt is over.
    Retry,
    /// The job is gone or another process has it. Nothing was changed.
    Lost,
}

/// Why an attempt did not succeed.
enum Failure {
    Rejected(ValidationError),
    Retry(anyhow::Error),
    /// The process that received the upload died before the original was stored, and its client has no answer.
    NoOriginal,
}

impl Worker {
    /// Does a claimed job and writes its result. Renews the claim meanwhile, and stops the work if it is lost.
    pub async fn work(&self, job: Job, on_reject: OnReject) -> Outcome {
        let outcome = tokio::select! {
            outcome = self.attempt(job, on_reject) => outcome,
            () = self.until_lost(job) => Outcome::Lost,
        };
        debug!(media = %job.media, kind = job.kind.as_str(), attempt = job.attempt, ?outcome, "job");
        outcome
    }

    async fn attempt(&self, job: Job, on_reject: OnReject) -> Outcome {
        let done = match job.kind {
            Kind::Process => self.process(job).await,
            Kind::Ocr => self.recognise(job).await,
        };
        let settled = match done {
            Ok(true) => return Outcome::Done,
            Ok(false) => return Outcome::Lost,
            Err(Failure::Rejected(error)) => {
                info!(media = %job.media, code = error.code(), %error, "rejected");
                self.reject(job, on_reject, error.code()).await.map(|()| Outcome::Rejected(error))
            }
            Err(Failure::NoOriginal) => {
                info!(media = %job.media, "an interrupted upload is removed");
                self.delete(job.media).await.map(|_| Outcome::Lost)
            }
            Err(Failure::Retry(error)) => {
                let error = format!("{error:#}");
                warn!(media = %job.media, kind = job.kind.as_str(), attempt = job.attempt, error, "a job failed");
                lifecycle::retry(&self.db, &job, &error).await.map(|()| Outcome::Retry).map_err(Into::into)
            }
        };
        settled.unwrap_or_else(|error| {
            warn!(media = %job.media, error = format!("{error:#}"), "cannot write the result of a job; it is due again");
            Outcome::Retry
        })
    }

    async fn until_lost(&self, job: Job) {
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            match job.renew(&self.db).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => warn!(media = %job.media, %error, "cannot renew the claim of a job"),
            }
        }
    }

    async fn reject(&self, job: Job, on_reject: OnReject, code: &str) -> anyhow::Result<()> {
        match on_reject {
            OnReject::Discard => self.delete(job.media).await.map(drop),
            OnReject::Keep => Ok(lifecycle::set_rejected(&self.db, &job, code).await?),
        }
    }

    /// Returns false if the claim is lost.
    async fn process(&self, job: Job) -> Result<bool, Failure> {
        let Some(media) = media::find(&self.db, job.media).await? else { return Ok(false) };
        let original = self.storage.open_first(media.received_keys()).await?;
        let Some(original) = original else { return Err(missing(&media)) };
        let head = content::head(&original).await.map_err(StorageError::from)?;
        let content = match content::detect(&head)?.kind {
            ContentKind::Image => {
                let image = self.processes.image(&original, self.limits).await?;
                self.store_image(&media, image, &original).await?
            }
            ContentKind::Video => {
                let video = self.processes.video(&original).await?;
                self.store_video(media.file, video).await?
            }
        };
        let next = (content.kind == media::Kind::Image && self.processes.features().ocr).then_some(Kind::Ocr);
        let is_ready = lifecycle::set_ready(&self.db, &job, &content, next).await?;
        if is_ready && next.is_some() {
            self.wake();
        }
        if !is_ready && media::find(&self.db, job.media).await?.is_none() {
            // It was deleted meanwhile, perhaps before the last of these objects was stored.
            self.remove_objects(media.file).await.map_err(Failure::Retry)?;
        }
        Ok(is_ready)
    }

    async fn store_image(
        &self,
        media: &Media,
        image: DerivedImage,
        original: &Path,
    ) -> Result<lifecycle::Content, Failure> {
        let stripped = if self.strip_location && !image.without_location.is_empty() {
            Some(self.store_stripped(media, image.without_location, original, &image.mime_type).await?)
        } else {
            None
        };
        self.put_derived(StorageKey::Thumbnail(media.file), image.thumbnail).await?;
        let has_clipboard = !image.clipboard.is_empty();
        if has_clipboard {
            self.put_derived(StorageKey::Clipboard(media.file), image.clipboard).await?;
        }
        Ok(lifecycle::Content {
            kind: media::Kind::Image,
            mime_type: image.mime_type,
            width: pixels(image.width)?,
            height: pixels(image.height)?,
            thumbhash: image.thumbhash,
            has_clipboard,
            captured_at: image.captured_at.as_deref().and_then(local_time),
            camera: image.camera,
            has_location: image.has_location,
            duration_ms: None,
            codec: None,
            has_audio: None,
            stripped,
        })
    }

    async fn store_video(&self, file: MediaId, video: DerivedVideo) -> Result<lifecycle::Content, Failure> {
        self.put_derived(StorageKey::Thumbnail(file), video.poster.thumbnail).await?;
        Ok(lifecycle::Content {
            kind: media::Kind::Video,
            mime_type: video.mime_type,
            width: pixels(video.width)?,
            height: pixels(video.height)?,
            thumbhash: video.poster.thumbhash,
            has_clipboard: false,
            captured_at: None,
            camera: None,
            has_location: video.has_location,
            duration_ms: i64::try_from(video.duration_ms).ok(),
            codec: Some(video.codec),
            has_audio: Some(video.has_audio),
            stripped: None,
        })
    }

    /// Puts what others may download in the place of the original, once that is kept beside it.
    async fn store_stripped(
        &self,
        media: &Media,
        public: Vec<u8>,
        original: &Path,
        mime_type: &str,
    ) -> Result<lifecycle::Stripped, Failure> {
        let received = fs_err::tokio::read(original).await.map_err(StorageError::from)?;
        let private = StorageKey::Private(lifecycle::received_file(&self.db, media.id).await?);
        self.storage.put_bytes(private, received.into(), mime_type).await?;
        let stripped = lifecycle::Stripped {
            size: i64::try_from(public.len()).context("a size that the table does not hold").map_err(Failure::Retry)?,
            sha256: digest(&SHA256, &public).as_ref().to_vec(),
        };
        self.storage.put_bytes(StorageKey::Original(media.file), public.into(), mime_type).await?;
        Ok(stripped)
    }

    async fn put_derived(&self, key: StorageKey, bytes: Vec<u8>) -> Result<(), StorageError> {
        let content_type = key.content_type().unwrap_or("application/octet-stream");
        self.storage.put_bytes(key, Bytes::from(bytes), content_type).await
    }

    async fn recognise(&self, job: Job) -> Result<bool, Failure> {
        let Some(media) = media::find(&self.db, job.media).await? else { return Ok(false) };
        let original = self.storage.open_first(media.received_keys()).await?;
        let Some(original) = original else { return Err(missing(&media)) };
        let text = self.processes.ocr(&original).await?;
        lifecycle::set_text(&self.db, &job, &text).await?;
        Ok(true)
    }
}

/// What it means that the original is not in the store.
fn missing(media: &Media) -> Failure {
    match media.status {
        Status::Pending => Failure::NoOriginal,
        Status::Ready | Status::Failed => Failure::Retry(anyhow::anyhow!("the original is not in the store")),
    }
}

fn pixels(side: u32) -> Result<i32, Failure> {
    i32::try_from(side).context("a side of more pixels than the table holds").map_err(Failure::Retry)
}

/// The camera's local time; an offset is dropped. Pictures are sorted by the clock that the photographer saw.
fn local_time(text: &str) -> Option<PrimitiveDateTime> {
    PrimitiveDateTime::parse(text.get(..19)?, &Iso8601::DATE_TIME).ok()
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Retry(error.into())
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        Self::Retry(error.into())
    }
}

impl From<ValidationError> for Failure {
    fn from(error: ValidationError) -> Self {
        Self::Rejected(error)
    }
}

impl From<ProcessError> for Failure {
    fn from(error: ProcessError) -> Self {
        match error {
            ProcessError::Invalid(error) => Self::Rejected(error),
            ProcessError::Unavailable(feature) => Self::Rejected(ValidationError::UnsupportedType {
                found: format!("a file that takes {feature}, which is off here,"),
            }),
            other => Self::Retry(other.into()),
        }
    }
}
