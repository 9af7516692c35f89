//! Where the value of each of the service's settings comes from. One rule for every target, first match wins:
//!
//! 1. `.env.<environment>`, where a person keeps values;
//! 2. the process's environment, for secrets and not for a local target: CI has nothing else, and a `DATABASE_URL` that a
//!    shell happens to export must not redirect a local deploy;
//! 3. `settings` of the environment in deploy.yaml;
//! 4. an output of the stack of the media, which `media.settings` names;
//! 5. the target, for what it supplies (`supplied_by` in settings.json);
//! 6. the service's own default.

mod sources;
pub mod unknown;

use anyhow::Result;
use secrecy::SecretString;

pub use self::sources::check as check_sources;
use crate::config::{ConfigError, Setting, SettingsTable, SuppliedBy, Target};
use crate::env::Env;
use crate::secrets;

/// Where a value comes from.
pub enum Origin {
    /// `.env.<environment>`.
    File(SecretString),
    /// The process's environment.
    Process(SecretString),
    /// deploy.yaml.
    Config(String),
    /// An output of the stack of the media.
    Media,
    /// The target supplies it.
    Target(SuppliedBy),
    /// The service's default.
    Default,
    /// It is required, and nothing sets it.
    Missing,
}

/// The service's table of settings.
pub fn table(env: &Env<'_>) -> Result<SettingsTable, ConfigError> {
    env.config.settings_table()
}

/// Where the value of a setting comes from.
pub fn origin(env: &Env<'_>, setting: &Setting) -> Result<Origin> {
    if let Some(value) = env.file_values()?.get(&setting.name) {
        return Ok(Origin::File(value.clone()));
    }
    let is_local = matches!(env.environment.target, Target::Local(_));
    if setting.secret
        && !is_local
        && let Some(value) = secrets::of_process(&setting.name)?
    {
        return Ok(Origin::Process(value));
    }
    if let Some(value) = env.environment.settings.as_ref().and_then(|settings| settings.get(&setting.name)) {
        return Ok(Origin::Config(value.clone()));
    }
    if env.environment.media.as_ref().is_some_and(|media| media.settings.contains_key(&setting.name)) {
        return Ok(Origin::Media);
    }
    Ok(match &setting.supplied_by {
        // A container does not reach the private one of this machine.
        Some(by) if !(is_local && env.config.service.image && *by == SuppliedBy::Postgres) => {
            Origin::Target(by.clone())
        }
        _ if setting.required && setting.default.is_none() => Origin::Missing,
        _ => Origin::Default,
    })
}
