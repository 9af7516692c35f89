//! Removes objects that no row knows, in a walk through the store that workers share: one of them walks at a time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::Worker;
use crate::storage::orphans::{LEASE, Orphans, Walk};

/// An object that is younger stays. No signed URL is valid for longer than a week. And a database that was restored from a backup has no
/// rows of what was uploaded since: there is as much time again to notice that.
const SETTLED: Duration = Duration::from_secs(14 * 24 * 60 * 60);

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

    /// Returns when to look for the next page.
    async fn walk_a_page(&self) -> anyhow::Result<Duration> {
        let Some(walk) = Walk::claim(&self.db).await? else {
            debug!("no page of the stored objects is due");
            return Ok(LOOK);
        };
        let began = Instant::now();
        let page = walk.list(&self.storage).await?;
        let Orphans { keys, with_row } = Orphans::find(&self.db, walk.prefix(), &page.objects, SETTLED).await?;
        // Objects without a row are rare.
        if keys.len() > with_row {
            warn!(
                folder = walk.prefix().as_str(),
                without_row = keys.len(),
                with_row,
                "most objects have no row, and none is removed: the database may be another one's; see `app storage check`"
            );
        } else {
            for key in &keys {
                info!(%key, "removing an object that has no row");
            }
            self.storage.delete(&keys).await?;
        }
        let next = walk.following(page);
        let pause = (began.elapsed() * PAUSE_FACTOR).max(LEAST_PAUSE);
        let pause = if next.is_some() { pause } else { REST };
        walk.go_on(&self.db, next, pause).await?;
        Ok(pause.min(LOOK))
    }
}
