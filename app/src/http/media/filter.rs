//! Which media a list, its facets and its timeline are of.

use schemars::JsonSchema;
use serde::Deserialize;
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

use crate::{
    error_code::ErrorCode,
    http::{error::ApiError, values::Rfc3339 as Rfc3339Schema},
    media::{
        Kind,
        search::{self, Filter},
    },
};

/// PostgreSQL has no texts with NUL.
pub const NO_NUL: &str = r"^[^\u0000]*$";

/// Which media. The query string has single values; `tag` holds several, separated by commas.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FilterQuery {
    /// Words that the name, the description, the tags or the recognised text have.
    q: Option<String>,
    #[schemars(with = "Option<Kind>")]
    r#type: Option<String>,
    /// Tags that it has, separated by commas.
    #[schemars(regex(pattern = NO_NUL))]
    tag: Option<String>,
    /// A user name.
    #[schemars(regex(pattern = NO_NUL))]
    uploader: Option<String>,
    /// Listed then or later.
    #[schemars(with = "Option<Rfc3339Schema>")]
    from: Option<String>,
    /// Listed before.
    #[schemars(with = "Option<Rfc3339Schema>")]
    to: Option<String>,
    /// What is in the trash instead.
    trash: bool,
}

impl FilterQuery {
    /// The filter; `null` if nothing can match: a question of no letters and digits.
    pub fn filter(&self) -> Result<Option<Filter>, ApiError> {
        let time = |text: &Option<String>| {
            let Some(text) = text.as_deref() else { return Ok(None) };
            let parsed = OffsetDateTime::parse(text, &Rfc3339).ok();
            // The last hours of the year 9999 have no time in UTC.
            let parsed = parsed.and_then(|time| time.checked_to_offset(UtcOffset::UTC));
            parsed.map(Some).ok_or_else(|| bad_filter("from and to must be times such as 2026-01-31T12:00:00Z"))
        };
        let text = |text: &Option<String>| match text {
            Some(text) if text.contains('\0') => Err(bad_filter("the query string must not contain NUL")),
            text => Ok(text.clone()),
        };
        let question = self.q.as_deref().map(str::trim).filter(|question| !question.is_empty());
        let words = question.map(search::words).unwrap_or_default();
        let kind = self.r#type.as_deref().map(str::parse).transpose();
        let tags = text(&self.tag)?.unwrap_or_default();
        let matches_nothing = question.is_some() && words.is_empty();
        let filter = Filter {
            words,
            nearly: Vec::new(),
            kind: kind.map_err(|()| bad_filter("type must be image or video"))?,
            tags: tags.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect(),
            uploader: text(&self.uploader)?,
            from: time(&self.from)?,
            to: time(&self.to)?,
            trash: self.trash,
        };
        // Also then, the rest of the query string must be right.
        Ok((!matches_nothing).then_some(filter))
    }
}

pub fn bad_query() -> ApiError {
    bad_filter("trash must be true or false")
}

pub fn bad_filter(message: &str) -> ApiError {
    ApiError::new(ErrorCode::BadFilter, message)
}
