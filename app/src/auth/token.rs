//! Signed tokens: JWTs with HS256.

use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation,
    errors::{ErrorKind, Result},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::signatures;
use crate::media::MediaId;

/// The `iss` claims. Tokens of another service that shares the secret are rejected, and a token of one kind is none of another.
const SESSION_ISSUER: &str = "meemi";
const DEVICE_ISSUER: &str = "meemi/device";
const GUEST_ISSUER: &str = "meemi/guest";
const UPLOAD_ISSUER: &str = "meemi/upload";

const DEVICE_LIFETIME: Duration = Duration::days(365);

/// Issues and verifies tokens with one secret.
pub struct TokenSigner {
    signing: EncodingKey,
    verifying: DecodingKey,
}

/// What a log-in token says. It is valid only as long as its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionToken {
    pub account: Uuid,
    pub session: Uuid,
}

/// What a device's token says: that the device has logged in to the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceToken {
    pub account: Uuid,
    pub device: Uuid,
}

/// What a guest's token says: that the guest knew the password of the share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestToken {
    pub share: Uuid,
}

/// What the token in an upload's URL says: that the service has signed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadToken {
    pub upload: MediaId,
}

#[derive(Serialize, Deserialize)]
struct UploadClaims {
    iss: String,
    sub: String,
    exp: i64,
}

#[derive(Serialize, Deserialize)]
struct GuestClaims {
    iss: String,
    sub: Uuid,
    exp: i64,
}

#[derive(Serialize, Deserialize)]
struct SessionClaims {
    iss: String,
    sub: Uuid,
    sid: Uuid,
    iat: i64,
    exp: i64,
}

#[derive(Serialize, Deserialize)]
struct DeviceClaims {
    iss: String,
    sub: Uuid,
    jti: Uuid,
    exp: i64,
}

impl TokenSigner {
    pub fn new(secret: &SecretString) -> Self {
        // Fails only if it is already installed, which is fine: there is no other provider.
        signatures::PROVIDER.install_default().unwrap_or(());
        let secret = secret.expose_secret().as_bytes();
        Self { signing: EncodingKey::from_secret(secret), verifying: DecodingKey::from_secret(secret) }
    }

    pub fn issue_session(&self, token: SessionToken, expires_at: OffsetDateTime) -> Result<SecretString> {
        self.sign(&SessionClaims {
            iss: SESSION_ISSUER.into(),
            sub: token.account,
            sid: token.session,
            iat: OffsetDateTime::now_utc().unix_timestamp(),
            exp: expires_at.unix_timestamp(),
        })
    }

    /// Fails if the token is altered, expired, from another issuer, or of a release before sessions.
    pub fn verify_session(&self, token: &str) -> Result<SessionToken> {
        let claims: SessionClaims = self.verify(token, SESSION_ISSUER)?;
        Ok(SessionToken { account: claims.sub, session: claims.sid })
    }

    /// Issues a device's token, valid for a year.
    pub fn issue_device(&self, token: DeviceToken) -> Result<SecretString> {
        self.sign(&DeviceClaims {
            iss: DEVICE_ISSUER.into(),
            sub: token.account,
            jti: token.device,
            exp: (OffsetDateTime::now_utc() + DEVICE_LIFETIME).unix_timestamp(),
        })
    }

    /// Fails if the token is altered, expired or not a device's.
    pub fn verify_device(&self, token: &str) -> Result<DeviceToken> {
        let claims: DeviceClaims = self.verify(token, DEVICE_ISSUER)?;
        Ok(DeviceToken { account: claims.sub, device: claims.jti })
    }

    pub fn issue_guest(&self, token: GuestToken, expires_at: OffsetDateTime) -> Result<SecretString> {
        self.sign(&GuestClaims { iss: GUEST_ISSUER.into(), sub: token.share, exp: expires_at.unix_timestamp() })
    }

    /// Fails if the token is altered, expired or not a guest's.
    pub fn verify_guest(&self, token: &str) -> Result<GuestToken> {
        let claims: GuestClaims = self.verify(token, GUEST_ISSUER)?;
        Ok(GuestToken { share: claims.sub })
    }

    pub fn issue_upload(&self, token: UploadToken, expires_at: OffsetDateTime) -> Result<SecretString> {
        let (iss, sub) = (UPLOAD_ISSUER.into(), token.upload.to_string());
        self.sign(&UploadClaims { iss, sub, exp: expires_at.unix_timestamp() })
    }

