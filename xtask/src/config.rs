//! deploy.yaml: what is deployed where. This module alone reads that file.
//!
//! Reading it gives a valid [`Config`], or every problem with its location and a hint.

mod check;
mod compose;
mod document;
mod easypanel;
mod environment;
mod environments;
mod field;
mod file;
mod gate;
mod github;
mod media;
mod merge;
mod names;
mod notify;
mod paths;
mod pin;
mod problem;
mod read;
mod reference;
mod service;
mod settings;
mod size;
mod stack;
#[cfg(test)]
mod tests;
mod variables;
mod verify;
mod workflows;

use std::collections::BTreeMap;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use semver::Version;

pub use check::{is_github_repository, is_loopback};
pub use compose::{Compose, Container, Host};
pub use easypanel::{Easypanel, EngineHost};
pub use environment::{Environment, Gate, Local, Postgres, Rehearsal, Scaleway, Target};
pub use environments::PLAN;
pub use github::GitHub;
pub use media::{MEDIA, Media, MediaStack};
pub use notify::{Address, Event, Format, Receiver, is_webhook};
pub use problem::ConfigError;
pub(crate) use problem::{did_you_mean, nearest};
pub use reference::{Entry, Reference};
pub use settings::{Kind, Setting, SettingsTable, SuppliedBy};
pub use stack::{Approvals, Program as StackProgram, Provider, Stack, State};
pub use variables::{OF_THE_SOCKET, Variable};
pub use verify::Verify;
pub use workflows::{Hooks, Workflow, Workflows};

use document::Document;
use field::Log;
use file::TextFile;
use problem::Problem;

/// The file's name, in the project's root.
pub const FILE: &str = "deploy.yaml";

/// The file with its JSON Schema, beside it.
pub const SCHEMA: &str = "deploy.schema.json";

/// The smallest file.
pub const EXAMPLE: &str = "\
project: my-service
service:
  package: my-service
  port_variable: PORT
  readiness: /ready
environments:
  local:
    target: local
    port: 3000";

/// All of deploy.yaml.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder that deploy.yaml is in: the project's root.
    pub root: Utf8PathBuf,
    /// The project's name: a label of lower-case letters, digits and `-`.
    pub project: String,
    /// Where releases come from.
    pub source: Source,
    /// The service.
    pub service: Service,
    /// The service's image, if it has one.
    pub image: Option<Image>,
    /// Who is told of deploys.
    pub notify: Vec<Receiver>,
    /// Its repository at GitHub, if deploy.yaml says something of it.
    pub github: Option<GitHub>,
    /// The environments by name, at least one.
    pub environments: BTreeMap<String, Environment>,
    document: Arc<Document>,
}

/// Where releases come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The branch of releases; `main` by default.
    pub main_branch: String,
}

/// The service. Paths are relative to the project's root and stay inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The cargo package that builds the service; by default it has the project's name. Unused where there is a `command`.
    pub package: String,
    /// The binary in it; by default it has the package's name.
    pub binary: String,
    /// What is run instead of a cargo package's program: a program on the `PATH`, or the path of one among the files of the release,
    /// and its arguments.
    pub command: Option<Vec<String>>,
    /// Whether a release on this machine is the image of the Dockerfile, run by the Docker engine.
    pub image: bool,
    /// What builds it, in the project's root: a program and its arguments. Only with a `command`.
    pub build: Option<Vec<String>>,
    /// Files and folders that a release has beside its program, and that it runs in. If a `command` has none, they are all files that
    /// git does not ignore.
    pub files: Vec<Utf8PathBuf>,
    /// The file of the service's table of settings; see [`SettingsTable`].
    pub settings: Option<Utf8PathBuf>,
    /// The service's variables, where there is no such file.
    pub env: Vec<Variable>,
    /// The binary's arguments to print that table as JSON.
    pub schema: Option<Vec<String>>,
    /// The folder of its migrations.
    pub migrations: Option<Utf8PathBuf>,
    /// The folder of its web UI, with a `package.json`.
    pub web: Option<Utf8PathBuf>,
    /// The page of the web UI for the person who makes the first account.
    pub first_visit: Option<FirstVisit>,
    /// The binary's arguments to serve.
    pub args: Vec<String>,
    /// The path of its readiness endpoint; begins with `/`.
    pub readiness: String,
    /// The variable that names the port which it opens. None if it takes the socket that it is given.
    pub port_variable: Option<String>,
    /// Programs that it needs on the machine. With a web UI, Node.js and npm are among them.
    pub programs: Vec<Program>,
}

