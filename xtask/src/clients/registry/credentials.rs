//! Who this machine is at a registry: what the caller hands in, else what Docker's configuration says, else nobody.
//!
//! Docker's configuration is `config.json` in a folder: `credHelpers` and `credsStore` name helper programs, `auths` holds
//! credentials itself (docs.docker.com, "docker login").

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use camino::{Utf8Path, Utf8PathBuf};
use secrecy::SecretString;
use serde::Deserialize;

use super::reference::Host;
use crate::fs::found;
use crate::tools::cmd::Cmd;

/// A helper program may have to unlock a key ring; one that waits for a person nobody sees hangs.
const HELPER_TAKES: Duration = Duration::from_secs(20);

/// Where credentials may come from. What is handed in belongs to one registry: never look for another's with it.
#[derive(Clone, Default)]
pub struct Sources {
    /// `REGISTRY_USERNAME`; Scaleway's registries take `nologin` if there is none.
    pub username: Option<String>,
    /// `REGISTRY_PASSWORD`.
    pub password: Option<SecretString>,
    /// `SCW_SECRET_KEY`: the password at Scaleway's registries.
    pub scaleway_key: Option<SecretString>,
    /// The folder that Docker's `config.json` is in.
    pub docker: Option<Utf8PathBuf>,
}

/// Who to be at a registry.
#[derive(Clone, Debug)]
pub struct Credentials {
    login: Option<Login>,
    source: String,
}

/// What a registry knows somebody by.
#[derive(Clone, Debug)]
pub enum Login {
    /// A user's name and password.
    Password {
        /// Who.
        username: String,
        /// With what.
        password: SecretString,
    },
    /// A token for which the registry's token server gives others.
    IdentityToken(SecretString),
}

impl Credentials {
    /// Nobody.
    pub fn anonymous() -> Self {
        Self { login: None, source: "no credentials".to_owned() }
    }

    /// Those for this registry. Having none is no error; having half of them, or a helper program that fails, is.
    pub async fn find(host: &Host, sources: &Sources) -> Result<Self> {
        let known = |username: &str, password: &SecretString, source: &str| Self {
            login: Some(Login::Password { username: username.to_owned(), password: password.clone() }),
            source: source.to_owned(),
        };
        let scaleway = host.scaleway_region().is_some();
        match (&sources.username, &sources.password, &sources.scaleway_key) {
            (Some(username), Some(password), _) => {
                return Ok(known(username, password, "REGISTRY_USERNAME and REGISTRY_PASSWORD"));
            }
            (None, Some(password), _) if scaleway => return Ok(known("nologin", password, "REGISTRY_PASSWORD")),
            (None, None, Some(key)) if scaleway => return Ok(known("nologin", key, "SCW_SECRET_KEY")),
            (Some(_), None, _) => bail!("REGISTRY_USERNAME is set and REGISTRY_PASSWORD is not; set both or none"),
            (None, Some(_), _) => bail!("REGISTRY_PASSWORD is set and REGISTRY_USERNAME is not; set both or none"),
            (None, None, _) => {}
        }
        match &sources.docker {
            Some(folder) => from_docker(host, &folder.join("config.json")).await,
            None => Ok(Self::anonymous()),
        }
    }

    /// Who; none is nobody.
    pub fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }

    /// Where they came from, for people.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What must not be said.
    pub fn secret(&self) -> Option<&SecretString> {
        match self.login.as_ref()? {
            Login::Password { password, .. } => Some(password),
            Login::IdentityToken(token) => Some(token),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DockerConfig {
    auths: BTreeMap<String, Entry>,
    creds_store: String,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
    username: String,
    secret: String,
}

async fn from_docker(host: &Host, path: &Utf8Path) -> Result<Credentials> {
    let Some(bytes) = found(fs_err::read(path))? else { return Ok(Credentials::anonymous()) };
    // The error's own text could repeat what stands in the file.
    let config: DockerConfig = serde_json::from_slice(&bytes).map_err(|error| {
        anyhow::anyhow!(
            "{path}:{}:{}: not the configuration of Docker; mend it, or type: docker logout",
            error.line(),
            error.column()
        )
    })?;
    let key = host.docker_key();
    let helper = config.cred_helpers.get(key).or(Some(&config.creds_store)).filter(|name| !name.is_empty());
    if let Some(helper) = helper {
        let program = format!("docker-credential-{helper}");
        let login = ask_helper(&program, key, HELPER_TAKES).await.with_context(|| format!("{path} names {program}"))?;
        if login.is_some() {
            return Ok(Credentials { login, source: format!("{program} ({path})") });
        }
    }
    let entry = config.auths.get(key).or_else(|| {
        let same = |written: &str| host_of_key(written) == host_of_key(key);
        config.auths.iter().find_map(|(written, entry)| same(written).then_some(entry))
    });
    let login = entry.map(login_of).transpose().with_context(|| format!("{path}: the entry of {key}"))?.flatten();
    Ok(match login {
        Some(login) => Credentials { login: Some(login), source: path.to_string() },
        None => Credentials::anonymous(),
    })
}

/// Asks a helper program, which gets the registry's key on its standard input. None: it knows nobody there.
async fn ask_helper(program: &str, key: &str, limit: Duration) -> Result<Option<Login>> {
    let cmd = Cmd::new(program).arg("get").input(key);
    let answer = tokio::time::timeout(limit, cmd.output()).await;
    let (status, stdout, stderr) = answer.map_err(|_| {
        anyhow::anyhow!("`{cmd}` for {key} gave no answer in {} s and was ended", limit.as_secs_f32())
    })??;
    if !status.success() {
        // Helpers say this, and all else, on standard output (docker/docker-credential-helpers).
        if stdout.contains("credentials not found") {
            return Ok(None);
        }
        let said = format!("{} {}", stdout.trim(), stderr.trim());
        bail!("`{cmd}` for {key} failed: {status}: {}", said.trim());
    }
    // Neither the answer nor serde's words about it are repeated: the secret stands in it.
    let Ok(answer) = serde_json::from_str::<HelperAnswer>(&stdout) else {
        bail!("`{cmd}` for {key} did not answer as a credential helper does");
    };
    let secret = SecretString::from(answer.secret);
    Ok(Some(match answer.username.as_str() {
        "<token>" => Login::IdentityToken(secret),
        _ => Login::Password { username: answer.username, password: secret },
    }))
}

fn login_of(entry: &Entry) -> Result<Option<Login>> {
    if !entry.identitytoken.is_empty() {
        return Ok(Some(Login::IdentityToken(SecretString::from(entry.identitytoken.as_str()))));
    }
    let password = |username: &str, password: &str| {
        Some(Login::Password { username: username.to_owned(), password: SecretString::from(password) })
    };
    if entry.auth.is_empty() {
        // Where a helper keeps the password, an empty entry stands.
        return Ok(if entry.username.is_empty() { None } else { password(&entry.username, &entry.password) });
    }
    let engine = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let decoded = engine.decode(&entry.auth).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let decoded = decoded.context("`auth` is not base64 of user:password")?;
    let (username, secret) = decoded.split_once(':').context("`auth` is not base64 of user:password")?;
    // Some versions of Docker end the password with zero bytes.
    Ok(password(username, secret.trim_end_matches('\0')))
}

/// Keys are hosts, with or without a scheme and a path.
fn host_of_key(key: &str) -> &str {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    key.split('/').next().unwrap_or(key)
}

#[cfg(test)]
mod tests;
