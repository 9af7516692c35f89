//! Tokens of uploads to the service itself, in the place of a store's signature.

use secrecy::ExposeSecret;
use time::OffsetDateTime;

use super::{AuthError, Authenticator, token::UploadToken};
use crate::media::MediaId;

impl Authenticator {
    /// A token that lets its bearer send the file of this upload. Part of a URL.
    pub fn sign_upload(&self, id: MediaId, expires_at: OffsetDateTime) -> Result<String, AuthError> {
        Ok(self.tokens.issue_upload(UploadToken { upload: id }, expires_at)?.expose_secret().to_owned())
    }

    /// Whether this token is of this upload, and has not expired.
    pub fn may_upload(&self, id: MediaId, token: &str) -> bool {
        self.tokens.verify_upload(token).is_ok_and(|token| token.upload == id)
    }
}
