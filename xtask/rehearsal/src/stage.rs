//! What the chapters play on: the clone, the servers and the toolkit. The chapters up to the first break, and what they share.

mod deploys;
mod in_ci;
mod kept;

use std::cell::RefCell;
use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use devservers::port;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use xtask::config::{Config, Environment};
use xtask::env::Env;
use xtask::failure::Failure;
use xtask::fs::private_folder;
use xtask::secrets::Secrets;
use xtask::signals::Stop;
use xtask::state::lease::{Holder, Lease, TakeError};

use crate::clean::{note_host, note_registry};
use crate::engine::Machine;
use crate::load::Public;
use crate::place::Place;
use crate::project::{self, Clone};
use crate::servers::{Servers, Wanted, WantedByStack};
use crate::toolkit::{Ran, Toolkit};
use crate::values;

/// The certificates that programs of this machine trust, where Debian has them.
const SYSTEM_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The stage.
pub struct Stage<'a> {
    pub config: &'a Config,
    pub environment: &'a Environment,
    pub place: &'a Place,
    pub toolkit: &'a Toolkit,
    engine: &'a Machine,
    servers: Option<Servers>,
    clone: Option<Clone>,
    variables: RefCell<Vec<(String, String)>>,
    zone: RefCell<Option<String>>,
    secrets: RefCell<Secrets>,
}

impl<'a> Stage<'a> {
    /// One with nothing on it yet.
    pub fn new(
        config: &'a Config,
        environment: &'a Environment,
        place: &'a Place,
        toolkit: &'a Toolkit,
        engine: &'a Machine,
    ) -> Self {
        Self {
            config,
            environment,
            place,
            toolkit,
            engine,
            servers: None,
            clone: None,
            variables: RefCell::default(),
            zone: RefCell::default(),
            secrets: RefCell::default(),
        }
    }

    /// Chapter: the servers.
    pub async fn start_servers(&mut self, gateway: Option<SocketAddr>, standin: &Utf8Path) -> Result<Vec<String>> {
        private_folder(&self.place.servers)?;
        // Those of the servers' folders that have no name of their own.
        tempfile::env::override_temp_dir(self.place.servers.as_std_path()).ok();
        devservers::keep_apart_from_the_terminal();
        let media = values::has_media_at_aws(self.config, self.environment)?;
        let stack = self.environment.stack().map(|stack| {
            let (region, standin) = (stack.state.region.as_str(), standin.to_owned());
            WantedByStack { region, media, gateway, standin }
        });
        let (registry, database) = (self.environment.registry().is_some(), values::takes_database(self.config)?);
        let servers = Servers::start(self.place, self.engine, &Wanted { registry, database, stack }).await?;
        if let Some(registry) = &servers.registry {
            note_registry(self.place, &registry.borrow().address)?;
        }
        let ca = servers.of_stack().ok().and_then(|stack| stack.platform.ca.as_deref());
        let bundle = ca.map(|ca| self.bundle(ca)).transpose()?;
        *self.variables.borrow_mut() = servers.variables(bundle.as_ref());
        let mut lines = servers.lines();
        if self.is_host() {
            note_host(self.place, &self.environment.name)?;
            lines.push("this machine's Docker engine is the host".to_owned());
        }
        self.servers = Some(servers);
        Ok(lines)
    }

