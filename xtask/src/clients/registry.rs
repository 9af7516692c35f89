//! An image registry, by the OCI distribution API (specification 1.1): one repository of it, asked as one user.

mod auth;
pub mod credentials;
pub mod error;
pub mod http;
pub mod manifest;
pub mod reference;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use reqwest::{Method, StatusCode, Url};

use self::auth::{Access, Auth};
use self::credentials::Credentials;
use self::error::RegistryError;
use self::http::{Answer, Ask, Http, host, printable};
use self::manifest::{ImageConfig, Manifest, Parts, is_manifest};
use self::reference::{Host, Reference, is_digest, is_tag};
use crate::hash::sha256;

/// Manifests and configurations are small; the specification asks registries to take 4 MiB.
const LONGEST_MANIFEST: usize = 8 << 20;
/// Pages of tags that are read: a registry that goes on is not believed.
const PAGES: usize = 1000;
/// Tags per page.
const PAGE: &str = "1000";
const DIGEST_HEADER: &str = "docker-content-digest";

type Result<T> = std::result::Result<T, RegistryError>;

/// One repository. Cheap to clone; clones share their tokens.
#[derive(Clone)]
pub struct Repository(Arc<Inner>);

struct Inner {
    host: Host,
    name: String,
    base: Url,
    http: Http,
    auth: Auth,
}

impl Repository {
    /// The repository that a name of an image is in. Asks nothing yet.
    pub fn new(reference: &Reference, credentials: Credentials) -> Result<Self> {
        let (host, name) = (reference.host().clone(), reference.repository().to_owned());
        let base = Url::parse(&format!("{}/v2/", host.url())).map_err(|error| RegistryError::Other {
            registry: host.to_string(),
            what: "making its address".to_owned(),
            why: error.to_string(),
        })?;
        let http = Http::new(host.is_loopback())?;
        let auth = Auth::new(credentials, name.clone());
        Ok(Self(Arc::new(Inner { host, name, base, http, auth })))
    }

    /// The registry.
    pub fn host(&self) -> &Host {
        &self.0.host
    }

    /// The repository's name in it.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether it is a registry, and takes the credentials.
    pub async fn check(&self) -> Result<()> {
        let answer = self.send(Ask::new(Method::GET, self.0.base.clone()), Access::Ping).await?;
        // The header is older than the specification, which asks only for 200; registries without it answer in JSON.
        let says_so = answer.header("docker-distribution-api-version").is_some();
        if answer.status.is_success() && (says_so || answer.media_type() == "application/json") {
            return Ok(());
        }
        Err(self.not_a_registry(&answer))
    }

    /// The digest that a tag or digest names; none if there is no such image. One request, where the credentials are a
    /// password or none are needed.
    pub async fn digest_of(&self, wanted: &str) -> Result<Option<String>> {
        let answer = self.send(self.manifest_request(Method::HEAD, wanted)?, Access::Pull).await?;
        if answer.status == StatusCode::NOT_FOUND && answer.media_type() != "text/html" {
            return Ok(None);
        }
        if !answer.status.is_success() || !is_manifest(answer.media_type()) {
            return Err(self.unexpected(&answer, &format!("looking for {wanted}")));
        }
        match answer.header(DIGEST_HEADER) {
            Some(digest) if is_digest(digest) => Ok(Some(digest.to_owned())),
            // The specification lets a registry leave it out; then the bytes tell.
            _ => Ok(Some(self.manifest(wanted).await?.digest)),
        }
    }

    /// The manifest that a tag or digest names, with its digest verified.
    pub async fn manifest(&self, wanted: &str) -> Result<Manifest> {
        let mut ask = self.manifest_request(Method::GET, wanted)?;
        ask.longest = LONGEST_MANIFEST;
        let answer = self.send(ask, Access::Pull).await?;
        self.found(&answer, wanted)?;
        let digest = format!("sha256:{}", sha256(&answer.body));
        let promised = if is_digest(wanted) { Some(wanted) } else { answer.header(DIGEST_HEADER) };
        if let Some(promised) = promised.filter(|promised| *promised != digest) {
            return Err(self.other(
                &format!("reading {wanted}"),
                format!("it promised {} and gave {digest}", printable(promised)),
            ));
        }
        let media_type = answer.media_type().to_owned();
        Manifest::read(digest, &media_type, answer.body)
            .map_err(|why| self.other(&format!("reading {wanted}"), printable(&why)))
    }

