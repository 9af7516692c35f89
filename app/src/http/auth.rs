//! Signing up, logging in, and the gate that every protected handler has in its arguments.

use axum::{
    Json,
    extract::{FromRequestParts, State, rejection::JsonRejection},
    http::{StatusCode, header::AUTHORIZATION, request::Parts},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use time::OffsetDateTime;
use uuid::Uuid;

use super::error::ApiError;
use crate::{
    account::{self, Account},
    password::Passwords,
    state::{AppState, Shared},
    token::Tokens,
};

/// A password's shortest length in characters. NIST SP 800-63B asks for 8 at least; length is what protects.
const MIN_PASSWORD: usize = 10;

/// A password's greatest length in bytes, so that hashing cannot be fed without end.
const MAX_PASSWORD: usize = 256;

/// Passwords, tokens and who may sign up.
pub struct Gatekeeper {
    passwords: Passwords,
    tokens: Tokens,
    bootstrap_token: SecretString,
}

/// The gate: a handler with this argument is reached only with a valid token of an account that exists.
pub struct SignedIn(pub Account);

/// What signing up takes.
#[derive(Deserialize)]
pub struct Registration {
    username: String,
    password: SecretString,
    bootstrap_token: SecretString,
}

/// What logging in takes.
#[derive(Deserialize)]
pub struct LogIn {
    username: String,
    password: SecretString,
}

/// A fresh token.
#[derive(Serialize)]
pub struct Token {
    token: String,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

/// Who is signed in.
#[derive(Serialize)]
pub struct Me {
    id: Uuid,
    username: String,
}

impl Gatekeeper {
    /// Signs tokens with `jwt_secret`; lets the first account in with `bootstrap_token`.
    pub fn new(jwt_secret: &SecretString, bootstrap_token: SecretString) -> Self {
        Self { passwords: Passwords::default(), tokens: Tokens::new(jwt_secret), bootstrap_token }
    }

    fn issue(&self, account: &Account) -> Result<Token, ApiError> {
        let issued = self.tokens.issue(account.id).map_err(ApiError::internal)?;
        Ok(Token { token: issued.token.expose_secret().to_owned(), expires_at: issued.expires_at })
    }
}

/// `POST /api/auth/register`: makes the first account.
///
/// # Errors
/// 403 `bootstrap_closed` once there is an account, 403 `bad_bootstrap_token`, 400 `invalid_username`, 400
/// `weak_password`.
pub async fn register(
    State(state): State<AppState>,
    body: Result<Json<Registration>, JsonRejection>,
) -> Result<(StatusCode, Json<Token>), ApiError> {
    let registration = read(body)?;
    let closed = || ApiError::new(StatusCode::FORBIDDEN, "bootstrap_closed", "the first account has been made already");
    if account::any(&state.db).await? {
        return Err(closed());
    }
    let keeper = &state.gatekeeper;
    let shown = registration.bootstrap_token.expose_secret().as_bytes();
    if !bool::from(shown.ct_eq(keeper.bootstrap_token.expose_secret().as_bytes())) {
        let message = "this is not the bootstrap token of this service";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "bad_bootstrap_token", message));
    }
    check_username(&registration.username)?;
    check_password(&registration.password)?;
    let hash = keeper.passwords.hash(registration.password).await?;
    let account = account::create_first(&state.db, &registration.username, &hash).await?.ok_or_else(closed)?;
    tracing::info!(account = %account.id, "the first account has been made");
    Ok((StatusCode::CREATED, Json(keeper.issue(&account)?)))
}

/// `POST /api/auth/login`: a token for a user name and password.
///
/// # Errors
/// 401 `bad_credentials`, the same and as slow for an unknown user; 429 `too_many_attempts` or `busy`.
pub async fn login(
    State(state): State<AppState>,
    body: Result<Json<LogIn>, JsonRejection>,
) -> Result<Json<Token>, ApiError> {
    let LogIn { username, password } = read(body)?;
    let refused = || ApiError::new(StatusCode::UNAUTHORIZED, "bad_credentials", "wrong user name or password");
    if username.len() > 4 * 64 || password.expose_secret().len() > MAX_PASSWORD {
        return Err(refused());
    }
    // PostgreSQL's text cannot hold it, and no account can have it.
    if username.contains('\0') {
        return Err(refused());
    }
    let known = account::credentials(&state.db, &username).await?;
    let (account, hash) = known.map(|known| (known.account, known.password_hash)).unzip();
    let matches = state.gatekeeper.passwords.check(&username, password, hash).await?;
    let account = account.filter(|_| matches).ok_or_else(refused)?;
    Ok(Json(state.gatekeeper.issue(&account)?))
}

/// `GET /api/auth/me`: who is signed in.
pub async fn me(SignedIn(account): SignedIn) -> Json<Me> {
    Json(Me { id: account.id, username: account.username })
}

impl FromRequestParts<AppState> for SignedIn {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let id = bearer(parts).and_then(|token| state.gatekeeper.tokens.account(token).ok());
        let Shared { db, .. } = &**state;
        let account = account::by_id(db, id.ok_or_else(ApiError::unauthorized)?).await?;
        account.map(SignedIn).ok_or_else(ApiError::unauthorized)
    }
}

fn bearer(parts: &Parts) -> Option<&str> {
    let (scheme, token) = parts.headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The body, or what is wrong with it. The parser's own words may quote the body, and with it a password.
fn read<T>(body: Result<Json<T>, JsonRejection>) -> Result<T, ApiError> {
    match body {
        Ok(Json(value)) => Ok(value),
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Err(ApiError::of_status(StatusCode::PAYLOAD_TOO_LARGE))
        }
        Err(_) => Err(ApiError::bad_request("bad_json", "the body is not the JSON object that is expected here")),
    }
}

fn check_username(username: &str) -> Result<(), ApiError> {
    let fits = (1..=64).contains(&username.len())
        && username.chars().all(|c| c.is_ascii_alphanumeric() || "._-+@".contains(c));
    let message = "a user name has 1 to 64 of the characters a-z, A-Z, 0-9, . _ - + @";
    if fits { Ok(()) } else { Err(ApiError::bad_request("invalid_username", message)) }
}

fn check_password(password: &SecretString) -> Result<(), ApiError> {
    let password = password.expose_secret();
    let fits = password.chars().count() >= MIN_PASSWORD && password.len() <= MAX_PASSWORD;
    let message = format!("a password has at least {MIN_PASSWORD} characters and at most {MAX_PASSWORD} bytes");
    if fits { Ok(()) } else { Err(ApiError::bad_request("weak_password", message)) }
}
