//! Easypanel's API. Which of three a panel speaks depends on its version:
//!
//! | version | a call | input | answer |
//! |---|---|---|---|
//! | up to 2.30 | `GET /api/trpc/services.app.inspectService?input=…`; `POST` where it changes something | `{"json": …}` | `{"result": {"data": {"json": …}}}` |
//! | 2.31, 2.32 | `POST /api/rpc/services/app/inspectService` | `{"json": …}` | `{"json": …}` |
//! | from 2.33 | `GET /api/inspectAppService?…`; `POST` where it changes something | parameters, or JSON | JSON, or nothing |
//!
//! From 2.31 on, a panel describes its API by OpenAPI at `/api/openapi.json`, which says which of the two it is. An older one answers there
//! with 404 or with the page of its user interface.
//!
//! Sources: <https://easypanel.io/docs/api-reference> (from 2.33); github.com/helbertparanhos/easypanel-mcp-server
//! (`docs/easypanel-api.md`, `src/client.ts`, `src/procedures.ts`, `test/fixtures/easypanel-2.33-ops.json`), which was tried on panels
//! 2.30.1, 2.31.0, 2.32.2 and 2.33.1.

mod description;
mod error;

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub use self::description::Shape;
use self::description::{CONTAINERS, DEPLOY, ENV, IMAGE, INSPECT, LIST, Procedure};
pub use self::error::PanelError;
use super::patience::Patience;
use super::registry::http::{Http, REQUEST_TIMEOUT, Request, Response, is_loopback, printable};

type Result<T> = std::result::Result<T, PanelError>;

/// The longest answer in bytes: the description of 2.33 has 375 operations.
const LONGEST_ANSWER: usize = 16 << 20;

/// A panel.
pub struct Easypanel {
    http: Http,
    /// Waits for the end of a deploy.
    deploys: Http,
    base: Url,
    token: HeaderValue,
    shape: Shape,
}

/// An app service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// The project.
    pub project: String,
    /// Its name there.
    pub service: String,
}

/// A service of any kind.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// The project.
    pub project_name: String,
    /// Its name there.
    pub name: String,
    /// `app`, `compose`, `postgres`, …
    #[serde(rename = "type")]
    pub kind: String,
}

/// What the panel has.
#[derive(Clone, Debug, Deserialize)]
pub struct Contents {
    projects: Vec<Project>,
    /// The services of all projects.
    pub services: Vec<Listed>,
}

#[derive(Clone, Debug, Deserialize)]
struct Project {
    name: String,
}

/// What an app service is set to. A deploy makes it so.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspected {
    source: Option<Source>,
    /// Its variables, `NAME=value`, a line each.
    pub env: Option<String>,
    dot_env_path: Option<String>,
    mounts: Option<Vec<Mount>>,
}

#[derive(Clone, Deserialize)]
struct Source {
    image: Option<String>,
    username: Option<String>,
    password: Option<String>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mount {
    mount_path: Option<String>,
}

/// A container of a service, as Docker lists it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Container {
    /// Its id at Docker.
    pub id: String,
    /// The image that it was started from: `name@sha256:…`.
    pub image: String,
    /// `running`, `restarting`, `exited`, …
    pub state: String,
    /// For people, with its health where the image has a check: `Up 3 minutes (healthy)`.
    #[serde(default)]
    pub status: String,
}

impl Easypanel {
    /// Asks the panel at this address which API it has. A deploy is waited for at most `longest`.
    pub async fn connect(panel: &str, token: &SecretString, patience: &Patience, longest: Duration) -> Result<Self> {
        let wrong = |why: &str| PanelError::Other { panel: panel.to_owned(), why: why.to_owned() };
        let base = panel.parse::<Url>().map_err(|_| wrong("its address is not a URL"))?;
        let mut token = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
            .map_err(|_| wrong("the token is not valid in a header"))?;
        token.set_sensitive(true);
        let http = |timeout: Duration| -> Result<Http> {
            let http = Http::new(is_loopback(&base), timeout).map_err(|error| PanelError::of(panel, error))?;
            Ok(http.patient(patience))
        };
        let (http, deploys) = (http(REQUEST_TIMEOUT)?, http(longest)?);
        // Until it is known, nothing is called.
        let mut easypanel = Self { http, deploys, base, token, shape: Shape::Trpc };
        easypanel.shape = easypanel.find_shape().await?;
        Ok(easypanel)
    }

