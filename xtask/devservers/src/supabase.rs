//! A stand-in of a Supabase project's auth server, in the test's own process: the keys that it publishes, tokens signed by them, and what
//! a project's owner asks of it. Shapes: as the hosted service answered in 2026. What browsers ask for has a stand-in beside
//! the browser tests (`app/web/browser/support/supabase.ts`).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use crate::http::{HttpServer, Response};

/// A key that browsers may have.
pub const PUBLISHABLE_KEY: &str = "sb_publishable_of_the_tests";

/// A key pair with its id.
pub struct Signer {
    id: &'static str,
    pair: EcdsaKeyPair,
}

/// A project.
pub struct Supabase {
    server: HttpServer,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    published: Vec<Value>,
    is_away: bool,
}

impl Signer {
    /// A new key for ES256.
    pub fn new(id: &'static str) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
        Self { id, pair }
    }

    /// The token of these claims.
    pub fn sign(&self, claims: &Value) -> String {
        let message = message(&json!({ "alg": "ES256", "kid": self.id, "typ": "JWT" }), claims);
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", encode(signature.as_ref()))
    }

    /// The point of the public key.
    pub fn public_key(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    fn published(&self) -> Value {
        let point = self.public_key();
        json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "key_ops": ["verify"], "ext": true,
                "kid": self.id, "x": encode(&point[1..33]), "y": encode(&point[33..]) })
    }
}

impl Supabase {
    /// Starts one that publishes these keys.
    pub fn start(signers: &[&Signer]) -> Self {
        let published = signers.iter().map(|signer| signer.published()).collect();
        let state = Arc::new(Mutex::new(State { published, is_away: false }));
        let shared = Arc::clone(&state);
        let server = HttpServer::start(move |request| {
            let state = lock(&shared);
            match request.path.as_str() {
                _ if state.is_away => Response::new(500),
                "/auth/v1/.well-known/jwks.json" => {
                    Response::new(200).body("application/json", json!({ "keys": state.published }).to_string())
                }
                _ => Response::new(404),
            }
        });
        Self { server, state }
    }

    /// The project's address.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// Publishes one more key.
    pub fn publish(&self, signer: &Signer) {
        lock(&self.state).published.push(signer.published());
    }

    /// Answers nothing but errors from now on.
    pub fn go_away(&self) {
        lock(&self.state).is_away = true;
    }

    /// The claims of a user of the project; `user` is a UUID.
    pub fn claims(&self, user: &str, email: &str) -> Value {
        json!({
            "iss": format!("{}/auth/v1", self.url()), "sub": user, "aud": "authenticated", "exp": 4_000_000_000_u64,
            "iat": 1_700_000_000, "email": email, "phone": "",
            "app_metadata": { "provider": "email", "providers": ["email"] }, "user_metadata": { "role": "admin" },
            "role": "authenticated", "aal": "aal1", "amr": [{ "method": "password", "timestamp": 1_700_000_000 }],
            "session_id": "00000000-0000-0000-0000-000000000063", "is_anonymous": false,
        })
    }
}

/// Header and claims of a token, which a signature follows.
pub fn message(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()))
}

fn encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
