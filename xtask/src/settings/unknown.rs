//! Values of `.env.<environment>` that no program reads. A misspelt name has no effect: the default counts without a word.

use anyhow::Result;

use crate::check::Check;
use crate::config::{Kind, Receiver, SettingsTable, Target, nearest};
use crate::env::Env;
use crate::needs::needs;

/// What the toolkit, OpenTofu and its providers read of the file beside what an environment needs. A `*` stands for any end.
const OF_THE_TOOLKIT: [&str; 26] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "CLOUDFLARE_API_TOKEN",
    "DNS_SERVER",
    "GH_TOKEN",
    "GITHUB_TOKEN",
    "MEDIA_AWS_ACCESS_KEY_ID",
    "MEDIA_AWS_SECRET_ACCESS_KEY",
    "MEDIA_AWS_SESSION_TOKEN",
    "MEDIA_CLOUDFLARE_API_TOKEN",
    "MEDIA_SCW_ACCESS_KEY",
    "MEDIA_SCW_SECRET_KEY",
    "MEDIA_TF_VAR_*",
    "OTEL_*",
    "REGISTRY_HOST",
    "REGISTRY_PASSWORD",
    "REGISTRY_TOKEN_HOST",
    "REGISTRY_USERNAME",
    "RELEASE_TOKEN",
    "SCW_ACCESS_KEY",
    "SCW_DEFAULT_ORGANIZATION_ID",
    "SCW_DEFAULT_PROJECT_ID",
    "SCW_SECRET_KEY",
    "TF_STATE_PASSPHRASE",
    "TF_VAR_*",
];

/// A check for each value that is set in vain. None where the table cannot be read: other checks say so.
pub fn checks(env: &Env<'_>, table: &SettingsTable) -> Vec<Check> {
    match unknown(env, table) {
        Ok(lines) => lines.into_iter().map(|line| Check::doubtful("settings", line)).collect(),
        Err(error) => vec![Check::doubtful("settings", format!("{error:#}"))],
    }
}

/// A line for each value that is set in vain, without the value.
pub fn unknown(env: &Env<'_>, table: &SettingsTable) -> Result<Vec<String>> {
    // The environment of the media has the file of its service.
    if let Target::Media(_) = env.environment.target {
        return Ok(Vec::new());
    }
    let known = known(env, table)?;
    let is_known = |name: &str| {
        known.iter().any(|known| match known.strip_suffix('*') {
            Some(begin) => name.starts_with(begin),
            None => name == known,
        })
    };
    let line = |name: &str| {
        let meant = nearest(name, known.iter().map(String::as_str).filter(|known| !known.ends_with('*')));
        let hint = meant.map(|meant| format!(": did you mean {meant}?")).unwrap_or_default();
        format!("{} sets {name}, which neither the service nor the toolkit reads{hint}", env.file())
    };
    Ok(env.file_values()?.iter().map(|(name, _)| name).filter(|name| !is_known(name)).map(line).collect())
}

fn known(env: &Env<'_>, table: &SettingsTable) -> Result<Vec<String>> {
    let mut known: Vec<String> = table.settings.iter().map(|setting| setting.name.clone()).collect();
    // The second key of a rotation.
    let keys = table.settings.iter().filter(|setting| setting.kind == Kind::RsaKey);
    known.extend(keys.map(|setting| format!("{}_NEXT", setting.name)));
    known.extend(env.config.notify.iter().flat_map(Receiver::variables).map(str::to_owned));
    // On this machine none of the other programs runs.
    if !matches!(env.environment.target, Target::Local(_)) {
        known.extend(needs(env.config, env.environment, table)?.into_iter().map(|need| need.name));
    }
    known.extend(OF_THE_TOOLKIT.map(str::to_owned));
    Ok(known)
}
