//! What the owner of a Supabase project asks of its auth server. Shapes: "Auth Admin" of Supabase's API, 2026-08.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::http_client::{HttpClient, http_client};

const TIMEOUT: Duration = Duration::from_secs(30);

/// In bytes.
const MAX_ANSWER: usize = 1 << 20;

/// A project, with a key that may do all.
pub struct Project {
    http: HttpClient<Full<Bytes>>,
    /// Without a slash at its end.
    url: String,
    key: HeaderValue,
    /// The legacy key is a token; a secret key of today is none.
    bearer: Option<HeaderValue>,
}

/// A user of the project.
#[derive(Deserialize)]
pub struct User {
    #[serde(default)]
    pub email: String,
    recovery_sent_at: Option<String>,
    last_sign_in_at: Option<String>,
}

/// Why a request did not succeed.
#[derive(Debug)]
pub enum Failure {
    /// This user is at fault.
    User(String),
    /// The next request would fail, too.
    Project(String),
}

impl User {
    /// Whether the user was sent a link, or has come in without one.
    pub fn has_been_written_to(&self) -> bool {
        self.recovery_sent_at.is_some() || self.last_sign_in_at.is_some()
    }
}

impl Project {
    /// # Errors
    /// If the key is none, or this machine has no certificates to verify the project's server by.
    pub fn new(url: String, key: &SecretString) -> anyhow::Result<Self> {
        let is_of_this_machine = |url: &str| {
            let hosts = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
            hosts.iter().any(|host| url.strip_prefix(host).is_some_and(|rest| rest.is_empty() || rest.starts_with(':')))
        };
        // The key is in each request.
        anyhow::ensure!(
            url.starts_with("https:") || is_of_this_machine(&url),
            "SUPABASE_URL is not encrypted: it must begin with https"
        );
        let secret = |text: String| {
            let mut value =
                HeaderValue::try_from(text).map_err(|_| anyhow::anyhow!("SUPABASE_SERVICE_ROLE_KEY is no key"))?;
            value.set_sensitive(true);
            anyhow::Ok(value)
        };
        let key = key.expose_secret();
        let bearer = (!key.starts_with("sb_")).then(|| secret(format!("Bearer {key}"))).transpose()?;
        Ok(Self { http: http_client(url.starts_with("https:"))?, key: secret(key.to_owned())?, bearer, url })
    }

    /// The user of an id.
    pub async fn find(&self, id: Uuid) -> Result<Option<User>, Failure> {
        match self.ask(Method::GET, &format!("admin/users/{id}"), None).await? {
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (status, body) => {
                let user = accepted(status, body)?;
                serde_json::from_value(user)
                    .map(Some)
                    .map_err(|error| Failure::Project(format!("the answer is no user: {error}")))
            }
        }
    }

    /// Makes a user. The person who reads the mail of its address sets the first password.
    pub async fn create(&self, id: Uuid, email: &str) -> Result<(), Failure> {
        let body = json!({ "id": id, "email": email, "email_confirm": true });
        let (status, body) = self.ask(Method::POST, "admin/users", Some(body)).await?;
        accepted(status, body).map(drop)
    }

    /// Has the project send a link to set a password. It leads to the project's site URL.
    pub async fn send_link(&self, email: &str) -> Result<(), Failure> {
        let (status, body) = self.ask(Method::POST, "recover", Some(json!({ "email": email }))).await?;
        accepted(status, body).map(drop)
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<(StatusCode, Value), Failure> {
        let mut request =
            Request::builder().method(method).uri(format!("{}/auth/v1/{path}", self.url)).header("apikey", &self.key);
        if let Some(bearer) = &self.bearer {
            request = request.header(AUTHORIZATION, bearer);
        }
        let request = request
            .header(CONTENT_TYPE, "application/json")
            .header("x-supabase-api-version", "2024-01-01")
            .body(Full::from(body.map(|body| body.to_string()).unwrap_or_default()));
        let request = request.map_err(|error| Failure::Project(error.to_string()))?;
        let answer = tokio::time::timeout(TIMEOUT, async {
            let answer = self.http.request(request).await.map_err(|error| error.to_string())?;
            let status = answer.status();
            let body =
                Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map_err(|error| error.to_string())?;
            Ok((status, serde_json::from_slice(&body.to_bytes()).unwrap_or_default()))
        });
        let answer = answer.await.unwrap_or_else(|_| Err(format!("no answer within {} s", TIMEOUT.as_secs())));
        answer.map_err(|error: String| Failure::Project(format!("{} does not answer: {error}", self.url)))
    }
}

/// The body of an answer that is none of an error.
fn accepted(status: StatusCode, body: Value) -> Result<Value, Failure> {
    if status.is_success() {
        return Ok(body);
    }
    let said = ["message", "msg"].iter().find_map(|name| body[name].as_str()).unwrap_or("no message");
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Err(Failure::Project(format!("the project refuses SUPABASE_SERVICE_ROLE_KEY: {status}, {said}")))
        }
        StatusCode::TOO_MANY_REQUESTS => Err(Failure::Project(format!(
            "the project sends no more mails at the moment: {said}. Its limit is under Authentication → Rate Limits"
        ))),
        _ if status.is_client_error() => Err(Failure::User(format!("the project refuses its user: {status}, {said}"))),
        _ => Err(Failure::Project(format!("the project answers {status}, {said}"))),
    }
}
