//! Accounts: registers, logs in, and authenticates requests. It knows nothing of HTTP.
//!
//! Authentication is one function, from a token to an [`Access`]: a log-in token is signed and names a session, an API key is
//! random. Both need their row, so that both can be revoked. Where Supabase keeps the accounts, a log-in token is Supabase's; its
//! user gets a row when the first one is seen, which media and API keys name.

mod access;
mod account;
pub mod api_key;
mod guest;
pub mod invite;
mod jwks;
pub mod members;
mod password;
pub mod secret_token;
pub mod session;
mod signatures;
mod supabase;
mod throttle;
mod token;
mod upload;

use std::{net::IpAddr, sync::Arc};

use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use sqlx::PgPool;
use subtle::ConstantTimeEq;
use time::OffsetDateTime;
use uuid::Uuid;

pub use access::{Access, Role, Scope, Session};
pub use account::Account;
use account::Invited;
pub use jwks::{Keys, NoKeys};
use members::MemberError;
pub use password::PasswordError;
use password::PasswordHasher;
pub use supabase::{Project, Supabase};
use throttle::{Attempt, LoginThrottle, TooManyAttempts};
use token::{DeviceToken, SessionToken, TokenSigner};

use crate::db;

/// NIST SP 800-63B requires at least 8 characters.
pub const MIN_PASSWORD_CHARS: usize = 10;

/// Bounds the work of hashing a password.
pub const MAX_PASSWORD_BYTES: usize = 256;

pub const MAX_USERNAME_BYTES: usize = 64;

/// Registers, logs in and authenticates accounts.
pub struct Authenticator {
    db: PgPool,
    passwords: PasswordHasher,
    throttle: Arc<LoginThrottle>,
    tokens: TokenSigner,
    api_keys: api_key::Lookup,
    sessions: session::Lookup,
    bootstrap_token: SecretString,
    /// None where this service keeps the accounts.
    supabase: Option<Supabase>,
}

/// Where a registration or log-in comes from.
#[derive(Clone, Debug)]
pub struct Client {
    pub address: IpAddr,
    /// Kept from an earlier log-in, if any.
    pub device_token: Option<SecretString>,
    /// Shown in the list of sessions.
    pub user_agent: String,
}

/// The outcome of a registration or log-in.
pub struct LogIn {
    /// The bearer token.
    pub token: SecretString,
    pub expires_at: OffsetDateTime,
    /// For the client to keep: later log-ins that send it along are not slowed down by those of others. It allows nothing else.
    pub device_token: SecretString,
}

