//! What the database tells this process by NOTIFY, passed on to all parts that want to know. One connection listens for all of them.
//!
//! Notifications can be lost without an error: a connection pooler that gives each transaction another connection swallows them,
//! and so does a dead connection. So the process sends one to itself from time to time, and trusts them while it hears that.

use std::time::Duration;

use anyhow::bail;
use sqlx::{PgPool, postgres::PgListener};
use tokio::{
    sync::{broadcast, watch},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use ulid::Ulid;

use crate::{
    db,
    jobs::Kind,
    media::{MediaId, Status},
};

/// The trigger on the table `job` notifies this channel, with the kind of the job that is due.
const JOBS: &str = "job";

/// The trigger on the table `media` notifies this channel, with the id and the status, or with the id and `deleted`.
const MEDIA: &str = "media";

/// How often the process notifies itself, and how long it waits after it did not hear that.
const PROBE: Duration = Duration::from_secs(60);

/// How long a notification may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// The pause after the connection was lost.
const RETRY: Duration = Duration::from_secs(2);

/// Notices that a receiver may be behind. One that is further behind is told so, and keeps no memory.
const BACKLOG: usize = 256;

#[derive(Clone, Copy, Debug)]
pub enum Notice {
    JobDue,
    /// A media was changed, and has this status, perhaps as before.
    Media {
        id: MediaId,
        status: Status,
    },
    /// A media was deleted for ever.
    Deleted {
        id: MediaId,
    },
    /// Notifications arrive from now on, or no longer. What happened before may not have been told.
    Changed,
}

/// The notices of the database to this process.
pub struct Notifications {
    db: PgPool,
    arrive: watch::Sender<bool>,
    notices: broadcast::Sender<Notice>,
}

impl Notifications {
    pub fn new(db: PgPool) -> Self {
        Self { db, arrive: watch::Sender::new(false), notices: broadcast::Sender::new(BACKLOG) }
    }

    /// Whether the database's notifications arrive.
    pub fn arrive(&self) -> bool {
        *self.arrive.borrow()
    }

    /// Waits until notifications arrive. Returns false if they do not within `patience`.
    pub async fn wait(&self, patience: Duration) -> bool {
        let mut arrive = self.arrive.subscribe();
        timeout(patience, arrive.wait_for(|arrive| *arrive)).await.is_ok_and(|arrive| arrive.is_ok())
    }

    /// Receives all notices from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// Listens until `stop`.
    pub async fn listen(&self, stop: CancellationToken) {
        let mut told = false;
        while !stop.is_cancelled() {
            let pause = tokio::select! {
                () = stop.cancelled() => return,
                pause = self.listen_once(&mut told) => pause,
            };
            if self.arrive.send_replace(false) {
                self.pass_on(Notice::Changed);
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(pause) => {}
            }
        }
    }

    /// Listens until notifications no longer arrive. Returns how long to wait before the next try.
    async fn listen_once(&self, told: &mut bool) -> Duration {
        let listening = async {
            let mut listener = db::listener(&self.db).await?;
            listener.eager_reconnect(false);
            listener.listen_all([JOBS, MEDIA]).await?;
            anyhow::Ok(listener)
        };
        let mut listener = match listening.await {
            Ok(listener) => listener,
            Err(error) => {
                debug!(error = format!("{error:#}"), "cannot listen for notifications, trying again");
                return RETRY;
            }
        };
        loop {
            match timeout(PROBE_TIMEOUT, self.hear_itself(&mut listener)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    debug!(error = format!("{error:#}"), "stopped listening for notifications, trying again");
                    return RETRY;
                }
                Err(_elapsed) => {
                    if !std::mem::replace(told, true) {
                        warn!(
                            "the database's notifications do not arrive, perhaps because of a connection pooler: \
                             workers look for jobs every 2 s, and pages ask for changes"
                        );
                    }
                    return PROBE;
                }
            }
            if !self.arrive.send_replace(true) {
                info!("listening for notifications");
                self.pass_on(Notice::Changed);
            }
            if let Ok(Err(error)) = timeout(PROBE, self.hear(&mut listener)).await {
                debug!(error = format!("{error:#}"), "stopped listening for notifications, trying again");
                return RETRY;
            }
        }
    }

    async fn hear_itself(&self, listener: &mut PgListener) -> anyhow::Result<()> {
        let probe = Ulid::new().to_string();
        sqlx::query("SELECT pg_notify($1, $2)").bind(JOBS).bind(&probe).execute(&self.db).await?;
        while self.next(listener).await? != probe {}
        Ok(())
    }

    async fn hear(&self, listener: &mut PgListener) -> anyhow::Result<()> {
        loop {
            self.next(listener).await?;
        }
    }

    /// Waits for the next notification and passes it on, unless it is of this or another process's own.
    async fn next(&self, listener: &mut PgListener) -> anyhow::Result<String> {
        let Some(notification) = listener.try_recv().await? else { bail!("the connection was lost") };
        let payload = notification.payload();
        let notice = match notification.channel() {
            MEDIA => media(payload),
            _ => Kind::ALL.iter().any(|kind| kind.as_str() == payload).then_some(Notice::JobDue),
        };
        if let Some(notice) = notice {
            self.pass_on(notice);
        }
        Ok(payload.to_owned())
    }

    fn pass_on(&self, notice: Notice) {
        // Fails without a receiver.
        drop(self.notices.send(notice));
    }
}

fn media(payload: &str) -> Option<Notice> {
    let (id, status) = payload.split_once(' ')?;
    let id = id.parse().ok()?;
    match status {
        "deleted" => Some(Notice::Deleted { id }),
        _ => Some(Notice::Media { id, status: status.parse().ok()? }),
    }
}
