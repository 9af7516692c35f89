//! Scaleway's own API of its image registries, for what they refuse by the common one: deleting, and making a namespace. It
//! knows tags, not manifests (Scaleway's API reference, "Container Registry API", v1).

mod namespace;

use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;

pub use self::namespace::Namespace;
use super::registry::error::RegistryError;
use super::registry::http::{Answer, Ask, Http, host, is_loopback, printable};

/// Where Scaleway's API answers.
pub const API: &str = "https://api.scaleway.com";

/// What the API gives at most of a list at a time.
const PAGE: usize = 100;
/// Pages that are read.
const PAGES: usize = 1000;

type Result<T> = std::result::Result<T, RegistryError>;

/// The registries of one region.
pub struct Registries {
    http: Http,
    base: Url,
    key: HeaderValue,
}

/// A tag of an image.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Tag {
    /// What it is deleted by.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The digest that it names.
    pub digest: String,
}

/// A page of a list, which the API calls by what is in it.
#[derive(Deserialize)]
struct Page<T> {
    #[serde(alias = "namespaces", alias = "images", alias = "tags")]
    items: Vec<T>,
}

#[derive(Deserialize)]
struct Named {
    id: String,
    name: String,
}

impl Registries {
    /// Those of a region, by the API at this address: [`API`], or one of this machine in tests. The key is sent there only.
    pub fn new(api: &str, region: &str, key: &SecretString) -> Result<Self> {
        let other = |why: &str| RegistryError::Other {
            registry: "Scaleway's API".to_owned(),
            what: format!("using {api}"),
            why: why.to_owned(),
        };
        let base = Url::parse(api).and_then(|api| api.join(&format!("/registry/v1/regions/{region}/")));
        let base = base.map_err(|_| other("it is no address"))?;
        if base.scheme() != "https" && !is_loopback(&base) {
            return Err(other("the key goes over https only"));
        }
        let mut key =
            HeaderValue::try_from(key.expose_secret()).map_err(|_| other("the key is none: it has line breaks"))?;
        key.set_sensitive(true);
        Ok(Self { http: Http::new(is_loopback(&base))?, base, key })
    }

    /// Every tag of an image in a namespace.
    pub async fn tags(&self, namespace: &str, image: &str) -> Result<Vec<Tag>> {
        let missing = || self.missing("namespace", namespace);
        let namespace = self.namespace(namespace).await?.ok_or_else(missing)?.id;
        let images: Vec<Named> = self.list("images", &[("namespace_id", &namespace), ("name", image)]).await?;
        let image = self.named(images, "image", image)?;
        self.list(&format!("images/{image}/tags"), &[]).await
    }

    /// Deletes a tag, and what it names if no other tag does.
    pub async fn delete(&self, tag: &Tag) -> Result<()> {
        let answer = self.send(Method::DELETE, &format!("tags/{}", tag.id), &[], None).await?;
        if answer.status.is_success() {
            return Ok(());
        }
        Err(self.failed(&answer, &format!("deleting the tag {}", tag.name)))
    }

    async fn list<T: DeserializeOwned>(&self, path: &str, filter: &[(&str, &str)]) -> Result<Vec<T>> {
        let mut all = Vec::new();
        for page in 1..=PAGES {
            let (page, size) = (page.to_string(), PAGE.to_string());
            let paging = [("page", page.as_str()), ("page_size", size.as_str()), ("order_by", "created_at_asc")];
            let query: Vec<(&str, &str)> = filter.iter().copied().chain(paging).collect();
            let answer = self.send(Method::GET, path, &query, None).await?;
            let what = format!("listing {path}");
            if !answer.status.is_success() {
                return Err(self.failed(&answer, &what));
            }
            let read = serde_json::from_slice::<Page<T>>(&answer.body);
            let items =
                read.map_err(|error| self.other(&what, format!("its answer is not understood: {error}")))?.items;
            let last = items.len() < PAGE;
            all.extend(items);
            if last {
                return Ok(all);
            }
        }
        Err(self.other(&format!("listing {path}"), format!("there are more than {PAGES} pages")))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&serde_json::Value>,
    ) -> Result<Answer> {
        let mut url = self.base.join(path).map_err(|error| self.other("making an address", error.to_string()))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut ask = Ask::new(method, url);
        ask.headers.push((HeaderName::from_static("x-auth-token"), self.key.clone()));
        if let Some(body) = body {
            ask.headers.push((CONTENT_TYPE, HeaderValue::from_static("application/json")));
            ask.body = body.to_string().into_bytes();
        }
        // The key is no authorization that a redirect would lose.
        ask.follow = false;
        self.http.send(ask).await
    }

    /// The one of exactly this name: the API's filter also finds others.
    fn named(&self, all: Vec<Named>, what: &str, name: &str) -> Result<String> {
        let found = all.into_iter().find(|one| one.name == name).map(|one| one.id);
        found.filter(|id| is_id(id)).ok_or_else(|| self.missing(what, name))
    }

    fn missing(&self, what: &str, name: &str) -> RegistryError {
        RegistryError::NotFound { registry: host(&self.base), what: format!("{what} {name}") }
    }

    fn failed(&self, answer: &Answer, what: &str) -> RegistryError {
        let words = words(answer);
        match answer.status.as_u16() {
            401 | 403 => self.other(
                what,
                format!("it answered {words}: it does not know the key, or the key may not do that\n  look at SCW_SECRET_KEY"),
            ),
            _ => self.other(what, format!("it answered {words}")),
        }
    }

    fn other(&self, what: &str, why: String) -> RegistryError {
        RegistryError::Other { registry: host(&self.base), what: what.to_owned(), why }
    }
}

/// What the API says of a failed request, in one line.
fn words(answer: &Answer) -> String {
    #[derive(Deserialize)]
    struct Said {
        message: String,
    }
    match serde_json::from_slice::<Said>(&answer.body) {
        Ok(said) => format!("{} ({})", answer.status, printable(&said.message)),
        Err(_) => answer.words(),
    }
}

/// What has been told is looked at before it is a part of an address.
fn is_id(id: &str) -> bool {
    !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

#[cfg(test)]
pub mod tests;
