//! The resources of a state, read from `show -json` (`internal/command/jsonstate`).

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A resource that exists and whose attribute `status` is `error`. Scaleway's provider only warns of it when it reads the
/// resource, and lets the apply succeed (v2.81.0, its issue 3838).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErroredResource {
    /// Its address.
    pub address: String,
    /// The provider's reason.
    pub message: Option<String>,
}

/// A whole state. Values are read and dropped: some of them are secret.
#[derive(Debug, Deserialize)]
pub struct State {
    values: Option<Values>,
}

#[derive(Debug, Deserialize)]
struct Values {
    #[serde(default)]
    root_module: Module,
}

#[derive(Debug, Default, Deserialize)]
struct Module {
    #[serde(default)]
    resources: Vec<Resource>,
    #[serde(default)]
    child_modules: Vec<Module>,
}

#[derive(Debug, Deserialize)]
struct Resource {
    address: String,
    #[serde(default)]
    values: Attributes,
}

/// Not every type of resource has these, and their types differ.
#[derive(Debug, Default, Deserialize)]
struct Attributes {
    status: Option<Value>,
    error_message: Option<Value>,
}

impl std::fmt::Display for ErroredResource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let message = self.message.as_deref().unwrap_or("the provider gives no reason");
        write!(f, "{} was applied, and its status is error: {message}", self.address)
    }
}

impl State {
    /// The resources whose status is `error`.
    pub fn errored_resources(self) -> Vec<ErroredResource> {
        self.values.map(|values| values.root_module.errored_resources()).unwrap_or_default()
    }
}

impl Module {
    fn errored_resources(self) -> Vec<ErroredResource> {
        let text = |value: Option<Value>| value?.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let has_error = |of: &Resource| of.values.status.as_ref().is_some_and(|status| status == "error");
        let own = self.resources.into_iter().filter(has_error);
        let own = own.map(|of| ErroredResource { address: of.address, message: text(of.values.error_message) });
        own.chain(self.child_modules.into_iter().flat_map(Self::errored_resources)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errored_resources_are_found_in_every_module() {
        let state = r#"{"format_version":"1.0","values":{"root_module":{"resources":[
            {"address":"c.good","values":{"status":"ready","error_message":"once","secret":"s"}},
            {"address":"c.bad","values":{"status":"error","error_message":"no such image"}},
            {"address":"c.list","values":{"status":[{"a":1}]}},{"address":"c.null","values":{"status":null}}],
            "child_modules":[{"address":"module.a","resources":[{"address":"module.a.c.bad","values":{"status":"error","error_message":""}}]}]}}}"#;
        let state: State = serde_json::from_str(state).unwrap();
        let message = Some("no such image".to_owned());
        let bad = ErroredResource { address: "c.bad".to_owned(), message };
        assert_eq!(
            state.errored_resources(),
            [bad, ErroredResource { address: "module.a.c.bad".to_owned(), message: None }]
        );
        let none: State = serde_json::from_str(r#"{"format_version":"1.0"}"#).unwrap();
        assert_eq!(none.errored_resources(), []);
    }
}
