//! Secrets of a repository and of its environments. They come in sealed boxes, which the stand-in opens.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_box::SecretKey;
use crypto_box::aead::OsRng;
use serde_json::{Value, json};

use super::answer::{Answer, Outcome};
use super::call::{Call, now};
use super::repository::Repository;
use super::route::Route;

const ENVIRONMENT: &str = "/environments/{environment_name}/secrets";
const NAMED: &str = "/environments/{environment_name}/secrets/{secret_name}";

pub(super) const ROUTES: &[Route] = &[
    Route::new("GET", "/actions/secrets", "secrets:read", list),
    Route::new("GET", "/actions/secrets/public-key", "secrets:read", key),
    Route::new("GET", "/actions/secrets/{secret_name}", "secrets:read", get),
    Route::new("PUT", "/actions/secrets/{secret_name}", "secrets:write", put),
    Route::new("DELETE", "/actions/secrets/{secret_name}", "secrets:write", delete),
    Route::new("GET", ENVIRONMENT, "environments:read", list),
    Route::new("GET", "/environments/{environment_name}/secrets/public-key", "environments:read", key),
    Route::new("GET", NAMED, "environments:read", get),
    Route::new("PUT", NAMED, "environments:write", put),
    Route::new("DELETE", NAMED, "environments:write", delete),
];

/// The most that a secret may have.
const MOST_BYTES: usize = 48 * 1024;

/// The secrets of a repository or of an environment, and the key pair that they are sealed for.
pub(super) struct Secrets {
    key: SecretKey,
    id: String,
    by_name: BTreeMap<String, Secret>,
}

/// A secret: GitHub shows all but its value.
struct Secret {
    value: String,
    created: String,
    updated: String,
}

impl Secrets {
    pub fn new(id: u64) -> Self {
        let id = format!("{}", 3_380_204_578_043_520_000 + id);
        Self { key: SecretKey::generate(&mut OsRng), id, by_name: BTreeMap::new() }
    }

    /// Names and opened values.
    pub fn opened(&self) -> BTreeMap<String, String> {
        self.by_name.iter().map(|(name, secret)| (name.clone(), secret.value.clone())).collect()
    }

    /// Puts a secret there as a person does it on the page.
    pub fn set(&mut self, name: &str, value: &str) {
        let created = self.by_name.get(name).map_or_else(now, |secret| secret.created.clone());
        self.by_name.insert(name.to_owned(), Secret { value: value.to_owned(), created, updated: now() });
    }

    /// Says that a secret was last changed at another time.
    pub fn date(&mut self, name: &str, updated: &str) {
        self.by_name.get_mut(name).expect("the secret exists").updated = updated.to_owned();
    }

    fn open(&self, call: &Call) -> Result<String, Answer> {
        if call.text("key_id") != Some(self.id.as_str()) {
            return Err(Answer::error(422, "The key_id is not the one of the current public key."));
        }
        let sealed = STANDARD.decode(call.text("encrypted_value").unwrap_or_default()).ok();
        let opened =
            sealed.and_then(|sealed| self.key.unseal(&sealed).ok()).and_then(|bytes| String::from_utf8(bytes).ok());
        let opened =
            opened.ok_or_else(|| Answer::error(422, "The encrypted_value is not sealed for the public key."))?;
        if opened.len() > MOST_BYTES {
            return Err(Answer::error(422, "The secret is too large: the most is 48 KB."));
        }
        Ok(opened)
    }
}

impl Repository {
    /// The secrets of the repository, or of the environment that a request names.
    fn secrets(&mut self, call: &Call) -> Result<&mut Secrets, Answer> {
        match call.parameters.get("environment_name") {
            None => Ok(&mut self.secrets),
            Some(name) => Ok(&mut self.environments.get_mut(name).ok_or_else(Answer::not_found)?.secrets),
        }
    }
}

/// The name as GitHub keeps it, if it takes it.
pub(super) fn checked(kind: &str, name: &str) -> Result<String, Answer> {
    let name = name.to_ascii_uppercase();
    if name.starts_with("GITHUB_") {
        return Err(Answer::error(422, &format!("{kind} names must not start with GITHUB_.")));
    }
    let fine = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !fine || name.is_empty() || name.as_bytes()[0].is_ascii_digit() {
        let message = format!(
            "{kind} names can only contain alphanumeric characters ([a-z], [A-Z], [0-9]) or underscores (_). Spaces are not allowed. Must start with a letter ([a-z], [A-Z]) or underscores (_)."
        );
        return Err(Answer::error(422, &message));
    }
    Ok(name)
}

fn list(call: &Call, repository: &mut Repository) -> Outcome {
    let secrets = repository.secrets(call)?;
    Ok(Answer::counted(call, "secrets", secrets.by_name.iter().map(|(name, secret)| shown(name, secret)).collect()))
}

fn key(call: &Call, repository: &mut Repository) -> Outcome {
    let secrets = repository.secrets(call)?;
    let key = STANDARD.encode(secrets.key.public_key().as_bytes());
    Ok(Answer::ok(json!({"key_id": secrets.id, "key": key})))
}

fn get(call: &Call, repository: &mut Repository) -> Outcome {
    let name = call.parameter("secret_name").to_ascii_uppercase();
    let secrets = repository.secrets(call)?;
    secrets.by_name.get(&name).map(|secret| Answer::ok(shown(&name, secret))).ok_or_else(Answer::not_found)
}

fn put(call: &Call, repository: &mut Repository) -> Outcome {
    let name = checked("Secret", call.parameter("secret_name"))?;
    let secrets = repository.secrets(call)?;
    let value = secrets.open(call)?;
    let is_new = !secrets.by_name.contains_key(&name);
    secrets.set(&name, &value);
    Ok(if is_new { Answer::created(json!({})) } else { Answer::empty() })
}

fn delete(call: &Call, repository: &mut Repository) -> Outcome {
    let name = call.parameter("secret_name").to_ascii_uppercase();
    repository.secrets(call)?.by_name.remove(&name).map(|_| Answer::empty()).ok_or_else(Answer::not_found)
}

fn shown(name: &str, secret: &Secret) -> Value {
    json!({"name": name, "created_at": secret.created, "updated_at": secret.updated})
}
