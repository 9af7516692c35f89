//! The local place: a supervised process on this machine, a private PostgreSQL, files on disk, all below
//! `.deploy/<environment>/`.

mod applied;
mod checks;
mod ground;
mod releases;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use camino::Utf8PathBuf;
use secrecy::ExposeSecret as _;
use tokio::sync::OnceCell;

pub use self::applied::Applied;
use self::applied::said;
use super::{Ground, Live, Plan, Switched};
use crate::clients::service::{Answer, Service};
use crate::config::{self, Config, Environment, SuppliedBy};
use crate::release::{Artifact, Migration, Published, Source};
use crate::report::{Ongoing, Report};
use crate::secrets::Secrets;
use crate::state::history::{Outcome, Record};
use crate::supervisor::client::{Connection, connect};
use crate::supervisor::{self, InstanceSpec, LaunchError, Role, Status, launch};
use crate::tools::port;
use crate::tools::postgres::Installation;

/// How long the deploy waits for the old version's last requests; it goes on draining without being watched.
const WATCHED_DRAIN: Duration = Duration::from_secs(3);

/// One environment on this machine.
pub struct Local<'a> {
    pub(super) config: &'a Config,
    pub(super) environment: &'a Environment,
    pub(super) target: &'a config::Local,
    /// `.deploy/<name>`.
    pub(super) folder: Utf8PathBuf,
    /// Looked for once: finding out asks each program for its version.
    postgres: OnceCell<Option<Installation>>,
}

impl<'a> Local<'a> {
    /// The place of this environment.
    pub fn new(
        config: &'a Config,
        environment: &'a Environment,
        target: &'a config::Local,
        folder: Utf8PathBuf,
    ) -> Self {
        Self { config, environment, target, folder, postgres: OnceCell::new() }
    }

    /// How long a release may take to become ready.
    pub fn gate_timeout(&self) -> Duration {
        self.environment.gate.timeout
    }

    /// Where people reach the service.
    pub fn address(&self) -> String {
        let host = if self.target.host.is_loopback() || self.target.host.is_unspecified() {
            "localhost".to_owned()
        } else {
            self.target.host.to_string()
        };
        format!("http://{host}:{}", self.target.port)
    }

    /// Database, settings and secrets: made where they are missing, started where they do not run.
    pub async fn ground(&self, report: &Report, step: &Ongoing) -> Result<Ground> {
        fs_err::create_dir_all(&self.folder)?;
        self.make_ground(report, step).await
    }

    /// What a person wants to know of this place after a deploy: label and text.
    pub fn hints(&self) -> Vec<(&'static str, String)> {
        let generated = Secrets::read_file(&self.secrets_file()).unwrap_or_default();
        let names: Vec<&str> = generated.iter().map(|(name, _)| name).collect();
        let file = self.secrets_file();
        let file = file.strip_prefix(&self.config.root).unwrap_or(&file);
        if names.is_empty() { Vec::new() } else { vec![("secrets", format!("{} are in {file}", names.join(", ")))] }
    }

    /// The service's migrations as they stand in the tree.
    pub fn migrations(&self) -> Result<Vec<Migration>> {
        match &self.config.service.migrations {
            Some(folder) => releases::migrations(&self.config.root.join(folder)),
            None => Ok(Vec::new()),
        }
    }

    /// Puts an artifact into the folder that it will run from.
    pub fn publish(&self, artifact: &Artifact) -> Result<Published> {
        releases::publish(&self.releases(), artifact)
    }

    /// A release that was published earlier and is kept.
    pub fn published(&self, version: &str) -> Result<Published> {
        releases::read(&self.releases().join(version))
            .with_context(|| format!("{version} is no longer kept; deploy its commit instead"))
    }

    /// What would change.
    pub fn plan(&self, published: &Published, ground: &Ground, lives: &[Record]) -> Plan {
        Plan::compare(published, ground, lives)
    }

