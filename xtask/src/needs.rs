//! What an environment needs from outside: the names of its secrets, variables and credentials, from the service's table of settings,
//! deploy.yaml and the stack's files. No value is read. The rendered workflows, `.env.<environment>.example` and the secrets of
//! GitHub all come from this list.

mod of_stack;
pub mod stack_files;

use anyhow::Result;

use crate::config::{
    Address, Config, Easypanel, Environment, PLAN, Provider, Receiver, Setting, SettingsTable, SuppliedBy, Target,
};

/// The variable that holds the passphrase of states and plans.
pub const PASSPHRASE: &str = "TF_STATE_PASSPHRASE";

/// The variable that holds the token of an Easypanel's API.
pub const EASYPANEL_TOKEN: &str = "EASYPANEL_TOKEN";

/// What the names of variables begin with that are for the stack of an environment's media alone.
pub const MEDIA: &str = "MEDIA_";

/// A variable that an environment needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// The variable's name.
    pub name: String,
    /// Whether its value is secret.
    pub secret: bool,
    /// Whether nothing works without it.
    pub required: bool,
    /// What it is: a sentence.
    pub help: String,
    /// What takes it.
    pub uses: Vec<Use>,
    /// Where it is given in GitHub Actions.
    pub ci: Ci,
}

/// What takes a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// The service, as a setting.
    Settings,
    /// The stack and its providers, or the panel that runs the service.
    Stack,
    /// The bucket and the encryption of the stack's state, where records and leases are too.
    State,
    /// The registry of images.
    Registry,
    /// The image's build.
    Build,
    /// The platform's logs.
    Logs,
    /// Those who are told of a deploy, and its traces.
    Notify,
}

/// Where a variable is given in GitHub Actions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ci {
    /// A person gives it to the environment at GitHub: a secret if [`Need::secret`], else a variable.
    Given,
    /// The workflow says it: an expression of GitHub Actions.
    Expression(String),
    /// OpenID Connect takes its place.
    Nowhere,
    /// There alone: a role of AWS that a job takes by OpenID Connect.
    Alone,
}

/// Everything that an environment needs, in the order in which people give it: state, credentials, stack, registry, build, settings,
/// logs. Empty for an environment on this machine, which makes what it needs.
pub fn needs(config: &Config, environment: &Environment, table: &SettingsTable) -> Result<Vec<Need>> {
    let target = match &environment.target {
        // What the stack of the media needs is given with what its environment needs.
        Target::Local(_) | Target::Media(_) => return Ok(Vec::new()),
        Target::Compose(target) => return of_containers(config, environment, target.registry.as_deref(), table),
        Target::Easypanel(target) => {
            let containers = of_containers(config, environment, Some(&target.registry), table)?;
            return Ok(of_panel(target).into_iter().chain(containers).collect());
        }
        Target::Scaleway(target) => target,
    };
    let mut needs = Vec::new();
    let stack = match &target.stack {
        Some(stack) => Some(of_stack::Declared::read(config, Some(environment), stack)?),
        None => None,
    };
    let passphrase = "Encrypts the state and plans of the stack, and signs images: openssl rand -hex 32";
    let encrypted = target.stack.as_ref().is_some_and(|stack| stack.state.encrypted);
    needs.push(need(PASSPHRASE, true, encrypted, passphrase, &[Use::State, Use::Stack, Use::Registry]));
    if let Some(declared) = &stack {
        needs.extend(declared.credentials());
        needs.extend(declared.variables());
    }
    of_media(config, environment, &mut needs)?;
    of_registry(&target.registry, &mut needs);
    of_build(config, &mut needs);
    if environment.settings.is_some() {
        let made = |name: &str| stack.as_ref().is_some_and(|declared| declared.sets(name));
        // A stack whose bucket is not the one that deploy.yaml names makes no key for that one.
        let of_media = environment.media.iter().flat_map(|media| media.settings.keys());
        let is_replaced =
            environment.settings.iter().flatten().map(|(name, _)| name).chain(of_media).any(|name| made(name));
        let settings = table.settings.iter().filter(|setting| is_replaced || !made(&setting.name));
        needs.extend(settings.filter_map(|setting| of_setting(setting, environment)));
        let help = "The address of Scaleway's Cockpit for `logs`: Cockpit, Data sources, Scaleway Logs";
        needs.push(need("COCKPIT_LOGS_URL", false, false, help, &[Use::Logs]));
        let help = "A token of Cockpit with the permission to query logs";
        needs.push(need("COCKPIT_TOKEN", true, false, help, &[Use::Logs]));
        of_receivers(config, environment, &mut needs);
    }
    Ok(needs)
}

