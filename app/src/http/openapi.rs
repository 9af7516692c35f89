//! The description of the API by OpenAPI 3.1, made from the routes and from the types that their handlers take and return.

mod handler;
mod operation;

use std::sync::LazyLock;

use axum::{
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, VARY},
    },
    response::{IntoResponse, Response},
};
use ring::digest;
use serde_json::{Map, Value, json};

pub use handler::{Described, Input, Output};
use operation::Components;
pub use operation::{Operation, errors};

use super::{files::conditions, routes::Route};

static SERVED: LazyLock<Served> = LazyLock::new(|| {
    let json = document().to_string();
    let digest = digest::digest(&digest::SHA256, json.as_bytes());
    Served { tag: format!("\"{}\"", hex::encode(&digest.as_ref()[..16])), json }
});

struct Served {
    json: String,
    tag: String,
}

/// The description, or that the client has it.
pub struct Description {
    is_known: bool,
}

/// The description of all routes.
pub fn document() -> Value {
    let mut components = Components::default();
    let mut paths = Map::new();
    for route in super::routes() {
        let path = paths.entry(route.path.replace("{*", "{")).or_insert_with(|| json!({}));
        path[route.method.as_str().to_lowercase()] = operation::describe(&route, &mut components);
    }
    let mut components = components.finish();
    components["securitySchemes"] = json!({
        "session": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The token of a log-in. It has every scope, and the role of its account.",
        },
        "api_key": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key, with the scopes that it was created with: `read`, `upload`, `manage`.",
        },
        "share_session": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The token of `POST /api/shared/{token}/session`. It opens the one share whose password was given; a share \
                            without a password takes the token in its path alone.",
        },
    });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "The media service",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE") },
            "description": INTRODUCTION,
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": components,
    })
}

const INTRODUCTION: &str = "Users upload pictures and clips, find them again and share them.\n\n\
    Every error has the body of the schema `ErrorResponse`; the schema `ErrorCode` lists the codes. A request that is \
    answered with 429 or 503 may be repeated, after `Retry-After` if the answer has it. Every answer has `X-Request-Id`, which is \
    also in the service's log.";

/// `GET /api/openapi.json`
pub async fn get(headers: HeaderMap) -> Description {
    Description { is_known: conditions::is_known(&headers, &SERVED.tag) }
}

impl IntoResponse for Description {
    fn into_response(self) -> Response {
        let Served { json, tag } = &*SERVED;
        // Weak: compressed or not, it is the same description.
        let tag = HeaderValue::try_from(format!("W/{tag}")).expect("hexadecimal digits are visible ASCII");
        let validators = [
            (ETAG, tag),
            (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (VARY, HeaderValue::from_static("accept-encoding")),
        ];
        if self.is_known {
            return (StatusCode::NOT_MODIFIED, validators).into_response();
        }
        let content_type = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        (validators, content_type, json.as_str()).into_response()
    }
}

impl Output for Description {
    fn describe(operation: &mut Operation<'_>) {
        let description = "Entity tags of answers that the client has kept";
        operation.header("If-None-Match", false, description, json!({ "type": "string" }));
        operation.answers(304);
        operation.answer_header("ETag", "Of this description");
        operation.answers(200);
        operation.answer_header("ETag", "Of this description");
        operation.answer_content("application/json", json!({ "type": "object" }));
    }
}

impl Route {
    /// What a client generator calls it: the handler's module and name.
    pub fn id(&self) -> String {
        let mut parts = self.handler.rsplit("::");
        let (name, module) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        format!("{module}_{name}")
    }

    /// What it belongs to: the path's first part after `/api`.
    pub fn tag(&self) -> &'static str {
        self.path.split('/').nth(2).filter(|tag| !tag.contains('.')).unwrap_or("service")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
        let mut all = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                all.push((path.as_str(), method.as_str(), operation));
            }
        }
        all
    }

    #[test]
    fn every_route_and_nothing_else_is_described() {
        let document = document();
        let described: BTreeSet<String> =
            operations(&document).iter().map(|(path, method, _)| format!("{} {path}", method.to_uppercase())).collect();
        let routes: BTreeSet<String> = super::super::routes()
            .iter()
            .map(|route| format!("{} {}", route.method, route.path.replace("{*", "{")))
            .collect();
        assert_eq!(described, routes);
    }

    #[test]
    fn each_operation_has_a_name_of_its_own_a_summary_and_the_parameters_of_its_path() {
        let document = document();
        let mut ids = BTreeSet::new();
        for (path, _, operation) in operations(&document) {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id), "two operations are called {id}");
            let summary = operation["summary"].as_str().unwrap();
            assert!(summary.len() > 8 && !summary.ends_with('.'), "{id}: {summary:?}");
            let in_path = |parameter: &&Value| parameter["in"] == "path";
            let parameters = operation["parameters"].as_array().unwrap().iter().filter(in_path);
            let named: Vec<String> =
                parameters.map(|parameter| format!("{{{}}}", parameter["name"].as_str().unwrap())).collect();
            let expected: Vec<&str> = path.split('/').filter(|part| part.starts_with('{')).collect();
            assert_eq!(named, expected, "{id}");
            let answers = operation["responses"].as_object().unwrap();
            assert!(answers.keys().any(|status| status.starts_with('2')), "{id} never succeeds");
        }
    }

    #[test]
    fn everything_that_is_referred_to_exists() {
        let document = document();
        let text = document.to_string();
        let references: BTreeSet<&str> =
            text.split("\"#/components/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(!references.is_empty());
        for name in references {
            assert!(document.pointer(&format!("/components/{name}")).is_some_and(Value::is_object), "{name}");
        }
    }
}