#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    #[error("the first account already exists")]
    BootstrapClosed,
    #[error("the bootstrap token is wrong")]
    BadBootstrapToken,
    #[error("the invite does not exist, is used, or has expired")]
    BadInvite,
    #[error("a user name must have 1 to {MAX_USERNAME_BYTES} characters from a-z, A-Z, 0-9, . _ - + @")]
    InvalidUsername,
    #[error("this user name is taken")]
    UsernameTaken,
    #[error("a password must have at least {MIN_PASSWORD_CHARS} characters and at most {MAX_PASSWORD_BYTES} bytes")]
    WeakPassword,
    #[error("wrong user name or password")]
    BadCredentials,
    #[error("the password is wrong")]
    WrongPassword,
    #[error("Supabase keeps the accounts: register, log in and change passwords there")]
    KeptElsewhere,
    #[error(transparent)]
    NoKeys(#[from] NoKeys),
    #[error(transparent)]
    TooManyAttempts(#[from] TooManyAttempts),
    #[error(transparent)]
    Member(#[from] MemberError),
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error("signing the token failed: {0}")]
    Token(#[from] jsonwebtoken::errors::Error),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Authenticator {
    /// `jwt_secret` signs the tokens; `bootstrap_token` authorizes the first registration; `max_hashes` passwords are
    /// hashed in parallel. With `supabase`, users register and log in there.
    pub fn new(
        db: PgPool,
        jwt_secret: &SecretString,
        bootstrap_token: SecretString,
        max_hashes: usize,
        supabase: Option<Supabase>,
    ) -> Self {
        Self {
            api_keys: api_key::lookup(db.clone()),
            sessions: session::lookup(db.clone()),
            db,
            passwords: PasswordHasher::new(max_hashes),
            throttle: Arc::default(),
            tokens: TokenSigner::new(jwt_secret),
            bootstrap_token,
            supabase,
        }
    }

    /// The project at Supabase that keeps the accounts, if one does.
    pub fn project(&self) -> Option<&Project> {
        self.supabase.as_ref().map(|supabase| &supabase.project)
    }

    /// Whether there is no account yet, so that the bootstrap token creates the first one.
    pub async fn awaits_first(&self) -> Result<bool, AuthError> {
        Ok(self.supabase.is_none() && !account::any_exists(&self.db).await?)
    }

    /// Creates the first account, an admin, and logs it in. Fails with `BootstrapClosed` once an account exists.
    pub async fn register_first(
        &self,
        username: &str,
        password: SecretString,
        bootstrap_token: &SecretString,
        client: &Client,
    ) -> Result<LogIn, AuthError> {
        self.keeps_accounts()?;
        if account::any_exists(&self.db).await? {
            return Err(AuthError::BootstrapClosed);
        }
        let given = bootstrap_token.expose_secret().as_bytes();
        if !bool::from(given.ct_eq(self.bootstrap_token.expose_secret().as_bytes())) {
            return Err(AuthError::BadBootstrapToken);
        }
        let hash = self.hash_new(username, password).await?;
        let account = account::create_first(&self.db, username, &hash).await?.ok_or(AuthError::BootstrapClosed)?;
        tracing::info!(%account, "created the first account");
        self.start_session(account, &hash, None, client).await
    }

    /// Creates an account with an invite, which that uses up, and logs it in.
    pub async fn register_invited(
        &self,
        username: &str,
        password: SecretString,
        invite: &SecretString,
        client: &Client,
    ) -> Result<LogIn, AuthError> {
        self.keeps_accounts()?;
        let invite = secret_token::sha256(invite.expose_secret());
        // Before the work of hashing, and before it tells anything about user names.
        if !invite::is_valid(&self.db, &invite).await? {
            return Err(AuthError::BadInvite);
        }
        let hash = self.hash_new(username, password).await?;
        let account = match account::create_invited(&self.db, username, &hash, &invite).await? {
            Invited::Created(account) => account,
            Invited::InvalidInvite => return Err(AuthError::BadInvite),
            Invited::UsernameTaken => return Err(AuthError::UsernameTaken),
        };
        tracing::info!(%account, "created an account by invite");
        self.start_session(account, &hash, None, client).await
    }

    /// Checks a password and starts a session. A user name that is unknown, or that cannot be registered, and a wrong password
    /// give the same error and take the same time.
    pub async fn log_in(&self, username: &str, password: SecretString, client: &Client) -> Result<LogIn, AuthError> {
        self.keeps_accounts()?;
        let found = match check_username(username) {
            Ok(()) => db::retried(|| account::find_credentials(&self.db, username)).await?,
            Err(_) => None,
        };
        let (account, hash) = found.map(|found| (found.account, found.password_hash)).unzip();
        let device = self.known_device(client, account);
        let attempt = match device {
            Some(device) => LoginThrottle::by_known_device(device),
            None => self.throttle.by_stranger(account, username, client.address),
        };
        let matches = self.verify(&attempt, password, hash.clone()).await?;
        let (account, hash) = account.zip(hash).filter(|_| matches).ok_or(AuthError::BadCredentials)?;
        self.start_session(account, &hash, device, client).await
    }

    /// Changes the password of the account and ends its other sessions.
    pub async fn change_password(
        &self,
        account: Uuid,
        session: Session,
        old: SecretString,
        new: SecretString,
    ) -> Result<(), AuthError> {
        let Session::Own(session) = session else { return Err(AuthError::KeptElsewhere) };
        check_password(&new)?;
        let old_hash = account::password_hash(&self.db, account).await?.ok_or(AuthError::WrongPassword)?;
        let attempt = LoginThrottle::by_owner(account);
        if !self.verify(&attempt, old, Some(old_hash.clone())).await? {
            return Err(AuthError::WrongPassword);
        }
        let new_hash = self.passwords.slot().await?.hash(new).await?;
        let changed = account::replace_password(&self.db, account, &old_hash, &new_hash, session).await?;
        // Otherwise a concurrent request has changed it.
        if !changed {
            return Err(AuthError::WrongPassword);
        }
        tracing::info!(%account, "changed a password");
        Ok(())
    }

    /// Deletes the account of a user who knows its password; see [`members::delete`].
    pub async fn delete_own_account(&self, account: Uuid, password: SecretString) -> Result<(), AuthError> {
        self.keeps_accounts()?;
        let hash = account::password_hash(&self.db, account).await?;
        if !self.verify(&LoginThrottle::by_owner(account), password, hash).await? {
            return Err(AuthError::WrongPassword);
        }
        members::delete(&self.db, account, account).await?;
        tracing::info!(%account, "an account was deleted by its user");
        Ok(())
    }

    /// The access of a token; `None` if the token is invalid, expired or revoked, or if its account is deleted.
    ///
    /// # Errors
    /// `NoKeys` if nothing can be said about a token of Supabase, else `Database`.
    pub fn authenticate<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Option<Access>, AuthError>> {
        // Boxed, so that it is compiled once: the body of an `async fn` is compiled for each part of the crate that awaits it.
        Box::pin(async move {
            if token.starts_with(api_key::PREFIX) {
                return Ok(api_key::authenticate(&self.db, &self.api_keys, token).await?);
            }
            if let Some(supabase) = &self.supabase {
                let Some(visitor) = supabase.verify(token).await? else { return Ok(None) };
                let found =
                    db::retried(|| account::find_or_create(&self.db, visitor.id, visitor.name.as_deref())).await?;
                let Some((account, mut role)) = found else { return Ok(None) };
                if visitor.is_admin && role != Role::Admin {
                    db::retried(|| account::make_admin(&self.db, visitor.id)).await?;
                    role = Role::Admin;
                }
                return Ok(Some(Access {
                    account,
                    role,
                    scopes: Scope::ALL.into(),
                    session: Some(Session::OfSupabase),
                }));
            }
            match self.tokens.verify_session(token) {
                Ok(token) => Ok(session::authenticate(&self.db, &self.sessions, token.account, token.session).await?),
                Err(_) => Ok(None),
            }
        })
    }

    /// Whether passwords and invites are this service's.
    fn keeps_accounts(&self) -> Result<(), AuthError> {
        if self.supabase.is_none() { Ok(()) } else { Err(AuthError::KeptElsewhere) }
    }

    async fn hash_new(&self, username: &str, password: SecretString) -> Result<String, AuthError> {
        check_username(username)?;
        check_password(&password)?;
        Ok(self.passwords.slot().await?.hash(password).await?)
    }

    /// Whether the password matches, within the limits on failures. Without a hash, it does not.
    async fn verify(&self, attempt: &Attempt, password: SecretString, hash: Option<String>) -> Result<bool, AuthError> {
        self.throttle.check(attempt)?;
        let slot = self.passwords.slot().await?;
        // Attempts that were ahead in the queue may have failed.
        self.throttle.check(attempt)?;
        let (throttle, attempt) = (self.throttle.clone(), attempt.clone());
        let record = move |matches| match matches {
            true => throttle.record_success(&attempt),
            false => throttle.record_failure(&attempt),
        };
        Ok(slot.verify(password, hash, record).await?)
    }

    /// The client's device, if it has logged in to this account before.
    fn known_device(&self, client: &Client, account: Option<Uuid>) -> Option<Uuid> {
        let token = self.tokens.verify_device(client.device_token.as_ref()?.expose_secret()).ok()?;
        (Some(token.account) == account).then_some(token.device)
    }

    async fn start_session(
        &self,
        account: Uuid,
        password_hash: &str,
        device: Option<Uuid>,
        client: &Client,
    ) -> Result<LogIn, AuthError> {
        let session = session::create(&self.db, account, password_hash, &client.user_agent).await?;
        let session = session.ok_or(AuthError::BadCredentials)?;
        let device = device.unwrap_or_else(secret_token::random_uuid);
        Ok(LogIn {
            token: self.tokens.issue_session(SessionToken { account, session: session.id }, session.expires_at)?,
            expires_at: session.expires_at,
            device_token: self.tokens.issue_device(DeviceToken { account, device })?,
        })
    }
}

/// ASCII only, so that names that look alike are alike, and that every database compares them in the same way.
fn check_username(username: &str) -> Result<(), AuthError> {
    let valid = (1..=MAX_USERNAME_BYTES).contains(&username.len())
        && username.chars().all(|c| c.is_ascii_alphanumeric() || "._-+@".contains(c));
    if valid { Ok(()) } else { Err(AuthError::InvalidUsername) }
}

fn check_password(password: &SecretString) -> Result<(), AuthError> {
    let password = password.expose_secret();
    let valid = password.chars().count() >= MIN_PASSWORD_CHARS && password.len() <= MAX_PASSWORD_BYTES;
    if valid { Ok(()) } else { Err(AuthError::WeakPassword) }
}
