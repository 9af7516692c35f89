//! Requests to the platform's API and its answers, with its errors.

use anyhow::Error;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HeaderMap};
use hyper::{Method, Request, Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::http::{self, Body};

/// The most bytes of a request.
const MAX_BODY: usize = 1 << 20;

/// The entries of a page, unless the request says how many, and the most that it may ask for.
const PAGE_SIZE: (usize, usize) = (20, 100);

/// A request.
pub struct Call {
    pub method: Method,
    pub path: String,
    /// JSON, or null.
    pub body: Value,
    query: Vec<(String, String)>,
    headers: HeaderMap,
}

/// An answer.
pub enum Outcome {
    Done(Value),
    Failed(StatusCode, Value),
}

impl Call {
    /// Reads a request. The error is the answer to one that cannot be understood.
    pub async fn read(request: Request<Incoming>) -> Result<Self, Outcome> {
        let (head, body) = request.into_parts();
        let invalid = |why: &str| Outcome::invalid("body", why);
        let body =
            Limited::new(body, MAX_BODY).collect().await.map_err(|error| invalid(&error.to_string()))?.to_bytes();
        let body = if body.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&body) };
        let query = head.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let decoded = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        };
        Ok(Self {
            method: head.method,
            path: head.uri.path().to_owned(),
            body: body.map_err(|error| invalid(&error.to_string()))?,
            query: query.map(pair).collect(),
            headers: head.headers,
        })
    }

    /// Demands a key: `X-Auth-Token`, or as for Cockpit, `X-Token` or a bearer token. If `only` is set, no other
    /// key is accepted.
    pub fn authorize(&self, only: Option<&str>) -> Result<(), Outcome> {
        let header = |name: &str| self.headers.get(name).and_then(|value| value.to_str().ok());
        let bearer = header(AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer "));
        let key = header("x-auth-token").or_else(|| header("x-token")).or(bearer).unwrap_or_default();
        if key.is_empty() || only.is_some_and(|only| only != key) {
            let reason = if key.is_empty() { "not_provided" } else { "not_found" };
            return Err(Outcome::Failed(
                StatusCode::UNAUTHORIZED,
                json!({ "message": "authentication is denied", "method": "api_key", "reason": reason, "type": "denied_authentication" }),
            ));
        }
        Ok(())
    }

    /// A parameter of the query that is not empty.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// The page of a list that the request asks for, with the number of all entries.
    pub fn page(&self, field: &str, all: &[Value]) -> Outcome {
        let number = |name: &str| self.parameter(name).and_then(|text| text.parse::<usize>().ok());
        let size = number("page_size").unwrap_or(PAGE_SIZE.0).clamp(1, PAGE_SIZE.1);
        let skipped = number("page").unwrap_or(1).saturating_sub(1).saturating_mul(size);
        let page: Vec<_> = all.iter().skip(skipped).take(size).collect();
        Outcome::Done(json!({ field: page, "total_count": all.len() }))
    }
}

impl Outcome {
    pub fn not_found(resource: &str, id: &str) -> Self {
        let body =
            json!({ "message": "resource is not found", "resource": resource, "resource_id": id, "type": "not_found" });
        Self::Failed(StatusCode::NOT_FOUND, body)
    }

    pub fn invalid(argument: &str, why: &str) -> Self {
        let details = json!([{ "argument_name": argument, "help_message": why, "reason": "constraint" }]);
        let body = json!({ "message": "invalid argument(s)", "details": details, "type": "invalid_arguments" });
        Self::Failed(StatusCode::BAD_REQUEST, body)
    }

    pub fn conflict(message: &str) -> Self {
        Self::Failed(StatusCode::CONFLICT, json!({ "message": message, "type": "conflict" }))
    }

    pub fn unknown_path(call: &Call) -> Self {
        let message = format!("the stand-in's API does not have {} {}", call.method, call.path);
        Self::Failed(StatusCode::NOT_FOUND, json!({ "message": message, "type": "unknown_resource" }))
    }

    pub fn broken(error: &Error) -> Self {
        let body = json!({ "message": format!("{error:#}"), "type": "internal_error" });
        Self::Failed(StatusCode::INTERNAL_SERVER_ERROR, body)
    }

    pub fn response(self) -> Response<Body> {
        match self {
            Self::Done(body) => http::json(StatusCode::OK, &body),
            Self::Failed(status, body) => http::json(status, &body),
        }
    }
}
