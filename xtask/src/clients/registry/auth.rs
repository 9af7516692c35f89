//! Authentication: a password with each request, or a token from the registry's token server (distribution project, "Token
//! Authentication Specification").

use std::collections::HashMap;
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::credentials::{Credentials, Login};
use super::error::RegistryError;
use super::http::{Http, Request, Response, host, is_loopback, printable, same_server};
use super::token_server;

/// The lifetime of a token without `expires_in`, by the specification.
const DEFAULT_LIFETIME: u64 = 60;
/// A token is renewed this long before it expires.
const MARGIN: Duration = Duration::from_secs(10);

/// The largest response of a token server. Tokens have a few kilobytes, and each is sent in a header.
const MAX_TOKEN_BYTES: usize = 128 << 10;

/// What a request does with a repository, and so the access that its token needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Only logs in.
    Ping,
    /// Reads.
    Pull,
    /// Writes.
    Push,
    /// Deletes.
    Delete,
}

/// The credentials for one repository, and the tokens that they gave.
pub struct Auth {
    credentials: Credentials,
    repository: String,
    tokens: Mutex<Tokens>,
}

#[derive(Default)]
struct Tokens {
    /// Whether the registry accepts only tokens, and no password.
    required: bool,
    by_access: HashMap<Access, Token>,
}

struct Token {
    challenge: Challenge,
    header: HeaderValue,
    expires: Instant,
}

/// The registry's challenge: which token server, and which scope.
#[derive(Clone)]
struct Challenge {
    realm: Url,
    service: Option<String>,
    scope: Option<String>,
    /// Whether the token has expired or is invalid, as opposed to valid with insufficient scope.
    invalid_token: bool,
}

#[derive(Deserialize)]
struct TokenResponse {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Auth {
    /// For requests to this repository.
    pub fn new(credentials: Credentials, repository: String) -> Self {
        Self { credentials, repository, tokens: Mutex::default() }
    }

    /// Sends a request with credentials. The first request carries the password already, so that basic authentication takes one
    /// request only.
    pub async fn send(&self, http: &Http, request: Request, access: Access) -> Result<Response, RegistryError> {
        let registry = request.url.clone();
        let first = self.header(http, &registry, access).await?;
        let response = http.send(Request { authorization: first.clone(), ..request.clone() }).await?;
        // Some registries that accept only tokens reject a password with 400 or 403 and send no challenge.
        let rejected = matches!(response.status.as_u16(), 400 | 403) && self.is_untested_password(first.as_ref()).await;
        let response = if rejected { http.send(request.clone()).await? } else { response };
        if response.status != 401 {
            return self.unless_denied(response, &registry, access);
        }
        // A server behind a redirect must not choose the token server.
        if !same_server(&response.url, &registry) {
            return Err(self.refused(
                &registry,
                access,
                format!("redirected to {}: {}", host(&response.url), response.status),
            ));
        }
        let header = match challenge(&response, &registry)? {
            Some(Scheme::Bearer(challenge)) => self.renew(http, &registry, challenge, access, first.as_ref()).await?,
            Some(Scheme::Basic) => return Err(self.refused(&registry, access, response.error_text())),
            None => {
                let why = "the response was 401 without a challenge".to_owned();
                return Err(RegistryError::NotARegistry { registry: host(&registry), why });
            }
        };
        let response = http.send(Request { authorization: Some(header.clone()), ..request.clone() }).await?;
        // The token server's clock can differ, or its cache can return an expired token.
        let response = match challenge(&response, &registry)? {
            Some(Scheme::Bearer(challenge)) if response.status == 401 && challenge.invalid_token => {
                let header = self.renew(http, &registry, challenge, access, Some(&header)).await?;
                http.send(Request { authorization: Some(header), ..request }).await?
            }
            _ => response,
        };
        self.unless_denied(response, &registry, access)
    }

    /// The header of the first request: a valid token, or the password.
    async fn header(&self, http: &Http, registry: &Url, access: Access) -> Result<Option<HeaderValue>, RegistryError> {
        let mut tokens = self.tokens.lock().await;
        if let Some(token) = tokens.by_access.get(&access) {
            if token.expires > Instant::now() {
                return Ok(Some(token.header.clone()));
            }
            let challenge = token.challenge.clone();
            return self.exchange(http, registry, challenge, access, &mut tokens).await.map(Some);
        }
        match self.credentials.login() {
            Some(Login::Password { username, password }) if !tokens.required => Ok(Some(basic(username, password))),
            _ => Ok(None),
        }
    }

    async fn is_untested_password(&self, sent: Option<&HeaderValue>) -> bool {
        sent.is_some_and(|header| header.as_bytes().starts_with(b"Basic ")) && !self.tokens.lock().await.required
    }

    /// Replaces the token that was sent, unless a concurrent request has replaced it already.
    async fn renew(
        &self,
        http: &Http,
        registry: &Url,
        challenge: Challenge,
        access: Access,
        sent: Option<&HeaderValue>,
    ) -> Result<HeaderValue, RegistryError> {
        let mut tokens = self.tokens.lock().await;
        match tokens.by_access.get(&access) {
            Some(token) if Some(&token.header) != sent && token.expires > Instant::now() => Ok(token.header.clone()),
            _ => self.exchange(http, registry, challenge, access, &mut tokens).await,
        }
    }

