//! The service's image: built from a commit, pushed to the environment's registry, listed and pruned there.

pub mod attached;
pub mod build;
mod builder;
pub mod check;
pub mod inputs;
pub mod inspect;
pub mod limits;
pub mod list;
pub mod lock_file;
mod login;
pub mod pin;
pub mod progress;
pub mod provenance;
pub mod prune;
pub mod push;
pub mod pushed;
pub mod signature;
pub mod size;
pub mod usage;

use anyhow::{Context as _, Result, anyhow};
use tokio::sync::OnceCell;

pub use self::builder::docker_credentials;
use crate::clients::registry::Repository;
use crate::clients::registry::credentials::{Credentials, Login};
use crate::clients::registry::reference::{Host, Reference};
use crate::clients::scaleway;
use crate::config::{self, Environment};
use crate::env::{Env, lacks};
use crate::failure::Failure;
use crate::tools::platform::variable;

/// The tag of the layer cache.
pub const CACHE_TAG: &str = "cache";

/// The service's image in one environment.
pub struct ServiceImage<'a> {
    /// The environment.
    pub env: &'a Env<'a>,
    /// `image` in deploy.yaml.
    pub spec: &'a config::Image,
    /// Created once, because it keeps the registry's tokens.
    repository: OnceCell<Repository>,
    /// Derived once: that takes a quarter of a second.
    shared_key: OnceCell<signature::Key>,
}

impl<'a> ServiceImage<'a> {
    /// The image of an environment. Fails where deploy.yaml has no `image`.
    pub fn find(env: &'a Env<'a>) -> Result<Self, Failure> {
        let missing = "deploy.yaml has no `image`; for an image with all defaults add: image: {}";
        let spec = env.config.image.as_ref().ok_or_else(|| Failure::Usage(anyhow!(missing)))?;
        Ok(Self { env, spec, repository: OnceCell::new(), shared_key: OnceCell::new() })
    }

    /// The image's name without a tag: `rg.fr-par.scw.cloud/meemi/app`, or `app` where the environment has no registry.
    pub fn name(&self) -> String {
        self.name_in(self.env.environment)
    }

    /// Its name in another environment of the same deploy.yaml.
    pub fn name_in(&self, environment: &Environment) -> String {
        match environment.registry() {
            Some(registry) => format!("{registry}/{}", self.spec.name),
            None => self.spec.name.clone(),
        }
    }

    /// The image's repository in the environment's registry. Sends no request yet. Fails for an environment without a
    /// registry.
    pub async fn repository(&self) -> Result<&Repository, Failure> {
        if self.env.environment.registry().is_none() {
            let missing = lacks(self.env.config, self.env.name(), "registry", |other| other.registry().is_some());
            return Err(Failure::Usage(missing));
        }
        let repository = self.repository.get_or_try_init(async || {
            let reference = self.name().parse::<Reference>().context("read the image's name")?;
            let credentials = self.credentials(reference.host()).await?;
            Repository::new(&reference, credentials, &self.env.patience)
                .context("set up the client of the image's registry")
        });
        Ok(repository.await?)
    }

    /// Credentials for a registry.
    pub async fn credentials(&self, host: &Host) -> Result<Credentials> {
        let credentials = Credentials::find(host, &login::sources(self.env, host)?).await?;
        if let Some(secret) = credentials.secret() {
            self.env.report.redactor().learn_value(secret);
        }
        Ok(credentials)
    }

    /// Scaleway's registry API in a region, with the registry's password as its key; none without a password.
    pub async fn scaleway(&self, region: &str) -> Result<Option<scaleway::Registries>, Failure> {
        let credentials = self.credentials(self.repository().await?.host()).await?;
        let Some(Login::Password { password, .. }) = credentials.login() else { return Ok(None) };
        let url = variable("SCW_API_URL").unwrap_or_else(|| scaleway::API.to_owned());
        let api = scaleway::Registries::new(&url, region, password).context("set up the client of Scaleway's API")?;
        Ok(Some(api))
    }
}