/// The token of an Easypanel, and the key for the bucket of the records.
fn of_panel(target: &Easypanel) -> Vec<Need> {
    let help = "A token of the panel's API: Settings, Users, Generate API Key";
    let mut needs = vec![need(EASYPANEL_TOKEN, true, true, help, &[Use::Stack])];
    let names = match target.state.as_ref().map(|state| state.provider) {
        None => return needs,
        Some(Provider::Scaleway) => ["SCW_ACCESS_KEY", "SCW_SECRET_KEY"],
        Some(Provider::Aws | Provider::R2 | Provider::Other) => ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"],
    };
    let helps = ["The access key of the bucket of records", "The secret key of that access key"];
    needs.extend(names.into_iter().zip(helps).map(|(name, help)| need(name, true, true, help, &[Use::State])));
    needs
}

/// What containers of the image need of a person, and what pushes it.
fn of_containers(
    config: &Config,
    environment: &Environment,
    registry: Option<&str>,
    table: &SettingsTable,
) -> Result<Vec<Need>> {
    let mut needs = match environment.media.as_ref().map(|media| media.stack.state.encrypted) {
        Some(encrypted) => {
            let help = "Encrypts the state and plans of the stack of the media, and signs images: openssl rand -hex 32";
            vec![need(PASSPHRASE, true, encrypted, help, &[Use::State, Use::Stack, Use::Registry])]
        }
        None => vec![need(PASSPHRASE, true, false, "Signs images: openssl rand -hex 32", &[Use::Registry])],
    };
    of_media(config, environment, &mut needs)?;
    if let Some(registry) = registry {
        of_registry(registry, &mut needs);
    }
    of_build(config, &mut needs);
    needs.extend(table.settings.iter().filter_map(|setting| of_setting(setting, environment)));
    Ok(needs)
}

/// What the stack of the media needs: credentials that the service's stack does not have already, and variables. What both have under
/// one name, for something else, is named apart.
fn of_media(config: &Config, environment: &Environment, needs: &mut Vec<Need>) -> Result<()> {
    let Some(stack) = environment.media.as_ref().map(|media| &media.stack) else { return Ok(()) };
    let declared = of_stack::Declared::read(config, None, stack)?;
    let (credentials, before) = (declared.credentials(), needs.clone());
    let is_another =
        |credential: &Need| before.iter().any(|known| known.name == credential.name && known.help != credential.help);
    // A role gives a job the names that are taken.
    let has_role = !credentials.iter().any(is_another);
    for credential in credentials.into_iter().filter(|credential| has_role || credential.ci != Ci::Alone) {
        match needs.iter_mut().find(|known| known.name == credential.name) {
            None => needs.push(credential),
            Some(known) if known.help == credential.help => {
                known.uses.extend(
                    credential.uses.iter().filter(|one| !known.uses.contains(one)).copied().collect::<Vec<_>>(),
                );
            }
            Some(_) => needs.push(Need { name: format!("{MEDIA}{}", credential.name), ci: Ci::Given, ..credential }),
        }
    }
    needs.extend(declared.variables().into_iter().map(|need| Need { name: format!("{MEDIA}{}", need.name), ..need }));
    Ok(())
}

/// The secrets of the image's build.
fn of_build(config: &Config, needs: &mut Vec<Need>) {
    for name in config.image.iter().flat_map(|image| &image.secrets) {
        needs.push(need(name, true, true, "A secret of the image's build", &[Use::Build]));
    }
}

/// A variable that a person gives.
fn need(name: &str, secret: bool, required: bool, help: &str, uses: &[Use]) -> Need {
    let (name, help) = (name.to_owned(), help.to_owned());
    Need { name, secret, required, help, uses: uses.to_vec(), ci: Ci::Given }
}

