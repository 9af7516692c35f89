//! How a request shows who asks: a password with each, or a token that a server of the registry's choice gives for a
//! while (distribution project, "Token Authentication Specification").

use std::collections::HashMap;
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::credentials::{Credentials, Login};
use super::error::RegistryError;
use super::http::{Answer, Ask, Http, host, is_loopback, printable, same_server};

/// What the specification says of a token that does not tell how long it lives.
const DEFAULT_LIFE: u64 = 60;
/// A token is not used in its last seconds: it would end on the way.
const MARGIN: Duration = Duration::from_secs(10);

/// What a request does with a repository: what its token must allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Nothing in particular.
    Ping,
    /// Reads.
    Pull,
    /// Writes.
    Push,
    /// Deletes.
    Delete,
}

/// Who asks one repository, and the tokens they have for it.
pub struct Auth {
    credentials: Credentials,
    repository: String,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// The registry takes tokens: a password sent to it helps nothing.
    bearer: bool,
    tokens: HashMap<Access, Token>,
}

struct Token {
    challenge: Challenge,
    header: HeaderValue,
    until: Instant,
}

/// What the registry wants a token to say, and who gives it.
#[derive(Clone)]
struct Challenge {
    realm: Url,
    service: Option<String>,
    scope: Option<String>,
    /// What was sent has ended, or was never good; a token that is good and allows too little is another thing.
    invalid_token: bool,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Auth {
    /// For requests about this repository.
    pub fn new(credentials: Credentials, repository: String) -> Self {
        Self { credentials, repository, known: Mutex::default() }
    }

    /// Sends a request as whoever has credentials here. With a password, the first request carries it: with basic
    /// authentication, that one is the only one.
    pub async fn send(&self, http: &Http, ask: Ask, access: Access) -> Result<Answer, RegistryError> {
        let registry = ask.url.clone();
        let first = self.header(http, &registry, access).await?;
        let answer = http.send(Ask { authorization: first.clone(), ..ask.clone() }).await?;
        // Of a registry that takes tokens only, some answer a password by 400 or 403 and tell no challenge.
        let misunderstood = matches!(answer.status.as_u16(), 400 | 403) && self.is_guess(first.as_ref()).await;
        let asked = if misunderstood { http.send(ask.clone()).await? } else { answer };
        if asked.status != 401 {
            return self.unless_denied(asked, &registry, access);
        }
        // Whoever a redirect led to may not say where credentials go.
        if !same_server(&asked.url, &registry) {
            return Err(self.refused(&registry, access, format!("{} in its name: {}", host(&asked.url), asked.status)));
        }
        let header = match challenge(&asked, &registry)? {
            Some(Asked::Bearer(challenge)) => self.renew(http, &registry, challenge, access, first.as_ref()).await?,
            Some(Asked::Basic) => return Err(self.refused(&registry, access, asked.words())),
            None => {
                let why = "it answers 401 and does not say how to log in".to_owned();
                return Err(RegistryError::NotARegistry { registry: host(&registry), why });
            }
        };
        let answer = http.send(Ask { authorization: Some(header.clone()), ..ask.clone() }).await?;
        // Of two servers' clocks one may be behind, and a cache may give what has ended.
        let answer = match challenge(&answer, &registry)? {
            Some(Asked::Bearer(challenge)) if answer.status == 401 && challenge.invalid_token => {
                let header = self.renew(http, &registry, challenge, access, Some(&header)).await?;
                http.send(Ask { authorization: Some(header), ..ask }).await?
            }
            _ => answer,
        };
        self.unless_denied(answer, &registry, access)
    }

    /// The header of a request before the registry was asked anything: a token that lives, or the password.
    async fn header(&self, http: &Http, registry: &Url, access: Access) -> Result<Option<HeaderValue>, RegistryError> {
        let mut known = self.known.lock().await;
        if let Some(token) = known.tokens.get(&access) {
            if token.until > Instant::now() {
                return Ok(Some(token.header.clone()));
            }
            let challenge = token.challenge.clone();
            return self.exchange(http, registry, challenge, access, &mut known).await.map(Some);
        }
        match self.credentials.login() {
            Some(Login::Password { username, password }) if !known.bearer => Ok(Some(basic(username, password))),
            _ => Ok(None),
        }
    }

    async fn is_guess(&self, sent: Option<&HeaderValue>) -> bool {
        sent.is_some_and(|header| header.as_bytes().starts_with(b"Basic ")) && !self.known.lock().await.bearer
    }

    /// A new token in the place of the one that was sent, unless a request beside this one brought it already.
    async fn renew(
        &self,
        http: &Http,
        registry: &Url,
        challenge: Challenge,
        access: Access,
        sent: Option<&HeaderValue>,
    ) -> Result<HeaderValue, RegistryError> {
        let mut known = self.known.lock().await;
        match known.tokens.get(&access) {
            Some(token) if Some(&token.header) != sent && token.until > Instant::now() => Ok(token.header.clone()),
            _ => self.exchange(http, registry, challenge, access, &mut known).await,
        }
    }

    async fn exchange(
        &self,
        http: &Http,
        registry: &Url,
        challenge: Challenge,
        access: Access,
        known: &mut Known,
    ) -> Result<HeaderValue, RegistryError> {
        known.bearer = true;
        let answer = http.send(self.token_request(&challenge, access)).await?;
        if answer.status.is_client_error() {
            let why = format!("its token server {} answered {}", host(&challenge.realm), answer.words());
            return Err(self.refused(registry, access, why));
        }
        let broken = |why: &str| RegistryError::NotARegistry {
            registry: host(&challenge.realm),
            why: format!("asked for a token, it answered {} {why}", answer.status),
        };
        if !answer.status.is_success() {
            return Err(broken("and gave none"));
        }
        // serde's words could repeat a part of a token.
        let given: TokenAnswer = serde_json::from_slice(&answer.body).map_err(|_| broken("and no token in JSON"))?;
        let token = given.token.or(given.access_token).ok_or_else(|| broken("and no token"))?;
        let header = secret_header(format!("Bearer {token}")).map_err(|_| broken("and a token that is none"))?;
        // A day is long enough; more would be past what a clock can tell.
        let life = Duration::from_secs(given.expires_in.unwrap_or(DEFAULT_LIFE).min(86_400));
        let until = Instant::now() + life.saturating_sub(MARGIN);
        known.tokens.insert(access, Token { challenge, header: header.clone(), until });
        Ok(header)
    }

    fn token_request(&self, challenge: &Challenge, access: Access) -> Ask {
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
        let mut ask = match self.credentials.login() {
            Some(Login::IdentityToken(token)) => {
                // The form's encoding is that of a query.
                let mut form = url.clone();
                form.set_query(None);
                let refresh =
                    [("grant_type", "refresh_token"), ("client_id", "xtask"), ("refresh_token", token.expose_secret())];
                form.query_pairs_mut()
                    .extend_pairs(refresh)
                    .extend_pairs(fields.iter().filter_map(|(name, value)| Some((name, (*value)?))));
                let mut ask = Ask::new(Method::POST, url);
                ask.headers.push((CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")));
                ask.body = form.query().unwrap_or_default().as_bytes().to_vec();
                ask
            }
            login => {
                url.query_pairs_mut().extend_pairs(fields.iter().filter_map(|(name, value)| Some((name, (*value)?))));
                let mut ask = Ask::new(Method::GET, url);
                if let Some(Login::Password { username, password }) = login {
                    ask.authorization = Some(basic(username, password));
                }
                ask
            }
        };
        ask.follow = false;
        ask
    }

    fn unless_denied(&self, answer: Answer, registry: &Url, access: Access) -> Result<Answer, RegistryError> {
        match answer.status.as_u16() {
            401 | 403 => Err(self.refused(registry, access, answer.words())),
            _ => Ok(answer),
        }
    }

    fn refused(&self, registry: &Url, access: Access, answer: String) -> RegistryError {
        let what = match access {
            Access::Ping => "to log in".to_owned(),
            Access::Pull => format!("to show {}", self.repository),
            Access::Push => format!("to write to {}", self.repository),
            Access::Delete => format!("to delete from {}", self.repository),
        };
        let tried = self.credentials.source().to_owned();
        RegistryError::Unauthorized { registry: host(registry), what, tried, answer }
    }
}

enum Asked {
    Basic,
    Bearer(Challenge),
}

/// How the registry wants to be told who asks: a token goes first, since a password may be for its server alone.
fn challenge(answer: &Answer, registry: &Url) -> Result<Option<Asked>, RegistryError> {
    let headers = answer.headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
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
            why: format!("it names {:?} as its token server, {why}", printable(&realm)),
        };
        let url = Url::parse(&realm).map_err(|_| bad("which is no address"))?;
        let local = is_loopback(&url) && is_loopback(registry);
        if !(url.scheme() == "https" || url.scheme() == "http" && local) || !url.username().is_empty() {
            return Err(bad("and credentials go over https only"));
        }
        return Ok(Some(Asked::Bearer(Challenge {
            realm: url,
            service: parameter("service"),
            scope: parameter("scope"),
            invalid_token: parameter("error").as_deref() == Some("invalid_token"),
        })));
    }
    Ok(basic.then_some(Asked::Basic))
}

fn basic(username: &str, password: &SecretString) -> HeaderValue {
    use base64::Engine as _;
    let pair = format!("{username}:{}", password.expose_secret());
    let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
    secret_header(format!("Basic {encoded}")).expect("base64 has no character that a header may not have")
}

/// A value that no debugging output shows.
fn secret_header(text: String) -> Result<HeaderValue, reqwest::header::InvalidHeaderValue> {
    let mut value = HeaderValue::try_from(text)?;
    value.set_sensitive(true);
    Ok(value)
}
