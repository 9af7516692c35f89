//! The settings of a release, as its containers get them.

use anyhow::{Result, anyhow};
use secrecy::ExposeSecret as _;

use super::{Host, containers};
use crate::config::SuppliedBy;
use crate::failure::Failure;
use crate::release::{MediaSettings, Settings};
use crate::settings;
use crate::targets::stack::settings::resolve;

impl Host<'_> {
    /// Every setting that has a value; without `media`, those of the media are left out. Fails with those that need one and have none.
    pub(super) fn settings(&self, media: Option<&MediaSettings>) -> Result<Settings, Failure> {
        let resolved = resolve(self.env, media)?;
        let table = settings::table(self.env)?;
        let is_folder = |name: &String| {
            matches!(table.get(name).and_then(|setting| setting.supplied_by.as_ref()), Some(SuppliedBy::DataFolder(_)))
        };
        let missing: Vec<String> = resolved.missing.into_iter().filter(|name| !is_folder(name)).collect();
        if missing.is_empty() {
            return Ok(resolved.settings);
        }
        let name = self.env.name();
        Err(Failure::Refused(anyhow!(
            "settings have no value: {}\n  put them into .env.{name} (mode 0600)",
            missing.join(", ")
        )))
    }

    /// What the containers of a release get, as `NAME=value`: its settings, and what the host supplies.
    pub(super) fn variables(&self, version: &str, settings: &Settings) -> Result<Vec<String>> {
        let mut env = settings.plain.clone();
        env.extend(settings.secrets.iter().map(|(name, value)| (name.to_owned(), value.expose_secret().to_owned())));
        let variable = self.env.config.service.port_variable.as_deref().unwrap_or("PORT");
        env.insert(variable.to_owned(), containers::INSIDE.to_string());
        for setting in settings::table(self.env)?.settings {
            let value = match &setting.supplied_by {
                Some(SuppliedBy::Version) => version.to_owned(),
                Some(SuppliedBy::Host) => "0.0.0.0".to_owned(),
                Some(SuppliedBy::Port) => containers::INSIDE.to_string(),
                Some(SuppliedBy::DataFolder(name)) if !env.contains_key(&setting.name) => containers::folder(name),
                _ => continue,
            };
            env.insert(setting.name, value);
        }
        Ok(env.into_iter().map(|(name, value)| format!("{name}={value}")).collect())
    }
}
