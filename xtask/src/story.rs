//! Decisions. Each story reads as a table of contents; places adapt, remotes and tools do.

pub mod bench;
pub mod bootstrap;
pub mod confirm;
pub mod deploy;
pub mod doctor;
pub mod gate;
pub mod image;
pub mod interrupt;
pub mod operate;
pub mod preflight;
pub mod rollback;
pub mod run;
pub mod setup;
pub mod sqlx;
pub mod test;
pub mod tofu;

use anyhow::{Context as _, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};

use crate::config::{Config, ConfigError, Environment, Target};
use crate::memory::lease::Holder;
use crate::memory::store::Store;
use crate::place::Place;
use crate::report::Report;
use crate::tool::tofu::diagnostic::Diagnostics;

/// One environment of this repository, and what a story needs to work on it.
pub struct Env<'a> {
    /// Its name in deploy.yaml.
    pub name: &'a str,
    /// All of deploy.yaml.
    pub config: &'a Config,
    /// Where it runs.
    pub place: Place<'a>,
    /// What is remembered of it.
    pub store: Store,
    /// `.deploy/<name>`.
    pub folder: Utf8PathBuf,
    /// Where things are said.
    pub report: Report,
}

impl<'a> Env<'a> {
    /// The environment of this name. Fails where this toolkit builds and pushes images only.
    pub fn find(config: &'a Config, name: &str, report: &Report) -> Result<Self, Failure> {
        let environment = config.environment(name)?;
        let Target::Local(target) = &environment.target else {
            return Err(Failure::Usage(anyhow!(
                "{name} is not a place on this machine, and this command works on those only\n  \
                 what there is for {name}: cargo xtask image push {name}"
            )));
        };
        let folder = config.root.join(".deploy").join(name);
        let place = Place::new(config, environment, target, folder.clone());
        let store = Store::Folder(folder.clone());
        Ok(Self { name: &environment.name, config, place, store, folder, report: report.clone() })
    }

    /// The version that a rollback would bring back.
    pub fn undo(&self) -> Option<String> {
        let records = crate::memory::ledger::read_all(&self.store).ok()?;
        let (_, target) = rollback::choose(&records, None).ok()?;
        // With few releases to keep, it may be gone already.
        self.place.published(target.version()).ok().map(|published| published.source.version)
    }

    /// The repository's root.
    pub fn root(&self) -> &Utf8Path {
        &self.config.root
    }
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
    let here = std::env::current_dir().context("find out which folder this is")?;
    let here = Utf8PathBuf::from_path_buf(here)
        .map_err(|path| anyhow::anyhow!("the path of this folder is not UTF-8: {}", path.display()))?;
    let root = here.ancestors().find(|folder| folder.join("deploy.yaml").exists());
    let missing = || {
        format!("there is no deploy.yaml in {here} nor in any folder above; type this inside a project that has one")
    };
    Ok(root.with_context(missing)?.to_owned())
}

/// Why a command did not do what it was asked; each way out has its exit code.
#[derive(Debug)]
pub enum Failure {
    /// It failed.
    Failed(anyhow::Error),
    /// It was asked in a way that cannot be: deploy.yaml, an unknown environment.
    Usage(anyhow::Error),
    /// deploy.yaml is not what it should be.
    Config(ConfigError),
    /// Something newer is there, which a check was asked for.
    Newer(anyhow::Error),
    /// Somebody else deploys the environment.
    Locked(Box<Holder>, String),
    /// Somebody else works on what its stack made, or on the state of that.
    Busy(anyhow::Error),
    /// Changes are pending, which was asked for and said.
    Pending,
    /// Refused by the guard, or not approved.
    Refused(anyhow::Error),
    /// Unhealthy; the previous release serves again.
    Restored(anyhow::Error),
    /// Unhealthy; nothing serves.
    NotRestored(anyhow::Error),
    /// Somebody ended it, or the lease was lost.
    Aborted(anyhow::Error),
}

impl Failure {
    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Failed(_) | Self::Aborted(_) => 1,
            Self::Usage(_) | Self::Config(_) => 2,
            Self::Newer(_) | Self::Pending => 10,
            Self::Locked(..) | Self::Busy(_) => 20,
            Self::Refused(_) => 21,
            Self::Restored(_) => 30,
            Self::NotRestored(_) => 31,
        }
    }

    /// File, line and column of what is wrong, when that is known.
    pub fn place(&self) -> Option<(String, usize, usize)> {
        let error = match self {
            Self::Config(error) => error,
            Self::Failed(error) => {
                let of_query = error.downcast_ref::<sqlx::Problems>().and_then(sqlx::Problems::place);
                let of_stack = || error.downcast_ref::<Diagnostics>().and_then(Diagnostics::place);
                return of_query.or_else(of_stack);
            }
            _ => return None,
        };
        let first = error.problems().first()?;
        let at = first.at?;
        Some((first.file.to_string(), at.line, at.column))
    }

    /// The error that people are shown.
    pub fn into_error(self) -> anyhow::Error {
        match self {
            Self::Failed(error)
            | Self::Usage(error)
            | Self::Newer(error)
            | Self::Busy(error)
            | Self::Refused(error)
            | Self::Restored(error)
            | Self::NotRestored(error)
            | Self::Aborted(error) => error,
            Self::Config(error) => error.into(),
            Self::Pending => anyhow!("changes are pending"),
            Self::Locked(holder, environment) => anyhow::anyhow!(
                "{environment} is locked: {who} is at \"{message}\" since {since} (toolkit {version}, process {pid})\n  \
                 wait for it, or, if it is certain that nobody works there: cargo xtask lock break {environment}",
                who = holder.who,
                message = holder.message,
                since = holder.since.strftime("%Y-%m-%d %H:%M:%SZ"),
                version = holder.version,
                pid = holder.process.pid,
            ),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}
