//! `GET /api/media/timeline`: how a list is spread over time, so that a client can go to any part of it at once.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use super::{
    access::Reader,
    error::ApiError,
    media::{FilterQuery, bad_filter, bad_query, cursor},
};
use crate::media::{
    MediaId,
    search::{self, Month},
};

const ZONE: &str = r"^[A-Za-z0-9_+/-]{1,64}$";

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ZoneQuery {
    /// The time zone of the months, by its name in the IANA database, such as `Europe/Helsinki`; UTC if missing.
    #[schemars(regex(pattern = ZONE))]
    zone: Option<String>,
}

#[derive(Default, Serialize, JsonSchema)]
pub struct TimelineResponse {
    /// Those that have media, the newest first.
    months: Vec<MonthResponse>,
}

#[derive(Serialize, JsonSchema)]
pub struct MonthResponse {
    /// Such as `2026-01`.
    month: String,
    count: i64,
    /// The value of `before` for the page of the list that starts with the month; `skip` leads on within it.
    before: String,
}

/// Takes the filters of the list.
pub async fn get(
    State(db): State<PgPool>,
    _: Reader,
    zone: Result<Query<ZoneQuery>, QueryRejection>,
    filter: Result<Query<FilterQuery>, QueryRejection>,
) -> Result<Json<TimelineResponse>, ApiError> {
    let unknown_zone = || bad_filter("zone must be the name of a time zone, such as Europe/Helsinki");
    let Query(zone) = zone.map_err(|_| unknown_zone())?;
    let Query(filter) = filter.map_err(|_| bad_query())?;
    let zone = zone.zone.as_deref().unwrap_or("UTC");
    let is_name = (1..=64).contains(&zone.len())
        && zone.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+/-".contains(&byte));
    if !is_name {
        return Err(unknown_zone());
    }
    let Some(filter) = filter.filter()? else { return Ok(Json(TimelineResponse::default())) };
    let months = search::months(&db, &filter, zone).await.map_err(|error| match search::is_unknown_zone(&error) {
        true => unknown_zone(),
        false => error.into(),
    })?;
    Ok(Json(TimelineResponse { months: months.iter().map(MonthResponse::new).collect() }))
}

impl MonthResponse {
    fn new(month: &Month) -> Self {
        let (year, number) = (month.first_day.year(), u8::from(month.first_day.month()));
        Self {
            month: format!("{year:04}-{number:02}"),
            count: month.count,
            before: cursor(month.ends_at, MediaId::LOWEST),
        }
    }
}
