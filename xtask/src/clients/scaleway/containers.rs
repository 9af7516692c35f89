//! Serverless Containers: what OpenTofu's provider does not tell about them.

use std::collections::BTreeMap;

use reqwest::{Method, StatusCode};
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Api, Result, is_id};
use crate::clients::patience::Patience;

/// The containers of one region.
pub struct Containers(Api);

/// A custom domain of a container.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Domain {
    /// The host name.
    pub hostname: String,
    /// `creating`, `updating`, `ready`, `error`, …
    pub status: String,
    /// Why the status is `error`.
    #[serde(default)]
    pub error_message: Option<String>,
}

/// A container. The API (`scaleway-sdk-go`, api/container/v1) tells neither instances nor restarts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Container {
    /// `creating`, `updating`, `upgrading`, `ready`, `error`, `locking`, `locked`, `deleting`, …
    pub status: String,
    /// The last error; there may be one although the status is not `error`.
    #[serde(default)]
    pub error_message: Option<String>,
    /// The image that it runs, with its digest if it was named by one.
    #[serde(default)]
    pub image: Option<String>,
}

/// What a container runs with. The API shows no value of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ContainerSettings {
    /// The image, with its digest if it was named by one.
    pub image: String,
    /// A UUID.
    pub namespace_id: String,
    /// In place of the image's entry point.
    #[serde(default)]
    pub command: Option<Vec<String>>,
    #[serde(default)]
    pub environment_variables: Option<BTreeMap<String, String>>,
    /// By name. The values are hashes.
    #[serde(default)]
    pub secret_environment_variables: Option<BTreeMap<String, serde_json::Value>>,
    /// Thousandths of a processor.
    pub mvcpu_limit: u64,
    pub memory_limit_bytes: u64,
    #[serde(default)]
    pub local_storage_limit_bytes: Option<u64>,
    /// The value of `PORT`.
    #[serde(default)]
    pub port: Option<u16>,
    /// The private network that it can reach.
    #[serde(default)]
    pub private_network_id: Option<String>,
}

/// What containers of one project share.
#[derive(Deserialize)]
struct Namespace {
    project_id: String,
    #[serde(default)]
    environment_variables: Option<BTreeMap<String, String>>,
    #[serde(default)]
    secret_environment_variables: Option<BTreeMap<String, serde_json::Value>>,
}

impl Containers {
    /// The containers of a region. `api` is [`super::API`], or an address of this machine in tests.
    pub fn new(api: &str, region: &str, key: &SecretString) -> Result<Self> {
        Ok(Self(Api::new(api, &format!("/containers/v1/regions/{region}/"), key)?))
    }

    /// The same, with the patience of an environment.
    pub fn patient(self, patience: &Patience) -> Self {
        let Api { http, base, key } = self.0;
        Self(Api { http: http.patient(patience), base, key })
    }

    /// Whether the API knows the key.
    pub async fn accepts_key(&self) -> Result<bool> {
        let response = self.0.send(Method::GET, "containers", &[("page_size", "1")], None).await?;
        match response.status {
            StatusCode::UNAUTHORIZED => Ok(false),
            status if status.is_success() => Ok(true),
            _ => Err(self.0.failed(&response, "listing containers")),
        }
    }

    /// The container with this UUID; none if there is no such container.
    pub async fn container(&self, id: &str) -> Result<Option<Container>> {
        self.get("containers", id, "container").await
    }

    /// The custom domain with this UUID; none if there is no such domain.
    pub async fn domain(&self, id: &str) -> Result<Option<Domain>> {
        self.get("domains", id, "custom domain").await
    }

    /// What the container with this UUID runs with, and its project; none if there is no such container. It has the variables of its
    /// namespace, too.
    pub async fn settings(&self, id: &str) -> Result<Option<(ContainerSettings, String)>> {
        let Some(own) = self.get::<ContainerSettings>("containers", id, "container").await? else { return Ok(None) };
        let namespace = self.get::<Namespace>("namespaces", &own.namespace_id, "container namespace").await?;
        let Some(of_all) = namespace else { return Ok(None) };
        let mut plain = of_all.environment_variables.unwrap_or_default();
        let mut secret = of_all.secret_environment_variables.unwrap_or_default();
        plain.extend(own.environment_variables.unwrap_or_default());
        secret.extend(own.secret_environment_variables.unwrap_or_default());
        // A container's own variable counts more than the namespace's, also where that one is secret.
        plain.retain(|name, _| !secret.contains_key(name));
        let own =
            ContainerSettings { environment_variables: Some(plain), secret_environment_variables: Some(secret), ..own };
        Ok(Some((own, of_all.project_id)))
    }

    async fn get<T: DeserializeOwned>(&self, list: &str, id: &str, what: &str) -> Result<Option<T>> {
        let what = format!("reading the {what} {id}");
        if !is_id(id) {
            return Err(self.0.other(&what, "it is not an id".to_owned()));
        }
        let response = self.0.send(Method::GET, &format!("{list}/{id}"), &[], None).await?;
        if response.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !response.status.is_success() {
            return Err(self.0.failed(&response, &what));
        }
        self.0.read(&response, &what).map(Some)
    }
}
