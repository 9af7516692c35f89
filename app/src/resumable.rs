//! Uploads that are received in parts: their rows, and their files in the spool.

use std::{
    io::{self, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::PgPool;
use tempfile::TempPath;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    ingest::ReceivedFile,
    media::{MediaId, parse_id},
    storage::{self, RESUMABLE, StorageError},
};

/// How long an upload may take, from its creation on.
pub const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Unfinished uploads of one account.
pub const MAX_UNFINISHED: i64 = 100;

/// Uploads in parts. Cheap to clone.
#[derive(Clone)]
pub struct ResumableUploads {
    db: PgPool,
    spool: PathBuf,
}

/// An upload that has not expired.
#[derive(Clone, Debug)]
pub struct ResumableUpload {
    pub id: MediaId,
    pub account: Uuid,
    /// Of the whole file, in bytes.
    pub length: u64,
    pub name: String,
    /// Once all of it has arrived and was accepted.
    pub media: Option<MediaId>,
    pub expires_at: OffsetDateTime,
}

/// The file of an upload, which no other request has at the same time.
pub struct Part {
    pub file: std::fs::File,
    /// How much has arrived, in bytes.
    pub offset: u64,
}

impl ResumableUploads {
    pub fn new(db: PgPool, spool: &Path) -> Self {
        Self { db, spool: spool.to_owned() }
    }

    /// Creates an upload, with an empty file. `None` if the account has too many.
    pub async fn create(&self, account: Uuid, length: u64, name: &str) -> anyhow::Result<Option<ResumableUpload>> {
        let id = MediaId::generate();
        let row = sqlx::query_scalar!(
            "INSERT INTO resumable_upload (id, account, length, name, expires_at)
             SELECT $1, $2, $3, $4, now() + make_interval(secs => $5)
             WHERE (SELECT count(*) FROM resumable_upload WHERE account = $2 AND media IS NULL AND expires_at > now()) < $6
             RETURNING expires_at",
            id.to_string(),
            account,
            i64::try_from(length)?,
            name,
            LIFETIME.as_secs_f64(),
            MAX_UNFINISHED
        );
        let Some(expires_at) = row.fetch_optional(&self.db).await? else { return Ok(None) };
        let path = self.path(id);
        tokio::task::spawn_blocking(move || create_file(&path)).await?.map_err(StorageError::from)?;
        Ok(Some(ResumableUpload { id, account, length, name: name.to_owned(), media: None, expires_at }))
    }

    /// Finds an upload of this account; `None` if there is none, or if it has expired.
    pub async fn find(&self, id: MediaId, account: Uuid) -> sqlx::Result<Option<ResumableUpload>> {
        let row = sqlx::query!(
            "SELECT length, name, media, expires_at FROM resumable_upload
             WHERE id = $1 AND account = $2 AND expires_at > now()",
            id.to_string(),
            account
        );
        let Some(row) = row.fetch_optional(&self.db).await? else { return Ok(None) };
        Ok(Some(ResumableUpload {
            id,
            account,
            length: row.length.try_into().map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
            name: row.name,
            media: row.media.as_deref().map(parse_id).transpose()?,
            expires_at: row.expires_at,
        }))
    }

    /// How much has arrived, in bytes; `None` if this machine does not have the file.
    pub async fn offset(&self, id: MediaId) -> io::Result<Option<u64>> {
        match fs_err::tokio::metadata(self.path(id)).await {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens the file to append to it; `None` if another request has it open. The operating system ends that if the process
    /// dies.
    pub async fn open(&self, id: MediaId) -> anyhow::Result<Option<Part>> {
        let path = self.path(id);
        tokio::task::spawn_blocking(move || {
            let mut file = fs_err::OpenOptions::new().read(true).write(true).open(path)?.into_file();
            match file.try_lock() {
                Ok(()) => {}
                Err(std::fs::TryLockError::WouldBlock) => return Ok(None),
                Err(std::fs::TryLockError::Error(error)) => return Err(error.into()),
            }
            let offset = file.seek(SeekFrom::End(0))?;
            Ok(Some(Part { file, offset }))
        })
        .await?
    }

    /// The complete file, to be added. The upload keeps its own link to it, for another attempt if adding it fails.
    pub async fn received(&self, upload: &ResumableUpload) -> anyhow::Result<ReceivedFile> {
        let (path, link) = (self.path(upload.id), self.spool.join(format!("{}-complete", upload.id)));
        let linked = tokio::task::spawn_blocking(move || {
            // Left by an attempt of a process that died.
            fs_err::remove_file(&link).or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            })?;
            fs_err::hard_link(&path, &link)?;
            TempPath::try_from_path(link)
        });
        let path = linked.await??;
        let (size, sha256) = storage::measure(&path).await?;
        Ok(ReceivedFile { path, size, sha256 })
    }

    /// Keeps what became of an accepted upload, until it expires, and deletes its file.
    pub async fn finish(&self, id: MediaId, media: MediaId) -> anyhow::Result<()> {
        let finished =
            sqlx::query!("UPDATE resumable_upload SET media = $2 WHERE id = $1", id.to_string(), media.to_string());
        finished.execute(&self.db).await?;
        Ok(self.remove_file(id).await?)
    }

    /// Deletes an upload with its file.
    pub async fn delete(&self, id: MediaId) -> anyhow::Result<()> {
        sqlx::query!("DELETE FROM resumable_upload WHERE id = $1", id.to_string()).execute(&self.db).await?;
        Ok(self.remove_file(id).await?)
    }

    /// Deletes what has expired.
    pub async fn sweep(&self) -> anyhow::Result<()> {
        let expired = sqlx::query_scalar!("SELECT id FROM resumable_upload WHERE expires_at < now() LIMIT 1000");
        for id in expired.fetch_all(&self.db).await? {
            self.delete(parse_id(&id)?).await?;
        }
        Ok(())
    }

    async fn remove_file(&self, id: MediaId) -> io::Result<()> {
        match fs_err::tokio::remove_file(self.path(id)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn path(&self, id: MediaId) -> PathBuf {
        self.spool.join(RESUMABLE).join(id.to_string())
    }
}

fn create_file(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map(drop)
}
