//! The service as an image: what all `image` commands work on.

pub mod build;
pub mod check;
pub mod inputs;
pub mod inspect;
pub mod limits;
pub mod list;
pub mod pin;
pub mod progress;
pub mod prune;
pub mod push;
pub mod survey;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow};
use camino::Utf8PathBuf;
use secrecy::SecretString;
use tokio::sync::OnceCell;

use crate::clients::buildkit::{Auth, Builder};
use crate::clients::docker::{self, ConnectError};
use crate::clients::registry::Repository;
use crate::clients::registry::credentials::{Credentials, Login, Sources};
use crate::clients::registry::reference::{Host, Reference};
use crate::clients::scaleway;
use crate::config::{self, Config, Environment};
use crate::env::{Env, lacks};
use crate::failure::Failure;
use crate::report::{Ongoing, Report, Step};
use crate::tools::platform::variable;

/// The tag of what builders take layers of earlier builds from.
pub const CACHE_TAG: &str = "cache";

/// The id of the build secret with the certificates that programs in a build are to trust.
const CA: &str = "ca";

/// The image of one environment, and what an operation needs to work on it.
pub struct Images<'a> {
    /// The environment.
    pub env: &'a Env<'a>,
    /// All of deploy.yaml.
    pub config: &'a Config,
    /// The environment's part of deploy.yaml.
    pub environment: &'a Environment,
    /// The image's part of deploy.yaml.
    pub image: &'a config::Image,
    /// Where progress is shown.
    pub report: Report,
    /// Made once: it keeps its credentials and tokens.
    repository: OnceCell<Repository>,
}

impl<'a> Images<'a> {
    /// The image of an environment. Fails where deploy.yaml has none.
    pub fn find(env: &'a Env<'a>) -> Result<Self, Failure> {
        let missing = "deploy.yaml has no `image`; for an image with all defaults add: image: {}";
        let image = env.config.image.as_ref().ok_or_else(|| Failure::Usage(anyhow!(missing)))?;
        let (config, environment, report) = (env.config, env.environment, env.report.clone());
        Ok(Self { env, config, environment, image, report, repository: OnceCell::new() })
    }

    /// The image's name without a tag, with the environment's registry if it has one: `rg.fr-par.scw.cloud/meemi/app`.
    pub fn name(&self) -> String {
        match self.environment.registry() {
            Some(registry) => format!("{registry}/{}", self.image.name),
            None => self.image.name.clone(),
        }
    }

    /// The image's repository in the environment's registry; nothing is asked yet. Fails for an environment without one.
    pub async fn repository(&self) -> Result<&Repository, Failure> {
        if self.environment.registry().is_none() {
            let name = &self.environment.name;
            return Err(Failure::Usage(lacks(self.config, name, "registry", |other| other.registry().is_some())));
        }
        let made = self.repository.get_or_try_init(async || {
            let reference = self.name().parse::<Reference>().context("read the image's name")?;
            let credentials = self.credentials(reference.host()).await?;
            Repository::new(&reference, credentials).context("reach the image's registry")
        });
        Ok(made.await?)
    }

    /// Who to be at a registry: what the environment's secrets say is for its own registry alone.
    pub async fn credentials(&self, host: &Host) -> Result<Credentials> {
        let docker = variable("DOCKER_CONFIG").map(Utf8PathBuf::from);
        let docker = docker.or_else(|| variable("HOME").map(|home| Utf8PathBuf::from(home).join(".docker")));
        let own = self.environment.registry().map(|registry| format!("{registry}/any").parse::<Reference>());
        let is_own = own.transpose().context("read the registry's name")?.is_some_and(|own| own.host() == host);
        let secret = |name: &str| if is_own { self.env.secret(name) } else { Ok(None) };
        let username = secret("REGISTRY_USERNAME")?.map(|name| secrecy::ExposeSecret::expose_secret(&name).to_owned());
        let (password, scaleway_key) = (secret("REGISTRY_PASSWORD")?, secret("SCW_SECRET_KEY")?);
        let credentials = Credentials::find(host, &Sources { username, password, scaleway_key, docker }).await?;
        if let Some(secret) = credentials.secret() {
            self.report.redactor().learn_value(secret);
        }
        Ok(credentials)
    }

