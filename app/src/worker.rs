//! The worker: does the jobs of the queue, and removes the objects of deleted rows. `serve` runs one; more processes may.

mod work;

use std::{future::Future, sync::Arc, time::Duration};

use sqlx::PgPool;
use tokio::{sync::Notify, task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    jobs::{self, Kind},
    media::{MediaId, changes, lifecycle},
    process::{Features, ImageLimits, Processes},
    resumable::ResumableUploads,
    storage::{Storage, StorageKey},
};
pub use work::{OnReject, Outcome};

/// How often an idle worker looks for work that another process has added, or that is due again.
const POLL: Duration = Duration::from_secs(2);

/// How often objects of deleted rows and stale files in the spool are looked for.
const SWEEP: Duration = Duration::from_secs(30);

/// Days after which what is in the trash is deleted.
const TRASH_DAYS: i32 = 30;

/// How long a stopping worker lets its jobs go on before it gives them back.
const STOP_GRACE: Duration = Duration::from_secs(20);

/// Does jobs. Cheap to share; [`Worker::run`] is the loop.
pub struct Worker {
    db: PgPool,
    storage: Arc<Storage>,
    processes: Arc<Processes>,
    limits: ImageLimits,
    /// Whether what others can download tells where a picture was taken.
    strip_location: bool,
    /// Jobs that are done side by side.
    parallel: usize,
    /// Signalled when this process adds a job.
    added: Notify,
}

impl Worker {
    pub fn new(
        db: PgPool,
        storage: Arc<Storage>,
        processes: Arc<Processes>,
        limits: ImageLimits,
        strip_location: bool,
        parallel: usize,
    ) -> Self {
        Self { db, storage, processes, limits, strip_location, parallel, added: Notify::new() }
    }

    /// Which features this machine has the programs for.
    pub fn features(&self) -> Features {
        self.processes.features()
    }

    /// Tells the loop of this process that there is a new job, so that it need not wait for its next look.
    pub fn wake(&self) {
        self.added.notify_waiters();
    }

    /// Works until `stop`. Then it lets the jobs at work go on for 20 seconds and gives back those that are left.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut loops = JoinSet::new();
        for _ in 0..self.parallel {
            loops.spawn(self.clone().work_off(Kind::Process, stop.clone()));
        }
        if self.processes.features().ocr {
            // One, so that text recognition, which keeps a processor busy for seconds, never crowds out new uploads.
            loops.spawn(self.clone().work_off(Kind::Ocr, stop.clone()));
        }
        loops.spawn(self.clone().sweep(stop));
        while let Some(ended) = loops.join_next().await {
            if let Err(error) = ended {
                error!(%error, "a loop of the worker panicked");
            }
        }
    }

    /// Deletes a media with its objects. Returns the ids of those; `None` if there is no such media. If the store fails, the
    /// worker tries again.
    pub async fn delete(&self, id: MediaId) -> anyhow::Result<Option<Vec<MediaId>>> {
        let Some(files) = lifecycle::delete(&self.db, id).await? else { return Ok(None) };
        for file in &files {
            if let Err(error) = self.remove_objects(*file).await {
                let error = format!("{error:#}");
                warn!(%id, error, "cannot delete the objects of a deleted media; the worker tries again");
            }
        }
        Ok(Some(files))
    }

    async fn work_off(self: Arc<Self>, kind: Kind, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let added = self.added.notified();
            let pause = match jobs::claim(&self.db, kind).await {
                Ok(Some(job)) => {
                    self.work_until_stopped(job, &stop).await;
                    continue;
                }
                Ok(None) => POLL,
                Err(error) => {
                    warn!(%error, "cannot claim a job");
                    POLL
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = added => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn work_until_stopped(&self, job: jobs::Job, stop: &CancellationToken) {
        let mut work = std::pin::pin!(self.work(job, OnReject::Keep));
        let finished = tokio::select! {
            _ = &mut work => true,
            () = stop.cancelled() => timeout(STOP_GRACE, work).await.is_ok(),
        };
        if !finished {
            info!(media = %job.media, "stopping: giving a job back");
            log_failure("give a job back", job.give_back(&self.db)).await;
        }
    }

    async fn sweep(self: Arc<Self>, stop: CancellationToken) {
        loop {
            log_failure("remove objects of deleted media", self.remove_due()).await;
            log_failure("remove expired uploads", ResumableUploads::new(self.db.clone(), self.storage.spool()).sweep())
                .await;
            log_failure("empty the trash", self.empty_trash()).await;
            log_failure("remove stale files from the spool", self.sweep_spool()).await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(SWEEP) => {}
            }
        }
    }

    async fn empty_trash(&self) -> anyhow::Result<()> {
        for id in changes::expired(&self.db, TRASH_DAYS).await? {
            self.delete(id).await?;
        }
        Ok(())
    }

    async fn sweep_spool(&self) -> anyhow::Result<()> {
        let swept = self.storage.sweep_spool().await?;
        if swept > 0 {
            info!(swept, "removed what processes that were killed had received");
        }
        Ok(())
    }

    async fn remove_due(&self) -> anyhow::Result<()> {
        for file in lifecycle::claim_removals(&self.db).await? {
            self.remove_objects(file).await?;
        }
        Ok(())
    }

    async fn remove_objects(&self, file: MediaId) -> anyhow::Result<()> {
        self.storage.delete(&StorageKey::all(file)).await?;
        Ok(lifecycle::finish_removal(&self.db, file).await?)
    }
}

async fn log_failure<E: Into<anyhow::Error>>(what: &str, done: impl Future<Output = Result<(), E>>) {
    if let Err(error) = done.await {
        warn!(error = format!("{:#}", error.into()), "cannot {what}");
    }
}
