//! One job: what is done, and what becomes of its media.

use std::time::Instant;

use tracing::{Instrument, debug, field::Empty, info, info_span, warn};

use super::{
    Worker,
    derive::{Destination, ReceivedId},
    failure::Failure,
    receive::Received,
};
use crate::{
    db,
    jobs::{HEARTBEAT, Job, Kind},
    media::{self, Media, Status, lifecycle},
    metrics::metrics,
    presigned,
    traces::TARGET,
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

impl Outcome {
    fn as_str(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Rejected(_) => "rejected",
            Self::Retry => "retry",
            Self::Lost => "lost",
        }
    }
}

impl Worker {
    /// Does a claimed job and writes its result. Renews the claim meanwhile, and stops the work if it is lost.
    pub async fn work(&self, job: Job, on_reject: OnReject) -> Outcome {
        let (began, kind) = (Instant::now(), job.kind.as_str());
        let span = info_span!(
            target: TARGET,
            "job",
            otel.name = format!("job {kind}"),
            otel.kind = "consumer",
            otel.error = Empty,
            job.kind = kind,
            job.attempt = job.attempt,
            job.outcome = Empty,
            media.id = %job.media,
        );
        let done = async {
            tokio::select! {
                outcome = self.attempt(job, on_reject) => outcome,
                () = self.until_lost(job) => Outcome::Lost,
            }
        };
        let outcome = done.instrument(span.clone()).await;
        span.record("job.outcome", outcome.as_str());
        if matches!(outcome, Outcome::Retry) {
            span.record("otel.error", "the attempt failed");
        }
        metrics().job(kind, outcome.as_str(), began.elapsed());
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
                info!(media = %job.media, code = error.code().as_str(), %error, "rejected");
                self.reject(job, on_reject, error.code().as_str()).await.map(|()| Outcome::Rejected(error))
            }
            Err(Failure::NoOriginal) => {
                info!(media = %job.media, "an interrupted upload is removed");
                self.delete(job.media).await.map(|_| Outcome::Lost)
            }
            Err(Failure::Unavailable(error)) if self.storage.check().await.is_err() => {
                let error = format!("{error:#}");
                warn!(media = %job.media, kind = job.kind.as_str(), error, "the storage is away; a job waits for it");
                db::retried(|| job.postpone(&self.db, &error)).await.map(|()| Outcome::Retry).map_err(Into::into)
            }
            Err(Failure::Retry(error) | Failure::Unavailable(error)) => {
                let error = format!("{error:#}");
                warn!(media = %job.media, kind = job.kind.as_str(), attempt = job.attempt, error, "a job failed");
                db::retried(|| lifecycle::retry(&self.db, &job, &error))
                    .await
                    .map(|()| Outcome::Retry)
                    .map_err(Into::into)
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
            OnReject::Keep => {
                let file = db::retried(|| lifecycle::set_rejected(&self.db, &job, code)).await?;
                self.remove(file.as_slice()).await;
                Ok(())
            }
        }
    }

    /// Returns false if the claim is lost.
    async fn process(&self, job: Job) -> Result<bool, Failure> {
        if let Some(upload) = db::retried(|| presigned::find(&self.db, job.media)).await? {
            match self.receive(job, &upload).await? {
                Received::Accepted => {}
                Received::Duplicate | Received::NotThere => return Ok(true),
                Received::Lost => return Ok(false),
            }
        }
        let Some(media) = db::retried(|| media::find(&self.db, job.media)).await? else { return Ok(false) };
        let original = self.storage.open_first(media.received_keys()).await?;
        let Some(original) = original else { return Err(missing(&media)) };
        let to = Destination { file: media.file, received: ReceivedId::OfMedia(media.id) };
        let content = self.derive(&original, &to).await?;
        let next = self.recognises(&content).then_some(Kind::Ocr);
        let is_ready = db::retried(|| lifecycle::set_ready(&self.db, &job, &content, next)).await?;
        if is_ready && next.is_some() {
            self.wake();
        }
        if !is_ready && db::retried(|| media::find(&self.db, job.media)).await?.is_none_or(|now| now.file != media.file)
        {
            // It was deleted or got another file meanwhile, perhaps before the last of these objects was stored.
            self.remove_objects(media.file).await.map_err(Failure::Retry)?;
        }
        Ok(is_ready)
    }

    async fn recognise(&self, job: Job) -> Result<bool, Failure> {
        let Some(media) = db::retried(|| media::find(&self.db, job.media)).await? else { return Ok(false) };
        let original = self.storage.open_first(media.received_keys()).await?;
        let Some(original) = original else { return Err(missing(&media)) };
        let text = self.processes.ocr(&original).await?;
        db::retried(|| lifecycle::set_text(&self.db, &job, &text)).await?;
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
