//! `/api/shares`: users share media with people who have no account. `/api/shared`: what those see.
//!
//! All accounts share one gallery, so who can change media may share any of them: by a session, or by an API key with the scope
//! `manage`. A share is its maker's; admins list and revoke those of others, too.

use std::{collections::HashSet, convert::Infallible, sync::Arc};

use axum::{
    Json,
    extract::{FromRequestParts, Path, State},
    http::{HeaderValue, header::REFERRER_POLICY, request::Parts},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::future::try_join_all;
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use super::{
    access::{Manager, bearer_token},
    answers::{Answer, NoContent, NoStore},
    error::ApiError,
    json_body::JsonBody,
    media::FileUrls,
    openapi::{Input, Operation, Output},
    state::AppState,
    values::{Rfc3339 as Time, RowPath},
};
use crate::{
    auth::{Access, Authenticator, Client, MAX_PASSWORD_BYTES, MIN_PASSWORD_CHARS, Role},
    error_code::ErrorCode,
    media::{
        Kind, MediaId,
        shares::{self, Created, MAX_PER_ACCOUNT, NewShare, OpenShare, Share, SharedItem},
    },
    storage::{Storage, StorageError},
    validate,
};

const MAX_ITEMS: usize = 1000;

const MAX_TITLE_CHARS: usize = 200;

/// A leap year.
const MAX_LIFETIME: Duration = Duration::days(366);

/// What a guest gets: no cache keeps it, and no other site learns the token from an address.
pub struct Private<T>(T);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShareRequest {
    /// Ids of media, in the order in which guests see them. One that is there twice counts once.
    #[schemars(with = "Vec<MediaId>", length(min = 1, max = MAX_ITEMS))]
    items: Vec<String>,
    #[serde(default)]
    #[schemars(length(max = MAX_TITLE_CHARS), regex(pattern = validate::TAG_PATTERN))]
    title: String,
    /// In the future, within a year; it does not expire if missing.
    #[schemars(with = "Option<Time>")]
    expires_at: Option<String>,
    /// What guests have to know, with the limits of an account's; nothing if missing.
    #[schemars(with = "Option<String>", length(min = MIN_PASSWORD_CHARS, max = MAX_PASSWORD_BYTES))]
    password: Option<SecretString>,
}

#[derive(Serialize, JsonSchema)]
pub struct NewShareResponse {
    /// For `GET /api/shared/{token}`. It is not shown again.
    token: String,
    #[serde(flatten)]
    share: ShareResponse,
}

#[derive(Serialize, JsonSchema)]
pub struct SharesResponse {
    /// The newest first.
    items: Vec<ShareResponse>,
}

#[derive(Serialize, JsonSchema)]
pub struct ShareResponse {
    id: Uuid,
    title: String,
    /// User name.
    created_by: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Time")]
    created_at: OffsetDateTime,
    /// `null` if it does not expire.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<Time>")]
    expires_at: Option<OffsetDateTime>,
    has_password: bool,
    /// How many media it has.
    items: i64,
    /// How many of them guests see: those that are ready and not in the trash.
    shown: i64,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GuestRequest {
    #[schemars(with = "String")]
    password: SecretString,
}

#[derive(Serialize, JsonSchema)]
pub struct GuestResponse {
    /// The bearer token for `GET /api/shared/{token}`. It opens nothing else.
    token: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Time")]
    expires_at: OffsetDateTime,
}

/// What guests see.
#[derive(Serialize, JsonSchema)]
pub struct SharedResponse {
    title: String,
    /// `null` if it does not expire.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<Time>")]
    expires_at: Option<OffsetDateTime>,
    items: Vec<SharedItemResponse>,
}

#[derive(Serialize, JsonSchema)]
pub struct SharedItemResponse {
    name: String,
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(flatten)]
    urls: FileUrls,
    /// In bytes.
    size: i64,
    mime_type: String,
    /// In pixels, as displayed.
    width: i32,
    /// In pixels, as displayed.
    height: i32,
    /// Base64 of a thumbhash: about 25 bytes that a client turns into a blurred placeholder.
    thumbhash: Option<String>,
    /// In milliseconds; `null` for pictures.
    duration_ms: Option<i64>,
}

/// `POST /api/shares`: creates a share.
pub async fn create(
    State(db): State<PgPool>,
    State(authenticator): State<Arc<Authenticator>>,
    Manager(access): Manager,
    JsonBody(request): JsonBody<ShareRequest>,
) -> Result<Answer<201, NoStore<NewShareResponse>>, ApiError> {
    let items = parse_items(&request.items)?;
    let expires_at = request.expires_at.as_deref().map(parse_expiry).transpose()?;
    if request.title.chars().count() > MAX_TITLE_CHARS || request.title.chars().any(char::is_control) {
        let message = format!("a title must have at most {MAX_TITLE_CHARS} characters and no control characters");
        return Err(ApiError::new(ErrorCode::InvalidTitle, message));
    }
    let password_hash = match request.password {
        Some(password) => Some(authenticator.hash_share_password(password).await?),
        None => None,
    };
    let new = NewShare {
        account: access.account.id,
        title: &request.title,
        items: &items,
        password_hash: password_hash.as_deref(),
        expires_at,
    };
    match shares::create(&db, &new).await? {
        Created::New(share, token) => {
            tracing::info!(share = %share.id, account = %access.account.id, items = share.items, "created a share");
            let body = NewShareResponse { token: token.expose_secret().to_owned(), share: share.into() };
            Ok(Answer(NoStore(body)))
        }
        Created::UnknownItem => Err(invalid_items("one of the items does not exist, has failed, or is in the trash")),
        Created::TooMany => {
            let message = format!("an account has at most {MAX_PER_ACCOUNT} shares; revoke those that are not needed");
            Err(ApiError::new(ErrorCode::TooManyShares, message))
        }
    }
}

/// `GET /api/shares`: the user's own shares, all shares for an admin; also those that have expired.
pub async fn list(State(db): State<PgPool>, Manager(access): Manager) -> Result<Json<SharesResponse>, ApiError> {
    let items = shares::list(&db, maker(&access)).await?.into_iter().map(ShareResponse::from).collect();
    Ok(Json(SharesResponse { items }))
}

/// `DELETE /api/shares/{id}`: revokes a share.
pub async fn delete(
    State(db): State<PgPool>,
    Manager(access): Manager,
    RowPath(id): RowPath,
) -> Result<NoContent, ApiError> {
    let deleted = shares::delete(&db, id, maker(&access)).await?;
    if deleted { Ok(Answer(())) } else { Err(ApiError::not_found()) }
}

/// `GET /api/shared/{token}`: what a share shows. If it has a password, with the bearer token of [`open`]. 404 in the same
/// way for a token that is unknown, revoked or expired.
pub async fn get(
    State(db): State<PgPool>,
    State(storage): State<Arc<Storage>>,
    State(authenticator): State<Arc<Authenticator>>,
    Shared(share): Shared,
    Guest(guest): Guest,
) -> Result<Private<SharedResponse>, ApiError> {
    if share.password_hash.is_some() && !guest.is_some_and(|token| authenticator.has_opened(share.id, &token)) {
        let message = "this share has a password; POST it to the path `session` below this one to get a bearer token";
        return Err(ApiError::new(ErrorCode::PasswordRequired, message));
    }
    let items = shares::items(&db, share.id).await?;
    let items = try_join_all(items.into_iter().map(|item| SharedItemResponse::new(item, &storage))).await?;
    Ok(Private(SharedResponse { title: share.title, expires_at: share.expires_at, items }))
}

/// `POST /api/shared/{token}/session`: opens a share that has a password.
pub async fn open(
    State(authenticator): State<Arc<Authenticator>>,
    Shared(share): Shared,
    client: Client,
    JsonBody(request): JsonBody<GuestRequest>,
) -> Result<Private<GuestResponse>, ApiError> {
    let no_password = || ApiError::new(ErrorCode::NoPassword, "this share has no password: get it");
    let hash = share.password_hash.ok_or_else(no_password)?;
    let session = authenticator.open_share(share.id, hash, request.password, client.address).await?;
    let body = GuestResponse { token: session.token.expose_secret().to_owned(), expires_at: session.expires_at };
    Ok(Private(body))
}

impl<T: Serialize> IntoResponse for Private<T> {
    fn into_response(self) -> Response {
        ([(REFERRER_POLICY, HeaderValue::from_static("no-referrer"))], NoStore(self.0)).into_response()
    }
}

impl<T: JsonSchema> Output for Private<T> {
    fn describe(operation: &mut Operation<'_>) {
        NoStore::<T>::describe(operation);
    }
}

/// The share of the token in the path. Each token takes one look-up; one that opens no share takes nothing else, so its time tells
/// nothing.
pub struct Shared(OpenShare);

impl FromRequestParts<AppState> for Shared {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let token = Path::<String>::from_request_parts(parts, state).await.map_err(|_| ApiError::not_found())?;
        shares::find(&state.db, &token).await?.map(Self).ok_or_else(ApiError::not_found)
    }
}