impl Service {
    /// What declares its variables, for people.
    pub fn table(&self) -> &str {
        self.settings.as_deref().map_or("`service.env` of deploy.yaml", Utf8Path::as_str)
    }
}

/// A page that takes a secret setting in the fragment of its address, which a browser does not send: the first account is made there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstVisit {
    /// The address up to the secret: a path, `#`, a name and `=`.
    pub page: String,
    /// The setting.
    pub secret: String,
    /// The path of the endpoint whose JSON answer has `is_open`, true until the account exists; begins with `/`.
    pub open: String,
}

/// A program that has to be installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The command, as found in `PATH`.
    pub name: String,
    /// The Debian package that contains it.
    pub package: String,
    /// What needs it.
    pub need: Need,
}

/// What a program is needed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// The build.
    Build,
    /// A feature of the service, which is off without it.
    Feature(String),
}

/// The service as an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its name below an environment's `registry`; by default the project's name.
    pub name: String,
    /// The Dockerfile, a path inside the project; `Dockerfile` by default.
    pub dockerfile: Utf8PathBuf,
    /// The platform; `linux/amd64` by default.
    pub platform: String,
    /// The base images as `name:tag`, by their build argument. `image.lock` has their digests.
    pub bases: BTreeMap<String, String>,
    /// Build secrets: the names of their variables, which are also their ids in the Dockerfile.
    pub secrets: Vec<String>,
    /// The image that lists the software in the image, as `name:tag`; `image.lock` has its digest. No list is attached without one.
    pub sbom: Option<String>,
}

impl Image {
    /// The images of others that a build takes: `image.lock` has their digests.
    pub fn of_others(&self) -> impl Iterator<Item = &String> {
        self.bases.values().chain(&self.sbom)
    }
}

impl Config {
    /// What deploy.yaml lacks for a stack to run the service in an environment; none if it has all of it.
    pub fn lacks_for_a_stack(&self, environment: &Environment) -> Option<String> {
        let name = &environment.name;
        if let Target::Compose(_) = &environment.target {
            Some(format!(
                "environments.{name} is a Docker host, where Docker Compose starts the release\n  \
                 type there: docker compose --env-file .env.{name} --file {} up --detach --wait",
                Compose::file(name)
            ))
        } else if let Target::Media(MediaStack { of, .. }) = &environment.target {
            Some(format!(
                "environments.{of}.media is a stack without a service\n  it is applied with that of {of}: cargo xtask deploy {of}"
            ))
        } else if environment.stack().is_none() {
            Some(format!("environments.{name} has no `stack`, so there is nothing to deploy to"))
        } else if environment.settings.is_none() {
            Some(format!(
                "environments.{name} has no `settings`, which may be {{}}, so its stack does not run the service"
            ))
        } else {
            self.image.is_none().then(|| "there is no `image`, which a stack runs".to_owned())
        }
    }

    /// Reads `root`/deploy.yaml. Fails with all its problems, and with those of the table of settings that it names.
    pub fn load(root: &Utf8Path) -> Result<Self, ConfigError> {
        let missing = "create it, or run the command in a folder that has one";
        let name = Utf8Path::new(FILE);
        let read = || Ok(Arc::new(Document::parse(TextFile::read(root, name, missing)?)?));
        let document = read().map_err(|problem: Problem| ConfigError::from(problem).with_example(name, EXAMPLE))?;
        if let Some(problem) = pin::refused(&document) {
            return Err(problem.into());
        }
        match Self::read(&document).and_then(|config| config.check_paths(root)) {
            Ok(config) => Ok(Self { root: root.to_owned(), ..config }),
            Err(error) => {
                let error = error.with_example(name, EXAMPLE);
                Err(match Self::table_of(&document, root) {
                    Some(Err(also)) => error.and(also),
                    _ => error,
                })
            }
        }
    }

