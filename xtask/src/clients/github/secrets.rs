//! Secrets and variables of an environment's jobs, and of all jobs of the repository. A secret's value can be written and never read.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_box::PublicKey;
use crypto_box::aead::OsRng;
use http::Method;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use super::environments::path as path_of;
use super::releases::encoded;
use super::{GitHub, GitHubError, Protection, Result};

/// Variables per page; the API's maximum.
const VARIABLES_PER_PAGE: usize = 30;

/// The key that an environment's secrets are sealed with, so that GitHub alone opens them.
pub struct SealingKey {
    id: String,
    key: PublicKey,
}

impl GitHub {
    /// Makes an environment without rules; one that is there stays as it is.
    pub async fn create_environment(&self, name: &str) -> Result<()> {
        match self.environment(name).await? {
            Some(_) => Ok(()),
            None => self.put_environment(name, &Protection::default()).await,
        }
    }

    /// The names of the secrets of an environment, or of the repository, and when each was last set.
    pub async fn secrets(&self, environment: Option<&str>) -> Result<BTreeMap<String, Timestamp>> {
        #[derive(Deserialize)]
        struct Secret {
            name: String,
            updated_at: Timestamp,
        }
        let (path, what) = list_of("secrets", environment);
        let all: Vec<Secret> = self.list(&path, Some("secrets"), &what).await?;
        Ok(all.into_iter().map(|secret| (secret.name, secret.updated_at)).collect())
    }

    /// The names and values of the variables of an environment, or of the repository.
    pub async fn variables(&self, environment: Option<&str>) -> Result<BTreeMap<String, String>> {
        #[derive(Deserialize)]
        struct Variable {
            name: String,
            value: String,
        }
        let (path, what) = list_of("variables", environment);
        let all: Vec<Variable> = self.list_by(VARIABLES_PER_PAGE, &path, Some("variables"), &what).await?;
        Ok(all.into_iter().map(|variable| (variable.name, variable.value)).collect())
    }

    /// The key for an environment's secrets.
    pub async fn sealing_key(&self, environment: &str) -> Result<SealingKey> {
        #[derive(Deserialize)]
        struct Answer {
            key_id: String,
            key: String,
        }
        let what = format!("reading the key for the secrets of {environment}");
        let path = format!("{}/secrets/public-key", path_of(environment));
        let answer: Answer = self.get(&path, &what).await?;
        let bytes = STANDARD.decode(&answer.key).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let bytes =
            bytes.ok_or_else(|| GitHubError::Other { what, why: "the answer has no key of 32 bytes".to_owned() })?;
        Ok(SealingKey { id: answer.key_id, key: PublicKey::from(bytes) })
    }

    /// Sets a secret of an environment.
    pub async fn set_secret(
        &self,
        environment: &str,
        key: &SealingKey,
        name: &str,
        value: &SecretString,
    ) -> Result<()> {
        let what = format!("setting the secret {name} of {environment}");
        let sealed = key.key.seal(&mut OsRng, value.expose_secret().as_bytes());
        let sealed =
            sealed.map_err(|_| GitHubError::Other { what: what.clone(), why: "it cannot be sealed".to_owned() })?;
        let body = json!({ "encrypted_value": STANDARD.encode(sealed), "key_id": key.id });
        let path = format!("{}/secrets/{}", path_of(environment), encoded(name));
        self.call::<Value>(Method::PUT, &path, Some(&body), &what).await.map(drop)
    }

    /// Sets a variable of an environment.
    pub async fn set_variable(&self, environment: &str, name: &str, value: &str, is_new: bool) -> Result<()> {
        let what = format!("setting the variable {name} of {environment}");
        let body = json!({ "name": name, "value": value });
        let path = format!("{}/variables", path_of(environment));
        if is_new {
            let find = async || Ok(self.variables(Some(environment)).await?.contains_key(name).then_some(Value::Null));
            match self.create::<Value>(&path, &body, &what, find).await {
                Ok(_) => return Ok(()),
                // Another run has made it meanwhile, with a value that may be another one.
                Err(GitHubError::Exists { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let path = format!("{path}/{}", encoded(name));
        self.call::<Value>(Method::PATCH, &path, Some(&body), &what).await.map(drop)
    }

    /// Deletes a secret of an environment.
    pub async fn delete_secret(&self, environment: &str, name: &str) -> Result<()> {
        let path = format!("{}/secrets/{}", path_of(environment), encoded(name));
        self.delete(&path, &format!("deleting the secret {name} of {environment}")).await
    }

    /// Deletes a variable of an environment.
    pub async fn delete_variable(&self, environment: &str, name: &str) -> Result<()> {
        let path = format!("{}/variables/{}", path_of(environment), encoded(name));
        self.delete(&path, &format!("deleting the variable {name} of {environment}")).await
    }
}

/// Where the secrets or variables of an environment are listed, or those of the repository, and what that is called.
fn list_of(kind: &str, environment: Option<&str>) -> (String, String) {
    match environment {
        Some(name) => (format!("{}/{kind}", path_of(name)), format!("listing the {kind} of {name}")),
        None => (format!("/actions/{kind}"), format!("listing the {kind} of the repository")),
    }
}
