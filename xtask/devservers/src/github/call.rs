//! A request that an operation answers.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::Value;

use super::answer::Answer;
use super::tokens::Token;
use crate::http::Request;

/// A request that was found fit: its operation's parameters, its body, and who asks.
pub(super) struct Call {
    pub request: Request,
    pub parameters: HashMap<String, String>,
    pub queries: Vec<(String, String)>,
    /// Null where the request has none.
    pub body: Value,
    pub token: Token,
    /// The API's address.
    pub api: String,
}

impl Call {
    /// A parameter of the path.
    pub fn parameter(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }

    /// A parameter of the path that is a number: without one, no such thing exists.
    pub fn id(&self, name: &str) -> Result<u64, Answer> {
        self.parameter(name).parse().map_err(|_| Answer::not_found())
    }

    /// A parameter of the query, decoded.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.queries.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn queries(&self) -> &[(String, String)] {
        &self.queries
    }

    /// The address that was asked, without its query.
    pub fn address(&self) -> String {
        let path = self.request.path.split('?').next().unwrap_or_default();
        format!("{}{path}", self.api)
    }

    /// A text of the body.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.body[name].as_str()
    }

    /// A flag of the body, or what it is without one.
    pub fn flag(&self, name: &str, usual: bool) -> bool {
        self.body[name].as_bool().unwrap_or(usual)
    }
}

/// Now, as GitHub writes it: without fractions of a second.
pub(super) fn now() -> String {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).expect("a time of today").to_string()
}

/// The node id of a thing. It has to be different for each.
pub(super) fn node(kind: &str, id: u64) -> String {
    format!("{kind}_kwDO{id:08x}")
}

/// Copies the fields that a body has to what it changes.
pub(super) fn change(target: &mut Value, body: &Value, fields: &[&str]) {
    for name in fields {
        if let Some(value) = body.get(*name) {
            target[*name] = value.clone();
        }
    }
}

/// The thing with this id in a list of them.
pub(super) fn by_id(list: &mut [Value], id: u64) -> Result<&mut Value, Answer> {
    list.iter_mut().find(|value| value["id"] == id).ok_or_else(Answer::not_found)
}
