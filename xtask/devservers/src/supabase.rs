//! A stand-in of a Supabase project's auth server, in the test's own process: the keys that it publishes, tokens signed by them, and what
//! a project's owner asks of it. Shapes: as the hosted service answered in 2026. What browsers ask for has a stand-in beside
//! the browser tests (`app/web/browser/support/supabase.ts`).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use crate::http::{HttpServer, Request, Response};

/// A key that browsers may have.
pub const PUBLISHABLE_KEY: &str = "sb_publishable_of_the_tests";

/// A key that may do all.
pub const SECRET_KEY: &str = "sb_secret_sentinel_of_the_tests";

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
    users: Vec<Value>,
    /// The addresses that were sent a link to set a password.
    mails: Vec<String>,
    /// How many mails are sent; any number without it.
    mail_limit: Option<usize>,
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
        let state = Arc::new(Mutex::new(State { published, ..State::default() }));
        let shared = Arc::clone(&state);
        let server = HttpServer::start(move |request| {
            let mut state = lock(&shared);
            if state.is_away { Response::new(500) } else { state.answer(request) }
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

    /// Answers as before again.
    pub fn come_back(&self) {
        lock(&self.state).is_away = false;
    }

    /// Sends so many mails in all, and then answers that there were too many.
    pub fn limit_mails(&self, limit: Option<usize>) {
        lock(&self.state).mail_limit = limit;
    }

    /// The users, as the project describes them.
    pub fn users(&self) -> Vec<Value> {
        lock(&self.state).users.clone()
    }

    /// The addresses that were sent a link to set a password, in their order.
    pub fn mails(&self) -> Vec<String> {
        lock(&self.state).mails.clone()
    }

    /// The requests of the project's owner.
    pub fn asked(&self) -> Vec<Request> {
        self.server.asked()
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

impl State {
    fn answer(&mut self, request: &Request) -> Response {
        let Some(path) = request.path.strip_prefix("/auth/v1/") else { return Response::new(404) };
        if path == ".well-known/jwks.json" {
            return json_answer(200, &json!({ "keys": self.published }));
        }
        let key = request.header("apikey").unwrap_or_default();
        if key != SECRET_KEY && (key != PUBLISHABLE_KEY || path.starts_with("admin/")) {
            return refusal(401, "no_authorization", "This endpoint requires a valid Bearer token");
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        match (request.method.as_str(), path) {
            ("POST", "admin/users") => self.create(&body),
            ("GET", _) if path.starts_with("admin/users/") => {
                let user = self.users.iter().find(|user| user["id"] == path["admin/users/".len()..]);
                user.map_or_else(|| refusal(404, "user_not_found", "User not found"), |user| json_answer(200, user))
            }
            ("POST", "recover") => self.recover(&body["email"]),
            _ => Response::new(404),
        }
    }

    fn create(&mut self, body: &Value) -> Response {
        if self.users.iter().any(|user| user["email"] == body["email"]) {
            return refusal(422, "email_exists", "A user with this email address has already been registered");
        }
        let user = json!({
            "id": body["id"], "aud": "authenticated", "role": "authenticated", "email": body["email"], "phone": "",
            "email_confirmed_at": "2026-11-30T08:00:00.000000Z", "app_metadata": { "provider": "email", "providers": ["email"] },
            "user_metadata": {}, "identities": [], "created_at": "2026-11-30T08:00:00.000000Z",
            "updated_at": "2026-11-30T08:00:00.000000Z", "is_anonymous": false,
        });
        self.users.push(user.clone());
        json_answer(200, &user)
    }

    /// Of an address that no user has, the answer tells nothing.
    fn recover(&mut self, email: &Value) -> Response {
        if self.mail_limit.is_some_and(|limit| self.mails.len() >= limit) {
            return refusal(429, "over_email_send_rate_limit", "email rate limit exceeded");
        }
        if let Some(user) = self.users.iter_mut().find(|user| user["email"] == *email) {
            user["recovery_sent_at"] = json!("2026-11-30T08:00:01.000000Z");
            self.mails.extend(email.as_str().map(str::to_owned));
        }
        json_answer(200, &json!({}))
    }
}

fn json_answer(status: u16, body: &Value) -> Response {
    Response::new(status).header("x-supabase-api-version", "2024-01-01").body("application/json", body.to_string())
}

fn refusal(status: u16, code: &str, message: &str) -> Response {
    json_answer(status, &json!({ "code": code, "message": message }))
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