impl Input for Shared {
    fn describe(operation: &mut Operation<'_>) {
        operation.share_token();
    }
}

/// The bearer token of the request, if it has one: that of [`open`] for a share that has a password.
pub struct Guest(Option<SecretString>);

impl<S: Send + Sync> FromRequestParts<S> for Guest {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(bearer_token(&parts.headers).map(SecretString::from)))
    }
}

impl Input for Guest {
    fn describe(operation: &mut Operation<'_>) {
        operation.allow_without_or_with("share_session");
    }
}

/// Whose shares a caller manages; `null` for all.
fn maker(access: &Access) -> Option<Uuid> {
    (access.role != Role::Admin).then_some(access.account.id)
}

fn parse_items(items: &[String]) -> Result<Vec<MediaId>, ApiError> {
    if items.is_empty() || items.len() > MAX_ITEMS {
        return Err(invalid_items("items must have 1 to 1000 ids of media"));
    }
    let mut seen = HashSet::new();
    let ids: Result<Vec<MediaId>, _> = items.iter().map(|id| id.parse()).collect();
    let mut ids = ids.map_err(|_| invalid_items("each item must be the id of a media"))?;
    ids.retain(|id| seen.insert(*id));
    Ok(ids)
}

fn parse_expiry(text: &str) -> Result<OffsetDateTime, ApiError> {
    let now = OffsetDateTime::now_utc();
    OffsetDateTime::parse(text, &Rfc3339).ok().filter(|at| *at > now && *at <= now + MAX_LIFETIME).ok_or_else(|| {
        let message = "expires_at must be a time such as 2026-01-31T12:00:00Z, in the future and within a year";
        ApiError::new(ErrorCode::InvalidExpiry, message)
    })
}

fn invalid_items(message: &str) -> ApiError {
    ApiError::new(ErrorCode::InvalidItems, message)
}

impl From<Share> for ShareResponse {
    fn from(share: Share) -> Self {
        let Share { id, title, created_by, created_at, expires_at, has_password, items, shown } = share;
        Self { id, title, created_by, created_at, expires_at, has_password, items, shown }
    }
}

impl SharedItemResponse {
    async fn new(item: SharedItem, storage: &Storage) -> Result<Self, StorageError> {
        Ok(Self {
            urls: FileUrls::new(storage, item.file, item.has_clipboard, item.updated_at).await?,
            name: item.name,
            kind: item.kind,
            size: item.size,
            mime_type: item.mime_type,
            width: item.width,
            height: item.height,
            thumbhash: item.thumbhash.map(|hash| BASE64_STANDARD.encode(hash)),
            duration_ms: item.duration_ms,
        })
    }
}