    /// An image's configuration, with its digest verified.
    pub async fn config(&self, parts: &Parts) -> Result<ImageConfig> {
        let digest = &parts.config.digest;
        if !is_digest(digest) {
            return Err(self.other("reading an image's configuration", format!("{:?} is no digest", printable(digest))));
        }
        let mut ask = Ask::new(Method::GET, self.url(&format!("blobs/{digest}"))?);
        ask.longest = LONGEST_MANIFEST;
        let answer = self.send(ask, Access::Pull).await?;
        self.found(&answer, digest)?;
        let what = format!("reading the configuration {digest}");
        if format!("sha256:{}", sha256(&answer.body)) != *digest {
            return Err(self.other(&what, "it gave other bytes than those".to_owned()));
        }
        serde_json::from_slice(&answer.body).map_err(|error| self.other(&what, printable(&error.to_string())))
    }

    /// Gives an image that is in the repository one more tag, or moves the tag to it.
    pub async fn tag(&self, manifest: &Manifest, tag: &str) -> Result<()> {
        let mut ask = Ask::new(Method::PUT, self.manifest_url(tag)?);
        let media_type = HeaderValue::try_from(manifest.media_type.as_str());
        ask.headers.push((CONTENT_TYPE, media_type.map_err(|error| self.other("tagging", error.to_string()))?));
        ask.body = manifest.bytes.clone();
        let answer = self.send(ask, Access::Push).await?;
        if !answer.status.is_success() {
            return Err(self.unexpected(&answer, &format!("tagging {} as {tag}", manifest.digest)));
        }
        match answer.header(DIGEST_HEADER).filter(|digest| *digest != manifest.digest) {
            None => Ok(()),
            Some(other) => {
                Err(self
                    .other(&format!("tagging as {tag}"), format!("{} became {}", manifest.digest, printable(other))))
            }
        }
    }

    /// Every tag. None of a repository that is not there yet.
    pub async fn tags(&self) -> Result<Vec<String>> {
        #[derive(serde::Deserialize)]
        struct Page {
            #[serde(default)]
            tags: Option<Vec<String>>,
        }
        let mut url = self.url("tags/list")?;
        url.query_pairs_mut().append_pair("n", PAGE);
        let mut tags = Vec::new();
        for _ in 0..PAGES {
            let mut ask = Ask::new(Method::GET, url.clone());
            ask.longest = LONGEST_MANIFEST;
            let answer = self.send(ask, Access::Pull).await?;
            if answer.status == StatusCode::NOT_FOUND && answer.media_type() != "text/html" {
                return Ok(tags);
            }
            if !answer.status.is_success() {
                return Err(self.unexpected(&answer, "listing tags"));
            }
            let page: Page = serde_json::from_slice(&answer.body).map_err(|_| self.not_a_registry(&answer))?;
            tags.extend(page.tags.unwrap_or_default());
            if let Some(bad) = tags.iter().find(|tag| !is_tag(tag)) {
                return Err(self.other("listing tags", format!("{:?} is no tag", printable(bad))));
            }
            let Some(next) = next_page(&answer) else {
                tags.sort();
                tags.dedup();
                return Ok(tags);
            };
            if !http::same_server(&next, &self.0.base) {
                return Err(self.other("listing tags", format!("the next page is at {}", host(&next))));
            }
            url = next;
        }
        Err(self.other("listing tags", format!("there are more than {PAGES} pages")))
    }

