//! The worker: does the jobs of the queue, and removes the objects of deleted rows. `serve` runs one; more processes may.

mod command;
mod derive;
mod failure;
mod orphans;
mod receive;
mod unreported;
mod work;

use std::{future::Future, sync::Arc, time::Duration};

use sqlx::PgPool;
use tokio::{
    sync::{
        Notify,
        broadcast::{Receiver, error::RecvError},
    },
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::{
    db,
    jobs::{self, Kind},
    media::{MediaId, changes, lifecycle},
    notifications::{Notice, Notifications},
    presigned,
    process::{Features, ImageLimits, Processes},
    queue::Queue,
    resumable::ResumableUploads,
    storage::{Storage, StorageKey},
};
pub use command::WorkerCommand;
pub use derive::DeriveError;
pub use work::{OnReject, Outcome};

/// How often an idle worker looks for work that another process has added, while the database does not notify it of that.
const POLL: Duration = Duration::from_secs(2);

/// How often it looks while the database does. A process that dies sends no notification, so a worker finds its jobs by looking.
const SLOW_POLL: Duration = Duration::from_secs(15);

/// The least pause of an idle worker: a job that is due may be in the hands of another.
const LEAST_PAUSE: Duration = Duration::from_millis(100);

/// How often objects of deleted rows and stale files in the spool are looked for.
const SWEEP: Duration = Duration::from_secs(30);

/// Days after which what is in the trash is deleted.
const TRASH_DAYS: i32 = 30;

/// How long a stopping worker lets its jobs go on before it gives them back.
pub const STOP_GRACE: Duration = Duration::from_secs(20);

/// Does jobs. Cheap to share; [`Worker::run`] is the loop.
pub struct Worker {
    db: PgPool,
    storage: Arc<Storage>,
    processes: Arc<Processes>,
    settings: WorkerSettings,
    notifications: Arc<Notifications>,
    /// Signalled when this process adds a job, and when the database says that any process did.
    added: Notify,
}

/// What a worker keeps to.
#[derive(Clone, Copy, Debug)]
pub struct WorkerSettings {
    pub limits: ImageLimits,
    /// Maximum size of a file that a client has put into the store itself, in bytes.
    pub max_bytes: u64,
    /// Whether what others can download loses where a picture was taken.
    pub strip_location: bool,
    /// Jobs that are done side by side.
    pub parallel: usize,
    /// How often it looks for files that it was not told of.
    pub look_after: Duration,
}

impl Worker {
    pub fn new(
        db: PgPool,
        storage: Arc<Storage>,
        processes: Arc<Processes>,
        settings: WorkerSettings,
        notifications: Arc<Notifications>,
    ) -> Self {
        Self { db, storage, processes, settings, notifications, added: Notify::new() }
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
    pub async fn run(self: Arc<Self>, queue: Queue, stop: CancellationToken) {
        let mut loops = JoinSet::new();
        // First of all, so that no job is added unheard after a loop has looked.
        loops.spawn(self.clone().wake_when_told(self.notifications.subscribe(), stop.clone()));
        for _ in 0..self.settings.parallel {
            loops.spawn(self.clone().work_off(Kind::Process, stop.clone()));
        }
        if self.processes.features().ocr {
            // One, so that text recognition, which keeps a processor busy for seconds, never crowds out new uploads.
            loops.spawn(self.clone().work_off(Kind::Ocr, stop.clone()));
        }
        loops.spawn(self.clone().hear_of_uploads(queue, stop.clone()));
        loops.spawn(self.clone().find_unreported(stop.clone()));
        loops.spawn(self.clone().remove_orphans(stop.clone()));
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
        let Some(files) = db::retried(|| lifecycle::delete(&self.db, id)).await? else { return Ok(None) };
        self.remove(&files).await;
        Ok(Some(files))
    }

    /// Deletes objects that are in `removal`. If the store fails, the worker tries again.
    pub async fn remove(&self, files: &[MediaId]) {
        for file in files {
            if let Err(error) = self.remove_objects(*file).await {
                let error = format!("{error:#}");
                warn!(%file, error, "cannot delete the objects of a file; the worker tries again");
            }
        }
    }

    async fn work_off(self: Arc<Self>, kind: Kind, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let added = self.added.notified();
            let pause = match jobs::claim(&self.db, kind).await {
                Ok(Some(job)) => {
                    self.work_until_stopped(job, &stop).await;
                    continue;
                }
                Ok(None) => self.pause(kind).await,
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

    /// Wakes the loops when the database tells of jobs, and when it begins or ceases to.
    async fn wake_when_told(self: Arc<Self>, mut notices: Receiver<Notice>, stop: CancellationToken) {
        loop {
            let notice = tokio::select! {
                () = stop.cancelled() => return,
                notice = notices.recv() => notice,
            };
            match notice {
                Ok(Notice::Media { .. } | Notice::Deleted { .. }) => {}
                Ok(Notice::JobDue | Notice::Changed) | Err(RecvError::Lagged(_)) => self.wake(),
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// How long to wait for a job, without being woken.
    async fn pause(&self, kind: Kind) -> Duration {
        if !self.notifications.arrive() {
            return POLL;
        }
        match jobs::next_due(&self.db, kind).await {
            Ok(due) => due.unwrap_or(SLOW_POLL).clamp(LEAST_PAUSE, SLOW_POLL),
            Err(_) => POLL,
        }
    }

    /// Turns what the queue tells of into jobs: from then on, only the table has to remember it.
    async fn hear_of_uploads(self: Arc<Self>, queue: Queue, stop: CancellationToken) {
        let arrived = move |id| {
            let worker = self.clone();
            async move {
                if presigned::arrived(&worker.db, id).await? {
                    worker.wake();
                } else {
                    debug!(media = %id, "skipped: no upload with this id is pending");
                }
                Ok(())
            }
        };
        queue.consume(arrived, &stop).await;
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
        if let Some(multipart) = lifecycle::removed_parts(&self.db, file).await? {
            self.storage.abort_parts(file, &multipart).await?;
        }
        self.storage.delete(&StorageKey::all(file)).await?;
        Ok(lifecycle::finish_removal(&self.db, file).await?)
    }
}

async fn log_failure<E: Into<anyhow::Error>>(what: &str, done: impl Future<Output = Result<(), E>>) {
    if let Err(error) = done.await {
        warn!(error = format!("{:#}", error.into()), "cannot {what}");
    }
}