    /// Which API it has.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Its projects and services.
    pub async fn contents(&self) -> Result<Contents> {
        self.call(&LIST, &json!({})).await
    }

    /// What a service is set to.
    pub async fn inspect(&self, app: &App) -> Result<Inspected> {
        self.call(&INSPECT, &app.input()).await
    }

    /// Sets the image, without a deploy. The registry's user and password stay those of `before`.
    pub async fn set_image(&self, app: &App, image: &str, before: &Inspected) -> Result<()> {
        let mut input = app.input();
        input["image"] = image.into();
        if let Some(source) = &before.source {
            for (name, value) in [("username", &source.username), ("password", &source.password)] {
                if let Some(value) = value {
                    input[name] = value.as_str().into();
                }
            }
        }
        self.call::<Value>(&IMAGE, &input).await.map(drop)
    }

    /// Sets all variables, `NAME=value`, a line each, without a deploy.
    pub async fn set_env(&self, app: &App, env: &str, before: &Inspected) -> Result<()> {
        let mut input = app.input();
        input["env"] = env.into();
        if let Some(path) = &before.dot_env_path {
            input["dotEnvPath"] = path.as_str().into();
        }
        self.call::<Value>(&ENV, &input).await.map(drop)
    }

    /// Deploys what the service is set to, also if nothing but its variables differs. The panel answers at the end of the deploy. What
    /// became of it is not known after [`PanelError::Away`]: a proxy before the panel may wait less long.
    pub async fn deploy(&self, app: &App) -> Result<()> {
        let mut input = app.input();
        input["forceRebuild"] = true.into();
        let request = Request { retries: false, ..self.request(&DEPLOY, &input)? };
        let response = self.deploys.send(request).await.map_err(|error| PanelError::of(&self.name(), error))?;
        self.read::<Value>(&DEPLOY, &response).map(drop)
    }

    /// The containers that run a service.
    pub async fn containers(&self, app: &App) -> Result<Vec<Container>> {
        let input = json!({ "service": format!("{}_{}", app.project, app.service) });
        self.call(&CONTAINERS, &input).await
    }

    /// Its shape, by its description.
    async fn find_shape(&self) -> Result<Shape> {
        let url = self.join("api/openapi.json")?;
        let request = Request { max_bytes: LONGEST_ANSWER, ..self.authorized(Request::new(Method::GET, url)) };
        let response = self.http.send(request).await.map_err(|error| PanelError::of(&self.name(), error))?;
        if response.status == StatusCode::NOT_FOUND {
            return Ok(Shape::Trpc);
        }
        if !response.status.is_success() {
            return Err(self.refused("describe its API", &response));
        }
        match serde_json::from_slice::<Value>(&response.body) {
            Ok(description) => Shape::of(&description).map_err(|why| PanelError::Other { panel: self.name(), why }),
            // The page of its user interface.
            Err(_) => Ok(Shape::Trpc),
        }
    }

    async fn call<T: DeserializeOwned>(&self, procedure: &Procedure, input: &Value) -> Result<T> {
        let request = self.request(procedure, input)?;
        let response = self.http.send(request).await.map_err(|error| PanelError::of(&self.name(), error))?;
        self.read(procedure, &response)
    }

    fn request(&self, procedure: &Procedure, input: &Value) -> Result<Request> {
        let mut url = self.join(&self.shape.path(procedure))?;
        let enveloped = || json!({ "json": input }).to_string();
        let body = match (self.shape, procedure.reads) {
            (Shape::Trpc, true) => {
                url.query_pairs_mut().append_pair("input", &enveloped());
                None
            }
            (Shape::Public, true) => {
                let texts = input.as_object().into_iter().flatten();
                url.query_pairs_mut().extend_pairs(texts.filter_map(|(name, value)| Some((name, value.as_str()?))));
                None
            }
            (Shape::Trpc, false) | (Shape::Rpc, _) => Some(enveloped()),
            (Shape::Public, false) => Some(input.to_string()),
        };
        let method = if body.is_some() { Method::POST } else { Method::GET };
        let mut request = self.authorized(Request::new(method, url));
        if let Some(body) = body {
            request.headers.push((CONTENT_TYPE, HeaderValue::from_static("application/json")));
            request.body = body.into_bytes();
        }
        Ok(Request { max_bytes: LONGEST_ANSWER, ..request })
    }