    /// Chapter: the clone, with this machine's servers in its deploy.yaml, and its file of secrets.
    pub async fn prepare_project(&mut self) -> Result<Vec<String>> {
        let name = &self.environment.name;
        let clone = Clone::make(self.config, self.place).await?;
        let servers = self.servers.as_ref().context("the servers run")?;
        let registry = servers.registry.as_ref().map(|registry| registry.borrow().address.clone());
        let storage = servers.of_stack().ok().map(|stack| stack.storage.borrow().endpoint());
        let mut proof = Vec::new();
        let pinned = clone.root.join("image.lock").exists();
        let bases = match &registry {
            Some(registry) if !pinned => self.push_bases(registry).await?,
            _ => Vec::new(),
        };
        let gate = project::gate(self.environment.gate);
        let host = self.is_host().then(|| project::Host { project: &self.place.host, port: port::free() });
        let changed = match (&host, &registry, &storage) {
            (Some(host), registry, _) => {
                let registry = registry.as_ref().map(|registry| format!(", the registry is {registry}"));
                format!(
                    "the host is this machine's engine, the port is {}, the project and its image are called {}{}; domain and media \
                     are left out, ",
                    host.port,
                    host.project,
                    registry.unwrap_or_default()
                )
            }
            (None, Some(registry), Some(storage)) => {
                format!("the registry is {registry}, the state's endpoint is {storage}, ")
            }
            (None, ..) => bail!("a stack has a registry and a state"),
        };
        let (registry, storage) = (registry.as_deref(), storage.as_deref());
        let changes = project::Servers { registry, storage, host, bases: &bases, gate };
        clone.use_servers(self.config, name, &changes).await?;
        proof.push(format!(
            "in the clone's deploy.yaml: {changed}the gate waits {} s, watches for {} s and gives up after {} s without progress; \
             nothing else of {name} is changed",
            gate.timeout.as_secs(),
            gate.watch.as_secs(),
            gate.no_progress.as_secs()
        ));
        if self.environment.verify.is_some() {
            proof.push(format!(
                "`verify` of {name} is left out: the image is built on this machine, and no workflow has attested it"
            ));
        }
        if !bases.is_empty() {
            proof.push(format!(
                "no public registry was asked for {}: the engine's own are in the rehearsal's registry",
                bases.join(", ")
            ));
        }
        self.clone = Some(clone);
        self.write_secrets()?;
        if !pinned && self.config.image.as_ref().is_some_and(|image| !image.bases.is_empty()) {
            self.xtask(&["image", "pin", name]).await?.expect(&[0])?;
            self.clone()?.commit("Pin the base images").await?;
            proof.push("the base images are pinned in the clone, because no image.lock is committed".to_owned());
        }
        proof.push(format!("{} is {} in the remote", self.version().await?, self.config.source.main_branch));
        Ok(proof)
    }

    /// Chapter: the bucket of the state.
    pub async fn bootstrap_state(&self) -> Result<Vec<String>> {
        self.bootstrap(&["state"], &[0]).await
    }

    /// Chapter: the zone of the domain.
    pub async fn bootstrap_zone(&self) -> Result<Vec<String>> {
        // 10: the delegation is left to the user, and no registrar is stood in for.
        let ran = self.xtask(&["bootstrap", "zone", &self.environment.name, "--yes"]).await?.expect(&[0, 10])?;
        let items = ran.result("items")?.as_array().cloned().unwrap_or_default();
        let found = items.iter().find(|item| item["about"] == "dns_zone_id").context("it says the zone's id")?;
        // What deploy.yaml should have, or has.
        let id = found["should"].as_str().or(found["is"].as_str()).context("it says the zone's id")?.to_owned();
        *self.zone.borrow_mut() = Some(id.clone());
        self.write_secrets()?;
        Ok(vec![format!("the zone {id} is there")])
    }

    /// Chapter: the registry.
    pub async fn bootstrap_registry(&self) -> Result<Vec<String>> {
        self.bootstrap(&["registry"], &[0]).await
    }

    /// Whether it is a Docker host.
    pub fn is_host(&self) -> bool {
        self.environment.docker_hosts().is_some()
    }

    /// The version of the clone's last commit.
    pub async fn version(&self) -> Result<String> {
        self.clone()?.version().await
    }

    /// The clone.
    pub fn clone(&self) -> Result<&Clone> {
        self.clone.as_ref().context("the clone is there")
    }

    /// The servers.
    pub fn servers(&self) -> Result<&Servers> {
        self.servers.as_ref().context("the servers run")
    }

    /// Runs a command of the toolkit to its end.
    pub async fn xtask(&self, args: &[&str]) -> Result<Ran> {
        self.start(args)?.end().await
    }

