//! An image registry, by the OCI distribution API (specification 1.1).

mod auth;
pub mod credentials;
pub mod error;
pub mod http;
pub mod manifest;
pub mod reference;
#[cfg(test)]
mod tests;
mod token_server;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use reqwest::{Method, StatusCode, Url};

use self::auth::{Access, Auth};
use self::credentials::Credentials;
use self::error::RegistryError;
use self::http::{Http, Request, Response, host, printable};
use self::manifest::{ImageConfig, ImageManifest, Manifest, is_manifest};
use self::reference::{Host, Reference, is_digest, is_tag};
use super::patience::Patience;
use crate::hash::sha256;

/// The largest manifest or configuration; the specification requires registries to accept 4 MiB.
const MAX_MANIFEST_BYTES: usize = 8 << 20;
/// The most pages of tags; a registry with more is broken.
const MAX_PAGES: usize = 1000;
/// The most tags. Beyond that, reading an image for each would take hours.
const MAX_TAGS: usize = 100_000;
/// How long listing the tags may take, over all pages.
const TAGS_TIMEOUT: Duration = Duration::from_secs(120);
/// Tags per page.
const PAGE_SIZE: &str = "1000";
const DIGEST_HEADER: &str = "docker-content-digest";

type Result<T> = std::result::Result<T, RegistryError>;

