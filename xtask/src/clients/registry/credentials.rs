//! Credentials for a registry: those of the caller, else those of Docker's configuration, else none.
//!
//! Docker's configuration is `config.json`: `credHelpers` and `credsStore` name helper programs, `auths` contains credentials
//! (docs.docker.com, "docker login").

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use camino::{Utf8Path, Utf8PathBuf};
use secrecy::SecretString;
use serde::Deserialize;

use super::reference::Host;
use crate::fs::{found, read_file};
use crate::tools::cmd::Cmd;

/// The time limit of a helper program, which can wait for a password in a window that the user does not see.
const HELPER_TIMEOUT: Duration = Duration::from_secs(20);

/// Where the credentials for one registry come from. The caller sees to it that username, password and key are for that one:
/// `crate::image::login`.
#[derive(Clone, Default)]
pub struct Sources {
    /// REGISTRY_USERNAME; for Scaleway's registries it defaults to `nologin`.
    pub username: Option<String>,
    /// REGISTRY_PASSWORD.
    pub password: Option<SecretString>,
    /// SCW_SECRET_KEY: the password for Scaleway's registries.
    pub scaleway_key: Option<SecretString>,
    /// The folder of Docker's `config.json`.
    pub docker: Option<Utf8PathBuf>,
    /// REGISTRY_TOKEN_HOST: a token server on another host that may get the password.
    pub token_host: Option<String>,
}

/// The credentials for a registry, and where they came from.
#[derive(Clone, Debug)]
pub struct Credentials {
    login: Option<Login>,
    source: String,
    token_host: Option<String>,
}

/// A way to log in.
#[derive(Clone, Debug)]
pub enum Login {
    Password {
        username: String,
        password: SecretString,
    },
    /// A refresh token for the registry's token server.
    IdentityToken(SecretString),
}

impl Credentials {
    /// No credentials.
    pub fn anonymous() -> Self {
        Self { login: None, source: "no credentials".to_owned(), token_host: None }
    }

    /// The credentials for this registry, if there are any. Fails where username or password is missing, or a helper program
    /// fails.
    pub async fn find(host: &Host, sources: &Sources) -> Result<Self> {
        Ok(Self { token_host: sources.token_host.clone(), ..Self::find_login(host, sources).await? })
    }

    async fn find_login(host: &Host, sources: &Sources) -> Result<Self> {
        let with_password = |username: &str, password: &SecretString, source: &str| Self {
            login: Some(Login::Password { username: username.to_owned(), password: password.clone() }),
            source: source.to_owned(),
            token_host: None,
        };
        let scaleway = host.scaleway_region().is_some();
        match (&sources.username, &sources.password, &sources.scaleway_key) {
            (Some(username), Some(password), _) => {
                return Ok(with_password(username, password, "REGISTRY_USERNAME and REGISTRY_PASSWORD"));
            }
            (None, Some(password), _) if scaleway => {
                return Ok(with_password("nologin", password, "REGISTRY_PASSWORD"));
            }
            (None, None, Some(key)) if scaleway => return Ok(with_password("nologin", key, "SCW_SECRET_KEY")),
            (Some(_), None, _) => bail!("REGISTRY_USERNAME is set and REGISTRY_PASSWORD is not; set both or none"),
            (None, Some(_), _) => bail!("REGISTRY_PASSWORD is set and REGISTRY_USERNAME is not; set both or none"),
            (None, None, _) => {}
        }
        match &sources.docker {
            Some(folder) => from_docker(host, &folder.join("config.json")).await,
            None => Ok(Self::anonymous()),
        }
    }

    /// None without credentials.
    pub fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }

    /// Where they came from: names of variables, or a file.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The token server on another host that the user allows.
    pub fn token_host(&self) -> Option<&str> {
        self.token_host.as_deref()
    }

    /// The password or token.
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
struct HelperOutput {
    username: String,
    secret: String,
}

