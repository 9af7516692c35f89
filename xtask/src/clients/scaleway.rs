//! Scaleway's own API, as far as neither the OCI distribution API nor OpenTofu's provider serves.
//!
//! [`Registries`] deletes tags and creates namespaces ("Container Registry API", v1); it has tags, not manifests. [`Containers`]
//! has the status of containers and custom domains ("Serverless Containers API", v1). [`Jobs`] runs programs to their end ("Serverless
//! Jobs API", v1alpha2), and [`Vault`] has their secrets ("Secret Manager API", v1beta1).

mod containers;
mod jobs;
mod namespace;
mod secrets;

use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;

pub use self::containers::{Container, ContainerSettings, Containers, Domain};
pub use self::jobs::{Definition, JobRun, Jobs, NewJob};
pub use self::namespace::Namespace;
pub use self::secrets::{KeptSecret, Vault};
use super::registry::error::RegistryError;
use super::registry::http::{Http, REQUEST_TIMEOUT, Request, Response, host, is_loopback, printable};

/// The URL of Scaleway's API.
pub const API: &str = "https://api.scaleway.com";

/// Entries per page; the API's maximum.
const PAGE_SIZE: usize = 100;
/// The most pages of a list.
const MAX_PAGES: usize = 1000;

type Result<T> = std::result::Result<T, RegistryError>;

/// The registries of one region.
pub struct Registries(Api);

/// One of Scaleway's APIs in one region.
struct Api {
    http: Http,
    base: Url,
    key: HeaderValue,
}

/// A tag of an image.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Tag {
    /// A UUID.
    pub id: String,
    pub name: String,
    /// Of the manifest that it names.
    pub digest: String,
}

/// A page of a list. The name of its field depends on the kind of its entries.
#[derive(Deserialize)]
struct Page<T> {
    #[serde(alias = "namespaces", alias = "images", alias = "tags")]
    #[serde(alias = "job_definitions", alias = "job_runs", alias = "secrets")]
    items: Vec<T>,
}

#[derive(Deserialize)]
struct Named {
    id: String,
    name: String,
}

impl Registries {
    /// The registries of a region. `api` is [`API`], or an address of this machine in tests.
    pub fn new(api: &str, region: &str, key: &SecretString) -> Result<Self> {
        Ok(Self(Api::new(api, &format!("/registry/v1/regions/{region}/"), key)?))
    }

    /// Every tag of an image in a namespace.
    pub async fn tags(&self, namespace: &str, image: &str) -> Result<Vec<Tag>> {
        let missing = || self.0.missing("namespace", namespace);
        let namespace = self.namespace(namespace).await?.ok_or_else(missing)?.id;
        let images: Vec<Named> = self.0.list("images", &[("namespace_id", &namespace), ("name", image)]).await?;
        let image = self.0.named(images, "image", image)?;
        self.0.list(&format!("images/{image}/tags"), &[]).await
    }

    /// Deletes a tag, and its manifest if that has no other tag.
    pub async fn delete(&self, tag: &Tag) -> Result<()> {
        let response = self.0.send(Method::DELETE, &format!("tags/{}", tag.id), &[], None).await?;
        if response.status.is_success() {
            return Ok(());
        }
        Err(self.0.failed(&response, &format!("deleting the tag {}", tag.name)))
    }
}

impl Api {
    /// The part below a path, which ends with a slash.
    fn new(api: &str, path: &str, key: &SecretString) -> Result<Self> {
        let other = |why: &str| RegistryError::Other {
            registry: "Scaleway's API".to_owned(),
            what: format!("using {api}"),
            why: why.to_owned(),
        };
        let base = Url::parse(api).and_then(|api| api.join(path));
        let base = base.map_err(|_| other("it is not a URL"))?;
        if base.scheme() != "https" && !is_loopback(&base) {
            return Err(other("the key requires https"));
        }
        let mut key =
            HeaderValue::try_from(key.expose_secret()).map_err(|_| other("the key is not valid in a header"))?;
        key.set_sensitive(true);
        Ok(Self { http: Http::new(is_loopback(&base), REQUEST_TIMEOUT)?, base, key })
    }

