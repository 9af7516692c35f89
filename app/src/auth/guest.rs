//! Guests who open a share that has a password: its hash, and the token by which the guest is known after that.

use std::net::IpAddr;

use secrecy::{ExposeSecret, SecretString};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{AuthError, Authenticator, throttle::LoginThrottle, token::GuestToken};

/// How long a guest's token is valid, if the share still exists.
const LIFETIME: Duration = Duration::hours(12);

/// What a guest has once the password was right. It opens this share, together with the share's own token, and allows nothing else.
pub struct GuestSession {
    /// The bearer token.
    pub token: SecretString,
    pub expires_at: OffsetDateTime,
}

impl Authenticator {
    /// The hash of the password of a new share. Fails with `WeakPassword` as that of an account does.
    pub async fn hash_share_password(&self, password: SecretString) -> Result<String, AuthError> {
        super::check_password(&password)?;
        Ok(self.passwords.slot().await?.hash(password).await?)
    }

    /// Checks a guest's password, within limits on failures by share and address. Fails with `WrongPassword`.
    pub async fn open_share(
        &self,
        share: Uuid,
        password_hash: String,
        password: SecretString,
        address: IpAddr,
    ) -> Result<GuestSession, AuthError> {
        if !self.verify(&LoginThrottle::by_guest(share, address), password, Some(password_hash)).await? {
            return Err(AuthError::WrongPassword);
        }
        let expires_at = OffsetDateTime::now_utc().truncate_to_second() + LIFETIME;
        Ok(GuestSession { token: self.tokens.issue_guest(GuestToken { share }, expires_at)?, expires_at })
    }

    /// Whether this token is that of a guest who knew the password of this share.
    pub fn has_opened(&self, share: Uuid, token: &SecretString) -> bool {
        self.tokens.verify_guest(token.expose_secret()).is_ok_and(|token| token.share == share)
    }
}
