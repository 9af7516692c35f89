//! Log-in tokens: JWTs signed with HS256.
//!
//! The crypto provider for `jsonwebtoken` is implemented here on `ring`, which the database connection already uses. The
//! crate's own providers would add a second TLS library (`aws_lc_rs`) or five unused signature schemes (`rust_crypto`).

use std::time::{Duration, SystemTime};

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, EncodingKey, Header, Validation,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{ErrorKind, Result},
};
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use signature::{Signer, Verifier};
use time::OffsetDateTime;
use uuid::Uuid;

const LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The `iss` claim. Tokens of another service that shares the secret are rejected.
const ISSUER: &str = "meemi";

/// Issues and verifies tokens with one secret.
pub struct TokenSigner {
    signing: EncodingKey,
    verifying: DecodingKey,
    validation: Validation,
}

pub struct IssuedToken {
    pub token: SecretString,
    pub expires_at: OffsetDateTime,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: Uuid,
    iat: u64,
    exp: u64,
}

impl TokenSigner {
    pub fn new(secret: &SecretString) -> Self {
        // Fails only if it is already installed, which is fine: there is no other provider.
        PROVIDER.install_default().unwrap_or(());
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        let secret = secret.expose_secret().as_bytes();
        Self { signing: EncodingKey::from_secret(secret), verifying: DecodingKey::from_secret(secret), validation }
    }

    /// Issues a token for an account, valid for 7 days.
    pub fn issue(&self, account: Uuid) -> Result<IssuedToken> {
        let now = SystemTime::now();
        let expires = now + LIFETIME;
        let claims = Claims { iss: ISSUER.into(), sub: account, iat: unix_seconds(now), exp: unix_seconds(expires) };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signing)?;
        let expires_at = OffsetDateTime::from(expires).replace_nanosecond(0).map_err(|_| ErrorKind::InvalidToken)?;
        Ok(IssuedToken { token: token.into(), expires_at })
    }

    /// Returns the account id of a token. Fails if the token is altered, expired or from another issuer.
    pub fn verify(&self, token: &str) -> Result<Uuid> {
        jsonwebtoken::decode::<Claims>(token, &self.verifying, &self.validation).map(|token| token.claims.sub)
    }
}

/// Unix time in seconds; 0 before 1970.
fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| match (algorithm, key.family()) {
        (Algorithm::HS256, AlgorithmFamily::Hmac) => Ok(Box::new(Hs256::new(key.as_bytes()))),
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    },
    verifier_factory: |algorithm, key| match (algorithm, key.family()) {
        (Algorithm::HS256, AlgorithmFamily::Hmac) => Ok(Box::new(Hs256::new(key.try_get_as_bytes()?))),
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    },
    // Used only for JWK sets, which this service does not have.
    key_utils: KeyUtils::new_unimplemented(),
};

struct Hs256(hmac::Key);

impl Hs256 {
    fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }
}

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, signature::Error> {
        Ok(hmac::sign(&self.0, message).as_ref().to_vec())
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    /// Compares in constant time.
    fn verify(&self, message: &[u8], tag: &Vec<u8>) -> std::result::Result<(), signature::Error> {
        hmac::verify(&self.0, message, tag).map_err(|_| signature::Error::new())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn altered_unsigned_and_foreign_tokens_are_rejected() {
        let tokens = TokenSigner::new(&"0123456789abcdef0123456789abcdef".into());
        let account = Uuid::from_u128(7);
        let token = tokens.issue(account).unwrap().token.expose_secret().to_owned();
        assert_eq!(tokens.verify(&token).unwrap(), account);

        assert!(TokenSigner::new(&"another secret of more than 32 characters".into()).verify(&token).is_err());
        let (rest, signature) = token.rsplit_once('.').unwrap();
        assert!(tokens.verify(&format!("{rest}.{}", signature.replace(|_: char| true, "A"))).is_err());
        // {"alg":"none"}
        let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", rest.split_once('.').unwrap().1);
        assert!(tokens.verify(&unsigned).is_err());
    }

    #[test]
    fn the_signature_matches_the_example_of_rfc_7515() {
        // RFC 7515, appendix A.1: its key, its message, its signature.
        let key = EncodingKey::from_base64_secret(
            "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ+EstJQLr/T+1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow==",
        )
        .unwrap();
        let message = b"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature = Hs256::new(key.as_bytes()).try_sign(message).unwrap();
        assert_eq!(hex::encode(signature), "7418dfb49799e0254ffa607dd8adbbba16d4254d69d6bff05b58055853848d79");
    }
}