/// The credentials for the registry. Scaleway's take the key of its API, GitHub's the token of the job.
fn of_registry(registry: &str, needs: &mut Vec<Need>) {
    let host = registry.split('/').next().unwrap_or_default();
    if host.starts_with("rg.") && host.ends_with(".scw.cloud") {
        match needs.iter_mut().find(|need| need.name == "SCW_SECRET_KEY") {
            Some(key) => {
                key.uses.push(Use::Registry);
                key.required = true;
            }
            None => {
                let help = "The secret key of an API key of Scaleway that can push images";
                needs.push(need("SCW_SECRET_KEY", true, true, help, &[Use::Registry]));
            }
        }
        return;
    }
    let of_github = host == "ghcr.io";
    let mut of = |name: &str, secret: bool, help: &str, expression: &str| {
        let ci = if of_github { Ci::Expression(expression.to_owned()) } else { Ci::Given };
        needs.push(Need { ci, ..need(name, secret, true, help, &[Use::Registry]) });
    };
    of("REGISTRY_HOST", false, &format!("The registry that the password is for: {host}"), host);
    of("REGISTRY_USERNAME", false, "The user of the registry", "${{ github.actor }}");
    of("REGISTRY_PASSWORD", true, "The password or token of that user", "${{ secrets.GITHUB_TOKEN }}");
}

/// The addresses and keys of those who are told of a deploy, and where its traces go.
fn of_receivers(config: &Config, environment: &Environment, needs: &mut Vec<Need>) {
    let is_told =
        |receiver: &&Receiver| receiver.environments.as_ref().is_none_or(|names| names.contains(&environment.name));
    for receiver in config.notify.iter().filter(is_told) {
        let address = match &receiver.url {
            Address::Secret(name) => Some((name, "The address of a webhook that is told of deploys")),
            Address::Plain(_) => None,
        };
        let key =
            receiver.secret_env.as_ref().map(|name| (name, "The key that signs what a webhook is told of deploys"));
        for (name, help) in address.into_iter().chain(key) {
            if !needs.iter().any(|need| need.name == *name) {
                needs.push(need(name, true, true, help, &[Use::Notify]));
            }
        }
    }
    let endpoint = "The address of an OpenTelemetry collector that gets a trace of each deploy";
    let headers = "Headers for that collector, name=value, such as a key";
    for (name, is_secret, help) in
        [("OTEL_EXPORTER_OTLP_ENDPOINT", false, endpoint), ("OTEL_EXPORTER_OTLP_HEADERS", true, headers)]
    {
        match needs.iter_mut().find(|need| need.name == name) {
            // It is a setting of the service, too: every program has these names from OpenTelemetry.
            Some(need) => need.uses.push(Use::Notify),
            None => needs.push(need(name, is_secret, false, help, &[Use::Notify])),
        }
    }
}

/// A setting that neither deploy.yaml nor the target gives. The process's environment gives secrets only (see `settings.rs`), so
/// that a plain one can be in `.env.<environment>` and in deploy.yaml.
fn of_setting(setting: &Setting, environment: &Environment) -> Option<Need> {
    let is_set = environment.settings.as_ref().is_some_and(|settings| settings.contains_key(&setting.name))
        || environment.media.as_ref().is_some_and(|media| media.settings.contains_key(&setting.name));
    let by_target = match setting.supplied_by {
        Some(SuppliedBy::Version | SuppliedBy::Host | SuppliedBy::Port) => true,
        // A volume.
        Some(SuppliedBy::DataFolder(_)) => matches!(environment.target, Target::Compose(_) | Target::Easypanel(_)),
        Some(SuppliedBy::Postgres | SuppliedBy::Random | SuppliedBy::WebFolder) | None => false,
    };
    let required = setting.required && setting.default.is_none();
    if is_set || by_target || !(required || setting.secret) {
        return None;
    }
    let need = need(&setting.name, setting.secret, required, &setting.help, &[Use::Settings]);
    Some(Need { ci: if setting.secret { Ci::Given } else { Ci::Nowhere }, ..need })
}

/// The environment at GitHub whose jobs change what is deployed: its reviewers approve each of them.
pub fn approved_at_github(environment: &str) -> String {
    environment.to_owned()
}

/// The environment at GitHub whose jobs plan, push images and compare, without an approval. It has the same secrets and variables.
pub fn planned_at_github(environment: &str) -> String {
    format!("{environment}{PLAN}")
}

#[cfg(test)]
mod tests;
