//! Media: their ids, their lifecycle and every query on their table.

use std::{fmt, str::FromStr};

use sqlx::PgPool;
use time::OffsetDateTime;
use ulid::Ulid;
use uuid::Uuid;

/// A media id: a ULID in its canonical form, 26 upper-case characters, ordered by time of creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MediaId(Ulid);

/// Where a media is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Announced; its bytes are not there or not looked at yet.
    Pending,
    /// Checked and served.
    Ready,
    /// Refused; the row says why.
    Failed,
}

/// One row, with the uploader's name.
#[derive(Clone, Debug)]
pub struct Media {
    /// Its id.
    pub id: MediaId,
    /// Where it is in its life.
    pub status: Status,
    /// What people call it.
    pub name: String,
    /// What people say of it.
    pub description: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its type by content, when that is known.
    pub mime_type: Option<String>,
    /// The original's size in bytes, when that is known.
    pub size: Option<i64>,
    /// Its width as displayed, in pixels.
    pub width: Option<i32>,
    /// Its height as displayed, in pixels.
    pub height: Option<i32>,
    /// The text that was read in it.
    pub ocr_text: Option<String>,
    /// Who uploaded it.
    pub uploader: String,
    /// When it was uploaded or announced.
    pub created_at: OffsetDateTime,
}

/// A checked upload on its way into the table.
#[derive(Clone, Debug)]
pub struct NewMedia {
    /// Its id.
    pub id: MediaId,
    /// Its name, checked.
    pub name: String,
    /// Its description, checked.
    pub description: String,
    /// The type that the client declared.
    pub declared_type: Option<String>,
    /// The type by content.
    pub mime_type: &'static str,
    /// The original's size in bytes.
    pub size: i64,
    /// Its width as displayed, in pixels.
    pub width: i32,
    /// Its height as displayed, in pixels.
    pub height: i32,
    /// The original's SHA-256.
    pub sha256: Vec<u8>,
    /// The account that uploads it.
    pub uploader: Uuid,
}

/// What serving a file needs to know of its row.
#[derive(Clone, Debug)]
pub struct Served {
    /// What people call it.
    pub name: String,
    /// Its type by content.
    pub mime_type: String,
    /// The original's SHA-256.
    pub sha256: Vec<u8>,
}

impl MediaId {
    /// A new id of this moment.
    pub fn generate() -> Self {
        Self(Ulid::new())
    }
}

impl fmt::Display for MediaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The text is not a ULID in canonical form.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("not a media id")]
pub struct NotAnId;

impl FromStr for MediaId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let id = Ulid::from_string(text).map(Self).map_err(|_| NotAnId)?;
        // The parser also takes lower case and look-alikes; one media must have one key.
        if id.to_string() == text { Ok(id) } else { Err(NotAnId) }
    }
}

/// Enters a checked upload, ready to be served.
///
/// # Errors
/// When the database does not answer, or its constraints disagree.
pub async fn insert_ready(db: &PgPool, media: &NewMedia) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO media (id, status, name, description, declared_type, mime_type, size, width, height, sha256, uploader)
         VALUES ($1, 'ready', $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        media.id.to_string(),
        media.name,
        media.description,
        media.declared_type,
        media.mime_type,
        media.size,
        media.width,
        media.height,
        media.sha256,
        media.uploader
    )
    .execute(db)
    .await?;
    Ok(())
}

/// One media, wherever it is in its life.
///
/// # Errors
/// When the database does not answer.
pub async fn get(db: &PgPool, id: MediaId) -> sqlx::Result<Option<Media>> {
    let row = sqlx::query_as!(
        Row,
        "SELECT media.id, status, name, description, tags, mime_type, size, width, height, ocr_text,
                account.username AS uploader, media.created_at
         FROM media JOIN account ON account.id = media.uploader
         WHERE media.id = $1",
        id.to_string()
    )
    .fetch_optional(db)
    .await?;
    row.map(Media::try_from).transpose()
}

/// Up to `limit` media, the newest first, older than `before` when that is given.
///
/// # Errors
/// When the database does not answer.
pub async fn list(db: &PgPool, limit: i64, before: Option<MediaId>) -> sqlx::Result<Vec<Media>> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT media.id, status, name, description, tags, mime_type, size, width, height, ocr_text,
                account.username AS uploader, media.created_at
         FROM media JOIN account ON account.id = media.uploader
         WHERE $1::text IS NULL OR media.id < $1 COLLATE "C"
         ORDER BY media.id DESC
         LIMIT $2"#,
        before.map(|id| id.to_string()),
        limit
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(Media::try_from).collect()
}

/// What serving its file needs, for ready media only.
///
/// # Errors
/// When the database does not answer.
pub async fn served(db: &PgPool, id: MediaId) -> sqlx::Result<Option<Served>> {
    sqlx::query_as!(
        Served,
        r#"SELECT name, mime_type AS "mime_type!", sha256 AS "sha256!" FROM media WHERE id = $1 AND status = 'ready'"#,
        id.to_string()
    )
    .fetch_optional(db)
    .await
}

/// Whether there is a row.
///
/// # Errors
/// When the database does not answer.
pub async fn exists(db: &PgPool, id: MediaId) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM media WHERE id = $1) AS "exists!""#, id.to_string())
        .fetch_one(db)
        .await
}

/// Takes the row away; false when there was none.
///
/// # Errors
/// When the database does not answer.
pub async fn delete(db: &PgPool, id: MediaId) -> sqlx::Result<bool> {
    let done = sqlx::query!("DELETE FROM media WHERE id = $1", id.to_string()).execute(db).await?;
    Ok(done.rows_affected() == 1)
}

/// A row as the database gives it.
struct Row {
    id: String,
    status: String,
    name: String,
    description: String,
    tags: Vec<String>,
    mime_type: Option<String>,
    size: Option<i64>,
    width: Option<i32>,
    height: Option<i32>,
    ocr_text: Option<String>,
    uploader: String,
    created_at: OffsetDateTime,
}

impl TryFrom<Row> for Media {
    type Error = sqlx::Error;

    /// Fails only on what the table's constraints rule out.
    fn try_from(row: Row) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.id.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
            status: match row.status.as_str() {
                "pending" => Status::Pending,
                "ready" => Status::Ready,
                "failed" => Status::Failed,
                other => return Err(sqlx::Error::Decode(format!("unknown media status {other:?}").into())),
            },
            name: row.name,
            description: row.description,
            tags: row.tags,
            mime_type: row.mime_type,
            size: row.size,
            width: row.width,
            height: row.height,
            ocr_text: row.ocr_text,
            uploader: row.uploader,
            created_at: row.created_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::MediaId;

    #[test]
    fn only_the_canonical_form_is_an_id() {
        let id = MediaId::generate().to_string();
        assert!(id.parse::<MediaId>().is_ok());
        assert!(id.to_lowercase().parse::<MediaId>().is_err());
        for hostile in
            ["", "..", "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "01ARZ3NDEKTSV4RRFFQ69G5FA\0", "01ARZ3NDEKTSV4RRFFQ69G5FAI"]
        {
            assert!(hostile.parse::<MediaId>().is_err(), "{hostile:?}");
        }
    }
}
