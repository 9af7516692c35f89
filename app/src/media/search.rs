//! Lists and searches the gallery: filters, full text, facets.

use sqlx::{PgPool, error::DatabaseError};
use time::{Date, OffsetDateTime};

use super::{Kind, Media, MediaId, Row};

/// Longer questions are cut: an eleventh word narrows hardly any search.
const MAX_WORDS: usize = 10;

/// In characters, each.
const MAX_WORD: usize = 40;

/// A question that finds more media than this is answered by going through them from the newest on.
const FEW: i64 = 2000;

/// Which media. What is `None` or empty does not filter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The words of the question; see [`words`] and [`beginnings`].
    pub words: Vec<String>,
    /// The name and the tags have something like each of these. For a question whose words no media has.
    pub nearly: Vec<String>,
    pub kind: Option<Kind>,
    /// The media has all of these.
    pub tags: Vec<String>,
    /// A user name.
    pub uploader: Option<String>,
    /// Listed at this time or later.
    pub from: Option<OffsetDateTime>,
    /// Listed before this time.
    pub to: Option<OffsetDateTime>,
    /// What is in the trash instead of what is not.
    pub trash: bool,
}

/// A media and, in a search, what was found in it.
#[derive(Clone, Debug)]
pub struct Found {
    pub media: Media,
    /// Text around what was found, with U+0002 before and U+0003 after each match.
    pub fragment: Option<String>,
}

/// A position in the order of the gallery: that of a media.
pub type Place = (OffsetDateTime, MediaId);

/// Where a page of a list starts.
#[derive(Clone, Copy, Debug)]
pub enum Start {
    /// At the newest.
    First,
    /// At the one that is `skip` places after the next older one of a place, or of the newest.
    Before { place: Option<Place>, skip: i64 },
    /// So that it ends at the next newer one of a place.
    After(Place),
}

/// A month that has media.
#[derive(Clone, Debug)]
pub struct Month {
    /// Its first day, in the time zone that was asked for.
    pub first_day: Date,
    pub count: i64,
    /// When the next one begins.
    pub ends_at: OffsetDateTime,
}

/// How many media have a value.
#[derive(Clone, Debug, serde::Serialize, schemars::JsonSchema)]
pub struct Count {
    pub value: String,
    pub count: i64,
}

/// The counts of the values that a filter's media have.
#[derive(Clone, Debug, Default, serde::Serialize, schemars::JsonSchema)]
pub struct Facets {
    pub types: Vec<Count>,
    /// The 100 commonest.
    pub tags: Vec<Count>,
    /// The 100 commonest, by user name.
    pub uploaders: Vec<Count>,
}

/// The words of a question: runs of letters and digits, in lower case.
pub fn words(question: &str) -> Vec<String> {
    let words = question.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.take(MAX_WORDS).map(|word| word.chars().take(MAX_WORD).collect::<String>().to_lowercase()).collect()
}

/// These words, of which any may not be typed to its end. Otherwise that is so of the last one only: `img_2041` need not look through all
/// media whose name begins with `img`.
pub fn beginnings(words: &[String]) -> Vec<String> {
    words.iter().map(|word| format!("{word}*")).collect()
}

