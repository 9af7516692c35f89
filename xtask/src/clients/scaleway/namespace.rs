//! Namespaces: each is a registry of its own, with a name that nobody else in the region may have.

use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Registries, Result, is_id, words};
use crate::clients::registry::http::printable;

/// A namespace.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Namespace {
    /// What it is asked for by: a UUID.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether everyone may pull from it.
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
    /// The namespace of this name, among those that the key may see.
    pub async fn namespace(&self, name: &str) -> Result<Option<Namespace>> {
        let all: Vec<Namespace> = self.list("namespaces", &[("name", name)]).await?;
        // The filter also finds others.
        Ok(all.into_iter().find(|namespace| namespace.name == name && is_id(&namespace.id)))
    }

    /// Makes a private one in a project. None where the name is taken.
    pub async fn create_namespace(&self, name: &str, project: &str) -> Result<Option<Namespace>> {
        let body = json!({ "name": name, "project_id": project, "is_public": false });
        let what = format!("making the namespace {name}");
        let answer = self.send(Method::POST, "namespaces", &[], Some(&body)).await?;
        // The API's reference names no status for it; the provider's users were told in these words
        // (scaleway/terraform-provider-scaleway, pull request 860).
        let taken = answer.status == StatusCode::CONFLICT
            || answer.status.is_client_error() && words(&answer).to_lowercase().contains("already exist");
        if taken {
            return Ok(None);
        }
        if !answer.status.is_success() {
            return Err(self.failed(&answer, &what));
        }
        let made = serde_json::from_slice(&answer.body);
        made.map(Some).map_err(|error| self.other(&what, format!("its answer is not understood: {error}")))
    }

    /// Lets nobody pull who has no key.
    pub async fn close_namespace(&self, namespace: &Namespace) -> Result<()> {
        let path = format!("namespaces/{}", namespace.id);
        let answer = self.send(Method::PATCH, &path, &[], Some(&json!({ "is_public": false }))).await?;
        if answer.status.is_success() {
            return Ok(());
        }
        Err(self.failed(&answer, &format!("closing the namespace {}", printable(&namespace.name))))
    }

    /// Whether it lets whoever has this key list namespaces: one request, which changes nothing.
    pub async fn check(&self) -> Result<()> {
        let answer = self.send(Method::GET, "namespaces", &[("page_size", "1")], None).await?;
        let read = serde_json::from_slice::<Value>(&answer.body);
        if answer.status.is_success() && read.is_ok_and(|read| read["namespaces"].is_array()) {
            return Ok(());
        }
        Err(self.failed(&answer, "listing namespaces"))
    }
}
