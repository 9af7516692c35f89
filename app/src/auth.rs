//! Accounts: registers the first account, logs users in, and authenticates their tokens.

mod account;
mod password;
mod throttle;
mod token;

use secrecy::{ExposeSecret, SecretString};
use sqlx::PgPool;
use subtle::ConstantTimeEq;

pub use account::Account;
pub use password::PasswordError;
use password::PasswordHasher;
use throttle::{LoginThrottle, TooManyAttempts};
pub use token::IssuedToken;
use token::TokenSigner;

/// NIST SP 800-63B requires at least 8 characters.
const MIN_PASSWORD_CHARS: usize = 10;

/// Bounds the work of hashing a password.
const MAX_PASSWORD_BYTES: usize = 256;

const MAX_USERNAME_BYTES: usize = 64;

/// Registers, logs in and authenticates accounts.
pub struct Authenticator {
    db: PgPool,
    passwords: PasswordHasher,
    throttle: LoginThrottle,
    tokens: TokenSigner,
    bootstrap_token: SecretString,
}

#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    #[error("the first account already exists")]
    BootstrapClosed,
    #[error("the bootstrap token is wrong")]
    BadBootstrapToken,
    #[error("a user name must have 1 to {MAX_USERNAME_BYTES} characters from a-z, A-Z, 0-9, . _ - + @")]
    InvalidUsername,
    #[error("a password must have at least {MIN_PASSWORD_CHARS} characters and at most {MAX_PASSWORD_BYTES} bytes")]
    WeakPassword,
    #[error("wrong user name or password")]
    BadCredentials,
    #[error(transparent)]
    TooManyAttempts(#[from] TooManyAttempts),
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error("signing the token failed: {0}")]
    Token(#[from] jsonwebtoken::errors::Error),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Authenticator {
    /// `jwt_secret` signs the tokens; `bootstrap_token` authorizes the first registration; `max_hashes` passwords are
    /// hashed in parallel.
    pub fn new(db: PgPool, jwt_secret: &SecretString, bootstrap_token: SecretString, max_hashes: usize) -> Self {
        Self {
            db,
            passwords: PasswordHasher::new(max_hashes),
            throttle: LoginThrottle::default(),
            tokens: TokenSigner::new(jwt_secret),
            bootstrap_token,
        }
    }

    /// Creates the first account. Fails with `BootstrapClosed` once an account exists.
    pub async fn register_first(
        &self,
        username: &str,
        password: SecretString,
        bootstrap_token: &SecretString,
    ) -> Result<IssuedToken, AuthError> {
        if account::any_exists(&self.db).await? {
            return Err(AuthError::BootstrapClosed);
        }
        let given = bootstrap_token.expose_secret().as_bytes();
        if !bool::from(given.ct_eq(self.bootstrap_token.expose_secret().as_bytes())) {
            return Err(AuthError::BadBootstrapToken);
        }
        check_username(username)?;
        check_password(&password)?;
        let hash = self.passwords.hash(password).await?;
        let account = account::create_first(&self.db, username, &hash).await?.ok_or(AuthError::BootstrapClosed)?;
        tracing::info!(account = %account.id, "created the first account");
        Ok(self.tokens.issue(account.id)?)
    }

    /// Checks a password and issues a token. An unknown user name and a wrong password give the same error and take the
    /// same time.
    pub async fn log_in(&self, username: &str, password: SecretString) -> Result<IssuedToken, AuthError> {
        // The table allows 64 characters, each up to 4 bytes in UTF-8.
        if username.len() > 4 * MAX_USERNAME_BYTES || password.expose_secret().len() > MAX_PASSWORD_BYTES {
            return Err(AuthError::BadCredentials);
        }
        // PostgreSQL rejects NUL in text, so no account has it in its name.
        if username.contains('\0') {
            return Err(AuthError::BadCredentials);
        }
        let credentials = account::find_credentials(&self.db, username).await?;
        let (account, hash) = credentials.map(|found| (found.account, found.password_hash)).unzip();
        self.throttle.count_attempt(username)?;
        let matches = self.passwords.verify(password, hash).await?;
        let account = account.filter(|_| matches).ok_or(AuthError::BadCredentials)?;
        self.throttle.reset(username);
        Ok(self.tokens.issue(account.id)?)
    }

    /// The account of a token; `None` if the token is invalid or expired, or if its account is deleted.
    pub async fn authenticate(&self, token: &str) -> sqlx::Result<Option<Account>> {
        match self.tokens.verify(token) {
            Ok(id) => account::find(&self.db, id).await,
            Err(_) => Ok(None),
        }
    }
}

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
