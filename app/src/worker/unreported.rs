//! Finds what has arrived in the store without a word: the client died before it could tell, or an event was lost. And deletes
//! uploads that never arrived.

use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{Worker, log_failure};
use crate::presigned::{self, GRACE, Upload};

/// How many uploads are looked for side by side.
const AT_A_TIME: usize = 16;

impl Worker {
    pub(super) async fn find_unreported(self: Arc<Self>, stop: CancellationToken) {
        loop {
            log_failure("look for presigned uploads", self.look_for_due(&stop)).await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.settings.look_after) => {}
            }
        }
    }

    /// Any number of processes may do this at a time: each page is of uploads that no other has taken.
    async fn look_for_due(&self, stop: &CancellationToken) -> anyhow::Result<()> {
        while !stop.is_cancelled() {
            let due = presigned::claim_due(&self.db, self.settings.look_after).await?;
            let is_last = (due.len() as i64) < presigned::PAGE;
            let looking: Vec<_> = due.into_iter().map(|upload| self.look_for(upload)).collect();
            stream::iter(looking).buffer_unordered(AT_A_TIME).try_collect::<()>().await?;
            if is_last {
                break;
            }
        }
        Ok(())
    }

    async fn look_for(&self, upload: Upload) -> anyhow::Result<()> {
        let id = upload.id;
        presigned::parts::finish(&self.db, &self.storage, &upload).await?;
        if self.storage.uploaded(id).await?.is_some() {
            presigned::arrived(&self.db, id).await?;
        } else if upload.expires_at + GRACE < OffsetDateTime::now_utc() {
            info!(media = %id, "an upload that never arrived is deleted");
            self.delete(id).await?;
        }
        Ok(())
    }
}
