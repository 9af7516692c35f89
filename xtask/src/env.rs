//! One environment of deploy.yaml, gathered once per command: what every operation works on.

#[cfg(feature = "cloud")]
mod bucket;
#[cfg(feature = "cloud")]
mod github;

use std::cell::OnceCell;
use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use secrecy::{ExposeSecret as _, SecretString};

use crate::clients::patience::Patience;
use crate::config::{self, Compose, Config, Environment, Local, MEDIA, Postgres, Provider, Stack, Target};
use crate::failure::Failure;
use crate::needs;
use crate::report::Report;
use crate::secrets::{self, Secrets};
use crate::signals::Stop;
use crate::state::store::Store;
use crate::tools::platform::variable;
use crate::tools::postgres::Choice;
use crate::tools::ssh::Remote;

/// One environment of deploy.yaml.
pub struct Env<'a> {
    /// All of deploy.yaml.
    pub config: &'a Config,
    /// The environment's part of it.
    pub environment: &'a Environment,
    /// Where progress and results are shown.
    pub report: Report,
    /// Requests to stop.
    pub stop: Stop,
    /// How long its clients ask a server that does not answer.
    pub patience: Patience,
    file: OnceCell<Secrets>,
    store: OnceCell<Store>,
    remote: OnceCell<Remote>,
}

impl<'a> Env<'a> {
    /// The environment with this name. Nothing is read or asked yet.
    pub fn find(config: &'a Config, name: &str, report: &Report, stop: &Stop) -> Result<Self, Failure> {
        Ok(Self::new(config, config.environment(name)?, report, stop))
    }

    /// Another environment of the same deploy.yaml.
    pub fn other(&self, environment: &'a Environment) -> Self {
        Self::new(self.config, environment, &self.report, &self.stop)
    }

    fn new(config: &'a Config, environment: &'a Environment, report: &Report, stop: &Stop) -> Self {
        let (report, stop, patience) = (report.clone(), stop.clone(), Patience::new(report.clone()));
        Self {
            config,
            environment,
            report,
            stop,
            patience,
            file: OnceCell::new(),
            store: OnceCell::new(),
            remote: OnceCell::new(),
        }
    }

    /// The environment that stands for the stack of its media, if it has one.
    pub fn media(&self) -> Option<Self> {
        self.environment.media.as_ref()?;
        let environment = self.config.environments.get(&format!("{}{MEDIA}", self.name()))?;
        // A run waits for the servers of both.
        Some(Self { patience: self.patience.clone(), ..self.other(environment) })
    }