    async fn list<T: DeserializeOwned>(&self, path: &str, filter: &[(&str, &str)]) -> Result<Vec<T>> {
        let mut all = Vec::new();
        for page in 1..=MAX_PAGES {
            let (page, size) = (page.to_string(), PAGE_SIZE.to_string());
            let paging = [("page", page.as_str()), ("page_size", size.as_str()), ("order_by", "created_at_asc")];
            let query: Vec<(&str, &str)> = filter.iter().copied().chain(paging).collect();
            let response = self.send(Method::GET, path, &query, None).await?;
            let what = format!("listing {path}");
            if !response.status.is_success() {
                return Err(self.failed(&response, &what));
            }
            let items = self.read::<Page<T>>(&response, &what)?.items;
            let last = items.len() < PAGE_SIZE;
            all.extend(items);
            if last {
                return Ok(all);
            }
        }
        Err(self.other(&format!("listing {path}"), format!("there are more than {MAX_PAGES} pages")))
    }

    /// Sends a request, which has to succeed, and reads its answer.
    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&serde_json::Value>,
        what: &str,
    ) -> Result<T> {
        let response = self.send(method, path, &[], body).await?;
        if !response.status.is_success() {
            return Err(self.failed(&response, what));
        }
        self.read(&response, what)
    }

    /// Deletes something, if it is still there.
    async fn delete(&self, path: &str, what: &str) -> Result<()> {
        let response = self.send(Method::DELETE, path, &[], None).await?;
        if response.status.is_success() || response.status == StatusCode::NOT_FOUND {
            return Ok(());
        }
        Err(self.failed(&response, what))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&serde_json::Value>,
    ) -> Result<Response> {
        self.http.send(self.request(method, path, query, body)?).await
    }

    /// The same for what must not happen twice: without another attempt.
    async fn send_once(&self, method: Method, path: &str, body: &serde_json::Value) -> Result<Response> {
        let request = self.request(method, path, &[], Some(body))?;
        self.http.send(Request { retries: false, ..request }).await
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&serde_json::Value>,
    ) -> Result<Request> {
        let mut url = self.base.join(path).map_err(|error| self.other("building a URL", error.to_string()))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = Request::new(method, url);
        request.headers.push((HeaderName::from_static("x-auth-token"), self.key.clone()));
        if let Some(body) = body {
            request.headers.push((CONTENT_TYPE, HeaderValue::from_static("application/json")));
            request.body = body.to_string().into_bytes();
        }
        // A redirect to another host would not remove the key's header.
        request.follow_redirects = false;
        Ok(request)
    }

    fn read<T: DeserializeOwned>(&self, response: &Response, what: &str) -> Result<T> {
        let read = serde_json::from_slice(&response.body);
        read.map_err(|error| self.other(what, format!("the response is not understood: {error}")))
    }

    /// The entry with exactly this name: the API's filter also matches parts of names.
    fn named(&self, all: Vec<Named>, what: &str, name: &str) -> Result<String> {
        let found = all.into_iter().find(|one| one.name == name).map(|one| one.id);
        found.filter(|id| is_id(id)).ok_or_else(|| self.missing(what, name))
    }

    fn missing(&self, what: &str, name: &str) -> RegistryError {
        RegistryError::NotFound { registry: host(&self.base), what: format!("{what} {name}") }
    }

    fn failed(&self, response: &Response, what: &str) -> RegistryError {
        let text = error_text(response);
        match response.status.as_u16() {
            401 | 403 => self.other(
                what,
                format!("the response was {text}: the key is unknown or lacks the permission\n  check SCW_SECRET_KEY"),
            ),
            _ => self.other(what, format!("the response was {text}")),
        }
    }

    fn other(&self, what: &str, why: String) -> RegistryError {
        RegistryError::Other { registry: host(&self.base), what: what.to_owned(), why }
    }
}

/// Status and error message of a failed request, on one line.
fn error_text(response: &Response) -> String {
    #[derive(Deserialize)]
    struct Message {
        message: String,
    }
    match serde_json::from_slice::<Message>(&response.body) {
        Ok(error) => format!("{} ({})", response.status, printable(&error.message)),
        Err(_) => response.error_text(),
    }
}

/// Whether a text from the API may become part of a URL.
fn is_id(id: &str) -> bool {
    !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

#[cfg(test)]
pub mod tests;
