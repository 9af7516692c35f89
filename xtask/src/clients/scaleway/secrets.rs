//! Secret Manager, from which jobs get their secrets: a job definition itself shows its variables (`scaleway-sdk-go`,
//! api/secret/v1beta1).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Api, Result, is_id};

/// The secrets of one region.
pub struct Vault(Api);

/// A secret, without its value.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct KeptSecret {
    /// A UUID.
    pub id: String,
    pub name: String,
    #[serde(default)]
    pub tags: Vec<String>,
}

impl Vault {
    /// The secrets of a region. `api` is [`super::API`], or an address of this machine in tests.
    pub fn new(api: &str, region: &str, key: &SecretString) -> Result<Self> {
        Ok(Self(Api::new(api, &format!("/secret-manager/v1beta1/regions/{region}/"), key)?))
    }

    /// The secrets of a project that have this tag.
    pub async fn tagged(&self, project: &str, tag: &str) -> Result<Vec<KeptSecret>> {
        let all: Vec<KeptSecret> = self.0.list("secrets", &[("project_id", project), ("tags", tag)]).await?;
        Ok(all.into_iter().filter(|one| one.tags.iter().any(|own| own == tag) && is_id(&one.id)).collect())
    }

    /// Keeps a value as the first version of a new secret: its id. After so many seconds the platform deletes the value by itself.
    pub async fn keep(
        &self,
        project: &str,
        name: &str,
        tags: &[&str],
        value: &SecretString,
        seconds: u64,
    ) -> Result<String> {
        let what = format!("keeping the secret {name}");
        let policy = json!({ "time_to_live": format!("{seconds}s"), "action": "delete" });
        let body = json!({
            "project_id": project, "name": name, "tags": tags, "type": "opaque", "protected": false, "ephemeral_policy": policy,
        });
        let made: KeptSecret = self.0.call(Method::POST, "secrets", Some(&body), &what).await?;
        if !is_id(&made.id) {
            return Err(self.0.other(&what, "the response names no secret".to_owned()));
        }
        let body = json!({ "data": BASE64_STANDARD.encode(value.expose_secret()) });
        self.0.call::<Value>(Method::POST, &format!("secrets/{}/versions", made.id), Some(&body), &what).await?;
        Ok(made.id)
    }

    /// Deletes a secret, if it is still there.
    pub async fn delete(&self, secret: &KeptSecret) -> Result<()> {
        self.0.delete(&format!("secrets/{}", secret.id), &format!("deleting the secret {}", secret.name)).await
    }
}
