//! A token server for a registry, with a key of its own. A test decides how long its tokens are valid.

use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};

use super::{PASSWORD, USER};
use crate::http::{HttpServer, Request, Response};

/// The name that the registry has in its tokens.
pub const SERVICE: &str = "test-registry";
/// The name that the token server has in them.
pub const ISSUER: &str = "test-tokens";

/// How many seconds each token is valid: by its own `exp`, and by the answer's `expires_in`. The last pair is used for all
/// further tokens.
pub type Lives = Vec<(i64, u64)>;

/// A token server.
pub struct Tokens {
    server: HttpServer,
    key: Arc<Key>,
}

struct Key {
    pair: EcdsaKeyPair,
    certificate: Vec<u8>,
    pem: String,
}

impl Tokens {
    /// Starts one that gives tokens to [`USER`] with [`PASSWORD`], or with the identity token `sentinel-identity`.
    pub fn start(lives: Lives) -> Self {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = CertificateParams::new(vec!["tokens.test".to_owned()]).unwrap().self_signed(&pair).unwrap();
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pair.serialize_der(), &random).unwrap();
        let key = Arc::new(Key { pair: key, certificate: certificate.der().to_vec(), pem: certificate.pem() });
        let (signer, lives) = (Arc::clone(&key), Mutex::new(lives));
        let server = HttpServer::start(move |request| {
            let scope = scope_of(request);
            if !is_known(request) {
                let body = json!({"errors": [{"code": "UNAUTHORIZED", "message": "wrong password"}]});
                return Response::new(401).body("application/json", body.to_string());
            }
            let (life, told) = {
                let mut lives = lives.lock().unwrap();
                if lives.len() > 1 { lives.remove(0) } else { lives[0] }
            };
            let body = json!({"token": signer.mint(&scope, life), "expires_in": told});
            Response::new(200).body("application/json", body.to_string())
        });
        Self { server, key }
    }

    /// The address that a registry names as its token server.
    pub fn realm(&self) -> String {
        format!("http://{}/token", self.server.address)
    }

    /// The certificate of the key that signs its tokens, as PEM.
    pub fn certificate(&self) -> &str {
        &self.key.pem
    }

    /// A token for a scope, valid for so many seconds.
    pub fn mint(&self, scope: &str, life: i64) -> String {
        self.key.mint(scope, life)
    }

    /// All requests for a token so far.
    pub fn asked(&self) -> Vec<Request> {
        self.server.asked()
    }
}

impl Key {
    fn mint(&self, scope: &str, life: i64) -> String {
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
        let access: Vec<Value> = scope
            .split(' ')
            .filter_map(|scope| {
                let (kind, rest) = scope.split_once(':')?;
                let (name, actions) = rest.rsplit_once(':')?;
                Some(json!({"type": kind, "name": name, "actions": actions.split(',').collect::<Vec<_>>()}))
            })
            .collect();
        let header = json!({"typ": "JWT", "alg": "ES256", "x5c": [STANDARD.encode(&self.certificate)]});
        let claims = json!({
            "iss": ISSUER, "sub": USER, "aud": SERVICE, "exp": now + life, "nbf": now - 3600, "iat": now - 3600, "jti": "1",
            "access": access,
        });
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn scope_of(request: &Request) -> String {
    let form = String::from_utf8_lossy(&request.body).into_owned();
    let from_form = || form.split('&').find_map(|pair| pair.strip_prefix("scope="));
    let scope = request.query("scope").or_else(from_form).unwrap_or_default();
    scope.replace("%3A", ":").replace("%2C", ",").replace("%2F", "/").replace('+', " ")
}

fn is_known(request: &Request) -> bool {
    if request.method == "POST" {
        return String::from_utf8_lossy(&request.body).contains("refresh_token=sentinel-identity");
    }
    let pair = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    request.header("authorization") == Some(&format!("Basic {pair}"))
}