    /// Starts a command of the toolkit.
    pub fn start(&self, args: &[&str]) -> Result<crate::toolkit::Running<'_>> {
        self.toolkit.start(args, &self.variables.borrow())
    }

    /// The variables of the toolkit's commands.
    pub fn variables(&self) -> Vec<(String, String)> {
        self.variables.borrow().clone()
    }

    /// The environment's secrets and settings.
    pub fn secrets(&self) -> Secrets {
        self.secrets.borrow().clone()
    }

    /// Writes `.env.<environment>` with other values for some names; without any, as it was.
    pub fn write_env_file(&self, changed: &[(&str, SecretString)]) -> Result<()> {
        let mut secrets = self.secrets();
        for (name, value) in changed {
            secrets.insert(*name, value.clone());
        }
        self.learn(&secrets);
        secrets.write_file(&self.clone()?.root.join(format!(".env.{}", self.environment.name)))
    }

    /// The service's public address, with the path of its readiness.
    pub async fn public(&self) -> Result<Public> {
        let status = self.status().await?;
        let address = status["address"].as_str().context("the release has an address")?;
        let url = format!("{}{}", address.trim_end_matches('/'), self.config.service.readiness);
        let platform = self.servers()?.of_stack().ok().map(|stack| &stack.platform);
        let platform = platform.filter(|_| url.starts_with("https://"));
        let (gateway, ca) = platform.map(|platform| (platform.gateway, platform.ca.as_deref())).unwrap_or_default();
        Public::new(&url, gateway, ca)
    }

    /// What `status` answers.
    pub async fn status(&self) -> Result<Value> {
        let ran = self.xtask(&["status", &self.environment.name]).await?.expect(&[0, 31])?;
        ran.results.into_iter().next_back().context("`status` answers")
    }

    /// Checks that this version serves, ready.
    pub async fn serves(&self, version: &str) -> Result<String> {
        let status = self.status().await?;
        ensure!(
            status["version"] == version && status["ready"] == true,
            "{version} should serve, and `status` says {} ready: {}",
            status["version"],
            status["ready"]
        );
        let (code, _) = self.public().await?.get().await?;
        ensure!(code == 200, "{} should be ready, and answers with {code}", status["address"]);
        Ok(format!("{version} serves at {}", status["address"].as_str().unwrap_or_default()))
    }

    /// Takes the environment's lease for a holder that neither renews it nor gives it back.
    pub async fn hold_lease(&self, holder: Holder) -> Result<()> {
        let (config, (_sender, stop)) = (self.clone()?.config()?, Stop::channel());
        let env =
            Env::find(&config, &self.environment.name, &self.toolkit.report, &stop).map_err(Failure::into_error)?;
        match Lease::take(env.store().map_err(Failure::into_error)?, holder).await {
            Ok(_) => Ok(()),
            Err(TakeError::Held(other)) => bail!("{} holds the lease: {}", other.who, other.message),
            Err(TakeError::Broken(error)) => Err(error),
        }
    }

    async fn bootstrap(&self, what: &[&str], codes: &[i32]) -> Result<Vec<String>> {
        let args = [&["bootstrap"], what, &[&self.environment.name, "--yes"]].concat();
        let ran = self.xtask(&args).await?.expect(codes)?;
        let fixed = ran.result("fixed")?.as_array().map(Vec::len).unwrap_or_default();
        let items = ran.result("items")?.as_array().map(Vec::len).unwrap_or_default();
        Ok(vec![format!("{items} items are as they should be; {fixed} of them were made or set for that")])
    }

    /// Pushes the base images that the engine has into the registry, and returns their names.
    async fn push_bases(&self, registry: &str) -> Result<Vec<String>> {
        let (_, user, password) = self.servers()?.access().registry.context("there is a registry")?;
        let password = SecretString::from(password);
        let mut pushed = Vec::new();
        for name in self.config.image.iter().flat_map(|image| image.bases.values()) {
            if self.engine.has(name).await? {
                self.engine.push(name, &project::base_in(registry, name), &user, &password).await?;
                pushed.push(name.clone());
            }
        }
        Ok(pushed)
    }

    fn write_secrets(&self) -> Result<()> {
        let access = self.servers()?.access();
        let mut secrets = values::env_file(self.config, self.environment, &access, self.zone.borrow().as_deref())?;
        // What was generated once stays: the state is encrypted with it.
        for (name, value) in self.secrets.borrow().iter() {
            secrets.insert(name, value.clone());
        }
        *self.secrets.borrow_mut() = secrets;
        self.write_env_file(&[])
    }

    fn learn(&self, secrets: &Secrets) {
        let redactor = self.toolkit.report.redactor();
        for (name, value) in secrets.iter() {
            let is_plain = self.environment.rehearsal.settings.contains_key(name)
                || name.starts_with("TF_VAR_")
                || name == "REGISTRY_HOST"
                || name == "REGISTRY_USERNAME";
            if !is_plain && value.expose_secret().len() >= 8 {
                redactor.learn_value(value);
            }
        }
    }

    /// The certificates that are trusted in the rehearsal: the machine's and the platform's.
    fn bundle(&self, ca: &Utf8Path) -> Result<Utf8PathBuf> {
        let machine = xtask::tools::platform::variable("SSL_CERT_FILE").unwrap_or_else(|| SYSTEM_BUNDLE.to_owned());
        let mut bundle = fs_err::read(machine).unwrap_or_default();
        bundle.extend(fs_err::read(ca)?);
        let path = self.place.servers.join("bundle.pem");
        fs_err::write(&path, bundle)?;
        Ok(path)
    }
}
