//! Where the credentials for a registry come from, and which registry the password is for.
//!
//! deploy.yaml is part of the checked-out tree, which may be another author's than the password. So the password itself says
//! which registry it is for, by `REGISTRY_HOST` beside it, and no other registry gets it. Docker's configuration and its helper
//! programs keep a host with each password already.

use anyhow::{Context as _, Result, bail};
use camino::Utf8PathBuf;
use secrecy::{ExposeSecret as _, SecretString};

use crate::clients::registry::credentials::Sources;
use crate::clients::registry::reference::{Host, Reference};
use crate::env::Env;
use crate::secrets;
use crate::tools::platform::variable;

const PASSWORD: &str = "REGISTRY_PASSWORD";
const HOST: &str = "REGISTRY_HOST";
const TOKEN_HOST: &str = "REGISTRY_TOKEN_HOST";

/// The sources for this registry's credentials. Fails where deploy.yaml names it as the environment's registry, and
/// REGISTRY_PASSWORD is for another one, or does not say for which.
pub fn sources(env: &Env<'_>, host: &Host) -> Result<Sources> {
    let docker = variable("DOCKER_CONFIG").map(Utf8PathBuf::from);
    let docker = docker.or_else(|| variable("HOME").map(|home| Utf8PathBuf::from(home).join(".docker")));
    let own = env.environment.registry().map(|registry| format!("{registry}/any").parse::<Reference>());
    let is_own = own.transpose().context("read the registry's name")?.is_some_and(|own| own.host() == host);
    let password = password(env, host, is_own)?;
    let username = match is_own || password.is_some() {
        true => env.secret("REGISTRY_USERNAME")?.map(|name| name.expose_secret().to_owned()),
        false => None,
    };
    // Sent to Scaleway's registries only.
    let scaleway_key = if is_own { env.secret("SCW_SECRET_KEY")? } else { None };
    let token_host = beside_password(env, TOKEN_HOST)?;
    Ok(Sources { username, password, scaleway_key, docker, token_host })
}

fn password(env: &Env<'_>, host: &Host, is_own: bool) -> Result<Option<SecretString>> {
    let Some(password) = env.secret(PASSWORD)? else { return Ok(None) };
    let named = beside_password(env, HOST)?;
    let file = format!(".env.{}", env.name());
    match &named {
        Some(named) if is_host(named, host)? => Ok(Some(password)),
        _ if !is_own => Ok(None),
        Some(named) => {
            let place = if is_in_file(env)? { file } else { "the environment".to_owned() };
            bail!(
                "{PASSWORD} is for {named} ({HOST}), and deploy.yaml has the registry {host}: the password was not sent\n  \
                 if {host} is right, set its own in {place}: {HOST}={host}, REGISTRY_USERNAME and {PASSWORD}"
            )
        }
        None => {
            let line = match is_in_file(env)? {
                true => format!("echo {HOST}={host} >> {file}"),
                false => format!("export {HOST}={host}"),
            };
            bail!(
                "{PASSWORD} does not say which registry it is for: it was not sent to {host}, which deploy.yaml names\n  \
                 if it is for {host}, type: {line}"
            )
        }
    }
}

/// A variable that says where the password may be sent. Where the password is in this process's environment, as in CI, a file
/// of the checked-out tree has no say in that.
fn beside_password(env: &Env<'_>, name: &str) -> Result<Option<String>> {
    let is_exported = secrets::of_process(PASSWORD)?.is_some() && !is_in_file(env)?;
    let value = if is_exported { secrets::of_process(name)? } else { env.value(name)? };
    Ok(value.map(|value| value.expose_secret().trim().to_owned()))
}

fn is_in_file(env: &Env<'_>) -> Result<bool> {
    Ok(env.file_values()?.get(PASSWORD).is_some_and(|value| !value.expose_secret().is_empty()))
}

fn is_host(named: &str, host: &Host) -> Result<bool> {
    let reference = format!("{named}/any/any").parse::<Reference>().ok();
    let read = reference.filter(|reference| reference.repository() == "any/any");
    let read = read.with_context(|| {
        format!("{HOST} is {named:?}; it takes a host, with its port if it has one, such as rg.fr-par.scw.cloud")
    })?;
    Ok(read.host() == host)
}

#[cfg(test)]
mod tests;
