//! What the response headers of served files need, kept for a few seconds, so that a page of thumbnails takes no query for
//! each.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sqlx::PgPool;

use crate::media::{self, FileInfo, MediaId};

/// How long a change that another instance made may stay unseen.
const FRESH: Duration = Duration::from_secs(3);

/// How many are kept. Each takes up to a kilobyte.
const KEPT: usize = 4096;

/// The information of recently served files.
pub struct FileInfos {
    db: PgPool,
    recent: Mutex<Recent>,
}

#[derive(Default)]
struct Recent {
    infos: HashMap<MediaId, (Instant, Arc<FileInfo>)>,
    /// How often something was forgotten: what was read from the database before that may be outdated.
    forgotten: u64,
}

impl FileInfos {
    pub fn new(db: PgPool) -> Self {
        Self { db, recent: Mutex::default() }
    }

    /// The information of a media that is ready, at most [`FRESH`] old; `None` if there is no such media.
    pub async fn find(&self, id: MediaId) -> sqlx::Result<Option<Arc<FileInfo>>> {
        let forgotten = {
            let recent = self.lock();
            if let Some((read, info)) = recent.infos.get(&id)
                && read.elapsed() < FRESH
            {
                return Ok(Some(info.clone()));
            }
            recent.forgotten
        };
        let read = Instant::now();
        let Some(info) = media::find_file_info(&self.db, id).await?.map(Arc::new) else { return Ok(None) };
        let mut recent = self.lock();
        if recent.forgotten == forgotten {
            if recent.infos.len() == KEPT {
                recent.infos.clear();
            }
            recent.infos.insert(id, (read, info.clone()));
        }
        Ok(Some(info))
    }

    /// To be called after each change of the row, so that this instance serves nothing of the old one.
    pub fn forget(&self, id: MediaId) {
        let mut recent = self.lock();
        recent.infos.remove(&id);
        recent.forgotten += 1;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
