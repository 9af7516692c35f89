//! Media: ids, status, and the queries on the `media` table.

use std::{fmt, str::FromStr};

use sqlx::PgPool;
use time::OffsetDateTime;
use ulid::Ulid;
use uuid::Uuid;

/// A ULID in canonical form: 26 upper-case characters, sorted by creation time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MediaId(Ulid);

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The file is not uploaded or not validated yet.
    Pending,
    /// Validated; the file is served.
    Ready,
    /// Rejected; the column `failure` has the reason.
    Failed,
}

/// A row of `media`, with the uploader's name.
#[derive(Clone, Debug)]
pub struct Media {
    pub id: MediaId,
    pub status: Status,
    pub name: String,
    pub description: String,
    pub tags: Vec<String>,
    /// Detected from the content; `None` while pending.
    pub mime_type: Option<String>,
    /// Size of the original, in bytes; `None` while pending.
    pub size: Option<i64>,
    /// In pixels, after EXIF rotation.
    pub width: Option<i32>,
    /// In pixels, after EXIF rotation.
    pub height: Option<i32>,
    pub ocr_text: Option<String>,
    /// User name.
    pub uploader: String,
    pub created_at: OffsetDateTime,
}

/// A validated upload, to insert.
#[derive(Clone, Debug)]
pub struct NewMedia {
    pub id: MediaId,
    pub name: String,
    pub description: String,
    /// The content type that the client declared.
    pub declared_type: Option<String>,
    /// Detected from the content.
    pub mime_type: String,
    /// Size of the original, in bytes.
    pub size: i64,
    /// In pixels, after EXIF rotation.
    pub width: i32,
    /// In pixels, after EXIF rotation.
    pub height: i32,
    /// SHA-256 of the original.
    pub sha256: Vec<u8>,
    /// Account id.
    pub uploader: Uuid,
}

/// What the response headers of a served file need.
#[derive(Clone, Debug)]
pub struct FileInfo {
    pub name: String,
    /// Type of the original.
    pub mime_type: String,
    /// SHA-256 of the original.
    pub sha256: Vec<u8>,
}

impl MediaId {
    pub fn generate() -> Self {
        Self(Ulid::new())
    }
}

impl fmt::Display for MediaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("not a media id in canonical form")]
pub struct InvalidMediaId;

impl FromStr for MediaId {
    type Err = InvalidMediaId;

    fn from_str(text: &str) -> Result<Self, InvalidMediaId> {
        let id = Ulid::from_string(text).map(Self).map_err(|_| InvalidMediaId)?;
        // The parser also accepts lower case and look-alike characters, but each media must have exactly one key.
        if id.to_string() == text { Ok(id) } else { Err(InvalidMediaId) }
    }
}

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

/// Finds a media in any status.
pub async fn find(db: &PgPool, id: MediaId) -> sqlx::Result<Option<Media>> {
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

/// Lists up to `limit` media, newest first, starting after `before`.
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

/// Finds the file information of a ready media.
pub async fn find_file_info(db: &PgPool, id: MediaId) -> sqlx::Result<Option<FileInfo>> {
    sqlx::query_as!(
        FileInfo,
        r#"SELECT name, mime_type AS "mime_type!", sha256 AS "sha256!" FROM media WHERE id = $1 AND status = 'ready'"#,
        id.to_string()
    )
    .fetch_optional(db)
    .await
}

pub async fn exists(db: &PgPool, id: MediaId) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM media WHERE id = $1) AS "exists!""#, id.to_string())
        .fetch_one(db)
        .await
}

/// Returns false if there is no such row.
pub async fn delete(db: &PgPool, id: MediaId) -> sqlx::Result<bool> {
    let result = sqlx::query!("DELETE FROM media WHERE id = $1", id.to_string()).execute(db).await?;
    Ok(result.rows_affected() == 1)
}

/// A row with the column types of the database.
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

    /// Fails only on values that violate the table's constraints.
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
    fn only_the_canonical_form_parses_as_an_id() {
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
