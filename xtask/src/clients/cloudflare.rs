//! Cloudflare's own API, as far as OpenTofu's provider does not read it (Cloudflare's API reference, "R2 Bucket: Managed Domain").

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::registry::error::RegistryError;
use super::registry::http::{Http, REQUEST_TIMEOUT, Request, host, is_loopback, printable};

/// The URL of Cloudflare's API.
pub const API: &str = "https://api.cloudflare.com/client/v4";

/// The header that names the jurisdiction of a bucket.
const JURISDICTION: HeaderName = HeaderName::from_static("cf-r2-jurisdiction");

type Result<T> = std::result::Result<T, RegistryError>;

/// The R2 buckets of an account.
pub struct R2 {
    http: Http,
    base: Url,
    authorization: HeaderValue,
}

/// The r2.dev subdomain of a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ManagedDomain {
    /// The host name.
    pub domain: String,
    /// Whether everyone can read the bucket there.
    pub enabled: bool,
}

/// Every response of the API.
#[derive(Deserialize)]
struct Answer<T> {
    result: Option<T>,
    #[serde(default)]
    errors: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    message: String,
}

impl R2 {
    /// The buckets of an account. `api` is [`API`], or an address of this machine in tests.
    pub fn new(api: &str, account: &str, token: &SecretString) -> Result<Self> {
        let other = |why: &str| RegistryError::Other {
            registry: "Cloudflare's API".to_owned(),
            what: format!("using {api}"),
            why: why.to_owned(),
        };
        let base = Url::parse(&format!("{}/accounts/", api.trim_end_matches('/')));
        let base = base.map_err(|_| other("it is not a URL"))?;
        if base.scheme() != "https" && !is_loopback(&base) {
            return Err(other("the token requires https"));
        }
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
            .map_err(|_| other("the token is not valid in a header"))?;
        authorization.set_sensitive(true);
        let base = below(&base, &[account, "r2", "buckets"]).ok_or_else(|| other("it cannot have a path"))?;
        Ok(Self { http: Http::new(is_loopback(&base), REQUEST_TIMEOUT)?, base, authorization })
    }

    /// The r2.dev subdomain of a bucket in a jurisdiction: `default`, `eu` or `fedramp`.
    pub async fn managed_domain(&self, bucket: &str, jurisdiction: &str) -> Result<ManagedDomain> {
        let what = format!("reading the r2.dev subdomain of the bucket {bucket}");
        let other = |why: String| RegistryError::Other { registry: host(&self.base), what: what.clone(), why };
        let url = below(&self.base, &[bucket, "domains", "managed"]).ok_or_else(|| other("no URL".to_owned()))?;
        let mut request = Request::new(Method::GET, url);
        let jurisdiction = HeaderValue::try_from(jurisdiction).map_err(|error| other(error.to_string()))?;
        request.headers.push((JURISDICTION, jurisdiction));
        request.authorization = Some(self.authorization.clone());
        request.follow_redirects = false;
        let response = self.http.send(request).await?;
        let answer = serde_json::from_slice::<Answer<ManagedDomain>>(&response.body);
        let Ok(answer) = answer else {
            return Err(other(format!("the response was {}, which is not understood", response.status)));
        };
        if let (true, Some(domain)) = (response.status.is_success(), answer.result) {
            return Ok(domain);
        }
        let errors: Vec<String> = answer.errors.iter().map(|error| printable(&error.message)).collect();
        let hint = if matches!(response.status.as_u16(), 401 | 403) { "\n  check CLOUDFLARE_API_TOKEN" } else { "" };
        Err(other(format!("the response was {} ({}){hint}", response.status, errors.join("; "))))
    }
}

/// The URL with these segments appended.
fn below(base: &Url, segments: &[&str]) -> Option<Url> {
    let mut url = base.clone();
    url.path_segments_mut().ok()?.pop_if_empty().extend(segments);
    Some(url)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use devservers::http::{HttpServer, Response};

    #[tokio::test]
    async fn the_subdomain_of_a_bucket_is_read_in_its_jurisdiction() {
        drop(rustls::crypto::ring::default_provider().install_default());
        let server = HttpServer::start(|request| {
            let answer =
                |status, body: serde_json::Value| Response::new(status).body("application/json", body.to_string());
            match (request.header("authorization"), request.header("cf-r2-jurisdiction"), request.path.as_str()) {
                (Some("Bearer token"), Some("eu"), "/v4/accounts/a1/r2/buckets/media/domains/managed") => answer(
                    200,
                    json!({"success": true, "errors": [], "result": {"bucketId": "b", "domain": "pub-b.r2.dev", "enabled": true}}),
                ),
                (Some("Bearer token"), ..) => answer(
                    404,
                    json!({"success": false, "errors": [{"code": 10006, "message": "no such bucket"}], "result": null}),
                ),
                _ => answer(
                    403,
                    json!({"success": false, "errors": [{"code": 9109, "message": "Unauthorized"}], "result": null}),
                ),
            }
        });
        let url = format!("http://{}/v4", server.address);
        let with = |token: &str| R2::new(&url, "a1", &token.into()).unwrap();
        let open = ManagedDomain { domain: "pub-b.r2.dev".to_owned(), enabled: true };
        assert_eq!(with("token").managed_domain("media", "eu").await.unwrap(), open);
        let error = with("token").managed_domain("media", "default").await.unwrap_err().to_string();
        assert!(error.contains("404") && error.contains("no such bucket"), "{error}");
        let error = with("other").managed_domain("media", "eu").await.unwrap_err().to_string();
        assert!(error.contains("CLOUDFLARE_API_TOKEN") && !error.contains("other"), "{error}");
        // The name of a bucket cannot leave its place in the URL.
        assert!(with("token").managed_domain("x/../media", "eu").await.is_err());
        for api in ["http://api.example.org", "nonsense"] {
            assert!(R2::new(api, "a1", &"token".into()).is_err(), "{api}");
        }
    }
}