    /// With the token, which follows no redirect.
    fn authorized(&self, request: Request) -> Request {
        let accept = (HeaderName::from_static("accept"), HeaderValue::from_static("application/json"));
        Request { authorization: Some(self.token.clone()), headers: vec![accept], follow_redirects: false, ..request }
    }

    fn read<T: DeserializeOwned>(&self, procedure: &Procedure, response: &Response) -> Result<T> {
        if !response.status.is_success() {
            return Err(self.refused(procedure.what, response));
        }
        let answer = match response.body.is_empty() {
            true => Ok(Value::Null),
            false => serde_json::from_slice::<Value>(&response.body),
        };
        let read = answer.and_then(|mut answer| {
            let inner = match self.shape {
                Shape::Trpc => answer["result"]["data"]["json"].take(),
                Shape::Rpc => answer["json"].take(),
                Shape::Public => answer,
            };
            serde_json::from_value(inner)
        });
        // The answer may have secrets in it, so the error has its place only.
        read.map_err(|error| PanelError::Other {
            panel: self.name(),
            why: format!(
                "its answer to the request to {} is not understood: {:?} error",
                procedure.what,
                error.classify()
            ),
        })
    }

    /// Why a request was not answered as it should be.
    fn refused(&self, what: &str, response: &Response) -> PanelError {
        let (panel, what, status) = (self.name(), what.to_owned(), response.status);
        let message = said(response);
        let has_message = message.is_some();
        let response = match message {
            Some(message) => format!("{status} ({message})"),
            None => status.to_string(),
        };
        match status.as_u16() {
            401 | 403 => PanelError::Unauthorized { panel, what, response },
            // The panel's own error has its message; without one, it may be of a server before it.
            500.. if !has_message => {
                PanelError::Away { panel, why: format!("it answered the request to {what} with {response}") }
            }
            _ => PanelError::Refused { panel, what, response },
        }
    }

    fn join(&self, path: &str) -> Result<Url> {
        self.base.join(path).map_err(|error| PanelError::Other { panel: self.name(), why: error.to_string() })
    }

    /// Its address.
    fn name(&self) -> String {
        self.base.origin().ascii_serialization()
    }
}

impl App {
    fn input(&self) -> Value {
        json!({ "projectName": self.project, "serviceName": self.service })
    }
}

impl Contents {
    /// Whether there is a project of this name.
    pub fn has_project(&self, name: &str) -> bool {
        self.projects.iter().any(|project| project.name == name)
    }
}

impl Inspected {
    /// The image that it is set to; none where it has another source.
    pub fn image(&self) -> Option<&str> {
        self.source.as_ref()?.image.as_deref()
    }

    /// Whether a volume or folder is mounted here.
    pub fn mounts(&self, path: &str) -> bool {
        let mut mounts = self.mounts.iter().flatten();
        mounts.any(|mount| mount.mount_path.as_deref().is_some_and(|at| at.trim_end_matches('/') == path))
    }
}

impl Container {
    /// Whether it was started from the image with this digest.
    pub fn runs(&self, digest: &str) -> bool {
        self.image.rsplit_once('@').is_some_and(|(_, of)| of == digest)
    }

    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        self.state == "running"
    }

    /// Whether it runs, and its image's check, if it has one, has passed.
    pub fn is_well(&self) -> bool {
        let is_checked = !self.status.contains("(unhealthy)") && !self.status.contains("(health: starting)");
        self.is_running() && is_checked
    }
}

/// The message of an answer that is an error.
fn said(response: &Response) -> Option<String> {
    let answer: Value = serde_json::from_slice(&response.body).ok()?;
    let places = [&answer["message"], &answer["json"]["message"], &answer["error"]["json"]["message"]];
    places.into_iter().find_map(Value::as_str).map(printable)
}

#[cfg(test)]
mod tests;
