//! Objects without a row: a client has put one at its URL when that was over, for example, and the transfer was slow.
//!
//! Workers look for them in a walk through all objects, a page at a time. The one row of the table `storage_walk` says where the walk is, so
//! it goes on where a process has stopped, and who has the next page, so one walks at a time.

use std::time::{Duration, SystemTime};

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

/// What of a page of the store's list has no row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orphans {
    /// Of objects that are old enough.
    pub keys: Vec<StorageKey>,
    /// How many objects of the page have a row.
    pub with_row: usize,
}

/// The page of the walk that this process has.
#[derive(Clone, Debug)]
pub struct Walk {
    after: String,
    /// No other claim has the same.
    lease_ends: OffsetDateTime,
}

impl Listed {
    /// Whether it was stored longer ago than this.
    pub(super) fn is_older_than(&self, age: Duration) -> bool {
        SystemTime::now().duration_since(self.modified).is_ok_and(|found| found > age)
    }
}

impl Orphans {
    /// Compares a page with the table of media, in one query. What has another key than those of the service is not looked at.
    ///
    /// A row is there before its first object is stored, so an object that was listed before has one, unless nothing needs it.
    pub async fn find(db: &PgPool, prefix: Prefix, page: &[Listed], age: Duration) -> sqlx::Result<Self> {
        let own: Vec<(&Listed, StorageKey)> =
            page.iter().filter_map(|object| Some((object, object.key.parse().ok()?))).collect();
        let ids: Vec<MediaId> = own.iter().map(|(_, key)| key.media()).collect();
        let rows = rows::find(db, prefix, &ids).await?;
        let (with_row, without): (Vec<_>, Vec<_>) =
            own.into_iter().partition(|(_, key)| rows.contains_key(&key.media()));
        let old = without.into_iter().filter(|(object, _)| object.is_older_than(age));
        Ok(Self { keys: old.map(|(_, key)| key).collect(), with_row: with_row.len() })
    }
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

    /// Ends the claim: the walk goes on behind this key after the pause, or from the start. Does nothing if the claim is lost.
    pub async fn go_on(self, db: &PgPool, after: Option<String>, pause: Duration) -> sqlx::Result<()> {
        let after = after.unwrap_or_else(|| Prefix::ALL[0].as_str().to_owned());
        sqlx::query!(
            "UPDATE storage_walk SET after = $1, due_at = now() + make_interval(secs => $2) WHERE due_at = $3",
            after,
            pause.as_secs_f64(),
            self.lease_ends
        )
        .execute(db)
        .await
        .map(drop)
    }
}