    async fn exchange(
        &self,
        http: &Http,
        registry: &Url,
        challenge: Challenge,
        access: Access,
        tokens: &mut Tokens,
    ) -> Result<HeaderValue, RegistryError> {
        tokens.required = true;
        let allowed = self.credentials.token_host();
        if self.credentials.login().is_some() && !token_server::may_get_password(registry, &challenge.realm, allowed) {
            return Err(RegistryError::ForeignTokenServer {
                registry: host(registry),
                token_server: host(&challenge.realm),
            });
        }
        let response = http.send(self.token_request(&challenge, access)).await?;
        if response.status.is_client_error() {
            let why =
                format!("the response of its token server {} was {}", host(&challenge.realm), response.error_text());
            return Err(self.refused(registry, access, why));
        }
        let broken = |why: &str| RegistryError::NotARegistry {
            registry: host(&challenge.realm),
            why: format!("the response to a token request was {} {why}", response.status),
        };
        if !response.status.is_success() {
            return Err(broken("without a token"));
        }
        // serde's error could contain a part of the token.
        let given: TokenResponse =
            serde_json::from_slice(&response.body).map_err(|_| broken("without a token in JSON"))?;
        let token = given.token.or(given.access_token).ok_or_else(|| broken("without a token"))?;
        let header = secret_header(format!("Bearer {token}")).map_err(|_| broken("with an invalid token"))?;
        // Capped at a day, because Instant can overflow.
        let lifetime = Duration::from_secs(given.expires_in.unwrap_or(DEFAULT_LIFETIME).min(86_400));
        let expires = Instant::now() + lifetime.saturating_sub(MARGIN);
        tokens.by_access.insert(access, Token { challenge, header: header.clone(), expires });
        Ok(header)
    }

    fn token_request(&self, challenge: &Challenge, access: Access) -> Request {
        let scope = challenge.scope.clone().or_else(|| {
            let actions = match access {
                Access::Ping => return None,
                Access::Pull => "pull",
                Access::Push => "pull,push",
                Access::Delete => "delete",
            };
            Some(format!("repository:{}:{actions}", self.repository))
        });
        let fields = [("service", challenge.service.as_deref()), ("scope", scope.as_deref())];
        let mut url = challenge.realm.clone();
        let mut request = match self.credentials.login() {
            Some(Login::IdentityToken(token)) => {
                // A form is encoded like a query.
                let mut form = url.clone();
                form.set_query(None);
                let refresh =
                    [("grant_type", "refresh_token"), ("client_id", "xtask"), ("refresh_token", token.expose_secret())];
                form.query_pairs_mut()
                    .extend_pairs(refresh)
                    .extend_pairs(fields.iter().filter_map(|(name, value)| Some((name, (*value)?))));
                let mut request = Request::new(Method::POST, url);
                request.headers.push((CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")));
                request.body = form.query().unwrap_or_default().as_bytes().to_vec();
                request
            }
            login => {
                url.query_pairs_mut().extend_pairs(fields.iter().filter_map(|(name, value)| Some((name, (*value)?))));
                let mut request = Request::new(Method::GET, url);
                if let Some(Login::Password { username, password }) = login {
                    request.authorization = Some(basic(username, password));
                }
                request
            }
        };
        request.follow_redirects = false;
        request.max_bytes = MAX_TOKEN_BYTES;
        request
    }

    fn unless_denied(&self, response: Response, registry: &Url, access: Access) -> Result<Response, RegistryError> {
        match response.status.as_u16() {
            401 | 403 => Err(self.refused(registry, access, response.error_text())),
            _ => Ok(response),
        }
    }

    fn refused(&self, registry: &Url, access: Access, response: String) -> RegistryError {
        let what = match access {
            Access::Ping => "to log in".to_owned(),
            Access::Pull => format!("to show {}", self.repository),
            Access::Push => format!("to write to {}", self.repository),
            Access::Delete => format!("to delete from {}", self.repository),
        };
        let credentials = self.credentials.source().to_owned();
        RegistryError::Unauthorized { registry: host(registry), what, credentials, response }
    }
}

enum Scheme {
    Basic,
    Bearer(Challenge),
}

/// The registry's challenge. A token takes precedence, because the password may be for the token server only.
fn challenge(response: &Response, registry: &Url) -> Result<Option<Scheme>, RegistryError> {
    let headers = response.headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let mut basic = false;
    for challenge in headers.filter_map(|header| http_auth::parse_challenges(header).ok()).flatten() {
        basic |= challenge.scheme.eq_ignore_ascii_case("basic");
        if !challenge.scheme.eq_ignore_ascii_case("bearer") {
            continue;
        }
        let parameter = |name: &str| {
            let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.to_unescaped())
        };
        let realm = parameter("realm").unwrap_or_default();
        let bad = |why: &str| RegistryError::NotARegistry {
            registry: host(registry),
            why: format!("its token server {:?} {why}", printable(&realm)),
        };
        let url = Url::parse(&realm).map_err(|_| bad("is not a URL"))?;
        let local = is_loopback(&url) && is_loopback(registry);
        if !(url.scheme() == "https" || url.scheme() == "http" && local) || has_userinfo(&url) {
            return Err(bad("does not use https, which credentials require"));
        }
        return Ok(Some(Scheme::Bearer(Challenge {
            realm: url,
            service: parameter("service"),
            scope: parameter("scope"),
            invalid_token: parameter("error").as_deref() == Some("invalid_token"),
        })));
    }
    Ok(basic.then_some(Scheme::Basic))
}

fn has_userinfo(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

fn basic(username: &str, password: &SecretString) -> HeaderValue {
    use base64::Engine as _;
    let pair = format!("{username}:{}", password.expose_secret());
    let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
    secret_header(format!("Basic {encoded}")).expect("base64 is a valid header value")
}

/// A header that Debug does not show.
fn secret_header(text: String) -> Result<HeaderValue, reqwest::header::InvalidHeaderValue> {
    let mut value = HeaderValue::try_from(text)?;
    value.set_sensitive(true);
    Ok(value)
}
