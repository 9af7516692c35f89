//! Removes objects that no row knows, in a walk through the store that workers share: one of them walks at a time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::Worker;
use crate::storage::orphans::{self, LEASE, Orphans, Recorded, Walk};

/// From the end of a walk to the next one.
const REST: Duration = Duration::from_secs(24 * 60 * 60);

/// How often a worker looks whether a page is due.
const LOOK: Duration = Duration::from_secs(60);

/// The least pause between two pages.
const LEAST_PAUSE: Duration = Duration::from_secs(1);

/// The pause is so many times as long as the page took: a folder of this machine is read as a whole for each page.
const PAUSE_FACTOR: u32 = 10;

impl Worker {
    pub(super) async fn remove_orphans(self: Arc<Self>, stop: CancellationToken) {
        loop {
            // It ends before another worker can take the page.
            let page = timeout(LEASE * 3 / 4, self.walk_a_page());
            let Some(walked) = stop.run_until_cancelled(page).await else { return };
            let pause = match walked.map_err(anyhow::Error::from).flatten() {
                Ok(pause) => pause,
                Err(error) => {
                    warn!(error = format!("{error:#}"), "cannot compare stored objects with their rows");
                    LOOK
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Returns when to look for the next page. After an error, the same page is due again when its lease has ended.
    async fn walk_a_page(&self) -> anyhow::Result<Duration> {
        let Some(walk) = Walk::claim(&self.db).await? else {
            debug!("no page of the stored objects is due");
            return Ok(LOOK);
        };
        let began = Instant::now();
        let folder = walk.prefix().as_str();
        let page = walk.list(&self.storage).await;
        let page = page.with_context(|| format!("cannot list {folder} behind {}", walk.place()))?;
        let orphans = Orphans::find(&self.db, walk.prefix(), &page.objects).await?;
        let next = if orphans.are_doubtful() {
            warn!(
                folder,
                without_row = orphans.keys.len(),
                objects = orphans.objects,
                "many objects have no row, so none is removed until tomorrow: is this the database of this bucket or folder, and has it all \
                 its rows? `app storage check` lists the objects"
            );
            None
        } else {
            self.remove_due_orphans(folder, &orphans).await?;
            let next = walk.following(page);
            if next.is_none() {
                orphans::forget_unseen(&self.db).await?;
            }
            next
        };
        let pause = if next.is_some() { (began.elapsed() * PAUSE_FACTOR).max(LEAST_PAUSE) } else { REST };
        if !walk.go_on(&self.db, next, pause).await? {
            debug!("another worker has the page of the stored objects");
        }
        Ok(pause.min(LOOK))
    }

    /// Removes those that had no row for long enough. What cannot be removed does not hold up the walk: the next one tries again.
    async fn remove_due_orphans(&self, folder: &str, orphans: &Orphans) -> anyhow::Result<()> {
        let Recorded { due, new, waiting } = orphans.record(&self.db).await?;
        if waiting > 0 {
            warn!(
                folder,
                objects = waiting,
                new,
                "objects have no row: they are removed when that was so for 14 days; `app storage check` lists them"
            );
        }
        let (mut removed, mut failure) = (Vec::new(), None);
        let removing = async {
            for key in &due {
                match self.storage.delete(&[*key]).await {
                    Ok(()) => {
                        debug!(%key, "removed an object that had no row");
                        removed.push(*key);
                    }
                    Err(error) => failure = Some(error),
                }
            }
        };
        let removing = timeout(LEASE / 4, removing).await.context("the store is slow");
        if !removed.is_empty() {
            orphans::forget(&self.db, &removed).await?;
            info!(folder, objects = removed.len(), "removed objects that had no row for 14 days");
        }
        if removed.len() < due.len() {
            let error = failure.map(anyhow::Error::from).or(removing.err()).map(|error| format!("{error:#}"));
            warn!(folder, objects = due.len() - removed.len(), error, "cannot remove objects that have no row");
        }
        Ok(())
    }
}