    /// The environment's name.
    pub fn name(&self) -> &'a str {
        &self.environment.name
    }

    /// The project's root.
    pub fn root(&self) -> &'a Utf8Path {
        &self.config.root
    }

    /// `.deploy/<name>`: what this machine keeps of the environment.
    pub fn folder(&self) -> Utf8PathBuf {
        self.root().join(".deploy").join(self.name())
    }

    /// `.env.<name>`: the user's settings and secrets for the environment. The stack of its media has none of its own.
    pub fn file(&self) -> Utf8PathBuf {
        match &self.environment.target {
            Target::Media(media) => self.config.env_file(&media.of),
            Target::Local(_) | Target::Scaleway(_) | Target::Compose(_) | Target::Easypanel(_) => {
                self.config.env_file(self.name())
            }
        }
    }

    /// What the names of variables begin with that are for the stack of the media alone: both stacks have variables of one name, and
    /// may take keys of one provider.
    fn own_prefix(&self) -> &'static str {
        match &self.environment.target {
            Target::Media(_) => needs::MEDIA,
            Target::Local(_) | Target::Scaleway(_) | Target::Compose(_) | Target::Easypanel(_) => "",
        }
    }

    /// What `.env.<name>` sets.
    pub fn file_values(&self) -> Result<&Secrets> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let file = Secrets::read_file(&self.file())?;
        Ok(self.file.get_or_init(|| file))
    }

    /// Generated secrets of an environment on this machine.
    pub fn generated_file(&self) -> Utf8PathBuf {
        self.folder().join("secrets.env")
    }

    /// Lets the report mask every secret that is known without asking: those of `.env.<name>`, the generated ones, and those of the
    /// process's environment, where a job of CI has secrets that no environment names. A file that cannot be read is the error of
    /// the command that needs it.
    pub fn learn_secrets(&self) {
        let (redactor, names) = (self.report.redactor(), self.config.secret_names());
        let learn = |name: &str, value: &SecretString| {
            let is_known = secrets::is_secret_name(name) || names.iter().any(|known| known == name);
            if is_known || secrets::has_password(value.expose_secret()) {
                redactor.learn_value(value);
            }
        };
        self.file_values().iter().flat_map(|file| file.iter()).for_each(|(name, value)| learn(name, value));
        redactor.learn(&Secrets::read_file(&self.generated_file()).unwrap_or_default());
        for (name, value) in std::env::vars_os() {
            if let (Ok(name), Ok(value)) = (name.into_string(), value.into_string()) {
                learn(&name, &SecretString::from(value));
            }
        }
    }

    /// The value of a variable: from `.env.<name>`, else from the process's environment. An empty value counts as none. The
    /// file comes first, so that what a shell happens to export for another account does not redirect a deploy. For the stack of the
    /// media, `MEDIA_<name>` comes before that, and no variable of the service's stack counts.
    pub fn value(&self, name: &str) -> Result<Option<SecretString>> {
        let prefix = self.own_prefix();
        if prefix.is_empty() {
            return self.value_of(name);
        }
        match self.value_of(&format!("{prefix}{name}"))? {
            None if !name.starts_with("TF_VAR_") => self.value_of(name),
            own => Ok(own),
        }
    }

    fn value_of(&self, name: &str) -> Result<Option<SecretString>> {
        match self.file_values()?.get(name).filter(|value| !value.expose_secret().is_empty()) {
            Some(value) => Ok(Some(value.clone())),
            None => secrets::of_process(name),
        }
    }

    /// The same of a secret: the report masks it from now on.
    pub fn secret(&self, name: &str) -> Result<Option<SecretString>> {
        let value = self.value(name)?;
        if let Some(value) = &value {
            self.report.redactor().learn_value(value);
        }
        Ok(value)
    }

    /// Every variable whose name begins with `prefix`, by the rule of [`Env::secret`].
    pub fn secrets_with(&self, prefix: &str) -> Result<BTreeMap<String, SecretString>> {
        let file = self.file_values()?.iter().map(|(name, _)| name.to_owned());
        let process = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        let own = self.own_prefix();
        let names = file.chain(process).filter_map(|name| Some(name.strip_prefix(own)?.to_owned()));
        let names = names.filter(|name| name.starts_with(prefix));
        let read = |name: String| Ok(self.secret(&name)?.map(|value| (name, value)));
        names.filter_map(|name| read(name).transpose()).collect()
    }

    /// Which PostgreSQL programs the environment may use.
    pub fn postgres(&self) -> Choice {
        match &self.environment.target {
            Target::Local(Local { postgres: Postgres::Found, .. }) => Choice::Found,
            Target::Local(Local { postgres: Postgres::Embedded, .. }) => Choice::Embedded,
            Target::Local(_) | Target::Scaleway(_) | Target::Compose(_) | Target::Easypanel(_) | Target::Media(_) => {
                Choice::Auto
            }
        }
    }

    /// The environment's stack. Fails with the environments that have one.
    pub fn stack(&self) -> Result<&'a Stack, Failure> {
        let stack = self.environment.stack();
        stack.ok_or_else(|| Failure::Usage(lacks(self.config, self.name(), "stack", |other| other.stack().is_some())))
    }

    /// The object that holds the stack's state.
    pub fn state_object(&self) -> Result<String, Failure> {
        let key = self.stack()?.state.key.clone();
        Ok(key.unwrap_or_else(|| format!("{}.tfstate", self.store_prefix())))
    }

    /// Where the stack's state is, for people: `bucket/object at https://endpoint`.
    pub fn state_location(&self) -> Result<String, Failure> {
        let state = &self.stack()?.state;
        let at = state.endpoint.as_ref().map(|endpoint| format!(" at {endpoint}")).unwrap_or_default();
        Ok(format!("{}/{}{at}", state.bucket, self.state_object()?))
    }

    /// Whether `AWS_…` are the keys of the stack of the media: those for the state's bucket at Scaleway are `SCW_…`.
    pub fn leaves_aws_to_media(&self) -> bool {
        let provider = self.environment.stack().map(|stack| stack.state.provider);
        self.environment.media.is_some() && provider == Some(Provider::Scaleway)
    }

    /// The key for the bucket of the environment's state, by the names of the S3 protocol. Scaleway's buckets take the keys of its
    /// other services.
    pub fn state_key(&self, name: &str) -> Result<Option<SecretString>> {
        let provider = self.environment.state().map(|state| state.provider);
        let other = match (provider, name) {
            (Some(Provider::Scaleway), "AWS_ACCESS_KEY_ID") => Some("SCW_ACCESS_KEY"),
            (Some(Provider::Scaleway), "AWS_SECRET_ACCESS_KEY") => Some("SCW_SECRET_KEY"),
            _ => None,
        };
        let own = if self.leaves_aws_to_media() { None } else { self.secret(name)? };
        match (own, other) {
            (None, Some(other)) => self.secret(other),
            (own, _) => Ok(own),
        }
    }

    /// The first Docker host of the environment, if it is another machine: leases, journals and records are there. One connection serves
    /// all that is asked of it.
    pub fn remote(&self) -> Option<&Remote> {
        let Target::Compose(Compose { hosts, .. }) = &self.environment.target else { return None };
        let host = hosts.first()?;
        Some(self.remote.get_or_init(|| Remote::new(host.clone())))
    }

    /// Where leases, journals, records and plans are kept: beside the stack's state, in the bucket that deploy.yaml names for an
    /// Easypanel, or on the Docker host that is another machine, so that every machine sees them; in `.deploy/<name>` elsewhere.
    pub fn store(&self) -> Result<&Store, Failure> {
        if let Some(store) = self.store.get() {
            return Ok(store);
        }
        let store = match (self.environment.state(), self.remote()) {
            (Some(_), _) => self.store_in_bucket()?,
            (None, Some(remote)) => Store::remote(remote.clone(), self.store_prefix()),
            (None, None) => Store::folder(self.folder()),
        };
        Ok(self.store.get_or_init(|| store))
    }

    #[cfg(not(feature = "cloud"))]
    fn store_in_bucket(&self) -> Result<Store, Failure> {
        unreachable!("`Context::env` hands {} to the build with the feature `cloud`", self.name())
    }

    /// What the keys of the store's objects begin with in the bucket: `<project>/<environment>`, without a `/` at the end.
    pub fn store_prefix(&self) -> String {
        format!("{}/{}", self.config.project, self.name())
    }
}

