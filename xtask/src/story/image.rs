//! The service as an image: what all `image` commands work on.

use anyhow::{Context as _, anyhow};
use secrecy::SecretString;

use super::Failure;
use crate::config::{self, Config, Environment};
use crate::report::Report;
use crate::secrets::Secrets;

/// The image of one environment, and what a story needs to work on it.
pub struct Images<'a> {
    /// All of deploy.yaml.
    pub config: &'a Config,
    /// The environment that it is for.
    pub environment: &'a Environment,
    /// What deploy.yaml says of the image.
    pub image: &'a config::Image,
    /// Where things are said.
    pub report: Report,
    secrets: Secrets,
}

impl<'a> Images<'a> {
    /// The image of the environment of this name, with the secrets that building and pushing it take: from the process's
    /// environment, else from `.env.<name>`.
    pub fn find(config: &'a Config, name: &str, report: &Report) -> Result<Self, Failure> {
        let environment = config.environment(name)?;
        let missing = "deploy.yaml has no `image`; for an image with all defaults add: image: {}";
        let image = config.image.as_ref().ok_or_else(|| Failure::Usage(anyhow!(missing)))?;
        let known = ["REGISTRY_USERNAME", "REGISTRY_PASSWORD", "SCW_SECRET_KEY"];
        let names = known.into_iter().chain(image.secrets.iter().map(String::as_str));
        let path = config.root.join(format!(".env.{name}"));
        let secrets = Secrets::gather(&path, names).context("gather the secrets that an image takes")?;
        report.redactor().learn(&secrets);
        Ok(Self { config, environment, image, report: report.clone(), secrets })
    }

    /// The repository's name in the environment's registry: `rg.fr-par.scw.cloud/meemi/app`. Fails for an environment
    /// that has no registry.
    pub fn repository(&self) -> Result<String, Failure> {
        let Some(registry) = self.environment.registry() else {
            let with = self.config.environments.values().filter(|environment| environment.registry().is_some());
            let with: Vec<&str> = with.map(|environment| environment.name.as_str()).collect();
            let with = if with.is_empty() { "no environment of deploy.yaml has".to_owned() } else { with.join(", ") };
            let name = &self.environment.name;
            return Err(Failure::Usage(anyhow!("{name} has no registry; environments that have one: {with}")));
        };
        Ok(format!("{registry}/{}", self.image.name))
    }

    /// A secret by the name of its variable.
    pub fn secret(&self, name: &str) -> Option<&SecretString> {
        self.secrets.get(name)
    }
}
