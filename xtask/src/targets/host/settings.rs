//! The settings of a release, as its containers get them.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
use secrecy::ExposeSecret as _;

use super::{Host, containers};
use crate::config::SuppliedBy;
use crate::env::Env;
use crate::failure::Failure;
use crate::release::{MediaSettings, Settings};
use crate::settings;
use crate::targets::stack::settings::resolve;

impl Host<'_> {
    /// What the containers of a release get, as `NAME=value`.
    pub(super) fn variables(&self, version: &str, settings: &Settings) -> Result<Vec<String>> {
        let variables = variables(self.env, version, settings)?;
        Ok(variables.into_iter().map(|(name, value)| format!("{name}={value}")).collect())
    }
}

/// Every setting of a container that has a value; without `media`, those of the media are left out. Fails with those that need one and
/// have none.
pub fn resolved(env: &Env<'_>, media: Option<&MediaSettings>) -> Result<Settings, Failure> {
    let resolved = resolve(env, media)?;
    let table = settings::table(env)?;
    let is_folder = |name: &String| {
        matches!(table.get(name).and_then(|setting| setting.supplied_by.as_ref()), Some(SuppliedBy::DataFolder(_)))
    };
    let missing: Vec<String> = resolved.missing.into_iter().filter(|name| !is_folder(name)).collect();
    if missing.is_empty() {
        return Ok(resolved.settings);
    }
    let name = env.name();
    Err(Failure::Refused(anyhow!(
        "settings have no value: {}\n  put them into .env.{name} (mode 0600)",
        missing.join(", ")
    )))
}

/// The variables of a container of a release: its settings and secrets, and what comes of its being a container.
pub fn variables(env: &Env<'_>, version: &str, settings: &Settings) -> Result<BTreeMap<String, String>> {
    let mut all = settings.plain.clone();
    all.extend(settings.secrets.iter().map(|(name, value)| (name.to_owned(), value.expose_secret().to_owned())));
    let variable = env.config.service.port_variable.as_deref().unwrap_or("PORT");
    all.insert(variable.to_owned(), containers::INSIDE.to_string());
    for setting in settings::table(env)?.settings {
        let value = match &setting.supplied_by {
            Some(SuppliedBy::Version) => version.to_owned(),
            Some(SuppliedBy::Host) => "0.0.0.0".to_owned(),
            Some(SuppliedBy::Port) => containers::INSIDE.to_string(),
            Some(SuppliedBy::DataFolder(name)) if !all.contains_key(&setting.name) => containers::folder(name),
            _ => continue,
        };
        all.insert(setting.name, value);
    }
    Ok(all)
}
