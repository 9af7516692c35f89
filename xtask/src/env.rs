//! One environment of deploy.yaml, and what a command needs to work on it.

use anyhow::{Context as _, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};

use crate::config::{Config, Environment, Target};
use crate::deploy::rollback;
use crate::failure::Failure;
use crate::report::Report;
use crate::state::store::Store;
use crate::targets::Place;

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
        let store = Store::folder(folder.clone());
        Ok(Self { name: &environment.name, config, place, store, folder, report: report.clone() })
    }

    /// The version that a rollback would bring back.
    pub async fn undo(&self) -> Option<String> {
        let records = crate::state::history::read_all(&self.store).await.ok()?;
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
