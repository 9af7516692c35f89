//! A release's process: started beside the one that serves, and put in its place.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use camino::Utf8Path;
use secrecy::ExposeSecret as _;
use tempfile::TempDir;

use super::{Candidate, Ears, Local, Switched, releases};
use crate::clients::service::{Answer, Readiness};
use crate::config::SuppliedBy;
use crate::failure::Failure;
use crate::release::{Published, Settings};
use crate::report::Ongoing;
use crate::settings::{self, Origin};
use crate::signals::Stop;
use crate::supervisor::client::{Connection, connect};
use crate::supervisor::{InstanceSpec, InstanceStatus, LaunchError, Role, Status, launch};
use crate::targets::log_tail;
use crate::tools::{platform, port};

/// How long the deploy waits for the old version's last requests; it goes on draining without being watched.
const WATCHED_DRAIN: Duration = Duration::from_secs(3);

/// Between two questions on the public address.
const PAUSE: Duration = Duration::from_millis(5);

impl Local<'_> {
    /// Starts a release beside the one that serves.
    pub async fn apply(&self, id: String, published: &Published, settings: &Settings) -> Result<Candidate, Failure> {
        let spec = self.instance(id, published, settings).await?;
        if let Some(images) = &self.images {
            Box::pin(images.remove_leftovers()).await?;
        }
        self.start(&spec, None).await
    }

    /// Lets the release take over. It is asked on the public address before the old one is told to drain; until then
    /// everything can be undone, and is, when this fails or a stop is requested.
    pub async fn switch(&self, candidate: Candidate, step: &Ongoing, stop: &Stop) -> Result<Switched, Failure> {
        let Candidate { mut connection, id, version, .. } = candidate;
        let asked = async { Ok(self.promote(&mut connection, &version, step).await?) };
        let readiness = stop.cancels("the previous release serves as before", asked).await?;
        // From here on the new version is the one that is kept running.
        match tokio::time::timeout(WATCHED_DRAIN, connection.commit()).await {
            Ok(committed) => drop(committed?),
            Err(_) => {
                // By its id: the same version may be deployed again with other settings.
                if self.instance_that_serves().await?.is_none_or(|serving| serving.id != id) {
                    return Err(anyhow!("the supervisor did not let {version} take over").into());
                }
            }
        }
        Ok(Switched { address: self.address(), readiness, watched: None })
    }

    /// Starts a process on a socket of its own. `folders` are removed after it.
    pub(super) async fn start(&self, spec: &InstanceSpec, folders: Option<TempDir>) -> Result<Candidate, Failure> {
        let running = if folders.is_some() { connect(&self.folder).await? } else { None };
        let mut connection = match running {
            // What serves must not stop for a release that is only tried.
            Some(connection) => connection,
            None => self.supervisor().await?,
        };
        self.refuse_another_deploy(&connection.status().await?)?;
        if let (Some(owner), None) = (spec.user, &folders) {
            self.give_data(owner)?;
        }
        let candidate = connection.candidate(spec).await?;
        let service = self.service_at(candidate.address)?;
        let (id, version) = (spec.id.clone(), spec.version.clone());
        let readiness = self.env.config.service.readiness.clone();
        let process = candidate.pid;
        let ears = spec.port_variable.is_none().then_some(Ears { process, given: candidate.address, readiness });
        Ok(Candidate { service, process, ears, connection, id, version, _folders: folders })
    }

    /// Starts the candidate on the public socket too, and waits until it answers there.
    async fn promote(&self, connection: &mut Connection, version: &str, step: &Ongoing) -> Result<Readiness> {
        connection.promote().await?;
        let (public, began, timeout) = (self.public_service()?, Instant::now(), self.env.environment.gate.timeout);
        loop {
            // Both versions take from one queue, so either may answer.
            let answer = tokio::select! {
                answer = public.ask() => answer,
                exit = connection.exited() => {
                    let exit = exit?;
                    bail!("its process {} on the public address\n{}", exit.ended, log_tail(&exit.tail));
                }
            };
            match answer {
                Answer::Ready(readiness) if readiness.version == version => return Ok(readiness),
                other if began.elapsed() >= timeout => {
                    bail!(
                        "{version} did not answer at {} within {timeout:?}; last answer: {}",
                        self.address(),
                        other.describe()
                    )
                }
                other => step.progress(&other.describe()),
            }
            // An answer of the old version comes at once; asking without a pause would take its processor.
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// A deploy whose lease was broken has its release there until it ends.
    fn refuse_another_deploy(&self, status: &Status) -> Result<(), Failure> {
        let started = status.instances.iter().find(|it| matches!(it.role, Role::Candidate | Role::Promoted));
        let Some(InstanceStatus { version, pid: Some(pid), .. }) = started else { return Ok(()) };
        Err(Failure::Locked(anyhow!(
            "another deploy to {name} is under way: it has started {version} (process {pid}) and has not ended\n  \
             wait for it; if it is stopped, as by Ctrl-Z, continue or kill it; to look again, type: cargo xtask status {name}",
            name = self.env.name()
        )))
    }

    pub(super) async fn instance_that_serves(&self) -> Result<Option<InstanceStatus>> {
        let instances = self.status().await?.map(|status| status.instances).unwrap_or_default();
        Ok(instances.into_iter().find(|instance| matches!(instance.role, Role::Serving | Role::Restarting)))
    }

    /// The running supervisor, or a new one. One is replaced that listens elsewhere, because deploy.yaml has another port since,
    /// and one of an earlier toolkit, whose services run as root or which does not relay.
    async fn supervisor(&self) -> Result<Connection> {
        if let Some(connection) = connect(&self.folder).await? {
            let about = connection.about();
            let relays = about.relays || self.env.config.service.port_variable.is_none();
            if about.listen == self.listen() && relays && (about.sets_user || self.account().await?.is_none()) {
                return Ok(connection);
            }
            connection.stop().await?;
        }
        let toolkit = platform::own_program()?;
        match launch(&self.folder, self.listen(), &toolkit, env!("CARGO_PKG_VERSION")).await {
            Ok(connection) => Ok(connection),
            Err(LaunchError::PortInUse { .. }) => {
                let holder = port::holder(self.target.port).map_or_else(String::new, |holder| format!(" by {holder}"));
                bail!(
                    "port {} was taken{holder} just now; type: cargo xtask doctor {}",
                    self.target.port,
                    self.env.name()
                )
            }
            Err(LaunchError::Other(error)) => Err(error),
        }
    }

    pub(super) async fn instance(
        &self,
        id: String,
        published: &Published,
        settings: &Settings,
    ) -> Result<InstanceSpec> {
        if let Some(images) = &self.images {
            return Box::pin(images.instance(id, published, settings)).await;
        }
        let dir = self.release_folder(&published.source.version).await?;
        let mut env = settings.plain.clone();
        for setting in settings::table(self.env)?.settings {
            let value = match setting.supplied_by {
                // The toolkit holds the public port. A service that does not take its socket must not fail at that port: it
                // then listens on this one, and the gate says so.
                Some(SuppliedBy::Port) if matches!(settings::origin(self.env, &setting)?, Origin::Target(_)) => {
                    env.insert(setting.name, port::free(self.target.host)?.to_string());
                    continue;
                }
                // Clients reach it through the toolkit only.
                Some(SuppliedBy::Host)
                    if self.env.config.service.port_variable.is_some()
                        && matches!(settings::origin(self.env, &setting)?, Origin::Target(_)) =>
                {
                    env.insert(setting.name, Ipv4Addr::LOCALHOST.to_string());
                    continue;
                }
                // The record of an earlier release may name a folder that had to move since.
                Some(SuppliedBy::DataFolder(name)) => {
                    if env.get(&setting.name).is_some_and(|path| Utf8Path::new(path).starts_with(self.data_folders())) {
                        env.insert(setting.name, self.data_folder(&name).await?.into_string());
                    }
                    continue;
                }
                Some(SuppliedBy::Version) => published.source.version.clone(),
                Some(SuppliedBy::WebFolder) if releases::web(&dir).is_dir() => releases::web(&dir).into_string(),
                _ => continue,
            };
            env.entry(setting.name).or_insert(value);
        }
        let (program, args) = releases::command(&dir, published, &self.env.config.service.args)?;
        let secrets = settings.secrets.iter().map(|(name, value)| (name.to_owned(), value.expose_secret().to_owned()));
        Ok(InstanceSpec {
            id,
            version: published.source.version.clone(),
            program,
            args,
            dir: releases::working(&dir),
            env,
            secrets: secrets.collect(),
            stop_timeout: InstanceSpec::STOP_TIMEOUT,
            user: self.account().await?,
            port_variable: self.env.config.service.port_variable.clone(),
        })
    }
}
