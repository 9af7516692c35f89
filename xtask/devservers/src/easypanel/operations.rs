//! The operations, as each version describes them, and what a request asks for.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::Version;
use crate::http::Request;

/// An operation.
pub struct Operation {
    /// Its name up to 2.32.
    pub name: &'static str,
    /// Its name from 2.33 on.
    pub public: &'static str,
    reads: bool,
    required: &'static [&'static str],
    optional: &'static [(&'static str, &'static str)],
}

const APP: &[&str] = &["projectName", "serviceName"];

static ALL: [Operation; 6] = [
    Operation {
        name: "projects.listProjectsAndServices",
        public: "listProjectsAndServices",
        reads: true,
        required: &[],
        optional: &[],
    },
    Operation {
        name: "projects.getDockerContainers",
        public: "getDockerContainers",
        reads: true,
        required: &["service"],
        optional: &[],
    },
    Operation {
        name: "services.app.inspectService",
        public: "inspectAppService",
        reads: true,
        required: APP,
        optional: &[],
    },
    Operation {
        name: "services.app.updateSourceImage",
        public: "updateAppSourceImage",
        reads: false,
        required: &["projectName", "serviceName", "image"],
        optional: &[("username", "string"), ("password", "string")],
    },
    Operation {
        name: "services.app.updateEnv",
        public: "updateAppEnv",
        reads: false,
        required: &["projectName", "serviceName", "env"],
        optional: &[("dotEnvPath", "string")],
    },
    Operation {
        name: "services.app.deployService",
        public: "deployAppService",
        reads: false,
        required: APP,
        optional: &[("forceRebuild", "boolean")],
    },
];

impl Operation {
    fn method(&self, version: Version) -> &'static str {
        match version {
            Version::Rpc => "POST",
            Version::Trpc | Version::Public if self.reads => "GET",
            Version::Trpc | Version::Public => "POST",
        }
    }

    fn path(&self, version: Version) -> String {
        match version {
            Version::Trpc => format!("/api/trpc/{}", self.name),
            Version::Rpc => format!("/api/rpc/{}", self.name.replace('.', "/")),
            Version::Public => format!("/api/{}", self.public),
        }
    }

    /// The schema of its input.
    fn schema(&self) -> Value {
        let texts = self.required.iter().map(|name| (*name, "string"));
        let all = texts.chain(self.optional.iter().copied());
        let properties: Map<String, Value> =
            all.map(|(name, kind)| (name.to_owned(), json!({ "type": kind }))).collect();
        json!({ "type": "object", "properties": properties, "required": self.required, "additionalProperties": false })
    }

    /// As the description has it.
    fn described(&self, version: Version) -> Value {
        let body = |schema: Value| json!({ "required": true, "content": { "application/json": { "schema": schema } } });
        match version {
            Version::Trpc => Value::Null,
            Version::Rpc => json!({ "post": { "operationId": self.name, "requestBody": body(self.schema()) } }),
            Version::Public if self.reads => {
                let parameter = |name: &&str| json!({ "name": name, "in": "query", "required": true, "schema": { "type": "string" } });
                let parameters: Vec<Value> = self.required.iter().map(parameter).collect();
                json!({ "get": { "operationId": self.public, "parameters": parameters } })
            }
            Version::Public => json!({ "post": { "operationId": self.public, "requestBody": body(self.schema()) } }),
        }
    }
}

/// What the panel answers at `/api/openapi.json`.
pub fn description(version: Version) -> Value {
    let (number, server) = match version {
        Version::Trpc => return Value::Null,
        Version::Rpc => ("2.32.2", "/api/rpc"),
        Version::Public => ("2.33.1", "/api"),
    };
    let path = |operation: &Operation| operation.path(version)[server.len()..].to_owned();
    let paths: Map<String, Value> =
        ALL.iter().map(|operation| (path(operation), operation.described(version))).collect();
    json!({
        "openapi": "3.1.1",
        "info": { "title": "Easypanel", "version": number },
        "servers": [{ "url": server }],
        "paths": paths,
    })
}

/// The operation that a request asks for, and its input, which fits its schema. Fails with the status and the reason.
pub fn find(version: Version, request: &Request) -> Result<(&'static Operation, Value), (u16, String)> {
    let path = request.path.split('?').next().unwrap_or_default();
    let operation = ALL.iter().find(|operation| operation.path(version) == path);
    let operation = operation.ok_or_else(|| (404, format!("no procedure at {path}")))?;
    if request.method != operation.method(version) {
        return Err((405, format!("{} is not {}", request.method, operation.method(version))));
    }
    let not_json = |error: serde_json::Error| (400, error.to_string());
    let mut input = match (version, operation.reads) {
        (Version::Trpc, true) => {
            let input = request.query("input").map(decoded).unwrap_or_default();
            serde_json::from_str::<Value>(&input).map_err(not_json)?
        }
        (Version::Public, true) => {
            let query = request.path.split_once('?').map(|(_, query)| query).unwrap_or_default();
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            Value::Object(pairs.map(|(name, value)| (name.to_owned(), decoded(value).into())).collect())
        }
        (Version::Rpc, _) | (_, false) => serde_json::from_slice::<Value>(&request.body).map_err(not_json)?,
    };
    if version != Version::Public {
        input = input.get_mut("json").map(Value::take).ok_or((400, "Input validation failed".to_owned()))?;
    }
    if let Err(error) = jsonschema::validate(&operation.schema(), &input) {
        return Err((400, format!("Input validation failed: {error}")));
    }
    Ok((operation, input))
}

fn decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}
