//! Media: ids, status, and the queries on the `media` table. In `media/`: the lifecycle, the
//! changes by users, the replacement of files, lists and search, share links, what failed, and what is stored.

pub mod changes;
pub mod failures;
pub mod lifecycle;
pub mod replacement;
pub mod search;
pub mod shares;
pub mod usage;

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use sqlx::PgPool;
use time::{OffsetDateTime, PrimitiveDateTime};
use ulid::Ulid;
use uuid::Uuid;

use crate::storage::StorageKey;

/// A ULID in canonical form: 26 upper-case characters, sorted by creation time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MediaId(Ulid);

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The file is not uploaded or not validated yet.
    Pending,
    /// Validated; the file is served.
    Ready,
    /// Rejected; the column `failure` has the reason.
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Image,
    Video,
}

/// A row of `media`, with the uploader's name. What is only known once the content was looked at is `None` while pending.
#[derive(Clone, Debug)]
pub struct Media {
    pub id: MediaId,
    /// The id of its stored objects; the media's own until its file is replaced.
    pub file: MediaId,
    /// The id of the object with the bytes as they were received, if they are kept apart. Never told to clients.
    pub received_file: Option<MediaId>,
    pub kind: Kind,
    pub status: Status,
    /// Why it failed: a stable code.
    pub failure: Option<String>,
    pub name: String,
    pub description: String,
    pub tags: Vec<String>,
    /// Detected from the content.
    pub mime_type: Option<String>,
    /// Size of the original, in bytes.
    pub size: Option<i64>,
    /// In pixels, as displayed.
    pub width: Option<i32>,
    /// In pixels, as displayed.
    pub height: Option<i32>,
    pub thumbhash: Option<Vec<u8>>,
    /// Whether there is a PNG for the clipboard.
    pub has_clipboard: bool,
    /// The camera's local time.
    pub captured_at: Option<PrimitiveDateTime>,
    pub camera: Option<String>,
    pub has_location: bool,
    /// In milliseconds; `None` for pictures, as the next two.
    pub duration_ms: Option<i64>,
    pub codec: Option<String>,
    pub has_audio: Option<bool>,
    pub ocr_text: Option<String>,
    /// Account id.
    pub uploader_id: Uuid,
    /// User name.
    pub uploader: String,
    pub created_at: OffsetDateTime,
    /// The order of the gallery: when it became ready.
    pub listed_at: OffsetDateTime,
    /// Of the last change, by a user or by the worker.
    pub updated_at: OffsetDateTime,
    /// In the trash since then.
    pub deleted_at: Option<OffsetDateTime>,
    /// Grows with each change by a user.
    pub version: i32,
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

/// Where the original of a ready media is stored.
#[derive(Clone, Copy, Debug)]
pub struct ReadyFile {
    pub media: MediaId,
    /// The id of its stored objects.
    pub file: MediaId,
    /// Of the last change of the media.
    pub updated_at: OffsetDateTime,
}

impl Media {
    /// Where the bytes as they were received are: in the first of these that is stored.
    pub fn received_keys(&self) -> impl Iterator<Item = StorageKey> {
        self.received_file.map(StorageKey::Private).into_iter().chain([StorageKey::Original(self.file)])
    }
}

impl Kind {
    /// As in the table and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
        }
    }
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Image, Self::Video].into_iter().find(|kind| kind.as_str() == text).ok_or(())
    }
}

impl FromStr for Status {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "pending" => Ok(Self::Pending),
            "ready" => Ok(Self::Ready),
            "failed" => Ok(Self::Failed),
            _ => Err(()),
        }
    }
}

impl MediaId {
    /// Sorts before all others.
    pub const LOWEST: Self = Self(Ulid::nil());

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

impl JsonSchema for MediaId {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "MediaId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-7][0-9A-HJKMNP-TV-Z]{25}$" })
    }
}

/// Finds a media in any status.
pub async fn find(db: &PgPool, id: MediaId) -> sqlx::Result<Option<Media>> {
    let row = sqlx::query_as!(
        Row,
        "SELECT media.id, file, received_file, kind, status, failure, name, description, tags, mime_type, size, width, height, thumbhash,
                clipboard, captured_at, camera, has_location, duration_ms, codec, has_audio, ocr_text, uploader AS uploader_id,
                account.username AS uploader, media.created_at, listed_at, media.updated_at, deleted_at, version,
                NULL AS fragment
         FROM media JOIN account ON account.id = media.uploader
         WHERE media.id = $1",
        id.to_string()
    )
    .fetch_optional(db)
    .await?;
    row.map(Media::try_from).transpose()
}