async fn from_docker(host: &Host, path: &Utf8Path) -> Result<Credentials> {
    let Some(bytes) = found(read_file(path))? else { return Ok(Credentials::anonymous()) };
    // serde's error could contain a part of the file.
    let config: DockerConfig = serde_json::from_slice(&bytes).map_err(|error| {
        anyhow::anyhow!(
            "{path}:{}:{}: not a valid Docker configuration; fix it, or type: docker logout",
            error.line(),
            error.column()
        )
    })?;
    let key = host.docker_key();
    let helper = config.cred_helpers.get(key).or(Some(&config.creds_store)).filter(|name| !name.is_empty());
    if let Some(helper) = helper {
        let program = format!("docker-credential-{helper}");
        let login = match run_helper(&program, key, HELPER_TIMEOUT).await {
            Err(error) if is_missing(&error) => {
                bail!("{path} names {program}, which is not installed\n  {}", without(helper, path))
            }
            login => login.with_context(|| format!("{path} names {program}"))?,
        };
        if login.is_some() {
            return Ok(Credentials { login, source: format!("{program} ({path})"), token_host: None });
        }
    }
    let entry = config.auths.get(key).or_else(|| {
        let same = |written: &str| host_of_key(written) == host_of_key(key);
        config.auths.iter().find_map(|(written, entry)| same(written).then_some(entry))
    });
    let login = entry.map(login_of).transpose().with_context(|| format!("{path}: the entry of {key}"))?.flatten();
    Ok(match login {
        Some(login) => Credentials { login: Some(login), source: path.to_string(), token_host: None },
        None => Credentials::anonymous(),
    })
}

fn is_missing(error: &anyhow::Error) -> bool {
    error.root_cause().downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::NotFound)
}

/// What to type where a helper program is missing. The packages are Debian's.
fn without(helper: &str, path: &Utf8Path) -> String {
    let package = match helper {
        "pass" | "secretservice" => Some("golang-docker-credential-helpers"),
        "ecr-login" => Some("amazon-ecr-credential-helper"),
        _ => None,
    };
    let install =
        package.map(|package| format!("to install it, type: apt-get install {package}\n  ")).unwrap_or_default();
    format!(
        "{install}to do without Docker's credentials, type: mv {path} {path}.away; REGISTRY_HOST, REGISTRY_USERNAME and REGISTRY_PASSWORD take their place"
    )
}

/// Runs `<program> get` with the registry's key on its standard input. None: it has no credentials for the registry.
async fn run_helper(program: &str, key: &str, limit: Duration) -> Result<Option<Login>> {
    let cmd = Cmd::new(program).arg("get").input(key);
    let output = tokio::time::timeout(limit, cmd.output()).await;
    let (status, stdout, stderr) = output.map_err(|_| {
        anyhow::anyhow!("`{cmd}` for {key} did not finish within {} s and was killed", limit.as_secs_f32())
    })??;
    if !status.success() {
        // Helpers print errors on standard output, too (docker/docker-credential-helpers).
        if stdout.contains("credentials not found") {
            return Ok(None);
        }
        let output = format!("{} {}", stdout.trim(), stderr.trim());
        bail!("`{cmd}` for {key} failed: {status}: {}", output.trim());
    }
    // The error contains neither the output nor serde's error: both can contain the secret.
    let Ok(output) = serde_json::from_str::<HelperOutput>(&stdout) else {
        bail!("`{cmd}` for {key} did not print credentials in JSON");
    };
    let secret = SecretString::from(output.secret);
    Ok(Some(match output.username.as_str() {
        "<token>" => Login::IdentityToken(secret),
        _ => Login::Password { username: output.username, password: secret },
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
        // The entry is empty where a helper program has the password.
        return Ok(if entry.username.is_empty() { None } else { password(&entry.username, &entry.password) });
    }
    let engine = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let decoded = engine.decode(&entry.auth).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let decoded = decoded.context("`auth` is not base64 of user:password")?;
    let (username, secret) = decoded.split_once(':').context("`auth` is not base64 of user:password")?;
    // Some versions of Docker append zero bytes to the password.
    Ok(password(username, secret.trim_end_matches('\0')))
}

/// The host of a key in `auths`, which can have a scheme and a path.
fn host_of_key(key: &str) -> &str {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    key.split('/').next().unwrap_or(key)
}

#[cfg(test)]
mod tests;
