//! Random tokens of invites, API keys and shares. They are shown once and stored as SHA-256, which is enough for 256 random bits.

use ring::{
    digest,
    rand::{SecureRandom, SystemRandom},
};
use secrecy::SecretString;
use uuid::Uuid;

/// A new token: the prefix, then 64 hexadecimal digits.
pub fn generate(prefix: &str) -> SecretString {
    format!("{prefix}{}", hex::encode(random::<32>())).into()
}

/// The form that is stored.
pub fn sha256(token: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, token.as_bytes()).as_ref().to_vec()
}

pub fn random_uuid() -> Uuid {
    uuid::Builder::from_random_bytes(random()).into_uuid()
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("every supported kernel has getrandom or /dev/urandom");
    bytes
}
