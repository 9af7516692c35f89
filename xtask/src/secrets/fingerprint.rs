//! Fingerprints of secrets. Records have them: they tell that a secret has changed, and nothing to a reader without the key.

use std::num::NonZeroU32;

use anyhow::{Context as _, Result};
use ring::{hmac, pbkdf2};
use secrecy::{ExposeSecret as _, SecretString};

/// Bytes of a key.
const KEY: usize = 32;

/// Bytes of the mark that tells a key from others, and of a fingerprint behind it.
const MARK: usize = 4;
const FINGERPRINT: usize = 16;

/// Rounds for a key that is made of a passphrase: a passphrase must not be easier to guess by a fingerprint of a known secret, or
/// by another use of such a key, than by the state that it encrypts.
pub const ROUNDS: NonZeroU32 = NonZeroU32::new(600_000).expect("it is not zero");

/// The key of an environment's fingerprints.
pub struct FingerprintKey(hmac::Key);

impl FingerprintKey {
    /// The bytes of a new key.
    pub fn random() -> Result<Vec<u8>> {
        let mut bytes = vec![0; KEY];
        getrandom::fill(&mut bytes).context("read random bytes from the operating system")?;
        Ok(bytes)
    }

    /// The key of these bytes.
    pub fn new(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The key that a passphrase gives in this scope. That takes a part of a second, or seconds in a debug build.
    pub fn of_passphrase(passphrase: &SecretString, scope: &str) -> Self {
        Self::derive(passphrase, scope, ROUNDS)
    }

    fn derive(passphrase: &SecretString, scope: &str, rounds: NonZeroU32) -> Self {
        Self::new(&derived_key(passphrase, &format!("fingerprints of {scope}"), rounds))
    }

    /// The fingerprint of a secret: the key's mark and HMAC-SHA-256 over scope, name and value.
    pub fn fingerprint(&self, scope: &str, name: &str, value: &SecretString) -> String {
        let text = [scope, name, value.expose_secret()].join("\0");
        let digits = |text: &str, bytes: usize| hex::encode(&hmac::sign(&self.0, text.as_bytes()).as_ref()[..bytes]);
        // A scope has no zero byte, so that no secret has this text.
        format!("{}-{}", digits("\0mark", MARK), digits(&text, FINGERPRINT))
    }
}

impl FingerprintKey {
    /// A signature of a text: HMAC-SHA-256, in hexadecimal.
    pub fn sign(&self, text: &[u8]) -> String {
        hex::encode(hmac::sign(&self.0, &signed(text)).as_ref())
    }

    /// Whether this is the signature of a text.
    pub fn has_signed(&self, text: &[u8], signature: &str) -> bool {
        hex::decode(signature).is_ok_and(|signature| hmac::verify(&self.0, &signed(text), &signature).is_ok())
    }
}

/// No fingerprint is of such a text: a scope does not begin with a zero byte, and the mark has another one.
fn signed(text: &[u8]) -> Vec<u8> {
    [b"\0signed\0", text].concat()
}

/// The key that a passphrase gives for one purpose, which is the salt.
pub fn derived_key(passphrase: &SecretString, purpose: &str, rounds: NonZeroU32) -> [u8; KEY] {
    let (mut bytes, secret) = ([0; KEY], passphrase.expose_secret().as_bytes());
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, purpose.as_bytes(), secret, &mut bytes);
    bytes
}

/// Whether two fingerprints are of one key. An early toolkit made them without one.
pub fn comparable(one: &str, other: &str) -> bool {
    matches!((one.split_once('-'), other.split_once('-')), (Some((one, _)), Some((other, _))) if one == other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_depends_on_key_scope_name_and_value() {
        let (key, other) = (FingerprintKey::new(&[1; KEY]), FingerprintKey::new(&[2; KEY]));
        let value = SecretString::from("one");
        let first = key.fingerprint("shop/local", "A", &value);
        assert_eq!(first.len(), 2 * MARK + 1 + 2 * FINGERPRINT);
        assert_eq!(first, key.fingerprint("shop/local", "A", &value));
        for changed in [
            key.fingerprint("shop/production", "A", &value),
            key.fingerprint("shop/local", "B", &value),
            key.fingerprint("shop/local", "A", &SecretString::from("two")),
        ] {
            assert!(changed != first && comparable(&changed, &first));
        }
        assert!(!comparable(&other.fingerprint("shop/local", "A", &value), &first));
        assert!(!comparable("0123abcd", &first) && !comparable("0123abcd", "0123abcd"));
    }

    #[test]
    fn a_key_accepts_no_signature_of_another_passphrase_or_environment() {
        let key =
            |passphrase: &str, scope| FingerprintKey::derive(&SecretString::from(passphrase), scope, NonZeroU32::MIN);
        let (own, record) = (key("of production", "shop/production"), b"{}");
        let signature = own.sign(record);
        assert!(key("of production", "shop/production").has_signed(record, &signature));
        for other in [key("of staging", "shop/production"), key("of production", "shop/staging")] {
            assert!(!other.has_signed(record, &signature));
        }
        let value = SecretString::from("{}");
        assert!(!own.has_signed(record, &own.fingerprint("", "", &value)) && !own.has_signed(record, ""));
    }

    #[test]
    fn a_passphrase_gives_the_same_key_on_every_machine() {
        let (passphrase, value) = (SecretString::from("a passphrase of the state"), SecretString::from("one"));
        let key = |scope| FingerprintKey::derive(&passphrase, scope, NonZeroU32::MIN).fingerprint("a", "A", &value);
        assert_eq!(key("shop/production"), key("shop/production"));
        assert!(!comparable(&key("shop/production"), &key("shop/staging")));
    }
}
