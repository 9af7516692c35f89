//! Validates what a client has put into the store itself, and stores exactly the bytes that it has validated where they are served
//! from. The client can replace its object at any time, so each read is of the object that was looked at first, and what counts is
//! found out about the worker's own copy.

use anyhow::{Context, anyhow};

use super::{Worker, failure::Failure};
use crate::{
    content, db,
    jobs::Job,
    media::lifecycle,
    metrics::metrics,
    presigned::{self, Accepted, Upload},
    storage::{self, StorageError, StorageKey},
    validate::ValidationError,
};

/// How receiving a file ended.
pub(super) enum Received {
    /// The media has the file, as if it had been received by a direct upload.
    Accepted,
    /// The gallery has these bytes already.
    Duplicate,
    /// The file is not in the store, and may still come.
    NotThere,
    /// The claim of the job is lost. Nothing was changed.
    Lost,
}

impl Worker {
    pub(super) async fn receive(&self, job: Job, upload: &Upload) -> Result<Received, Failure> {
        let received = self.receive_file(job, upload).await;
        match &received {
            Ok(Received::Accepted) => metrics().upload("added"),
            Ok(Received::Duplicate) => metrics().upload("duplicate"),
            Err(Failure::Rejected(_)) => metrics().upload("rejected"),
            Ok(Received::NotThere | Received::Lost) | Err(_) => {}
        }
        received
    }

    async fn receive_file(&self, job: Job, upload: &Upload) -> Result<Received, Failure> {
        let id = upload.id;
        let Some(uploaded) = self.storage.uploaded(id).await? else {
            let is_ended = db::retried(|| job.finish(&self.db)).await?;
            return Ok(if is_ended { Received::NotThere } else { Received::Lost });
        };
        self.check_size(uploaded.size)?;
        // Most of what is wrong shows in the first bytes, before the rest is transferred.
        let head = self.storage.uploaded_head(id, &uploaded, content::HEAD).await?.ok_or_else(replaced)?;
        check_type(&head, upload)?;
        let copy = self.storage.take_uploaded(id, &uploaded).await?.ok_or_else(replaced)?;
        let (size, sha256) = storage::measure(&copy).await?;
        self.check_size(size)?;
        check_type(&content::head(&copy).await.map_err(StorageError::from)?, upload)?;

        let file = if db::retried(|| lifecycle::find_same_bytes(&self.db, &sha256)).await?.is_some() {
            None
        } else {
            let file = db::retried(|| presigned::reserve(&self.db)).await?;
            self.storage.put_file(StorageKey::Original(file), &copy, &upload.content_type).await?;
            Some(file)
        };
        let size = i64::try_from(size).context("a size that the table does not hold").map_err(Failure::Retry)?;
        let accepted = presigned::accept(&self.db, &job, file, size, &sha256).await.map_err(Failure::Retry)?;
        if accepted != Accepted::New {
            self.remove(file.as_slice()).await;
        }
        if accepted != Accepted::Lost {
            self.remove(&[id]).await;
        }
        Ok(match accepted {
            Accepted::New => Received::Accepted,
            Accepted::Duplicate => Received::Duplicate,
            Accepted::Lost => Received::Lost,
        })
    }

    fn check_size(&self, size: u64) -> Result<(), ValidationError> {
        let limit = self.settings.max_bytes;
        match size {
            0 => Err(ValidationError::EmptyFile),
            size if size > limit => Err(ValidationError::TooLarge { limit }),
            _ => Ok(()),
        }
    }
}

fn check_type(head: &[u8], upload: &Upload) -> Result<(), ValidationError> {
    let found = content::detect(head)?.mime_type;
    let is_clip = |mime_type: &str| mime_type.starts_with("video/");
    // One clip may be of several types: MP4, M4V and QuickTime differ in no more than a brand.
    if found == upload.content_type || (is_clip(found) && is_clip(&upload.content_type)) {
        return Ok(());
    }
    Err(ValidationError::OtherType { declared: upload.content_type.clone(), found: found.to_owned() })
}

fn replaced() -> Failure {
    Failure::Retry(anyhow!("the client has replaced the file while it was read"))
}