    /// Scaleway's own API of the registries in this region, with the password of the environment's; none without one.
    pub async fn scaleway(&self, region: &str) -> Result<Option<scaleway::Registries>, Failure> {
        let credentials = self.credentials(self.repository().await?.host()).await?;
        let Some(Login::Password { password, .. }) = credentials.login() else { return Ok(None) };
        let api = variable("SCW_API_URL").unwrap_or_else(|| scaleway::API.to_owned());
        let api = scaleway::Registries::new(&api, region, password).context("reach Scaleway's API")?;
        Ok(Some(api))
    }

    /// Credentials for the registries that a build has to do with: the image's own and those of its bases.
    pub async fn auth(&self) -> Result<Auth> {
        let names = self.image.bases.values().cloned().chain(self.environment.registry().map(|_| self.name()));
        let mut auth = Auth::new();
        for name in names {
            let reference: Reference = name.parse()?;
            if let Some(credentials) = for_docker(&self.credentials(reference.host()).await?) {
                auth.insert(reference.host().to_string(), credentials);
            }
        }
        Ok(auth)
    }

    /// What a build gets to see by its secrets' ids: those that deploy.yaml names, and as `ca` the certificates that
    /// SSL_CERT_FILE names, as on machines behind a proxy that inspects TLS. Fails when one that is named has no value.
    pub fn build_secrets(&self) -> Result<BTreeMap<String, SecretString>> {
        let mut secrets = BTreeMap::new();
        for name in &self.image.secrets {
            let value = self.env.secret(name)?.with_context(|| {
                let environment = &self.environment.name;
                format!("the build takes the secret {name}, which has no value; put it into .env.{environment}")
            })?;
            secrets.insert(name.clone(), value);
        }
        if let Some(path) = variable("SSL_CERT_FILE") {
            let certificates = fs_err::read_to_string(path).context("read the certificates that a build trusts")?;
            secrets.insert(CA.to_owned(), SecretString::from(certificates));
        }
        Ok(secrets)
    }

    /// Whoever builds on this machine: the buildkitd that BUILDKIT_HOST names, else Docker's engine.
    pub async fn builder(&self) -> Result<Builder, ConnectError> {
        Builder::connect(variable("BUILDKIT_HOST").as_deref(), variable("DOCKER_HOST").as_deref()).await
    }

    /// Does a step and says how it ended.
    pub async fn step<T>(&self, step: Step, work: impl AsyncFnOnce(&Ongoing) -> Result<(T, Said)>) -> Result<T> {
        let ongoing = self.report.begin(step);
        match work(&ongoing).await {
            Ok((done, Said::Done(text))) => {
                ongoing.finish(&text);
                Ok(done)
            }
            Ok((done, Said::Reused(text))) => {
                ongoing.reuse(&text);
                Ok(done)
            }
            Err(error) => {
                ongoing.fail("failed");
                Err(error)
            }
        }
    }
}

/// How a step ended well.
pub enum Said {
    /// It did something.
    Done(String),
    /// There was nothing to do.
    Reused(String),
}

/// What to do about a builder that cannot be used.
pub fn mend(error: &ConnectError) -> &'static str {
    match error {
        ConnectError::Absent { .. } => {
            "install Docker: cargo xtask setup --docker; start it: systemctl start docker, or, without a service \
             manager: dockerd; or let BUILDKIT_HOST name a buildkitd"
        }
        ConnectError::Denied { .. } => {
            "let this user in, then log in again: sudo usermod --append --groups docker $USER"
        }
        ConnectError::NoBuildKit { .. } | ConnectError::TooOld { .. } => {
            "Docker 20.10 or newer, with BuildKit: cargo xtask setup --docker"
        }
        ConnectError::Address(_) => "look at DOCKER_HOST and BUILDKIT_HOST: unix:///path or tcp://host:port",
        ConnectError::Strange { .. } => "see what listens there: docker version",
    }
}

/// Credentials as builders take them.
pub fn for_docker(credentials: &Credentials) -> Option<docker::Credentials> {
    let (user, password) = match credentials.login()? {
        Login::Password { username, password } => (username.clone(), password.clone()),
        // What Docker's own client sends with a token: no name.
        Login::IdentityToken(token) => (String::new(), token.clone()),
    };
    Some(docker::Credentials { user, password })
}
