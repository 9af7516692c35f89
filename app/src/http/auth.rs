//! `/api/auth`: registration, log-in and log-out, and the account of the request.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, header::SET_COOKIE},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    access::SignedIn,
    answers::{Answer, NoContent, NoStore},
    client::device_cookie,
    error::ApiError,
    json_body::JsonBody,
    openapi::{Operation, Output},
    values::Rfc3339,
};
use crate::{
    auth::{
        Access, Authenticator, Client, LogIn, MAX_PASSWORD_BYTES, MAX_USERNAME_BYTES, MIN_PASSWORD_CHARS, Project,
        Role, Scope, Session, session,
    },
    error_code::ErrorCode,
};

#[derive(Deserialize, JsonSchema)]
pub struct RegisterRequest {
    #[schemars(length(min = 1, max = MAX_USERNAME_BYTES), regex(pattern = r"^[a-zA-Z0-9._+@-]*$"))]
    username: String,
    /// At most 256 bytes of UTF-8.
    #[schemars(with = "String", length(min = MIN_PASSWORD_CHARS, max = MAX_PASSWORD_BYTES))]
    password: SecretString,
    /// For the first account.
    #[schemars(with = "Option<String>")]
    bootstrap_token: Option<SecretString>,
    /// The token of an invite, for all other accounts.
    #[schemars(with = "Option<String>")]
    invite: Option<SecretString>,
}

#[derive(Deserialize, JsonSchema)]
pub struct LoginRequest {
    username: String,
    #[schemars(with = "String")]
    password: SecretString,
}

#[derive(Deserialize, JsonSchema)]
pub struct PasswordRequest {
    #[schemars(with = "String")]
    old_password: SecretString,
    /// At most 256 bytes of UTF-8.
    #[schemars(with = "String", length(min = MIN_PASSWORD_CHARS, max = MAX_PASSWORD_BYTES))]
    new_password: SecretString,
}

#[derive(Serialize, JsonSchema)]
pub struct TokenResponse {
    token: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Rfc3339")]
    expires_at: OffsetDateTime,
}

/// A token, and the cookie by which the device is known at its next log-in.
pub struct LoggedIn {
    cookie: HeaderValue,
    body: TokenResponse,
}

#[derive(Serialize, JsonSchema)]
pub struct BootstrapResponse {
    /// Whether there is no account yet: the bootstrap token creates the first one.
    is_open: bool,
    /// The project that keeps the accounts, if the service does not: users log in there.
    supabase: Option<SupabaseResponse>,
}

#[derive(Serialize, JsonSchema)]
pub struct SupabaseResponse {
    /// Without a slash at its end.
    url: String,
    /// The public key of the project.
    publishable_key: String,
}

#[derive(Serialize, JsonSchema)]
pub struct MeResponse {
    id: Uuid,
    username: String,
    role: Role,
    /// What the token allows; all scopes if it is of a session.
    scopes: BTreeSet<Scope>,
}

/// `GET /api/auth/bootstrap`: of the accounts it tells no more than an attempt to register would.
pub async fn bootstrap(State(authenticator): State<Arc<Authenticator>>) -> Result<Json<BootstrapResponse>, ApiError> {
    let supabase = authenticator.project().cloned();
    let supabase = supabase.map(|Project { url, publishable_key }| SupabaseResponse { url, publishable_key });
    Ok(Json(BootstrapResponse { is_open: authenticator.awaits_first().await?, supabase }))
}

/// `POST /api/auth/register`: creates an account and logs it in, by the bootstrap token or by an invite.
pub async fn register(
    State(authenticator): State<Arc<Authenticator>>,
    client: Client,
    headers: HeaderMap,
    JsonBody(request): JsonBody<RegisterRequest>,
) -> Result<Answer<201, LoggedIn>, ApiError> {
    let RegisterRequest { username, password, bootstrap_token, invite } = request;
    let log_in = match (bootstrap_token, invite) {
        (Some(token), None) => authenticator.register_first(&username, password, &token, &client).await?,
        (None, Some(invite)) => authenticator.register_invited(&username, password, &invite, &client).await?,
        _ => return Err(ApiError::new(ErrorCode::BadJson, "the body needs either bootstrap_token or invite")),
    };
    Ok(Answer(LoggedIn::new(&log_in, &headers)?))
}

/// `POST /api/auth/login`: starts a session.
pub async fn login(
    State(authenticator): State<Arc<Authenticator>>,
    client: Client,
    headers: HeaderMap,
    JsonBody(LoginRequest { username, password }): JsonBody<LoginRequest>,
) -> Result<LoggedIn, ApiError> {
    let log_in = authenticator.log_in(&username, password, &client).await?;
    LoggedIn::new(&log_in, &headers)
}

/// `POST /api/auth/logout`: ends the session of the request. One at Supabase ends there.
pub async fn logout(State(db): State<PgPool>, user: SignedIn) -> Result<NoContent, ApiError> {
    if let Session::Own(session) = user.session {
        session::delete(&db, user.account.id, session).await?;
    }
    Ok(Answer(()))
}

/// `POST /api/auth/password`: changes the password and ends the account's other sessions; its API keys stay.
pub async fn change_password(
    State(authenticator): State<Arc<Authenticator>>,
    user: SignedIn,
    JsonBody(PasswordRequest { old_password, new_password }): JsonBody<PasswordRequest>,
) -> Result<NoContent, ApiError> {
    authenticator.change_password(user.account.id, user.session, old_password, new_password).await?;
    Ok(Answer(()))
}

/// `GET /api/auth/me`
pub async fn me(access: Access) -> Json<MeResponse> {
    Json(MeResponse {
        id: access.account.id,
        username: access.account.username,
        role: access.role,
        scopes: access.scopes,
    })
}

impl LoggedIn {
    fn new(log_in: &LogIn, request: &HeaderMap) -> Result<Self, ApiError> {
        let body = TokenResponse { token: log_in.token.expose_secret().to_owned(), expires_at: log_in.expires_at };
        Ok(Self { cookie: device_cookie(&log_in.device_token, request)?, body })
    }
}

impl IntoResponse for LoggedIn {
    fn into_response(self) -> Response {
        ([(SET_COOKIE, self.cookie)], NoStore(self.body)).into_response()
    }
}

impl Output for LoggedIn {
    fn describe(operation: &mut Operation<'_>) {
        NoStore::<TokenResponse>::describe(operation);
        operation.answer_header("Set-Cookie", "By which the device is known at its next log-in");
    }
}
