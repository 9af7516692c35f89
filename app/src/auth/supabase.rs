//! Log-in tokens of Supabase, whose users are this service's users. Claims: "JWT Claims Reference" of Supabase's documentation,
//! 2026-08.

use std::sync::Arc;

use anyhow::Context;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use secrecy::ExposeSecret;
use serde::Deserialize;
use uuid::Uuid;

use super::jwks::{Key, Keys, NoKeys};
use crate::settings::SupabaseSettings;

/// Between the clocks of Supabase and of this machine, in seconds.
const LEEWAY: u64 = 30;

/// Both the audience and the role of a user's token. That of the key `anon` and of `service_role` is another.
const AUTHENTICATED: &str = "authenticated";

/// The role in `app_metadata`, which only a project's owner can write, of those who are admins here.
const ADMIN: &str = "admin";

/// What a database takes of a name.
const MAX_NAME_CHARS: usize = 64;

/// Verifies the tokens of one project.
pub struct Supabase {
    /// For browsers, which log in there.
    pub project: Project,
    issuer: String,
    anonymous: bool,
    verifier: Verifier,
}

/// How a browser reaches the project. Nothing of it is secret.
#[derive(Clone, Debug)]
pub struct Project {
    /// Without a slash at its end.
    pub url: String,
    pub publishable_key: String,
}

/// The user of a valid token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// Supabase's id of the user.
    pub id: Uuid,
    /// The address of mail, or else the telephone number; `None` of one who has neither.
    pub name: Option<String>,
    pub is_admin: bool,
}

/// Never both: a project with public keys has retired its secret, and a thief of that could sign for anyone.
enum Verifier {
    Keys(Arc<Keys>),
    Secret(Key),
}

#[derive(Deserialize)]
struct Claims {
    sub: Uuid,
    role: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    phone: String,
    #[serde(default)]
    is_anonymous: bool,
    #[serde(default)]
    app_metadata: AppMetadata,
}

#[derive(Default, Deserialize)]
struct AppMetadata {
    role: Option<String>,
}

impl Supabase {
    /// # Errors
    /// If this machine has no certificates to verify the server of the keys by.
    pub fn new(settings: &SupabaseSettings) -> anyhow::Result<Self> {
        let issuer = format!("{}/auth/v1", settings.url);
        let verifier = match &settings.jwt_secret {
            Some(secret) => Verifier::Secret(Key {
                algorithm: Algorithm::HS256,
                decoding: DecodingKey::from_secret(secret.expose_secret().as_bytes()),
            }),
            None => {
                let keys = Keys::new(&format!("{issuer}/.well-known/jwks.json"));
                Verifier::Keys(Arc::new(keys.context("cannot verify log-in tokens of SUPABASE_URL")?))
            }
        };
        let project = Project { url: settings.url.clone(), publishable_key: settings.publishable_key.clone() };
        Ok(Self { project, issuer, anonymous: settings.anonymous, verifier })
    }

    /// The public keys, if tokens are verified by them.
    pub fn keys(&self) -> Option<Arc<Keys>> {
        match &self.verifier {
            Verifier::Keys(keys) => Some(keys.clone()),
            Verifier::Secret(_) => None,
        }
    }

    /// The user of a token; `None` if it is not valid.
    ///
    /// # Errors
    /// If the keys have never been fetched.
    pub async fn verify(&self, token: &str) -> Result<Option<Visitor>, NoKeys> {
        let key = match &self.verifier {
            Verifier::Secret(key) => Some(key.clone()),
            Verifier::Keys(keys) => match jsonwebtoken::decode_header(token).ok().and_then(|header| header.kid) {
                Some(id) => keys.find(&id).await?,
                None => None,
            },
        };
        Ok(key.and_then(|key| self.visitor(token, &key)))
    }

    fn visitor(&self, token: &str, key: &Key) -> Option<Visitor> {
        let mut validation = Validation::new(key.algorithm);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[AUTHENTICATED]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let claims: Claims = jsonwebtoken::decode(token, &key.decoding, &validation).ok()?.claims;
        if claims.role != AUTHENTICATED || (claims.is_anonymous && !self.anonymous) {
            return None;
        }
        Some(Visitor {
            id: claims.sub,
            name: [claims.email, claims.phone].into_iter().find_map(name),
            is_admin: claims.app_metadata.role.is_some_and(|role| role == ADMIN),
        })
    }
}

/// What others see of a user. A name that looks like another's, or like none, is not taken.
fn name(text: String) -> Option<String> {
    let is_sound = !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic());
    is_sound.then(|| text.chars().take(MAX_NAME_CHARS).collect())
}