/// The variable by which OpenTofu gets temporary credentials for the state's bucket, if one is set. The toolkit does not read
/// them.
pub fn temporary_key() -> Option<&'static str> {
    let variables = ["AWS_PROFILE", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"];
    variables.into_iter().find(|name| variable(name).is_some())
}

/// That an environment lacks what a command is about, and which ones have it.
pub fn lacks(config: &Config, name: &str, what: &str, has: impl Fn(&Environment) -> bool) -> anyhow::Error {
    let with = config.environments.values().filter(|environment| has(environment));
    let with: Vec<&str> = with.map(|environment| environment.name.as_str()).collect();
    let with = if with.is_empty() { "none in deploy.yaml".to_owned() } else { with.join(", ") };
    anyhow!("{name} has no {what}; environments that have one: {with}")
}

/// The nearest folder, here or above, that has a deploy.yaml.
pub fn find_root() -> Result<Utf8PathBuf> {
    let here = std::env::current_dir().context("read the current folder")?;
    let here = Utf8PathBuf::from_path_buf(here)
        .map_err(|path| anyhow!("the path of this folder is not UTF-8: {}", path.display()))?;
    let root = here.ancestors().find(|folder| folder.join("deploy.yaml").exists());
    let missing = || {
        format!(
            "there is no deploy.yaml in {here} nor in any folder above; run the command inside a project that has one\n  \
             the smallest one is, for example:\n    {}",
            config::EXAMPLE.trim_end().replace('\n', "\n    ")
        )
    };
    Ok(root.with_context(missing)?.to_owned())
}
