//! The resources of a state, read from `show -json` (`internal/command/jsonstate`).

use serde::{Deserialize, Serialize};
use serde_json::Value;

const CONTAINER_DOMAIN: &str = "scaleway_container_domain";
const MANAGED_DOMAIN: &str = "cloudflare_r2_managed_domain";

/// A resource that exists and whose attribute `status` is `error`. Scaleway's provider only warns of it when it reads the
/// resource, and lets the apply succeed (v2.81.0, its issue 3838).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErroredResource {
    /// Its address.
    pub address: String,
    /// The provider's reason.
    pub message: Option<String>,
}

/// A resource whose provider does not read its condition, so that a plan does not show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnreadResource {
    /// A custom domain of a container: Scaleway's provider does not read its status (v2.81.0).
    ContainerDomain {
        address: String,
        /// `<region>/<UUID>`.
        id: String,
    },
    /// The r2.dev subdomain of a bucket: the Read of Cloudflare's provider is empty (v5.22.0).
    ManagedDomain {
        address: String,
        account: String,
        bucket: String,
        jurisdiction: String,
        /// Whether the last apply enabled it.
        enabled: bool,
    },
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
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    values: Attributes,
}

/// Not every type of resource has these, and their types differ.
#[derive(Debug, Default, Deserialize)]
struct Attributes {
    status: Option<Value>,
    error_message: Option<Value>,
    id: Option<Value>,
    account_id: Option<Value>,
    bucket_name: Option<Value>,
    jurisdiction: Option<Value>,
    enabled: Option<Value>,
}

impl std::fmt::Display for ErroredResource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let message = self.message.as_deref().unwrap_or("the provider gives no reason");
        write!(f, "{} was applied, and its status is error: {message}", self.address)
    }
}

impl UnreadResource {
    /// Whether the resource at this address is one.
    pub fn is_at(address: &str) -> bool {
        [CONTAINER_DOMAIN, MANAGED_DOMAIN].iter().any(|kind| address.split('.').any(|part| part == *kind))
    }
}

impl State {
    /// The resources whose status is `error`.
    pub fn errored_resources(&self) -> Vec<ErroredResource> {
        let has_error = |of: &&Resource| of.values.status.as_ref().is_some_and(|status| status == "error");
        let errored = |of: &Resource| ErroredResource {
            address: of.address.clone(),
            message: text(of.values.error_message.as_ref()).filter(|text| !text.is_empty()),
        };
        self.resources().into_iter().filter(has_error).map(errored).collect()
    }

    /// The resources whose condition only the platform's API tells.
    pub fn unread_resources(&self) -> Vec<UnreadResource> {
        self.resources().into_iter().filter_map(Resource::unread).collect()
    }

    /// Those of every module.
    fn resources(&self) -> Vec<&Resource> {
        let mut modules: Vec<&Module> = self.values.iter().map(|values| &values.root_module).collect();
        let mut resources = Vec::new();
        while let Some(module) = modules.pop() {
            resources.extend(&module.resources);
            modules.extend(&module.child_modules);
        }
        resources
    }
}

impl Resource {
    fn unread(&self) -> Option<UnreadResource> {
        let (address, values) = (self.address.clone(), &self.values);
        match self.kind.as_str() {
            CONTAINER_DOMAIN => Some(UnreadResource::ContainerDomain { address, id: text(values.id.as_ref())? }),
            MANAGED_DOMAIN => Some(UnreadResource::ManagedDomain {
                address,
                account: text(values.account_id.as_ref())?,
                bucket: text(values.bucket_name.as_ref())?,
                jurisdiction: text(values.jurisdiction.as_ref()).unwrap_or_else(|| "default".to_owned()),
                enabled: values.enabled.as_ref()?.as_bool()?,
            }),
            _ => None,
        }
    }
}

fn text(value: Option<&Value>) -> Option<String> {
    value?.as_str().map(str::to_owned)
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

    #[test]
    fn resources_that_no_provider_reads_are_found_in_every_module() {
        let state = r#"{"format_version":"1.0","values":{"root_module":{"resources":[
            {"address":"scaleway_container_domain.a","type":"scaleway_container_domain","values":{"id":"fr-par/d-1","hostname":"a.example.org"}},
            {"address":"terraform_data.b","type":"terraform_data","values":{"id":"1","enabled":"yes"}}],
            "child_modules":[{"resources":[{"address":"module.m.cloudflare_r2_managed_domain.c","type":"cloudflare_r2_managed_domain",
            "values":{"account_id":"a1","bucket_name":"media","jurisdiction":"eu","enabled":false}}]}]}}}"#;
        let state: State = serde_json::from_str(state).unwrap();
        let found = state.unread_resources();
        let domain = UnreadResource::ContainerDomain {
            address: "scaleway_container_domain.a".to_owned(),
            id: "fr-par/d-1".to_owned(),
        };
        assert_eq!((found.len(), &found[0]), (2, &domain));
        assert!(matches!(&found[1], UnreadResource::ManagedDomain { bucket, enabled: false, .. } if bucket == "media"));
        for (address, is) in [
            ("scaleway_container_domain.a", true),
            ("module.m[\"x.y\"].cloudflare_r2_managed_domain.c[0]", true),
            ("scaleway_container.a", false),
            ("terraform_data.scaleway_container_domains", false),
        ] {
            assert_eq!(UnreadResource::is_at(address), is, "{address}");
        }
    }
}
