//! What a stack needs: credentials of its state and providers, and the variables that deploy.yaml does not set.

use anyhow::Result;

use super::stack_files::{self, Block};
use super::{Ci, Need, Use, need};
use crate::config::{Config, Environment, Provider, Stack};

/// The variables that a release sets where the environment has `settings`.
const OF_RELEASE: [&str; 4] = ["image", "release", "settings", "secrets"];

/// What the files of a stack declare.
pub struct Declared<'a> {
    stack: &'a Stack,
    runs_service: bool,
    blocks: Vec<Block>,
}

impl<'a> Declared<'a> {
    /// Reads them. `service` is the environment whose releases the stack runs, if it does.
    pub fn read(config: &Config, service: Option<&Environment>, stack: &'a Stack) -> Result<Self> {
        let blocks = stack_files::blocks(&config.root.join(&stack.folder))?;
        let runs_service = service.is_some_and(|environment| environment.settings.is_some());
        Ok(Self { stack, runs_service, blocks })
    }

    /// Whether the stack itself gives the service a setting: an expression of it has a key of this name.
    pub fn sets(&self, setting: &str) -> bool {
        let is_it = |path: &String| path.rsplit('.').next() == Some(setting);
        self.blocks.iter().filter(|block| !block.is("variable")).any(|block| block.attributes.keys().any(is_it))
    }

    /// The keys of the state's bucket and of the providers.
    pub fn credentials(&self) -> Vec<Need> {
        let provider = self.stack.state.provider;
        let of_state = |at: Provider| if provider == at { vec![Use::State, Use::Stack] } else { vec![Use::Stack] };
        let mut needs = Vec::new();
        if provider == Provider::Scaleway || self.takes_key("scaleway", &["access_key"]) {
            let uses = of_state(Provider::Scaleway);
            let help = "The access key of an API key of Scaleway: IAM, Applications, the deployer";
            needs.push(need("SCW_ACCESS_KEY", true, true, help, &uses));
            needs.push(need("SCW_SECRET_KEY", true, true, "The secret key of that API key", &uses));
        }
        let of_amazon = provider == Provider::Aws;
        if of_amazon || (provider == Provider::Scaleway && self.takes_key("aws", &["access_key", "profile"])) {
            let uses = of_state(Provider::Aws);
            let role = "The ARN of the role of AWS that jobs of this environment take by OpenID Connect";
            needs.push(Need { ci: Ci::Alone, ..need("AWS_ROLE_ARN", false, true, role, &uses) });
            let key = need(
                "AWS_ACCESS_KEY_ID",
                true,
                true,
                "An access key of AWS; or AWS_PROFILE names a profile. In GitHub Actions the role of the variable AWS_ROLE_ARN takes its place",
                &uses,
            );
            needs.push(Need { ci: Ci::Nowhere, ..key });
            let key = need("AWS_SECRET_ACCESS_KEY", true, true, "The secret key of that access key", &uses);
            needs.push(Need { ci: Ci::Nowhere, ..key });
        } else if matches!(provider, Provider::R2 | Provider::Other) {
            let uses = [Use::State, Use::Stack];
            needs.push(need("AWS_ACCESS_KEY_ID", true, true, "The access key of the state's bucket", &uses));
            needs.push(need("AWS_SECRET_ACCESS_KEY", true, true, "The secret key of the state's bucket", &uses));
        }
        if self.takes_key("cloudflare", &["api_token", "api_key"]) {
            needs.push(need("CLOUDFLARE_API_TOKEN", true, true, "A token of Cloudflare's API", &[Use::Stack]));
        }
        needs
    }

    /// The variables that neither deploy.yaml nor a release sets: those without a default, and as optional ones those whose default
    /// is `null`.
    pub fn variables(&self) -> Vec<Need> {
        let mut needs: Vec<Need> =
            stack_files::variables(&self.blocks).iter().filter_map(|v| self.variable(v)).collect();
        needs.sort_by_key(|need| !need.required);
        needs
    }

    fn variable(&self, variable: &stack_files::Variable<'_>) -> Option<Need> {
        let name = variable.name;
        let is_set = self.stack.variables.contains_key(name) || (self.runs_service && OF_RELEASE.contains(&name));
        let required = match variable.default {
            None => true,
            Some("null") => false,
            Some(_) => return None,
        };
        let help = variable.description.unwrap_or("A variable of the stack");
        (!is_set).then(|| need(&format!("TF_VAR_{name}"), variable.sensitive, required, help, &[Use::Stack]))
    }

    /// Whether a provider takes its credentials from the environment: a configuration of it sets none of these attributes, or it is
    /// required and has no configuration.
    fn takes_key(&self, name: &str, attributes: &[&str]) -> bool {
        let source = format!("required_providers.{name}.source");
        let is_required = self.blocks.iter().any(|block| block.attributes.contains_key(&source));
        let mut configured = self.blocks.iter().filter(|block| block.labels == ["provider", name]).peekable();
        let without = |block: &Block| !attributes.iter().any(|attribute| block.attributes.contains_key(*attribute));
        (is_required && configured.peek().is_none()) || configured.any(without)
    }
}
