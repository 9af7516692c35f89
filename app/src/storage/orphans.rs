//! Objects without a row: a client has put one at its URL when that was over, for example, and the transfer was slow.
//!
//! Workers look for them in a walk through all objects, a page at a time. The one row of the table `storage_walk` says where the walk is, so
//! it goes on where a process has stopped, and who has the next page, so one walks at a time. The table `storage_orphan` says since when an
//! object was seen without a row: an old object may have lost its row today, as when the database was restored from a backup.

use std::{collections::HashSet, time::Duration};

use sqlx::PgPool;
use time::OffsetDateTime;

use super::{
    Listed, Page, Storage, StorageError,
    key::{Prefix, StorageKey},
    rows,
};
use crate::media::MediaId;

/// How long a worker has the page that it has claimed.
pub const LEASE: Duration = Duration::from_secs(120);

/// So many objects of a page may have no row, and one in a hundred: if there are more, something is wrong with the database.
const FEW: usize = 10;

/// What of a page of the store's list has no row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orphans {
    pub keys: Vec<StorageKey>,
    /// How many objects of the page have keys of the service, with these.
    pub objects: usize,
}

/// Since when objects have no row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Those that were seen without a row for 14 days.
    pub due: Vec<StorageKey>,
    /// How many were seen without one for the first time.
    pub new: usize,
    /// How many are not due yet, with the new ones.
    pub waiting: usize,
}

/// The page of the walk that this process has.
#[derive(Clone, Debug)]
pub struct Walk {
    after: String,
    /// No other claim has the same.
    lease_ends: OffsetDateTime,
}

impl Orphans {
    /// Compares a page with the tables of media and of removals. What has another key than those of the service is not looked at.
    ///
    /// A row is there before its first object is stored, so an object that was listed before has one, unless nothing needs it.
    pub async fn find(db: &PgPool, prefix: Prefix, page: &[Listed]) -> sqlx::Result<Self> {
        let mut keys: Vec<StorageKey> = page.iter().filter_map(|object| object.key.parse().ok()).collect();
        let objects = keys.len();
        let ids: Vec<MediaId> = keys.iter().map(|key| key.media()).collect();
        let rows = rows::find(db, prefix, &ids).await?;
        keys.retain(|key| !rows.contains_key(&key.media()));
        if !keys.is_empty() {
            let ids: Vec<_> = keys.iter().map(|key| key.media().to_string()).collect();
            let removed = sqlx::query_scalar!("SELECT file FROM removal WHERE file = ANY($1)", &ids);
            let known: HashSet<String> = removed.fetch_all(db).await?.into_iter().collect();
            keys.retain(|key| !known.contains(&key.media().to_string()));
        }
        Ok(Self { keys, objects })
    }

    /// Whether these are so many that the database may be another one's, or have lost rows.
    pub fn are_doubtful(&self) -> bool {
        self.keys.len() > (self.objects / 100).max(FEW)
    }

    /// Writes down that they were seen without a row. One that was not seen so for three days had a row meanwhile, or the walk had stopped:
    /// its time begins anew.
    pub async fn record(&self, db: &PgPool) -> sqlx::Result<Recorded> {
        if self.keys.is_empty() {
            return Ok(Recorded::default());
        }
        let keys: Vec<_> = self.keys.iter().map(StorageKey::to_string).collect();
        let seen = sqlx::query!(
            r#"INSERT INTO storage_orphan (key) SELECT unnest($1::text[])
               ON CONFLICT (key) DO UPDATE SET last_seen = now(),
                   first_seen = CASE WHEN storage_orphan.last_seen < now() - interval '3 days' THEN now()
                                     ELSE storage_orphan.first_seen END
               RETURNING key, first_seen < now() - interval '14 days' AS "is_due!", first_seen = now() AS "is_new!""#,
            &keys
        );
        let mut recorded = Recorded::default();
        for seen in seen.fetch_all(db).await? {
            if seen.is_due {
                recorded.due.push(seen.key.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?);
            } else {
                recorded.waiting += 1;
                recorded.new += usize::from(seen.is_new);
            }
        }
        Ok(recorded)
    }
}

/// Forgets objects that were deleted.
pub async fn forget(db: &PgPool, keys: &[StorageKey]) -> sqlx::Result<()> {
    let keys: Vec<_> = keys.iter().map(StorageKey::to_string).collect();
    sqlx::query!("DELETE FROM storage_orphan WHERE key = ANY($1)", &keys).execute(db).await.map(drop)
}

/// Forgets objects that no walk of the last three days has seen without a row.
pub async fn forget_unseen(db: &PgPool) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM storage_orphan WHERE last_seen < now() - interval '3 days'").execute(db).await.map(drop)
}

impl Walk {
    /// Claims the next page, if it is due and no other process has it.
    pub async fn claim(db: &PgPool) -> sqlx::Result<Option<Self>> {
        let claimed = sqlx::query!(
            "UPDATE storage_walk SET due_at = now() + make_interval(secs => $1) WHERE due_at <= now() RETURNING after, due_at",
            LEASE.as_secs_f64()
        );
        let claimed = claimed.fetch_optional(db).await?;
        Ok(claimed.map(|row| Self { after: row.after, lease_ends: row.due_at }))
    }

    /// What the page begins behind: a key, or a folder.
    pub fn place(&self) -> &str {
        &self.after
    }

    /// The folder that it is in.
    pub fn prefix(&self) -> Prefix {
        let found = Prefix::ALL.into_iter().find(|prefix| self.after.starts_with(prefix.as_str()));
        // Another release may know more folders.
        found.unwrap_or(Prefix::ALL[0])
    }

    /// The objects of the page.
    pub async fn list(&self, storage: &Storage) -> Result<Page, StorageError> {
        let prefix = self.prefix();
        let after = self.after.starts_with(prefix.as_str()).then(|| self.after.clone());
        storage.list(prefix, after).await
    }

    /// What the next page begins behind, after this one; `None` if this is the last one of all.
    pub fn following(&self, page: Page) -> Option<String> {
        let next_prefix = || Prefix::ALL.into_iter().skip_while(|prefix| *prefix != self.prefix()).nth(1);
        page.next.or_else(|| next_prefix().map(|prefix| prefix.as_str().to_owned()))
    }

    /// Ends the claim: the walk goes on behind this key after the pause, or from the start. Does nothing and returns false if the claim is
    /// lost.
    pub async fn go_on(self, db: &PgPool, after: Option<String>, pause: Duration) -> sqlx::Result<bool> {
        let after = after.unwrap_or_else(|| Prefix::ALL[0].as_str().to_owned());
        let moved = sqlx::query!(
            "UPDATE storage_walk SET after = $1, due_at = now() + make_interval(secs => $2) WHERE due_at = $3",
            after,
            pause.as_secs_f64(),
            self.lease_ends
        );
        Ok(moved.execute(db).await?.rows_affected() == 1)
    }
}
