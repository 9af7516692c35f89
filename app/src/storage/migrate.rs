//! Copies all objects from one backend to another, while the service runs on either.
//!
//! An object that is there with the right size and SHA-256 is not copied again, so a run that was stopped is continued by the
//! next. Each copy is verified: an original by the SHA-256 of its row, what is derived by that of the source.

use std::path::Path;

use futures_util::{StreamExt as _, stream};
use ring::digest::{Context, SHA256};
use sqlx::PgPool;

use super::{
    Listed, Object, Storage, StorageError,
    key::{Prefix, StorageKey},
    rows::{self, Row},
};
use crate::media::MediaId;

/// How many objects are copied at a time.
const AT_A_TIME: usize = 4;

/// How many objects there are between two reports.
const BATCH: usize = 500;

/// What has become of the objects so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) copied: u64,
    /// They were there before.
    pub(super) present: u64,
    /// They have no row; `check` says more.
    pub(super) without_row: u64,
    pub(super) failed: u64,
}

/// What `migrate` reports.
pub(super) enum Event {
    Progress(Prefix, Progress),
    Failed(StorageKey, anyhow::Error),
}

enum Outcome {
    Copied,
    Present,
    /// It was deleted meanwhile.
    Gone,
    Failed(anyhow::Error),
}

/// Copies all objects. An object that cannot be copied is reported, and the others are copied.
///
/// # Errors
/// If objects or rows cannot be listed, or no space is left.
pub(super) async fn migrate(
    db: &PgPool,
    from: &Storage,
    to: &Storage,
    mut report: impl FnMut(Event),
) -> anyhow::Result<Progress> {
    let mut progress = Progress::default();
    for prefix in Prefix::ALL {
        let mut after = None;
        loop {
            let page = from.list(prefix, after).await?;
            for batch in page.objects.chunks(BATCH) {
                copy_batch(db, from, to, prefix, batch, &mut progress, &mut report).await?;
                report(Event::Progress(prefix, progress));
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(progress)
}

async fn copy_batch(
    db: &PgPool,
    from: &Storage,
    to: &Storage,
    prefix: Prefix,
    batch: &[Listed],
    progress: &mut Progress,
    report: &mut impl FnMut(Event),
) -> anyhow::Result<()> {
    let keys: Vec<StorageKey> = batch.iter().filter_map(|object| object.key.parse().ok()).collect();
    let ids: Vec<MediaId> = keys.iter().map(|key| key.media()).collect();
    let mut rows = rows::find(db, prefix, &ids).await?;
    let with_row: Vec<(StorageKey, Row)> =
        keys.iter().filter_map(|key| rows.remove(&key.media()).map(|row| (*key, row))).collect();
    progress.without_row += (batch.len() - with_row.len()) as u64;
    let copying = with_row.into_iter().map(|(key, row)| async move { (key, copy(from, to, key, &row).await) });
    let mut copying = stream::iter(copying).buffer_unordered(AT_A_TIME);
    while let Some((key, outcome)) = copying.next().await {
        match outcome {
            Ok(Outcome::Copied) => progress.copied += 1,
            Ok(Outcome::Present) => progress.present += 1,
            Ok(Outcome::Gone) => {}
            Err(StorageError::Full) => return Err(StorageError::Full.into()),
            Ok(Outcome::Failed(error)) => {
                progress.failed += 1;
                report(Event::Failed(key, error));
            }
            Err(error) => {
                progress.failed += 1;
                report(Event::Failed(key, error.into()));
            }
        }
    }
    Ok(())
}

async fn copy(from: &Storage, to: &Storage, key: StorageKey, row: &Row) -> Result<Outcome, StorageError> {
    let Some(source) = from.head(key).await? else { return Ok(Outcome::Gone) };
    let of_row = row.sha256.as_ref().and_then(|sha256| <[u8; 32]>::try_from(sha256.as_slice()).ok());
    let known = match key {
        StorageKey::Original(_) => of_row,
        _ => source.sha256,
    };
    // What is known without reading the source may already be there.
    if let Some(sha256) = known
        && digested(to, key).await? == Some(Object { size: source.size, sha256: Some(sha256) })
    {
        return Ok(Outcome::Present);
    }
    let Some(file) = from.open_local(key).await? else { return Ok(Outcome::Gone) };
    let read = hash(&file).await?;
    match known {
        Some(expected) if read.sha256 != Some(expected) => {
            return Ok(Outcome::Failed(anyhow::anyhow!("its content is not what was stored: the SHA-256 differs")));
        }
        None if digested(to, key).await? == Some(read) => return Ok(Outcome::Present),
        _ => {}
    }
    let content_type = key.content_type().or(row.mime_type.as_deref()).unwrap_or("application/octet-stream");
    to.put_file(key, &file, content_type).await?;
    if digested(to, key).await? != Some(read) {
        return Ok(Outcome::Failed(anyhow::anyhow!("the copy differs")));
    }
    Ok(Outcome::Copied)
}

/// The object with its SHA-256, which is taken of its content where the backend does not keep it.
async fn digested(storage: &Storage, key: StorageKey) -> Result<Option<Object>, StorageError> {
    match storage.head(key).await? {
        Some(object) if object.sha256.is_none() => match storage.open_local(key).await? {
            Some(file) => hash(&file).await.map(Some),
            None => Ok(None),
        },
        object => Ok(object),
    }
}

async fn hash(file: &Path) -> Result<Object, StorageError> {
    let file = fs_err::File::open(file)?;
    let hashed = tokio::task::spawn_blocking(move || hash_all(file));
    Ok(hashed.await.map_err(|panic| StorageError::Internal(panic.into()))??)
}

fn hash_all(mut file: impl std::io::Read) -> std::io::Result<Object> {
    let (mut context, mut buffer, mut size) = (Context::new(&SHA256), vec![0; 1 << 20], 0);
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            let sha256 = context.finish().as_ref().try_into().ok();
            return Ok(Object { size, sha256 });
        }
        context.update(&buffer[..length]);
        size += length as u64;
    }
}
