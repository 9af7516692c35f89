//! The public keys that Supabase signs log-in tokens with: its JSON Web Key Set (RFC 7517), fetched again and again.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{StatusCode, Uri};
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::http_client::{HttpClient, http_client};

/// Supabase's edge keeps a set for 10 minutes; so is a key used for 10 minutes at most after it was taken out.
const REFRESH: Duration = Duration::from_secs(5 * 60);

/// Between two requests after a failure, and between two because of tokens that name keys which the set has not.
const PAUSE: Duration = Duration::from_secs(10);

const TIMEOUT: Duration = Duration::from_secs(5);

const MAX_BYTES: usize = 256 * 1024;

const MAX_KEYS: usize = 100;

/// The set at one address.
pub struct Keys {
    address: Uri,
    client: HttpClient<Empty<Bytes>>,
    known: RwLock<Known>,
    /// When the set was last fetched because of a key that it has not. Locked while it is, so that many who miss one wait for one answer.
    missed: tokio::sync::Mutex<Option<Instant>>,
}

/// A key with the one algorithm that it is for.
#[derive(Clone)]
pub struct Key {
    pub algorithm: Algorithm,
    pub decoding: DecodingKey,
}

#[derive(Default)]
struct Known {
    /// By `kid`; `None` if no set has ever come.
    keys: Option<HashMap<String, Key>>,
    /// Whether the last answer was a set.
    is_current: bool,
}

/// No set has ever come, so nothing can be said about a token.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the keys that log-in tokens are verified with cannot be fetched")]
pub struct NoKeys;

impl Keys {
    /// # Errors
    /// If the address is none, or this machine has no certificates to verify its server by.
    pub fn new(address: &str) -> anyhow::Result<Self> {
        let address: Uri = address.parse().context("the address of the keys is no URL")?;
        let client = http_client(address.scheme_str() == Some("https"))?;
        Ok(Self { address, client, known: RwLock::default(), missed: tokio::sync::Mutex::default() })
    }

    /// Keeps the set fresh until `stop`.
    pub async fn keep_fresh(&self, stop: CancellationToken) {
        loop {
            self.refresh().await;
            let pause = if self.is_current() { REFRESH } else { PAUSE };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// The key of this id; `None` if the set has none. A set that was fetched before a key was added is fetched again.
    ///
    /// # Errors
    /// If no set has ever come.
    pub async fn find(&self, id: &str) -> Result<Option<Key>, NoKeys> {
        if let Some(key) = self.known(id) {
            return Ok(Some(key));
        }
        let mut missed = self.missed.lock().await;
        // Who was ahead may have fetched it.
        let mut key = self.known(id);
        if key.is_none() && missed.is_none_or(|missed| missed.elapsed() >= PAUSE) {
            let is_first = !self.has_any();
            self.refresh().await;
            if !is_first || !self.is_current() {
                *missed = Some(Instant::now());
            }
            key = self.known(id);
        }
        if key.is_some() || self.has_any() { Ok(key) } else { Err(NoKeys) }
    }

    /// Whether any set has come.
    pub fn has_any(&self) -> bool {
        self.read(|known| known.keys.is_some())
    }

    /// Whether the last answer was a set. The keys of an earlier one stay in use.
    pub fn is_current(&self) -> bool {
        self.read(|known| known.is_current)
    }

    fn known(&self, id: &str) -> Option<Key> {
        self.read(|known| known.keys.as_ref().and_then(|keys| keys.get(id).cloned()))
    }

    fn read<T>(&self, read: impl FnOnce(&Known) -> T) -> T {
        read(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    async fn refresh(&self) {
        let fetched = tokio::time::timeout(TIMEOUT, self.fetch()).await;
        let fetched = fetched.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {} s", TIMEOUT.as_secs())));
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.is_current = fetched.is_ok();
        match fetched {
            Ok(keys) => known.keys = Some(keys),
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "cannot fetch the keys of log-in tokens");
            }
        }
    }

    async fn fetch(&self) -> anyhow::Result<HashMap<String, Key>> {
        let answer = self.client.get(self.address.clone()).await.with_context(|| format!("ask {}", self.address))?;
        ensure!(answer.status() == StatusCode::OK, "{} answers {}", self.address, answer.status());
        match Limited::new(answer.into_body(), MAX_BYTES).collect().await {
            Ok(body) => read_set(&body.to_bytes()),
            Err(error) => bail!("read the answer, of {MAX_BYTES} bytes at most: {error}"),
        }
    }
}

/// The keys of a set that verify log-in tokens, by id. Others are passed over: a set may have keys for other uses, or of kinds to come.
fn read_set(bytes: &[u8]) -> anyhow::Result<HashMap<String, Key>> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    let set: Set = serde_json::from_slice(bytes).context("the answer is no set of keys")?;
    ensure!(set.keys.len() <= MAX_KEYS, "the set has {} keys; {MAX_KEYS} are taken", set.keys.len());
    Ok(set.keys.into_iter().filter_map(read_key).collect())
}

fn read_key(key: Value) -> Option<(String, Key)> {
    let key: Jwk = serde_json::from_value(key).ok()?;
    let (algorithm, named) = match &key.algorithm {
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        _ => return None,
    };
    let is_for_signatures = matches!(key.common.public_key_use, None | Some(PublicKeyUse::Signature));
    let is_for_this = key.common.key_algorithm.is_none_or(|other| other == named);
    if !is_for_signatures || !is_for_this {
        return None;
    }
    let decoding = DecodingKey::from_jwk(&key).ok()?;
    Some((key.common.key_id?, Key { algorithm, decoding }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_set_gives_the_keys_for_signatures_that_are_known_and_no_others() {
        let curve = json!({ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA" });
        let with = |changes: Value| {
            let mut key = curve.clone();
            key.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            key
        };
        let keys = json!({ "keys": [
            with(json!({ "kid": "plain" })),
            with(json!({ "kid": "named", "alg": "ES256", "use": "sig", "key_ops": ["verify"] })),
            with(json!({ "kid": "to encrypt", "use": "enc" })),
            with(json!({ "kid": "another curve", "crv": "P-384" })),
            with(json!({ "kid": "another algorithm", "alg": "ES384" })),
            curve,
            { "kty": "RSA", "kid": "rsa", "n": "AQAB", "e": "AQAB", "alg": "RS256" },
            { "kty": "RSA", "kid": "pss", "n": "AQAB", "e": "AQAB", "alg": "PS256" },
            { "kty": "oct", "kid": "a secret", "k": "AQAB" },
            { "kty": "of tomorrow", "kid": "x" },
            "no key at all",
        ] });
        let mut read: Vec<_> =
            read_set(keys.to_string().as_bytes()).unwrap().into_iter().map(|(id, key)| (id, key.algorithm)).collect();
        read.sort_by(|one, other| one.0.cmp(&other.0));
        let expected = [("named", Algorithm::ES256), ("plain", Algorithm::ES256), ("rsa", Algorithm::RS256)];
        assert_eq!(read, expected.map(|(id, algorithm)| (id.to_owned(), algorithm)));

        let many = json!({ "keys": vec![json!({}); MAX_KEYS + 1] }).to_string();
        for bad in ["", "{}", "[]", "<html>", &many] {
            assert!(read_set(bad.as_bytes()).is_err(), "{bad:.40}");
        }
        // Of a project with the legacy secret.
        assert!(read_set(br#"{"keys":[]}"#).unwrap().is_empty());
    }
}