pub async fn exists(db: &PgPool, id: MediaId) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM media WHERE id = $1) AS "exists!""#, id.to_string())
        .fetch_one(db)
        .await
}

/// Finds the file information of a ready media by the id of its stored objects.
pub async fn find_file_info(db: &PgPool, file: MediaId) -> sqlx::Result<Option<FileInfo>> {
    sqlx::query_as!(
        FileInfo,
        r#"SELECT name, mime_type AS "mime_type!", sha256 AS "sha256!" FROM media
           WHERE coalesce(file, id) = $1 AND status = 'ready'"#,
        file.to_string()
    )
    .fetch_optional(db)
    .await
}

/// Finds where the originals of these media are stored: of those that are ready and not in the trash.
pub async fn find_ready_files(db: &PgPool, ids: &[MediaId]) -> sqlx::Result<Vec<ReadyFile>> {
    let ids: Vec<_> = ids.iter().map(MediaId::to_string).collect();
    let rows = sqlx::query!(
        r#"SELECT id, coalesce(file, id) AS "file!", updated_at FROM media
           WHERE id = ANY ($1) AND status = 'ready' AND deleted_at IS NULL"#,
        &ids
    );
    let rows = rows.fetch_all(db).await?.into_iter();
    rows.map(|row| Ok(ReadyFile { media: parse_id(&row.id)?, file: parse_id(&row.file)?, updated_at: row.updated_at }))
        .collect()
}

/// A row with the column types of the database.
struct Row {
    id: String,
    file: Option<String>,
    received_file: Option<String>,
    kind: String,
    status: String,
    failure: Option<String>,
    name: String,
    description: String,
    tags: Vec<String>,
    mime_type: Option<String>,
    size: Option<i64>,
    width: Option<i32>,
    height: Option<i32>,
    thumbhash: Option<Vec<u8>>,
    clipboard: bool,
    captured_at: Option<PrimitiveDateTime>,
    camera: Option<String>,
    has_location: bool,
    duration_ms: Option<i64>,
    codec: Option<String>,
    has_audio: Option<bool>,
    ocr_text: Option<String>,
    uploader_id: Uuid,
    uploader: String,
    created_at: OffsetDateTime,
    listed_at: OffsetDateTime,
    updated_at: OffsetDateTime,
    deleted_at: Option<OffsetDateTime>,
    version: i32,
    fragment: Option<String>,
}

impl TryFrom<Row> for Media {
    type Error = sqlx::Error;

    /// Fails only on values that violate the table's constraints.
    fn try_from(row: Row) -> sqlx::Result<Self> {
        let id = parse_id(&row.id)?;
        Ok(Self {
            id,
            file: row.file.as_deref().map_or(Ok(id), parse_id)?,
            received_file: row.received_file.as_deref().map(parse_id).transpose()?,
            kind: row
                .kind
                .parse()
                .map_err(|()| sqlx::Error::Decode(format!("unknown kind of media {:?}", row.kind).into()))?,
            status: row
                .status
                .parse()
                .map_err(|()| sqlx::Error::Decode(format!("unknown media status {:?}", row.status).into()))?,
            failure: row.failure,
            name: row.name,
            description: row.description,
            tags: row.tags,
            mime_type: row.mime_type,
            size: row.size,
            width: row.width,
            height: row.height,
            thumbhash: row.thumbhash,
            has_clipboard: row.clipboard,
            captured_at: row.captured_at,
            camera: row.camera,
            has_location: row.has_location,
            duration_ms: row.duration_ms,
            codec: row.codec,
            has_audio: row.has_audio,
            ocr_text: row.ocr_text,
            uploader_id: row.uploader_id,
            uploader: row.uploader,
            created_at: row.created_at,
            listed_at: row.listed_at,
            updated_at: row.updated_at,
            deleted_at: row.deleted_at,
            version: row.version,
        })
    }
}

/// Reads an id from a column.
pub fn parse_id(text: &str) -> sqlx::Result<MediaId> {
    text.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))
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
