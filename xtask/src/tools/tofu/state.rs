//! What a state says of its resources, read from `show -json` (`internal/command/jsonstate`).

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A resource that was made and does not work: its provider says so in the attribute `status`. Scaleway's provider warns of
/// it when it reads the resource, and lets the apply succeed (v2.81.0, its issue 3838).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ailing {
    /// Its address.
    pub address: String,
    /// What the provider says of it.
    pub message: Option<String>,
}

/// A whole state. The values are looked at and dropped: secret ones are among them.
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

/// Types of resources differ in what these are, if they have them.
#[derive(Debug, Default, Deserialize)]
struct Attributes {
    status: Option<Value>,
    error_message: Option<Value>,
}

impl State {
    /// The resources that do not work.
    pub fn ailing(self) -> Vec<Ailing> {
        self.values.map(|values| values.root_module.ailing()).unwrap_or_default()
    }
}

impl Module {
    fn ailing(self) -> Vec<Ailing> {
        let text = |value: Option<Value>| value?.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let is_ailing = |of: &Resource| of.values.status.as_ref().is_some_and(|status| status == "error");
        let own = self.resources.into_iter().filter(is_ailing);
        let own = own.map(|of| Ailing { address: of.address, message: text(of.values.error_message) });
        own.chain(self.child_modules.into_iter().flat_map(Self::ailing)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_work_is_found_wherever_it_is() {
        let state = r#"{"format_version":"1.0","values":{"root_module":{"resources":[
            {"address":"c.good","values":{"status":"ready","error_message":"once","secret":"s"}},
            {"address":"c.bad","values":{"status":"error","error_message":"no such image"}},
            {"address":"c.list","values":{"status":[{"a":1}]}},{"address":"c.null","values":{"status":null}}],
            "child_modules":[{"address":"module.a","resources":[{"address":"module.a.c.bad","values":{"status":"error","error_message":""}}]}]}}}"#;
        let state: State = serde_json::from_str(state).unwrap();
        let message = Some("no such image".to_owned());
        let bad = Ailing { address: "c.bad".to_owned(), message };
        assert_eq!(state.ailing(), [bad, Ailing { address: "module.a.c.bad".to_owned(), message: None }]);
        let none: State = serde_json::from_str(r#"{"format_version":"1.0"}"#).unwrap();
        assert_eq!(none.ailing(), []);
    }
}
