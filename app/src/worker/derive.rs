//! What is served beside an original: derived from it, and stored.

use std::{future::Future, path::Path, time::Instant};

use anyhow::Context;
use bytes::Bytes;
use ring::digest::{SHA256, digest};
use time::{PrimitiveDateTime, format_description::well_known::Iso8601};
use tracing::{Instrument, info_span, warn};

use super::{Worker, failure::Failure};
use crate::{
    content::{self, Content, ContentKind},
    db,
    media::{self, MediaId, lifecycle, replacement::NewFile},
    metrics::metrics,
    process::{DerivedImage, DerivedVideo, ProcessError},
    storage::{StorageError, StorageKey},
    traces::TARGET,
    validate::ValidationError,
};

/// Why nothing could be derived from a new file.
pub enum DeriveError {
    /// The content is at fault.
    Rejected(ValidationError),
    /// The process that decoded it crashed, or reached a limit.
    ProcessingFailed,
    Failed(anyhow::Error),
}

/// Where the objects of a file are stored.
pub(super) struct Destination {
    pub(super) file: MediaId,
    pub(super) received: ReceivedId,
}

/// The id of the object with the bytes as they were received, if they are kept apart.
#[derive(Clone, Copy)]
pub(super) enum ReceivedId {
    /// The one that the row of this media names; if it names none, it gets one.
    OfMedia(MediaId),
    /// No row names it yet.
    New(MediaId),
}

impl Worker {
    /// Derives what is served beside the original of a new file, and stores it.
    pub async fn derive_new(&self, new: &NewFile) -> Result<lifecycle::Content, DeriveError> {
        let derive = async {
            let original = self.storage.open_local(StorageKey::Original(new.file)).await?.ok_or(Failure::NoOriginal)?;
            let to = Destination { file: new.file, received: ReceivedId::New(new.received_file) };
            self.derive(&original, &to).await
        };
        derive.await.map_err(|failure| match failure {
            Failure::Rejected(error) => DeriveError::Rejected(error),
            Failure::NoOriginal => DeriveError::Failed(anyhow::anyhow!("the new file is not in the store")),
            Failure::Unavailable(error) => DeriveError::Failed(error),
            Failure::Retry(error) => match error.downcast_ref() {
                Some(ProcessError::Crashed(_) | ProcessError::TimedOut | ProcessError::OutOfMemory) => {
                    warn!(file = %new.file, error = format!("{error:#}"), "a file that is to replace another fails");
                    DeriveError::ProcessingFailed
                }
                _ => DeriveError::Failed(error),
            },
        })
    }

    /// Whether there is text to recognise in this.
    pub fn recognises(&self, content: &lifecycle::Content) -> bool {
        content.kind == media::Kind::Image && self.processes.features().ocr
    }

    pub(super) async fn derive(&self, original: &Path, to: &Destination) -> Result<lifecycle::Content, Failure> {
        let head = content::head(original).await.map_err(StorageError::from)?;
        let Content { kind, mime_type } = content::detect(&head)?;
        match kind {
            ContentKind::Image => {
                let image = decode(mime_type, self.processes.image(original, self.settings.limits)).await?;
                self.store_image(to, image, original).await
            }
            ContentKind::Video => {
                let video = decode(mime_type, self.processes.video(original)).await?;
                self.store_video(to.file, video).await
            }
        }
    }

    async fn store_image(
        &self,
        to: &Destination,
        image: DerivedImage,
        original: &Path,
    ) -> Result<lifecycle::Content, Failure> {
        let stripped = if self.settings.strip_location && !image.without_location.is_empty() {
            Some(self.store_stripped(to, image.without_location, original, &image.mime_type).await?)
        } else {
            None
        };
        self.put_derived(StorageKey::Thumbnail(to.file), image.thumbnail).await?;
        let has_clipboard = !image.clipboard.is_empty();
        if has_clipboard {
            self.put_derived(StorageKey::Clipboard(to.file), image.clipboard).await?;
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
        to: &Destination,
        public: Vec<u8>,
        original: &Path,
        mime_type: &str,
    ) -> Result<lifecycle::Stripped, Failure> {
        let received = fs_err::tokio::read(original).await.map_err(StorageError::from)?;
        let id = match to.received {
            ReceivedId::OfMedia(media) => db::retried(|| lifecycle::received_file(&self.db, media)).await?,
            ReceivedId::New(id) => id,
        };
        self.storage.put_bytes(StorageKey::Private(id), received.into(), mime_type).await?;
        let stripped = lifecycle::Stripped {
            size: i64::try_from(public.len()).context("a size that the table does not hold").map_err(Failure::Retry)?,
            sha256: digest(&SHA256, &public).as_ref().to_vec(),
        };
        self.storage.put_bytes(StorageKey::Original(to.file), public.into(), mime_type).await?;
        Ok(stripped)
    }

    async fn put_derived(&self, key: StorageKey, bytes: Vec<u8>) -> Result<(), StorageError> {
        let content_type = key.content_type().unwrap_or("application/octet-stream");
        self.storage.put_bytes(key, Bytes::from(bytes), content_type).await
    }
}

/// Measures how long a file of this type is decoded.
async fn decode<T>(
    format: &'static str,
    decoding: impl Future<Output = Result<T, ProcessError>>,
) -> Result<T, ProcessError> {
    let began = Instant::now();
    let span = info_span!(target: TARGET, "decode", otel.name = format!("decode {format}"), media.format = format);
    let decoded = decoding.instrument(span).await;
    metrics().decoded(format, began.elapsed());
    decoded
}

fn pixels(side: u32) -> Result<i32, Failure> {
    i32::try_from(side).context("a side of more pixels than the table holds").map_err(Failure::Retry)
}

/// The camera's local time; an offset is dropped. Pictures are sorted by the clock that the photographer saw.
fn local_time(text: &str) -> Option<PrimitiveDateTime> {
    PrimitiveDateTime::parse(text.get(..19)?, &Iso8601::DATE_TIME).ok()
}
