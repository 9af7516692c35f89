//! Compares the rows of media with the stored objects, both ways, while the service runs.
//!
//! Rows and objects are read in the same order, a page at a time. What differs is looked at again before it counts, because
//! the service may have changed it meanwhile.

use std::{
    collections::VecDeque,
    time::{Duration, SystemTime},
};

use serde::Serialize;
use sqlx::PgPool;

use crate::{jobs, media::lifecycle};

use super::{
    Listed, Storage, StorageError,
    key::{Prefix, StorageKey},
    rows::{self, Row, Rows},
};

/// The age from which an object without a row does not belong to an upload in progress.
const SETTLED: Duration = Duration::from_secs(60 * 60);

/// A difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) key: String,
    pub(super) problem: Problem,
    pub(super) repaired: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Problem {
    /// A row is ready and its object is gone. Repaired by marking the row as failed if it is the original, and by a job that
    /// derives it anew if it was derived.
    Missing,
    /// The original has another size than its row says.
    Damaged,
    /// An object without a row. Repaired by deleting it.
    Orphaned,
    /// An object whose key is not one of the service's. It is never deleted.
    Foreign,
}

/// How much was compared, and what came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Summary {
    pub(super) media: u64,
    pub(super) objects: u64,
    pub(super) found: u64,
    pub(super) repaired: u64,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum CheckError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
}

/// Compares all, and passes each finding on when it is made.
pub(super) async fn check(
    db: &PgPool,
    storage: &Storage,
    repair: bool,
    mut report: impl FnMut(&Finding),
) -> Result<Summary, CheckError> {
    let mut summary = Summary::default();
    for prefix in Prefix::ALL {
        let (mut rows, mut objects) = (Rows::new(db, prefix), Objects::new(storage, prefix));
        let (mut row, mut object) = (rows.next().await?, objects.next().await?);
        loop {
            let key = object.as_ref().and_then(|object| object.key.parse::<StorageKey>().ok());
            if let (None, Some(foreign)) = (key, &object) {
                summary.objects += 1;
                summary.found += 1;
                report(&Finding { key: foreign.key.clone(), problem: Problem::Foreign, repaired: false });
                object = objects.next().await?;
                continue;
            }
            let order = match (&row, key) {
                (None, None) => break,
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(row), Some(key)) => row.id.to_string().cmp(&key.media().to_string()),
            };
            let suspect = match (&row, key, &object) {
                (Some(row), _, _) if order.is_lt() => {
                    expects(row, prefix).then(|| (prefix.key(row.id), Problem::Missing))
                }
                (_, Some(key), Some(object)) if order.is_gt() => is_settled(object).then_some((key, Problem::Orphaned)),
                (Some(row), Some(key), Some(object)) => {
                    is_damaged(row, prefix, object.size).then_some((key, Problem::Damaged))
                }
                _ => None,
            };
            if let Some((key, problem)) = suspect
                && holds(db, storage, key, problem).await?
            {
                let repaired = repair && self::repair(db, storage, key, problem).await?;
                summary.found += 1;
                summary.repaired += u64::from(repaired);
                report(&Finding { key: key.to_string(), problem, repaired });
            }
            if order.is_le() {
                summary.media += u64::from(prefix == Prefix::Originals);
                row = rows.next().await?;
            }
            if order.is_ge() {
                summary.objects += 1;
                object = objects.next().await?;
            }
        }
    }
    Ok(summary)
}

/// Whether this media is not whole without this object.
fn expects(row: &Row, prefix: Prefix) -> bool {
    row.is_ready && (prefix != Prefix::Clipboard || row.has_clipboard)
}

fn is_settled(object: &Listed) -> bool {
    SystemTime::now().duration_since(object.modified).is_ok_and(|age| age > SETTLED)
}

fn is_damaged(row: &Row, prefix: Prefix, size: u64) -> bool {
    let expected = row.size.and_then(|size| u64::try_from(size).ok());
    row.is_ready && prefix == Prefix::Originals && expected.is_some_and(|expected| expected != size)
}

/// Whether it is still so.
async fn holds(db: &PgPool, storage: &Storage, key: StorageKey, problem: Problem) -> Result<bool, CheckError> {
    let row = rows::find(db, key.prefix(), &[key.media()]).await?.remove(&key.media());
    let Some(row) = row else { return Ok(problem == Problem::Orphaned && storage.head(key).await?.is_some()) };
    Ok(match (problem, storage.head(key).await?) {
        (Problem::Missing, None) => expects(&row, key.prefix()),
        (Problem::Damaged, Some(object)) => is_damaged(&row, key.prefix(), object.size),
        _ => false,
    })
}

/// Whether it could be repaired.
async fn repair(db: &PgPool, storage: &Storage, key: StorageKey, problem: Problem) -> Result<bool, CheckError> {
    match (problem, key) {
        (Problem::Orphaned, _) => storage.delete(&[key]).await?,
        (Problem::Missing, StorageKey::Original(id)) => rows::fail(db, id).await?,
        (Problem::Missing, StorageKey::Thumbnail(id) | StorageKey::Clipboard(id)) => {
            let Some(media) = rows::media(db, id).await? else { return Ok(false) };
            return Ok(lifecycle::enqueue(db, media, jobs::Kind::Process).await?);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// All objects with a prefix, in the order of their keys, a page at a time.
struct Objects<'a> {
    storage: &'a Storage,
    prefix: Prefix,
    page: VecDeque<Listed>,
    /// What the next page comes after.
    after: Option<String>,
    is_last_page: bool,
}

impl<'a> Objects<'a> {
    fn new(storage: &'a Storage, prefix: Prefix) -> Self {
        Self { storage, prefix, page: VecDeque::new(), after: None, is_last_page: false }
    }

    async fn next(&mut self) -> Result<Option<Listed>, StorageError> {
        // A page can be empty, if all of it was deleted meanwhile.
        while self.page.is_empty() && !self.is_last_page {
            let page = self.storage.list(self.prefix, self.after.take()).await?;
            self.is_last_page = page.next.is_none();
            (self.page, self.after) = (page.objects.into(), page.next);
        }
        Ok(self.page.pop_front())
    }
}