/// Lists up to `limit` media, newest first. The query first takes ids, which an index has, in the one of two directions whose limit
/// is not 0. Of few media it takes all and sorts them: PostgreSQL expects more than there are, and would look for them among all others.
pub async fn list(db: &PgPool, filter: &Filter, limit: i64, start: Start) -> sqlx::Result<Vec<Found>> {
    let (place, older, skip, newer) = match start {
        Start::First => (None, limit, 0, 0),
        Start::Before { place, skip } => (place, limit, skip, 0),
        Start::After(place) => (Some(place), 0, 0, limit),
    };
    let (listed_at, id) = place.unzip();
    let few = finds_few(db, filter).await?;
    let rows = sqlx::query_as!(
        Row,
        r#"WITH found AS NOT MATERIALIZED (
             SELECT id, listed_at FROM media
             WHERE (cardinality($1::text[]) = 0 OR words @@ media_query($1))
               AND (cardinality($2::text[]) = 0 OR ($2[1] <% media_label(name, tags) AND media_label(name, tags) %> ALL ($2)))
               AND ($3::text IS NULL OR kind = $3)
               AND (cardinality($4::text[]) = 0 OR tags @> $4)
               AND ($5::text IS NULL OR uploader = (SELECT account.id FROM account WHERE lower(username) = lower($5)))
               AND ($6::timestamptz IS NULL OR listed_at >= $6)
               AND ($7::timestamptz IS NULL OR listed_at < $7)
               AND (deleted_at IS NOT NULL) = $8 AND listed_at > 'epoch'),
           page AS (
             (SELECT id FROM found
              WHERE $9::timestamptz IS NULL OR (listed_at, id) < ($9, $10 COLLATE "C")
              ORDER BY CASE WHEN $14 THEN listed_at + interval '0' ELSE listed_at END DESC, id DESC LIMIT $11 OFFSET $12)
             UNION ALL
             (SELECT id FROM found WHERE (listed_at, id) > ($9, $10 COLLATE "C")
              ORDER BY CASE WHEN $14 THEN listed_at + interval '0' ELSE listed_at END, id LIMIT $13))
         SELECT media.id, file, received_file, kind, status, failure, name, description, tags, mime_type, size, width, height, thumbhash,
                clipboard, captured_at, camera, has_location, duration_ms, codec, has_audio, ocr_text, uploader AS uploader_id,
                account.username AS uploader, media.created_at, listed_at, media.updated_at, deleted_at, version,
                CASE WHEN cardinality($1::text[]) > 0 THEN
                    ts_headline('english', concat_ws(' · ', name, nullif(description, ''), left(ocr_text, 20000)),
                                media_query($1), E'StartSel=\u0002, StopSel=\u0003, MaxFragments=1, MaxWords=20, MinWords=5')
                END AS fragment
         FROM page JOIN media ON media.id = page.id JOIN account ON account.id = media.uploader
         ORDER BY listed_at DESC, media.id DESC"#,
        &filter.words,
        &filter.nearly,
        filter.kind.map(Kind::as_str),
        &filter.tags,
        filter.uploader,
        filter.from,
        filter.to,
        filter.trash,
        listed_at,
        id.map(|id| id.to_string()),
        older,
        skip,
        newer,
        few
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|mut row| Ok(Found { fragment: row.fragment.take(), media: row.try_into()? })).collect()
}

/// Whether the words of a question find so few media that all of them are sorted.
async fn finds_few(db: &PgPool, filter: &Filter) -> sqlx::Result<bool> {
    if filter.words.is_empty() {
        return Ok(!filter.nearly.is_empty());
    }
    let found = sqlx::query_scalar!(
        r#"SELECT count(*) AS "found!" FROM (SELECT FROM media WHERE words @@ media_query($1) LIMIT $2) AS media"#,
        &filter.words,
        FEW + 1
    );
    Ok(found.fetch_one(db).await? <= FEW)
}

/// Counts the media of each month, the newest month first.
///
/// # Errors
/// [`is_unknown_zone`] tells whether PostgreSQL does not know the time zone.
pub async fn months(db: &PgPool, filter: &Filter, zone: &str) -> sqlx::Result<Vec<Month>> {
    // With OFFSET 0, the planner does not expect as many months as there are times, for which it would sort all rows.
    sqlx::query_as!(
        Month,
        r#"WITH found AS (
             SELECT date_trunc('month', listed_at AT TIME ZONE $9) AS month FROM media
             WHERE (cardinality($1::text[]) = 0 OR words @@ media_query($1))
               AND (cardinality($2::text[]) = 0 OR ($2[1] <% media_label(name, tags) AND media_label(name, tags) %> ALL ($2)))
               AND ($3::text IS NULL OR kind = $3)
               AND (cardinality($4::text[]) = 0 OR tags @> $4)
               AND ($5::text IS NULL OR uploader = (SELECT account.id FROM account WHERE lower(username) = lower($5)))
               AND ($6::timestamptz IS NULL OR listed_at >= $6)
               AND ($7::timestamptz IS NULL OR listed_at < $7)
               AND (deleted_at IS NOT NULL) = $8 AND listed_at > 'epoch'
             OFFSET 0)
         SELECT month::date AS "first_day!", count(*) AS "count!",
                (month + interval '1 month') AT TIME ZONE $9 AS "ends_at!"
         FROM found GROUP BY month ORDER BY month DESC"#,
        &filter.words,
        &filter.nearly,
        filter.kind.map(Kind::as_str),
        &filter.tags,
        filter.uploader,
        filter.from,
        filter.to,
        filter.trash,
        zone
    )
    .fetch_all(db)
    .await
}