    /// Fails if the token is altered, expired or not an upload's. There is no leeway: it is the clock that has issued it.
    pub fn verify_upload(&self, token: &str) -> Result<UploadToken> {
        let claims: UploadClaims = self.verify(token, UPLOAD_ISSUER)?;
        let upload = claims.sub.parse().map_err(|_| ErrorKind::InvalidSubject)?;
        if claims.exp <= OffsetDateTime::now_utc().unix_timestamp() {
            return Err(ErrorKind::ExpiredSignature.into());
        }
        Ok(UploadToken { upload })
    }

    fn sign(&self, claims: &impl Serialize) -> Result<SecretString> {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.signing).map(SecretString::from)
    }

    fn verify<T: DeserializeOwned>(&self, token: &str, issuer: &str) -> Result<T> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        jsonwebtoken::decode(token, &self.verifying, &validation).map(|token| token.claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: SessionToken = SessionToken { account: Uuid::from_u128(7), session: Uuid::from_u128(8) };

    fn signer() -> TokenSigner {
        TokenSigner::new(&"0123456789abcdef0123456789abcdef".into())
    }

    #[test]
    fn altered_unsigned_expired_and_foreign_tokens_are_rejected() {
        let tokens = signer();
        let issue = |expires_in| tokens.issue_session(SESSION, OffsetDateTime::now_utc() + expires_in).unwrap();
        let token = issue(Duration::HOUR).expose_secret().to_owned();
        assert_eq!(tokens.verify_session(&token).unwrap(), SESSION);
        assert!(tokens.verify_session(issue(-Duration::HOUR).expose_secret()).is_err());

        let other = TokenSigner::new(&"another secret of more than 32 characters".into());
        assert!(other.verify_session(&token).is_err());
        let (rest, signature) = token.rsplit_once('.').unwrap();
        assert!(tokens.verify_session(&format!("{rest}.{}", signature.replace(|_: char| true, "A"))).is_err());
        // {"alg":"none"}
        let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", rest.split_once('.').unwrap().1);
        assert!(tokens.verify_session(&unsigned).is_err());
    }

    #[test]
    fn a_token_without_a_session_and_tokens_of_devices_and_guests_are_no_log_in() {
        let tokens = signer();
        let claims = serde_json::json!({ "iss": SESSION_ISSUER, "sub": SESSION.account, "iat": 0, "exp": i64::MAX });
        assert!(tokens.verify_session(tokens.sign(&claims).unwrap().expose_secret()).is_err());

        let device = DeviceToken { account: SESSION.account, device: Uuid::from_u128(9) };
        let token = tokens.issue_device(device).unwrap();
        assert_eq!(tokens.verify_device(token.expose_secret()).unwrap(), device);
        assert!(tokens.verify_session(token.expose_secret()).is_err());
        let session = tokens.issue_session(SESSION, OffsetDateTime::now_utc() + Duration::HOUR).unwrap();
        assert!(tokens.verify_device(session.expose_secret()).is_err());

        let guest = GuestToken { share: SESSION.account };
        let issued = tokens.issue_guest(guest, OffsetDateTime::now_utc() + Duration::HOUR).unwrap();
        assert_eq!(tokens.verify_guest(issued.expose_secret()).unwrap(), guest);
        assert!(tokens.verify_session(issued.expose_secret()).is_err());
        assert!(tokens.verify_device(issued.expose_secret()).is_err());

        let upload = UploadToken { upload: MediaId::LOWEST };
        let to_upload = tokens.issue_upload(upload, OffsetDateTime::now_utc() + Duration::HOUR).unwrap();
        assert_eq!(tokens.verify_upload(to_upload.expose_secret()).unwrap(), upload);
        assert!(tokens.verify_session(to_upload.expose_secret()).is_err());
        let expired = tokens.issue_upload(upload, OffsetDateTime::now_utc()).unwrap();
        assert!(tokens.verify_upload(expired.expose_secret()).is_err());

        assert!(tokens.verify_upload(issued.expose_secret()).is_err());
        for other in [session, token, to_upload] {
            assert!(tokens.verify_guest(other.expose_secret()).is_err());
        }
        let expired = tokens.issue_guest(guest, OffsetDateTime::now_utc() - Duration::HOUR).unwrap();
        assert!(tokens.verify_guest(expired.expose_secret()).is_err());
    }
}
