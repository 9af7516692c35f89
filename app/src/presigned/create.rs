//! Begins uploads. Those of requests at the same time are in one transaction, so that each takes a part of its statements and of its
//! commit.

use std::{collections::HashSet, time::Duration};

use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{db::batches::Batches, media::MediaId};

/// The statements read by indexes, for any parameters. So PostgreSQL plans each once for a connection: to plan it for each batch would take
/// longer than to run it. What a foreign key refers to is found by its index, too: of a table with a few hundred rows PostgreSQL would
/// otherwise read all, for each row.
const BEGIN: &str = "BEGIN; SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off";

/// What a client is to upload.
#[derive(Clone, Debug)]
pub struct NewUpload {
    pub id: MediaId,
    pub name: String,
    /// One of [`super::CONTENT_TYPES`] or, in parts, of [`super::PART_TYPES`].
    pub content_type: String,
    /// In bytes, if the URL takes only files of this size.
    pub length: Option<i64>,
    /// The store's name of the upload, if it is in parts.
    pub multipart: Option<String>,
    /// Account id.
    pub uploader: Uuid,
    /// Of the URL.
    pub expires_at: OffsetDateTime,
}

/// Adds pending media. Cheap to clone.
#[derive(Clone)]
pub struct Creation(Batches<NewUpload, bool>);

impl Creation {
    /// Each account may have `most` that are pending; `look_after` that time a worker looks for the file of one.
    pub fn new(db: PgPool, most: i64, look_after: Duration) -> Self {
        Self(Batches::new(move |uploads| {
            let db = db.clone();
            async move { create(&db, &uploads, most, look_after).await }
        }))
    }

    /// Adds a pending media, which no list has until its file was received. Returns false if the account has as many as it may.
    pub async fn create(&self, new: NewUpload) -> sqlx::Result<bool> {
        self.0.run(new).await
    }
}

async fn create(db: &PgPool, new: &[NewUpload], most: i64, look_after: Duration) -> sqlx::Result<Vec<bool>> {
    let ids: Vec<_> = new.iter().map(|new| new.id.to_string()).collect();
    let names: Vec<_> = new.iter().map(|new| new.name.clone()).collect();
    let types: Vec<_> = new.iter().map(|new| new.content_type.clone()).collect();
    let accounts: Vec<_> = new.iter().map(|new| new.uploader).collect();
    let lengths: Vec<_> = new.iter().map(|new| new.length).collect();
    let multiparts: Vec<_> = new.iter().map(|new| new.multipart.clone()).collect();
    let expiries: Vec<_> = new.iter().map(|new| new.expires_at).collect();

    let mut transaction = db.begin_with(BEGIN).await?;
    // Two transactions at once would both count what neither has added. All lock in the same order, so none waits for one that waits
    // for it. This is a statement of its own, so that the next one counts what is there once the locks are held.
    sqlx::query!(
        "SELECT pg_advisory_xact_lock(key) FROM (
             SELECT DISTINCT hashtextextended(account::text, 0) AS key FROM unnest($1::uuid[]) AS account ORDER BY key) AS keys",
        &accounts
    )
    .execute(&mut *transaction)
    .await?;
    // The rows of the accounts are locked in the order of their ids, as by what changes admins. Uploads that have failed for another
    // reason than their content are there, too: only an account that would have too many with them has its pending ones counted.
    let added = sqlx::query_scalar!(
        "WITH new AS (
             SELECT *, row_number() OVER (PARTITION BY account ORDER BY place) AS nth
             FROM unnest($1::text[], $2::text[], $3::text[], $4::uuid[], $5::bigint[], $6::text[], $7::timestamptz[])
                 WITH ORDINALITY AS new (id, name, content_type, account, length, multipart, expires_at, place)),
           asking AS (
             SELECT account, count(*) AS asked,
                 (SELECT count(*) FROM presigned_upload WHERE presigned_upload.account = new.account) AS held
             FROM new GROUP BY account),
           free AS (
             SELECT account, $8 - CASE WHEN held + asked <= $8 THEN held ELSE (
                 SELECT count(*) FROM presigned_upload JOIN media ON media.id = presigned_upload.media
                 WHERE presigned_upload.account = asking.account AND status = 'pending') END AS places
             FROM asking),
           taken AS (SELECT new.* FROM new JOIN free ON free.account = new.account WHERE nth <= places),
           added AS (
             INSERT INTO media (id, status, name, declared_type, uploader, listed_at)
             SELECT id, 'pending', name, content_type, account, 'epoch' FROM taken ORDER BY account)
         INSERT INTO presigned_upload (media, account, length, multipart, expires_at, look_at)
         SELECT id, account, length, multipart, expires_at, now() + make_interval(secs => $9) FROM taken ORDER BY account
         RETURNING media",
        &ids,
        &names,
        &types,
        &accounts,
        &lengths as &[Option<i64>],
        &multiparts as &[Option<String>],
        &expiries,
        most,
        look_after.as_secs_f64()
    );
    let added: HashSet<_> = added.fetch_all(&mut *transaction).await?.into_iter().collect();
    transaction.commit().await?;
    Ok(ids.iter().map(|id| added.contains(id)).collect())
}
