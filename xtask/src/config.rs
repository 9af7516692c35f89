//! deploy.yaml: what is deployed where, checked. The only reader of that file.
//!
//! Reading it either gives a [`Config`] in which everything fits or says all that is wrong, each problem with its place
//! and with something to do.

mod check;
mod document;
mod field;
mod file;
mod problem;
mod read;
mod settings;
mod stack;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

pub use problem::ConfigError;
pub use settings::{Setting, SettingsTable, SuppliedBy};
pub use stack::{Program as StackProgram, Provider, Stack, State};

use document::Document;
use file::TextFile;

/// The file's name, in the project's root.
pub const FILE: &str = "deploy.yaml";

/// All of deploy.yaml.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder that deploy.yaml is in: the project's root.
    pub root: Utf8PathBuf,
    /// What the whole is called: a label of lower-case letters, digits and `-`.
    pub project: String,
    /// Where releases come from.
    pub source: Source,
    /// What is deployed.
    pub service: Service,
    /// The image it is deployed as, where it is deployed as one.
    pub image: Option<Image>,
    /// Where it is deployed to, by name; one at least.
    pub environments: BTreeMap<String, Environment>,
    document: Arc<Document>,
}

/// Where releases come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The branch that holds what is released; `main` if nothing is said.
    pub main_branch: String,
}

/// What is deployed. Paths are relative to the project's root and stay inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The cargo package that builds the service.
    pub package: String,
    /// The binary in it; the package's name if nothing is said.
    pub binary: String,
    /// The service's table of settings; see [`SettingsTable`].
    pub settings: Utf8PathBuf,
    /// The arguments with which the binary prints that table as JSON.
    pub schema: Option<Vec<String>>,
    /// The folder of its migrations.
    pub migrations: Option<Utf8PathBuf>,
    /// The folder of its web UI, with a `package.json`.
    pub web: Option<Utf8PathBuf>,
    /// The arguments with which the binary serves.
    pub args: Vec<String>,
    /// The path of its readiness answer; begins with `/`.
    pub readiness: String,
    /// Programs that it needs on the machine.
    pub programs: Vec<Program>,
}

/// A program that has to be installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The command, as found in `PATH`.
    pub name: String,
    /// The Debian package that brings it.
    pub package: String,
    /// What is missing without it.
    pub need: Need,
}

/// What a program is needed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing can be built without it.
    Build,
    /// Without it the service runs, but this feature is off.
    Feature(String),
}

/// The service as an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// What it is called in a registry, below an environment's `registry`; the project's name if nothing is said.
    pub name: String,
    /// How it is built; `Dockerfile` if nothing is said. A path inside the project.
    pub dockerfile: Utf8PathBuf,
    /// What it runs on; `linux/amd64` if nothing is said.
    pub platform: String,
    /// The images that it is built on, as `name:tag`, by the build argument that carries them. `image.lock` has their digests.
    pub bases: BTreeMap<String, String>,
    /// Build secrets: the id under which the Dockerfile mounts each is the name of the variable that holds it.
    pub secrets: Vec<String>,
}

/// A place to deploy to.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Its name: a label of lower-case letters, digits and `-`.
    pub name: String,
    /// What kind of place it is.
    pub target: Target,
    /// Settings of the service, by the name of the environment variable; see [`SettingsTable::check`]. None where nothing is
    /// said of them: a stack gets the variables of a release only where something is.
    pub settings: Option<BTreeMap<String, String>>,
    /// When a release counts as healthy.
    pub gate: Gate,
    /// How many releases are kept to go back to, the one that runs included; one at least.
    pub keep_releases: usize,
    document: Arc<Document>,
}

/// The kinds of place there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A supervised process on this machine.
    Local(Local),
    /// Scaleway Serverless Containers.
    Scaleway(Scaleway),
}

/// A process on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// The TCP port it listens on; never 0.
    pub port: u16,
    /// The address it listens on; 127.0.0.1 if nothing is said.
    pub host: IpAddr,
    /// Where its PostgreSQL comes from.
    pub postgres: Postgres,
}

/// A container at Scaleway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scaleway {
    /// The registry its image is pulled from, with the namespace: `rg.fr-par.scw.cloud/meemi`.
    pub registry: String,
    /// The host name that people reach it by.
    pub domain: Option<String>,
    /// What OpenTofu makes there; without it, only images go there.
    pub stack: Option<Box<Stack>>,
}

/// Where the programs of a local PostgreSQL come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Postgres {
    /// The machine's if there are any, else embedded ones.
    #[default]
    Auto,
    /// The machine's.
    Found,
    /// Downloaded ones.
    Embedded,
}

/// When a release counts as healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate {
    /// How long it may take to become ready; written in whole seconds, 60 if nothing is said.
    pub timeout: Duration,
}

impl Environment {
    /// The registry that its images are in, with the namespace; a local environment has none.
    pub fn registry(&self) -> Option<&str> {
        match &self.target {
            Target::Local(_) => None,
            Target::Scaleway(target) => Some(&target.registry),
        }
    }

    /// The host name that people reach it by, if it has one.
    pub fn domain(&self) -> Option<&str> {
        match &self.target {
            Target::Local(_) => None,
            Target::Scaleway(target) => target.domain.as_deref(),
        }
    }

    /// What OpenTofu makes of it, if anything.
    pub fn stack(&self) -> Option<&Stack> {
        match &self.target {
            Target::Local(_) => None,
            Target::Scaleway(target) => target.stack.as_deref(),
        }
    }
}

impl Config {
    /// Reads `root`/deploy.yaml. Fails with everything that is wrong with it.
    pub fn load(root: &Utf8Path) -> Result<Self, ConfigError> {
        let missing = "create it there, or type the command in the folder that has it";
        let config = Self::read(TextFile::read(root, Utf8Path::new(FILE), missing)?)?;
        Ok(Self { root: root.to_owned(), ..config })
    }

    /// The file that a person keeps an environment's secrets in.
    pub fn env_file(&self, environment: &str) -> Utf8PathBuf {
        self.root.join(format!(".env.{environment}"))
    }

    /// Reads what a deploy.yaml held, in a commit for one; it has no root. Fails with everything that is wrong with it.
    pub fn parse(yaml: &str) -> Result<Self, ConfigError> {
        Self::read(TextFile::from_bytes(Utf8Path::new(FILE), yaml.into())?)
    }

    /// The environment of that name. Fails with the names there are.
    pub fn environment(&self, name: &str) -> Result<&Environment, ConfigError> {
        self.environments.get(name).ok_or_else(|| {
            let known = self.environments.keys().map(String::as_str);
            let hint = problem::did_you_mean(name, "environments", known);
            let message = format!("there is no environment {}", problem::quoted(name));
            let key = self.document.find(&["environments"]).map(|(key, _)| key);
            self.document.problem(key, "environments", message, hint).into()
        })
    }

    fn read(file: TextFile) -> Result<Self, ConfigError> {
        let document = Arc::new(Document::parse(file)?);
        field::Log::read(&document, "project: my-service", |root| read::config(&root, &document))
    }
}
