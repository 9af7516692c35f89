//! Namespaces. Each is a registry of its own; its name is unique in the region, across all accounts.

use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Registries, Result, error_text, is_id};
use crate::clients::registry::http::printable;

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Namespace {
    /// A UUID.
    pub id: String,
    pub name: String,
    /// Whether a pull needs no credentials.
    #[serde(default)]
    pub is_public: bool,
    /// `ready`, `deleting`, `error`, `locked` or `unknown`.
    #[serde(default)]
    pub status: String,
    /// The project that it belongs to.
    #[serde(default)]
    pub project_id: String,
}

impl Registries {
    /// The namespace with this name, if the key has access to it.
    pub async fn namespace(&self, name: &str) -> Result<Option<Namespace>> {
        let all: Vec<Namespace> = self.0.list("namespaces", &[("name", name)]).await?;
        // The filter also matches parts of names.
        Ok(all.into_iter().find(|namespace| namespace.name == name && is_id(&namespace.id)))
    }

    /// Creates a private namespace in a project. None where the name is taken.
    pub async fn create_namespace(&self, name: &str, project: &str) -> Result<Option<Namespace>> {
        let body = json!({ "name": name, "project_id": project, "is_public": false });
        let what = format!("creating the namespace {name}");
        let response = self.0.send(Method::POST, "namespaces", &[], Some(&body)).await?;
        // The API reference does not document the response for a taken name; this message is from
        // scaleway/terraform-provider-scaleway, pull request 860.
        let taken = response.status == StatusCode::CONFLICT
            || response.status.is_client_error() && error_text(&response).to_lowercase().contains("already exist");
        if taken {
            return Ok(None);
        }
        if !response.status.is_success() {
            return Err(self.0.failed(&response, &what));
        }
        let made = serde_json::from_slice(&response.body);
        made.map(Some).map_err(|error| self.0.other(&what, format!("the response is not understood: {error}")))
    }

    /// Makes a namespace private.
    pub async fn close_namespace(&self, namespace: &Namespace) -> Result<()> {
        let path = format!("namespaces/{}", namespace.id);
        let response = self.0.send(Method::PATCH, &path, &[], Some(&json!({ "is_public": false }))).await?;
        if response.status.is_success() {
            return Ok(());
        }
        Err(self.0.failed(&response, &format!("making the namespace {} private", printable(&namespace.name))))
    }

    /// Checks that the key can list namespaces.
    pub async fn check(&self) -> Result<()> {
        let response = self.0.send(Method::GET, "namespaces", &[("page_size", "1")], None).await?;
        let read = serde_json::from_slice::<Value>(&response.body);
        if response.status.is_success() && read.is_ok_and(|read| read["namespaces"].is_array()) {
            return Ok(());
        }
        Err(self.0.failed(&response, "listing namespaces"))
    }
}