    /// The oldest version of the toolkit that `root`/deploy.yaml takes; `None` where it names none. Nothing else of the file is checked:
    /// another version may not know it.
    pub fn oldest_toolkit(root: &Utf8Path) -> Result<Option<Version>, ConfigError> {
        let file = TextFile::read(root, Utf8Path::new(FILE), "run the command in a folder that has one")?;
        Ok(pin::oldest(&Document::parse(file)?))
    }

    /// The table of settings, if the document names one. The document may have other problems.
    fn table_of(document: &Document, root: &Utf8Path) -> Option<Result<SettingsTable, ConfigError>> {
        let file = document.find(&["service", "settings"])?.1.text().filter(|path| check::is_inside(path))?;
        let is_written = document.find(&["service", "schema"]).is_some();
        Some(SettingsTable::load(root, Utf8Path::new(file), is_written))
    }

    /// The service's table of settings.
    pub fn settings_table(&self) -> Result<SettingsTable, ConfigError> {
        match &self.service.settings {
            Some(file) => SettingsTable::load(&self.root, file, self.service.schema.is_some()),
            None => Ok(SettingsTable {
                settings: self.service.env.iter().map(|variable| variable.setting.clone()).collect(),
            }),
        }
    }

    /// The names of the service's secret settings and of the build secrets. A table that cannot be read has none: the service may
    /// have yet to be built to write it.
    pub fn secret_names(&self) -> Vec<String> {
        let settings = self.settings_table().map(|table| table.settings).unwrap_or_default();
        let secret = settings.into_iter().filter(|setting| setting.secret).map(|setting| setting.name);
        secret.chain(self.image.iter().flat_map(|image| image.secrets.clone())).collect()
    }

    /// The file with an environment's settings and secrets.
    pub fn env_file(&self, environment: &str) -> Utf8PathBuf {
        self.root.join(format!(".env.{environment}"))
    }

    /// Reads the text of a deploy.yaml, for example from a commit. The result has no root. Fails with all its problems.
    pub fn parse(yaml: &str) -> Result<Self, ConfigError> {
        Self::read(&Arc::new(Document::parse(TextFile::from_bytes(Utf8Path::new(FILE), yaml.into())?)?))
    }

    /// Reads another YAML file, of names and texts, within the same limits. `name` is shown in its problems.
    pub fn texts(name: &Utf8Path, bytes: Vec<u8>) -> Result<BTreeMap<String, String>, ConfigError> {
        let document = Document::parse(TextFile::from_bytes(name, bytes)?)?;
        Log::read(&document, "name: text", |root| root.map("text", |_, field| field.text("a text", |_| true)))
    }

    /// Whether a line for editors names the file of the schema in it.
    pub fn names_schema(&self) -> bool {
        let line = schema_line();
        self.document.file.text.lines().any(|text| text.trim_end() == line)
    }

    /// The environment with this name. Fails with the known names.
    pub fn environment(&self, name: &str) -> Result<&Environment, ConfigError> {
        self.environments.get(name).ok_or_else(|| {
            let known = self.environments.keys().map(String::as_str);
            let hint = problem::did_you_mean(name, "environments", known);
            let message = format!("there is no environment {}", problem::quoted(name));
            let key = self.document.find(&["environments"]).map(|(key, _)| key);
            self.document.problem(key, "environments", message, hint).into()
        })
    }

    fn read(document: &Arc<Document>) -> Result<Self, ConfigError> {
        Log::read(document, "project: my-service", |root| read::config(&root, document))
    }
}

/// The line of a deploy.yaml by which editors find its schema.
pub fn schema_line() -> String {
    format!("# yaml-language-server: $schema={SCHEMA}")
}