/// One repository, and the credentials for it. Cheap to clone; clones share their tokens.
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
    /// The repository of an image's name. Sends no request yet.
    pub fn new(reference: &Reference, credentials: Credentials, patience: &Patience) -> Result<Self> {
        Self::with_timeout(reference, credentials, patience, http::REQUEST_TIMEOUT)
    }

    /// The same with a time limit of each request.
    fn with_timeout(
        reference: &Reference,
        credentials: Credentials,
        patience: &Patience,
        timeout: Duration,
    ) -> Result<Self> {
        let (host, name) = (reference.host().clone(), reference.repository().to_owned());
        let base = Url::parse(&format!("{}/v2/", host.url())).map_err(|error| RegistryError::Other {
            registry: host.to_string(),
            what: "building its URL".to_owned(),
            why: error.to_string(),
        })?;
        let http = Http::new(host.is_loopback(), timeout)?.patient(patience);
        let auth = Auth::new(credentials, name.clone());
        Ok(Self(Arc::new(Inner { host, name, base, http, auth })))
    }

    /// The registry's host.
    pub fn host(&self) -> &Host {
        &self.0.host
    }

    /// The repository's name in the registry.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Checks that the host is a registry, and accepts the credentials.
    pub async fn check(&self) -> Result<()> {
        let response = self.send(Request::new(Method::GET, self.0.base.clone()), Access::Ping).await?;
        // The specification requires only the status 200. The header is older; registries without it send JSON.
        let has_header = response.header("docker-distribution-api-version").is_some();
        if response.status.is_success() && (has_header || response.media_type() == "application/json") {
            return Ok(());
        }
        Err(self.not_a_registry(&response))
    }

    /// The digest that a tag or digest names; none if there is no such image. One request, unless the registry requires a
    /// token.
    pub async fn digest_of(&self, reference: &str) -> Result<Option<String>> {
        let response = self.send(self.manifest_request(Method::HEAD, reference)?, Access::Pull).await?;
        if response.status == StatusCode::NOT_FOUND && response.media_type() != "text/html" {
            return Ok(None);
        }
        if !response.status.is_success() || !is_manifest(response.media_type()) {
            return Err(self.unexpected(&response, &format!("looking for {reference}")));
        }
        match response.header(DIGEST_HEADER) {
            Some(digest) if is_digest(digest) => Ok(Some(digest.to_owned())),
            // The header is optional in the specification.
            _ => Ok(Some(self.manifest(reference).await?.digest)),
        }
    }

    /// The manifest that a tag or digest names, with its digest verified.
    pub async fn manifest(&self, reference: &str) -> Result<Manifest> {
        let mut request = self.manifest_request(Method::GET, reference)?;
        request.max_bytes = MAX_MANIFEST_BYTES;
        let response = self.send(request, Access::Pull).await?;
        self.found(&response, reference)?;
        let digest = format!("sha256:{}", sha256(&response.body));
        let announced = if is_digest(reference) { Some(reference) } else { response.header(DIGEST_HEADER) };
        if let Some(announced) = announced.filter(|announced| *announced != digest) {
            return Err(self.other(
                &format!("reading {reference}"),
                format!("the registry announced {} and sent {digest}", printable(announced)),
            ));
        }
        let media_type = response.media_type().to_owned();
        Manifest::read(digest, &media_type, response.body)
            .map_err(|why| self.other(&format!("reading {reference}"), printable(&why)))
    }

    /// An image's configuration, with its digest verified.
    pub async fn config(&self, image: &ImageManifest) -> Result<ImageConfig> {
        let digest = &image.config.digest;
        let bytes = self.blob(digest, MAX_MANIFEST_BYTES).await?;
        let what = format!("reading the configuration {digest}");
        serde_json::from_slice(&bytes).map_err(|error| self.other(&what, printable(&error.to_string())))
    }

    /// A blob of at most so many bytes, with its digest verified.
    pub async fn blob(&self, digest: &str, max_bytes: usize) -> Result<Vec<u8>> {
        if !is_digest(digest) {
            return Err(self.other("reading a blob", format!("{:?} is not a digest", printable(digest))));
        }
        let mut request = Request::new(Method::GET, self.url(&format!("blobs/{digest}"))?);
        request.max_bytes = max_bytes;
        let response = self.send(request, Access::Pull).await?;
        self.found(&response, digest)?;
        if format!("sha256:{}", sha256(&response.body)) != *digest {
            return Err(self.other(&format!("reading the blob {digest}"), "the registry sent other bytes".to_owned()));
        }
        Ok(response.body)
    }

    /// Tags an image of the repository; moves the tag if it exists.
    pub async fn tag(&self, manifest: &Manifest, tag: &str) -> Result<()> {
        let mut request = Request::new(Method::PUT, self.manifest_url(tag)?);
        let media_type = HeaderValue::try_from(manifest.media_type.as_str());
        request.headers.push((CONTENT_TYPE, media_type.map_err(|error| self.other("tagging", error.to_string()))?));
        request.body = manifest.bytes.clone();
        let response = self.send(request, Access::Push).await?;
        if !response.status.is_success() {
            return Err(self.unexpected(&response, &format!("tagging {} as {tag}", manifest.digest)));
        }
        match response.header(DIGEST_HEADER).filter(|digest| *digest != manifest.digest) {
            None => Ok(()),
            Some(other) => Err(self.other(
                &format!("tagging as {tag}"),
                format!("{} was stored as {}", manifest.digest, printable(other)),
            )),
        }
    }

    /// Every tag; none of a repository that does not exist yet.
    pub async fn tags(&self) -> Result<Vec<String>> {
        let listed = tokio::time::timeout(TAGS_TIMEOUT, self.all_tags()).await;
        let seconds = TAGS_TIMEOUT.as_secs();
        listed.unwrap_or_else(|_| Err(self.other("listing tags", format!("it took longer than {seconds} s"))))
    }

    async fn all_tags(&self) -> Result<Vec<String>> {
        #[derive(serde::Deserialize)]
        struct Page {
            #[serde(default)]
            tags: Option<Vec<String>>,
        }
        let failed = |why: String| Err(self.other("listing tags", why));
        let mut url = self.url("tags/list")?;
        url.query_pairs_mut().append_pair("n", PAGE_SIZE);
        let (mut tags, mut pages) = (Vec::new(), HashSet::new());
        for _ in 0..MAX_PAGES {
            if !pages.insert(url.clone()) {
                return failed("the pages lead in a circle".to_owned());
            }
            let mut request = Request::new(Method::GET, url.clone());
            request.max_bytes = MAX_MANIFEST_BYTES;
            let response = self.send(request, Access::Pull).await?;
            if response.status == StatusCode::NOT_FOUND && response.media_type() != "text/html" {
                return Ok(tags);
            }
            if !response.status.is_success() {
                return Err(self.unexpected(&response, "listing tags"));
            }
            let page: Page = serde_json::from_slice(&response.body).map_err(|_| self.not_a_registry(&response))?;
            let page = page.tags.unwrap_or_default();
            if let Some(bad) = page.iter().find(|tag| !is_tag(tag)) {
                return failed(format!("{:?} is not a tag", printable(bad)));
            }
            tags.extend(page);
            if tags.len() > MAX_TAGS {
                return failed(format!("there are more than {MAX_TAGS}"));
            }
            let Some(next) = next_page(&response) else {
                tags.sort();
                tags.dedup();
                return Ok(tags);
            };
            if !http::same_server(&next, &self.0.base) {
                return failed(format!("the next page is at {}", host(&next)));
            }
            url = next;
        }
        failed(format!("there are more than {MAX_PAGES} pages"))
    }

    /// Checks that the credentials allow a push: begins to upload a layer, and cancels the upload.
    pub async fn check_push(&self) -> Result<()> {
        let response = self.send(Request::new(Method::POST, self.url("blobs/uploads/")?), Access::Push).await?;
        if response.status != StatusCode::ACCEPTED {
            self.found(&response, "the upload endpoint")?;
            return Err(self.not_a_registry(&response));
        }
        let upload = response.header(LOCATION.as_str()).and_then(|location| response.url.join(location).ok());
        // The registry deletes an upload that cannot be cancelled after some time.
        if let Some(upload) = upload.filter(|upload| http::same_server(upload, &self.0.base)) {
            self.send(Request::new(Method::DELETE, upload), Access::Push).await?;
        }
        Ok(())
    }

    /// Deletes a manifest with all its tags.
    pub async fn delete(&self, digest: &str) -> Result<()> {
        let request = Request::new(Method::DELETE, self.manifest_url(digest)?);
        let response = self.send(request, Access::Delete).await?;
        let refuses =
            response.status == StatusCode::METHOD_NOT_ALLOWED || response.error_text().contains("UNSUPPORTED");
        match response.status {
            status if status.is_success() => Ok(()),
            StatusCode::NOT_FOUND => self.found(&response, digest),
            _ if refuses => Err(RegistryError::DeletionRefused {
                registry: self.0.host.to_string(),
                response: response.error_text(),
            }),
            _ => Err(self.unexpected(&response, &format!("deleting {digest}"))),
        }
    }

    async fn send(&self, request: Request, access: Access) -> Result<Response> {
        let limit = self.0.http.longest();
        let sent = tokio::time::timeout(limit, self.0.auth.send(&self.0.http, request, access)).await;
        sent.unwrap_or_else(|_| {
            let why = format!("no answer within {limit:?}, with retries, redirects and tokens");
            Err(RegistryError::Unreachable { registry: self.0.host.to_string(), why })
        })
    }

    fn url(&self, path: &str) -> Result<Url> {
        let joined = self.0.base.join(&format!("{}/{path}", self.0.name));
        joined.map_err(|error| self.other("building a URL", error.to_string()))
    }

    /// The text may come from a registry, so it is validated before it becomes part of a URL.
    fn manifest_url(&self, reference: &str) -> Result<Url> {
        if !is_digest(reference) && !is_tag(reference) {
            return Err(
                self.other("building a URL", format!("{:?} is neither a tag nor a digest", printable(reference)))
            );
        }
        self.url(&format!("manifests/{reference}"))
    }

    fn manifest_request(&self, method: Method, reference: &str) -> Result<Request> {
        let mut request = Request::new(method, self.manifest_url(reference)?);
        const ALL: (HeaderName, HeaderValue) = (ACCEPT, HeaderValue::from_static(manifest::ACCEPT));
        request.headers.push(ALL);
        Ok(request)
    }

    fn found(&self, response: &Response, reference: &str) -> Result<()> {
        if response.status == StatusCode::NOT_FOUND && response.media_type() != "text/html" {
            let what = format!("{} in {}", reference, self.0.name);
            return Err(RegistryError::NotFound { registry: self.0.host.to_string(), what });
        }
        if response.status.is_success() {
            Ok(())
        } else {
            Err(self.unexpected(response, &format!("reading {reference}")))
        }
    }

    /// The error for an unexpected response. A response in HTML is not from a registry.
    fn unexpected(&self, response: &Response, what: &str) -> RegistryError {
        if response.status.is_success() || response.media_type() == "text/html" {
            return self.not_a_registry(response);
        }
        self.other(what, format!("the response was {}", response.error_text()))
    }

    fn not_a_registry(&self, response: &Response) -> RegistryError {
        let media_type = if response.media_type().is_empty() { "no media type" } else { response.media_type() };
        let why = format!("the response was {} with {}", response.status, printable(media_type));
        RegistryError::NotARegistry { registry: self.0.host.to_string(), why }
    }

    fn other(&self, what: &str, why: String) -> RegistryError {
        RegistryError::Other { registry: self.0.host.to_string(), what: what.to_owned(), why }
    }
}

/// RFC 8288: `</v2/name/tags/list?last=x&n=y>; rel="next"`.
fn next_page(response: &Response) -> Option<Url> {
    let (target, parameters) = response.header("link")?.split_once(';')?;
    let target = target.trim().strip_prefix('<')?.strip_suffix('>')?;
    parameters.contains("next").then(|| response.url.join(target).ok())?
}