    /// Whether it lets whoever has the credentials write: begins to upload a layer, and takes that back.
    pub async fn check_push(&self) -> Result<()> {
        let answer = self.send(Ask::new(Method::POST, self.url("blobs/uploads/")?), Access::Push).await?;
        if answer.status != StatusCode::ACCEPTED {
            self.found(&answer, "a place for uploads")?;
            return Err(self.not_a_registry(&answer));
        }
        let begun = answer.header(LOCATION.as_str()).and_then(|location| answer.url.join(location).ok());
        // An upload that cannot be taken back is forgotten by the registry in time.
        if let Some(begun) = begun.filter(|begun| http::same_server(begun, &self.0.base)) {
            self.send(Ask::new(Method::DELETE, begun), Access::Push).await?;
        }
        Ok(())
    }

    /// Deletes a manifest, and with it every tag that names it.
    pub async fn delete(&self, digest: &str) -> Result<()> {
        let ask = Ask::new(Method::DELETE, self.manifest_url(digest)?);
        let answer = self.send(ask, Access::Delete).await?;
        let refuses = answer.status == StatusCode::METHOD_NOT_ALLOWED || answer.words().contains("UNSUPPORTED");
        match answer.status {
            status if status.is_success() => Ok(()),
            StatusCode::NOT_FOUND => self.found(&answer, digest),
            _ if refuses => {
                Err(RegistryError::DeletionRefused { registry: self.0.host.to_string(), answer: answer.words() })
            }
            _ => Err(self.unexpected(&answer, &format!("deleting {digest}"))),
        }
    }

    async fn send(&self, ask: Ask, access: Access) -> Result<Answer> {
        self.0.auth.send(&self.0.http, ask, access).await
    }

    fn url(&self, path: &str) -> Result<Url> {
        let joined = self.0.base.join(&format!("{}/{path}", self.0.name));
        joined.map_err(|error| self.other("making an address", error.to_string()))
    }

    /// What a registry has told is looked at before it is a part of an address.
    fn manifest_url(&self, wanted: &str) -> Result<Url> {
        if !is_digest(wanted) && !is_tag(wanted) {
            return Err(
                self.other("making an address", format!("{:?} is neither a tag nor a digest", printable(wanted)))
            );
        }
        self.url(&format!("manifests/{wanted}"))
    }

    fn manifest_request(&self, method: Method, wanted: &str) -> Result<Ask> {
        let mut ask = Ask::new(method, self.manifest_url(wanted)?);
        const ALL: (HeaderName, HeaderValue) = (ACCEPT, HeaderValue::from_static(manifest::ACCEPT));
        ask.headers.push(ALL);
        Ok(ask)
    }

    fn found(&self, answer: &Answer, wanted: &str) -> Result<()> {
        if answer.status == StatusCode::NOT_FOUND && answer.media_type() != "text/html" {
            let what = format!("{} in {}", wanted, self.0.name);
            return Err(RegistryError::NotFound { registry: self.0.host.to_string(), what });
        }
        if answer.status.is_success() { Ok(()) } else { Err(self.unexpected(answer, &format!("reading {wanted}"))) }
    }

    /// An answer that is none of those a registry gives here; one in HTML is of another program.
    fn unexpected(&self, answer: &Answer, what: &str) -> RegistryError {
        if answer.status.is_success() || answer.media_type() == "text/html" {
            return self.not_a_registry(answer);
        }
        self.other(what, format!("it answered {}", answer.words()))
    }

    fn not_a_registry(&self, answer: &Answer) -> RegistryError {
        let media_type = if answer.media_type().is_empty() { "no type" } else { answer.media_type() };
        let why = format!("it answered {} with {}", answer.status, printable(media_type));
        RegistryError::NotARegistry { registry: self.0.host.to_string(), why }
    }

    fn other(&self, what: &str, why: String) -> RegistryError {
        RegistryError::Other { registry: self.0.host.to_string(), what: what.to_owned(), why }
    }
}

/// RFC 8288: `</v2/name/tags/list?last=x&n=y>; rel="next"`.
fn next_page(answer: &Answer) -> Option<Url> {
    let (target, parameters) = answer.header("link")?.split_once(';')?;
    let target = target.trim().strip_prefix('<')?.strip_suffix('>')?;
    parameters.contains("next").then(|| answer.url.join(target).ok())?
}
