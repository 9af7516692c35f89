//! The clone that is deployed, and what is changed in it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use serde_yaml::{Mapping, Value};
use xtask::config::{self, Config, Gate};
use xtask::tools::cmd::Cmd;

use crate::place::Place;

/// The longest times of the gate in a rehearsal: the service starts on this machine, and those who watch want to see its end.
const LONGEST: Gate =
    Gate { timeout: Duration::from_secs(120), watch: Duration::from_secs(5), no_progress: Duration::from_secs(30) };

/// Who commits in the clone.
const AUTHOR: [&str; 6] =
    ["-c", "user.name=cargo xtask rehearse", "-c", "user.email=rehearsal@localhost", "-c", "commit.gpgsign=false"];

/// A clone of the project's last commit, with a remote of its own.
pub struct Clone {
    repository: Utf8PathBuf,
    /// The project's root in it.
    pub root: Utf8PathBuf,
    branch: String,
}

/// What the clone's deploy.yaml says of this machine.
pub struct Servers<'a> {
    /// The registry's `host:port`, if images go through one.
    pub registry: Option<&'a str>,
    /// The address of the S3 server of a stack's state.
    pub storage: Option<&'a str>,
    /// What a Docker host becomes here.
    pub host: Option<Host<'a>>,
    /// Base images that are in the registry, by their names in deploy.yaml.
    pub bases: &'a [String],
    /// How long the gate waits.
    pub gate: Gate,
}

/// A Docker host that is this machine's engine.
pub struct Host<'a> {
    /// The name of the project: what a rehearsal has in the engine is told by it from what else is there.
    pub project: &'a str,
    /// A port of the loopback address that is free.
    pub port: u16,
}

impl Clone {
    /// Clones the last commit of the repository that `config`'s project is in.
    pub async fn make(config: &Config, place: &Place) -> Result<Self> {
        let repository = git(&config.root, &["rev-parse", "--show-toplevel"]).await.context("find the repository")?;
        let prefix = git(&config.root, &["rev-parse", "--show-prefix"]).await?;
        let branch = config.source.main_branch.clone();
        let folder = place.project.clone();
        let quiet = ["init", "--quiet", "--initial-branch", &branch];
        git(&place.folder, &[&quiet[..], &[folder.as_str()]].concat()).await?;
        git(&place.folder, &[&quiet[..], &["--bare", place.remote.as_str()]].concat()).await?;
        let commit = git(&config.root, &["rev-parse", "HEAD"]).await.context("find the last commit")?;
        // By the commit's digits: HEAD may be on any branch or none.
        git(&folder, &["fetch", "--quiet", "--no-tags", &format!("file://{repository}"), "HEAD"]).await?;
        git(&folder, &["checkout", "--quiet", "-B", &branch, &commit]).await?;
        git(&folder, &["remote", "add", "origin", place.remote.as_str()]).await?;
        let exclude = folder.join(".git/info");
        fs_err::create_dir_all(&exclude)?;
        fs_err::write(exclude.join("exclude"), ".deploy/\n.env.*\ntarget/\n")?;
        let root = folder.join(prefix.trim_end_matches('/'));
        let clone = Self { repository: folder, root, branch };
        clone.push().await?;
        Ok(clone)
    }

    /// Its deploy.yaml.
    pub fn config(&self) -> Result<Config> {
        Config::load(&self.root).context("read the clone's deploy.yaml")
    }

    /// Writes this machine's servers into the environment, and commits that. `before` is the project's own deploy.yaml, whose
    /// other values stay.
    pub async fn use_servers(&self, before: &Config, environment: &str, servers: &Servers<'_>) -> Result<()> {
        let path = self.root.join(config::FILE);
        let mut document: Value = serde_yaml::from_str(&fs_err::read_to_string(&path)?)?;
        document.apply_merge().context("read the merge keys of deploy.yaml")?;
        change(&mut document, environment, servers)?;
        fs_err::write(&path, serde_yaml::to_string(&document)?)?;
        let (old, new) = (before.environment(environment)?, self.config()?);
        let new = new.environment(environment)?;
        let kept = |environment: &config::Environment| {
            let of_media = environment.media.as_ref().filter(|_| environment.stack().is_some());
            let of_media = of_media.map(|media| (&media.stack, media.settings.clone()));
            let of = |stack: &config::Stack| (stack.variables.clone(), stack.protect.clone());
            (
                environment.settings.clone(),
                environment.stack().map(of),
                of_media.map(|(stack, settings)| (of(stack), settings)),
            )
        };
        ensure!(
            kept(old) == kept(new),
            "deploy.yaml could not be written again without changing other values of {environment}"
        );
        self.commit("Servers of this machine").await
    }

    /// Sets how long the environment's gate waits, and returns how long it did. The next commit has it.
    pub fn set_gate_timeout(&self, environment: &str, timeout: Duration) -> Result<Duration> {
        let path = self.root.join(config::FILE);
        let before = self.config()?.environment(environment)?.gate.timeout;
        let mut document: Value = serde_yaml::from_str(&fs_err::read_to_string(&path)?)?;
        document["environments"][environment]["gate"]["timeout"] = timeout.as_secs().into();
        fs_err::write(&path, serde_yaml::to_string(&document)?)?;
        Ok(before)
    }

    /// Changes files, and commits and pushes that. `paths` are those that may have changed.
    pub async fn commit(&self, message: &str) -> Result<()> {
        git(&self.repository, &["add", "--all"]).await?;
        let commit = ["commit", "--quiet", "--allow-empty", "--no-verify", "--message", message];
        git(&self.repository, &[&AUTHOR[..], &commit].concat()).await?;
        self.push().await
    }