    /// What a deploy would do, told without doing any of it.
    pub async fn outlook(&self, source: &Source, live: Option<&Record>) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        let (table, own) = (self.table()?, self.own_values()?);
        if self.needs_postgres(&table, &own) {
            let running = match self.find_postgres().await? {
                Some(server) => server.is_running().await,
                None => false,
            };
            lines.push(format!("database: a private PostgreSQL {}", if running { "runs" } else { "would be started" }));
        }
        let service = &self.config.service;
        lines.push(format!("build: cargo build --release --package {} --bin {}", service.package, service.binary));
        match self.live().await? {
            Some(serving) if serving.version == source.version => {
                lines.push(format!("{} serves already at {}", serving.version, serving.address));
            }
            Some(serving) => {
                lines.push(format!("switch: {} → {} at {}", serving.version, source.version, serving.address))
            }
            None => lines.push(format!("start: {} at {}", source.version, self.address())),
        }
        let released =
            |name: &str| live.is_some_and(|live| live.migrations.iter().any(|migration| migration.name == name));
        for migration in self.migrations()?.iter().filter(|migration| !released(&migration.name)) {
            let mark = if migration.irreversible { ", irreversible" } else { "" };
            lines.push(format!("migration: {}{mark}", migration.name));
        }
        Ok(lines)
    }

    /// Starts a release beside the one that serves.
    pub async fn apply(&self, id: String, published: &Published, ground: &Ground) -> Result<Applied> {
        let mut connection = self.supervisor().await?;
        let candidate = connection.candidate(&self.instance(id.clone(), published, ground)?).await?;
        let service = Service::new(format!("http://{}{}", candidate.address, self.config.service.readiness))?;
        let version = published.source.version.clone();
        Ok(Applied { service, connection, id, version, process: candidate.pid })
    }

    /// Lets the release take over. It is asked on the public address before the old one is told to drain; until then
    /// everything can be undone, and is, when this fails.
    pub async fn switch(&self, applied: Applied, step: &Ongoing) -> Result<Switched> {
        let Applied { mut connection, id, version, .. } = applied;
        connection.promote().await?;
        let public = self.public_service()?;
        let began = Instant::now();
        let readiness = loop {
            // Both versions take from one queue, so either may answer.
            let answer = tokio::select! {
                answer = public.ask() => answer,
                exit = connection.exited() => {
                    let exit = exit?;
                    bail!("its process ended on the public address: {}\n{}", exit.ended, said(&exit.tail));
                }
            };
            match answer {
                Answer::Ready(readiness) if readiness.version == version => break readiness,
                other if began.elapsed() >= self.gate_timeout() => {
                    bail!(
                        "{version} did not answer at {} within {:?}; last: {}",
                        self.address(),
                        self.gate_timeout(),
                        other.describe()
                    )
                }
                other => step.progress(&other.describe()),
            }
        };
        // From here on the new version is the one that is kept running.
        match tokio::time::timeout(WATCHED_DRAIN, connection.commit()).await {
            Ok(committed) => drop(committed?),
            Err(_) => {
                let serving = self.serving().await?;
                // By its id: the same version may be deployed again with other settings.
                anyhow::ensure!(
                    serving.as_ref().is_some_and(|serving| serving.id == id),
                    "the supervisor did not let {version} take over"
                );
            }
        }
        Ok(Switched { address: self.address(), readiness })
    }

    /// Whether the release of this record serves, ready. Fails when it does not.
    pub async fn still_serves(&self, record: &Record) -> Result<Switched> {
        let version = record.version();
        let live = self.live().await?.filter(|live| live.id == record.id);
        let live = live.with_context(|| format!("{version} does not run"))?;
        let readiness = live.ready_as(version).await.with_context(|| format!("{version} runs and is not ready"))?;
        Ok(Switched { address: live.address, readiness })
    }

    /// The release that serves, if one does.
    pub async fn live(&self) -> Result<Option<Live>> {
        let Some(serving) = self.serving().await? else { return Ok(None) };
        Ok(Some(Live {
            id: serving.id,
            version: serving.version,
            address: self.address(),
            service: self.public_service()?,
        }))
    }

    /// What the supervisor and its instances are doing; none when there is no supervisor.
    pub async fn status(&self) -> Result<Option<Status>> {
        match connect(&self.folder).await? {
            Some(mut connection) => Ok(Some(connection.status().await?)),
            None => Ok(None),
        }
    }

    /// The service's log, newest file.
    pub fn log(&self) -> Utf8PathBuf {
        supervisor::service_log(&self.folder)
    }

    /// Stops the service, then its database. Tells what was running. All data is kept.
    pub async fn stop(&self) -> Result<Vec<&'static str>> {
        let mut stopped = Vec::new();
        if let Some(connection) = connect(&self.folder).await? {
            connection.stop().await?;
            stopped.push("the service");
        }
        if let Some(server) = self.find_postgres().await?
            && server.is_running().await
        {
            server.stop().await?;
            stopped.push("PostgreSQL");
        }
        Ok(stopped)
    }

    /// Removes what is no longer to be gone back to: all but the newest releases that were live.
    pub fn prune(&self, records: &[Record]) -> Result<()> {
        let mut keep: Vec<&str> = Vec::new();
        for record in records.iter().rev().filter(|record| record.outcome == Outcome::Live) {
            if keep.len() < self.environment.keep_releases && !keep.contains(&record.version()) {
                keep.push(record.version());
            }
        }
        releases::prune(&self.releases(), &keep)
    }

    fn releases(&self) -> Utf8PathBuf {
        self.folder.join("releases")
    }

    fn public_service(&self) -> Result<Service> {
        let host =
            if self.target.host.is_unspecified() { "127.0.0.1".to_owned() } else { self.target.host.to_string() };
        Service::new(format!("http://{host}:{}{}", self.target.port, self.config.service.readiness))
    }

    fn listen(&self) -> std::net::SocketAddr {
        std::net::SocketAddr::new(self.target.host, self.target.port)
    }

    async fn serving(&self) -> Result<Option<supervisor::InstanceStatus>> {
        let instances = self.status().await?.map(|status| status.instances).unwrap_or_default();
        Ok(instances.into_iter().find(|instance| matches!(instance.role, Role::Serving | Role::Restarting)))
    }

    /// The running supervisor, or a new one. One that listens elsewhere, because deploy.yaml has another port since, is
    /// replaced.
    async fn supervisor(&self) -> Result<Connection> {
        if let Some(connection) = connect(&self.folder).await? {
            if connection.about().listen == self.listen() {
                return Ok(connection);
            }
            connection.stop().await?;
        }
        let toolkit = std::env::current_exe().context("find this program")?;
        let toolkit = Utf8PathBuf::from_path_buf(toolkit)
            .map_err(|path| anyhow!("the path of this program is not UTF-8: {path:?}"))?;
        match launch(&self.folder, self.listen(), &toolkit, env!("CARGO_PKG_VERSION")).await {
            Ok(connection) => Ok(connection),
            Err(LaunchError::PortInUse { .. }) => {
                let holder = port::holder(self.target.port).map_or_else(String::new, |holder| format!(" by {holder}"));
                bail!(
                    "port {} was taken{holder} just now; type: cargo xtask doctor {}",
                    self.target.port,
                    self.environment.name
                )
            }
            Err(LaunchError::Other(error)) => Err(error),
        }
    }

    fn instance(&self, id: String, published: &Published, ground: &Ground) -> Result<InstanceSpec> {
        let mut env = ground.plain.clone();
        for setting in self.table()?.settings {
            let value = match setting.supplied_by {
                Some(SuppliedBy::Version) => published.source.version.clone(),
                Some(SuppliedBy::WebFolder) => match published.web() {
                    Some(web) => web.into_string(),
                    None => continue,
                },
                _ => continue,
            };
            env.entry(setting.name).or_insert(value);
        }
        let secrets = ground.secrets.iter().map(|(name, value)| (name.to_owned(), value.expose_secret().to_owned()));
        Ok(InstanceSpec {
            id,
            version: published.source.version.clone(),
            program: published.binary(),
            args: self.config.service.args.clone(),
            dir: published.folder.clone(),
            env,
            secrets: secrets.collect(),
            stop_timeout: InstanceSpec::STOP_TIMEOUT,
        })
    }
}