/// Whether a query failed because PostgreSQL does not know the time zone, or has no times in it.
pub fn is_unknown_zone(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(DatabaseError::code).is_some_and(|code| ["22023", "22008"].contains(&&*code))
}

/// Counts the types, tags and uploaders of a filter's media.
pub async fn facets(db: &PgPool, filter: &Filter) -> sqlx::Result<Facets> {
    let counts = sqlx::query!(
        r#"WITH found AS MATERIALIZED (
             SELECT kind, tags, uploader FROM media
             WHERE (cardinality($1::text[]) = 0 OR words @@ media_query($1))
               AND (cardinality($2::text[]) = 0 OR ($2[1] <% media_label(name, tags) AND media_label(name, tags) %> ALL ($2)))
               AND ($3::text IS NULL OR kind = $3)
               AND (cardinality($4::text[]) = 0 OR tags @> $4)
               AND ($5::text IS NULL OR uploader = (SELECT account.id FROM account WHERE lower(username) = lower($5)))
               AND ($6::timestamptz IS NULL OR listed_at >= $6)
               AND ($7::timestamptz IS NULL OR listed_at < $7)
               AND (deleted_at IS NOT NULL) = $8 AND listed_at > 'epoch'),
           tag AS (SELECT tag, count(*) FROM found, unnest(tags) AS tag GROUP BY tag ORDER BY 2 DESC, 1 LIMIT 100),
           author AS (SELECT uploader, count(*) FROM found GROUP BY uploader ORDER BY 2 DESC LIMIT 100)
         SELECT 'type' AS "facet!", kind AS "value!", count(*) AS "count!" FROM found GROUP BY kind
         UNION ALL SELECT 'tag', tag, count FROM tag
         UNION ALL SELECT 'uploader', username, count FROM author JOIN account ON account.id = author.uploader
         ORDER BY 1, 3 DESC, 2"#,
        &filter.words,
        &filter.nearly,
        filter.kind.map(Kind::as_str),
        &filter.tags,
        filter.uploader,
        filter.from,
        filter.to,
        filter.trash
    );
    let mut facets = Facets::default();
    for row in counts.fetch_all(db).await? {
        let values = match row.facet.as_str() {
            "type" => &mut facets.types,
            "tag" => &mut facets.tags,
            _ => &mut facets.uploaders,
        };
        values.push(Count { value: row.value, count: row.count });
    }
    Ok(facets)
}

/// Up to `limit` tags of what is not in the trash that have this text in any case: those that begin with it first, then the commonest. The
/// table `tag` has a row for each tag, with its count.
pub async fn tags(db: &PgPool, text: &str, limit: i64) -> sqlx::Result<Vec<Count>> {
    sqlx::query_as!(
        Count,
        r#"SELECT value, media AS count FROM tag
         WHERE lower(value) LIKE '%' || replace(replace(replace(lower($1), '\', '\\'), '%', '\%'), '_', '\_') || '%'
         ORDER BY starts_with(lower(value), lower($1)) DESC, 2 DESC, 1 LIMIT $2"#,
        text,
        limit
    )
    .fetch_all(db)
    .await
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn a_question_becomes_words_without_meaning_to_the_database() {
        assert_eq!(words("Kesä-ilta & (sauna) | 'x':* \0 %_\\"), ["kesä", "ilta", "sauna", "x"]);
        assert_eq!(words("\u{202e}!?"), Vec::<String>::new());
        let long = words(&"ä".repeat(10_000));
        assert_eq!((long.len(), long[0].chars().count()), (1, 40));
        assert_eq!(words(&"a b ".repeat(5_000)).len(), 10);
    }
}