    /// Takes back the last commit by another one.
    pub async fn revert(&self) -> Result<()> {
        git(&self.repository, &[&AUTHOR[..], &["revert", "--no-edit", "HEAD"]].concat()).await?;
        self.push().await
    }

    /// The version that a deploy of the last commit has.
    pub async fn version(&self) -> Result<String> {
        Ok(self.commit_digits().await?.chars().take(12).collect())
    }

    /// All digits of the last commit.
    pub async fn commit_digits(&self) -> Result<String> {
        git(&self.repository, &["rev-parse", "HEAD"]).await
    }

    async fn push(&self) -> Result<()> {
        git(&self.repository, &["push", "--quiet", "--set-upstream", "origin", &self.branch]).await.map(drop)
    }
}

/// The times of a gate, where they are not longer than what a rehearsal waits.
pub fn gate(own: Gate) -> Gate {
    Gate {
        timeout: own.timeout.min(LONGEST.timeout),
        watch: own.watch.min(LONGEST.watch),
        no_progress: own.no_progress.min(LONGEST.no_progress),
    }
}

/// Whether the tree has changes that no commit has.
pub async fn is_dirty(root: &Utf8Path) -> Result<bool> {
    Ok(!git(root, &["status", "--porcelain"]).await?.is_empty())
}

async fn git(folder: &Utf8Path, args: &[&str]) -> Result<String> {
    Cmd::new("git").dir(folder).args(args.iter().copied()).capture().await
}

fn change(document: &mut Value, environment: &str, servers: &Servers<'_>) -> Result<()> {
    let of_environment =
        document["environments"][environment].as_mapping_mut().context("the environment is a mapping")?;
    if let Some(ours) = servers.registry {
        let registry = of_environment.get("registry").and_then(Value::as_str);
        let registry = registry.context("the environment has a registry")?;
        let namespace = registry.split_once('/').map_or("rehearsal", |(_, namespace)| namespace);
        of_environment.insert("registry".into(), format!("{ours}/{namespace}").into());
    }
    if let Some(state) = of_environment.get_mut("state").and_then(Value::as_mapping_mut) {
        state.insert("endpoint".into(), servers.storage.context("a stack has a state")?.into());
    }
    match &servers.host {
        // One S3 server has all states: the one of the media is beside the service's.
        None => {
            if let Some(media) = of_environment.get_mut("media").and_then(Value::as_mapping_mut) {
                media.remove("state");
            }
        }
        Some(host) => {
            for key in ["host", "batch", "domain", "media"] {
                of_environment.remove(key);
            }
            of_environment.insert("port".into(), host.port.into());
        }
    }
    // The image is built on this machine, and no workflow has attested it.
    of_environment.remove("verify");
    let Gate { timeout, watch, no_progress } = servers.gate;
    let gate = [("timeout", timeout), ("watch", watch), ("no_progress", no_progress)];
    let gate: Mapping = gate.into_iter().map(|(name, time)| (name.into(), time.as_secs().into())).collect();
    of_environment.insert("gate".into(), gate.into());
    let bases = document.get_mut("image").and_then(|image| image.get_mut("bases")).and_then(Value::as_mapping_mut);
    for base in bases.into_iter().flat_map(Mapping::values_mut) {
        let is_ours = |name: &&str| servers.bases.iter().any(|ours| ours == name);
        if let (Some(registry), Some(name)) = (servers.registry, base.as_str().filter(is_ours)) {
            *base = base_in(registry, name).into();
        }
    }
    if let Some(host) = &servers.host {
        document["project"] = host.project.into();
        document["image"]["name"] = host.project.into();
    }
    Ok(())
}

/// The name of a base image in the rehearsal's registry.
pub fn base_in(registry: &str, name: &str) -> String {
    let own = name.rsplit_once('@').map_or(name, |(name, _)| name);
    format!("{registry}/bases/{own}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_servers_are_written_into_deploy_yaml() {
        let text = "project: shop\nimage: { bases: { A: 'debian:12', B: 'rust:1' } }\nenvironments:\n  production:\n    target: scaleway\n    \
                    registry: rg.fr-par.scw.cloud/shop\n    state: { bucket: states, region: fr-par, provider: scaleway }\n    verify: provenance\n    \
                    media: { stack: infra, state: { bucket: media, region: auto, provider: r2 }, settings: { A: b } }\n    \
                    variables: { size: 3, list: '[\"a\"]' }\n";
        let mut document: Value = serde_yaml::from_str(text).unwrap();
        let bases = ["debian:12".to_owned()];
        let (registry, storage) = (Some("127.0.0.1:5"), Some("http://127.0.0.1:6"));
        let servers = Servers { registry, storage, host: None, bases: &bases, gate: LONGEST };
        change(&mut document, "production", &servers).unwrap();
        insta::assert_snapshot!("deploy_yaml", serde_yaml::to_string(&document).unwrap());
    }

    #[test]
    fn a_docker_host_becomes_this_machines_engine_under_another_name() {
        let text = "project: shop\nimage: {}\nenvironments:\n  prod:\n    target: compose\n    host: [ssh://a, ssh://b]\n    batch: 2\n    \
                    proxy: sha256:0\n    port: 80\n    media: { stack: infra }\n    settings: { A: b }\n";
        let mut document: Value = serde_yaml::from_str(text).unwrap();
        let host = Some(Host { project: "rehearsal-0", port: 4000 });
        let servers = Servers { registry: None, storage: None, host, bases: &[], gate: LONGEST };
        change(&mut document, "prod", &servers).unwrap();
        insta::assert_snapshot!("deploy_yaml_of_a_docker_host", serde_yaml::to_string(&document).unwrap());
    }
}
