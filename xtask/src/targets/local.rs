//! The local target: a supervised process on this machine, a private PostgreSQL, files on disk, all below
//! `.deploy/<environment>/`.

mod candidate;
mod checks;
mod ears;
mod provision;
mod releases;
mod trial;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use camino::Utf8PathBuf;
use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use tokio::sync::OnceCell;

pub use self::candidate::Candidate;
use self::candidate::log_tail;
pub use self::ears::Ears;
use super::{Serving, Switched};
use crate::clients::service::{Answer, Service};
use crate::config::{self, SuppliedBy};
use crate::env::Env;
use crate::failure::Failure;
use crate::hash::{sha256_file, sha256_folder};
use crate::release::{Artifact, ArtifactForm, Migration, Published, PublishedForm, Settings, Source};
use crate::report::Ongoing;
use crate::secrets::Secrets;
use crate::settings::{self, Origin};
use crate::signals::Stop;
use crate::sqlx::Schema;
use crate::state::history::{Outcome, Record};
use crate::supervisor::client::{Connection, connect};
use crate::supervisor::{self, InstanceSpec, LaunchError, Role, Status, launch};
use crate::tools::cargo::{self, Profile};
use crate::tools::postgres::Installation;
use crate::tools::{git, npm, platform, port};

/// How long the deploy waits for the old version's last requests; it goes on draining without being watched.
const WATCHED_DRAIN: Duration = Duration::from_secs(3);

/// Names of changed files in an error.
const LISTED: usize = 5;

/// Between two questions on the public address.
const PAUSE: Duration = Duration::from_millis(5);

/// An environment on this machine.
pub struct Local<'a> {
    env: &'a Env<'a>,
    target: &'a config::Local,
    /// `.deploy/<name>`.
    folder: Utf8PathBuf,
    /// Looked for once: that asks each program for its version.
    postgres: OnceCell<Option<Installation>>,
    /// The program that this process built.
    program: OnceCell<Utf8PathBuf>,
}

impl<'a> Local<'a> {
    /// The target of an environment.
    pub fn new(env: &'a Env<'a>, target: &'a config::Local) -> Self {
        let folder = env.folder();
        Self { env, target, folder, postgres: OnceCell::new(), program: OnceCell::new() }
    }

    /// Where people reach the service.
    pub fn address(&self) -> String {
        // Not every loopback address is what that name stands for.
        if self.target.host == IpAddr::V4(Ipv4Addr::LOCALHOST) || self.target.host.is_unspecified() {
            return format!("http://localhost:{}", self.target.port);
        }
        format!("http://{}", self.listen())
    }

    /// What a person wants to know of this target after a deploy: label and text.
    pub fn hints(&self) -> Vec<(&'static str, String)> {
        let generated = Secrets::read_file(&self.secrets_file()).unwrap_or_default();
        let names: Vec<&str> = generated.iter().map(|(name, _)| name).collect();
        let file = self.secrets_file();
        let file = file.strip_prefix(self.env.root()).unwrap_or(&file);
        let are = if names.len() == 1 { "is" } else { "are" };
        if names.is_empty() { Vec::new() } else { vec![("secrets", format!("{} {are} in {file}", names.join(", ")))] }
    }

    /// Compiles the tree as it stands. A tree that changes during the build fails the step: the version would not name what
    /// was built.
    pub async fn build(&self, source: &Source, step: &Ongoing) -> Result<Artifact> {
        let service = &self.env.config.service;
        let (root, binary) = (self.env.root(), service.binary.as_str());
        let progress = |text: &str| step.progress(&format!("{binary}: {text}"));
        let before = git::Snapshot::take(root).await?;
        let database = match Schema::find(self.env)? {
            Some(schema) => schema.for_build(step).await?,
            None => None,
        };
        let build = cargo::Build {
            root,
            package: &service.package,
            binary,
            profile: Profile::Release,
            locked: source.is_clean(),
            database: database.as_ref().map(|(_, url)| url),
        };
        let program = cargo::build(&build, progress, |line| step.output(line));
        let (program, web) = tokio::try_join!(program, async {
            let Some(web) = &service.web else { return Ok(None) };
            let folder = npm::build(&root.join(web), |line| step.output(line)).await?;
            Ok(Some(sha256_folder(&folder)?))
        })?;
        let now = git::source(root).await?;
        if now.version != source.version {
            let changed = before.differences(&git::Snapshot::take(root).await?);
            bail!(
                "the tree changed while it was built: {}\n  it was {} and is {}, and what was built is neither; if the build \
                 writes these, let git ignore them\n  type: cargo xtask deploy {}",
                listed(&changed),
                source.version,
                now.version,
                self.env.name()
            );
        }
        let form =
            ArtifactForm::Binary { sha256: sha256_file(&program)?, size: fs_err::metadata(&program)?.len(), web };
        // Set already after an earlier build of this process, which had the same place.
        self.program.set(program).ok();
        Ok(Artifact { source: source.clone(), migrations: Migration::of(self.env.config)?, form })
    }

    /// Whether the program and the web UI are still there, unchanged.
    pub async fn has_built(&self, artifact: &Artifact) -> bool {
        let ArtifactForm::Binary { sha256, web, .. } = &artifact.form else { return false };
        let same_program = self.built_program().await.and_then(|program| sha256_file(&program));
        let same_web = web.as_ref().is_none_or(|web| {
            self.built_web().is_some_and(|folder| sha256_folder(&folder).is_ok_and(|sha| sha == *web))
        });
        same_program.is_ok_and(|sha| sha == *sha256) && same_web
    }

    /// Puts an artifact into the folder that it will run from.
    pub async fn publish(&self, artifact: &Artifact) -> Result<Published> {
        let program = self.built_program().await?;
        let web = match &artifact.form {
            ArtifactForm::Binary { web: Some(_), .. } => self.built_web(),
            _ => None,
        };
        let files = releases::Files { program: &program, web: web.as_deref() };
        let name = program.file_name().context("the built program has no name")?.to_owned();
        let published = Published {
            source: artifact.source.clone(),
            digest: releases::digest(&files)?,
            migrations: artifact.migrations.clone(),
            form: PublishedForm::Folder { program: name },
        };
        releases::publish(&self.releases(), &published, &files)?;
        Ok(published)
    }

    /// Whether the release's folder is there, unchanged.
    pub fn has_published(&self, published: &Published) -> bool {
        releases::has(&self.releases(), published)
    }

    /// A release that was published earlier and is kept.
    pub fn published(&self, version: &str) -> Result<Published> {
        releases::read(&self.releases().join(version))
            .with_context(|| format!("{version} is no longer kept; deploy its commit instead"))
    }

    /// What a deploy would do, without doing any of it.
    pub async fn outlook(&self, source: &Source, live: Option<&Record>) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        if self.needs_postgres(&settings::table(self.env)?)? {
            let running = match self.find_postgres().await? {
                Some(server) => server.is_running().await,
                None => false,
            };
            let state = if running { "is running" } else { "would be started" };
            lines.push(format!("database: a private PostgreSQL {state}"));
        }
        let service = &self.env.config.service;
        let locked = if source.is_clean() { " --locked" } else { "" };
        let (package, binary) = (&service.package, &service.binary);
        lines.push(format!("build: cargo build --release --package {package} --bin {binary}{locked}"));
        match self.serving().await? {
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
        let mut pending = Migration::of(self.env.config)?;
        pending.retain(|migration| !released(&migration.name));
        for migration in &pending {
            let mark = if migration.irreversible { ", irreversible" } else { "" };
            lines.push(format!("migration: {}{mark}", migration.name));
        }
        let is_tried = !pending.is_empty() && pending.iter().all(|migration| !migration.irreversible);
        if let Some(live) = live.filter(|_| is_tried)
            && self.cannot_try()?.is_none()
        {
            lines.push(format!(
                "way back: {} would be started on the new schema, in a temporary database",
                live.version()
            ));
        }
        Ok(lines)
    }

    /// Starts a release beside the one that serves.
    pub async fn apply(&self, id: String, published: &Published, settings: &Settings) -> Result<Candidate, Failure> {
        self.start(&self.instance(id, published, settings)?, None).await
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
        Ok(Switched { address: self.address(), readiness })
    }

    /// The release that serves, if one does.
    pub async fn serving(&self) -> Result<Option<Serving>> {
        let Some(instance) = self.instance_that_serves().await? else { return Ok(None) };
        let service = self.public_service()?;
        Ok(Some(Serving { id: instance.id, version: instance.version, address: self.address(), service }))
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

    /// Stops the service, then its database. Returns what was running. All data is kept.
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

    /// Removes all but the newest releases that were live.
    pub fn prune(&self, records: &[Record]) -> Result<()> {
        let mut keep: Vec<&str> = Vec::new();
        for record in records.iter().rev().filter(|record| record.outcome == Outcome::Live) {
            if keep.len() < self.env.environment.keep_releases && !keep.contains(&record.version()) {
                keep.push(record.version());
            }
        }
        releases::prune(&self.releases(), &keep)
    }

    /// Starts a process on a socket of its own. `folders` are removed after it.
    async fn start(&self, spec: &InstanceSpec, folders: Option<TempDir>) -> Result<Candidate, Failure> {
        let mut connection = self.supervisor().await?;
        self.refuse_another_deploy(&connection.status().await?)?;
        let candidate = connection.candidate(spec).await?;
        let service = self.service_at(candidate.address)?;
        let (id, version) = (spec.id.clone(), spec.version.clone());
        let readiness = self.env.config.service.readiness.clone();
        let ears = Ears { process: candidate.pid, given: candidate.address, readiness };
        Ok(Candidate { service, ears, connection, id, version, _folders: folders })
    }

    /// Starts the candidate on the public socket too, and waits until it answers there.
    async fn promote(
        &self,
        connection: &mut Connection,
        version: &str,
        step: &Ongoing,
    ) -> Result<crate::clients::service::Readiness> {
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
        let Some(supervisor::InstanceStatus { version, pid: Some(pid), .. }) = started else { return Ok(()) };
        Err(Failure::Locked(anyhow!(
            "another deploy to {name} is under way: it has started {version} (process {pid}) and has not ended\n  \
             wait for it; if it is stopped, as by Ctrl-Z, continue or kill it; to look again, type: cargo xtask status {name}",
            name = self.env.name()
        )))
    }

    /// The program in cargo's target folder.
    async fn built_program(&self) -> Result<Utf8PathBuf> {
        let find = || cargo::built_program(self.env.root(), &self.env.config.service.binary, Profile::Release);
        Ok(self.program.get_or_try_init(find).await?.clone())
    }

    fn built_web(&self) -> Option<Utf8PathBuf> {
        let web = self.env.config.service.web.as_ref()?;
        Some(npm::built(&self.env.root().join(web)))
    }

    fn releases(&self) -> Utf8PathBuf {
        self.folder.join("releases")
    }

    fn public_service(&self) -> Result<Service> {
        let host = match self.target.host {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
            host => host,
        };
        self.service_at(SocketAddr::new(host, self.target.port))
    }

    fn service_at(&self, address: SocketAddr) -> Result<Service> {
        Service::new(format!("http://{address}{}", self.env.config.service.readiness))
    }

    fn listen(&self) -> SocketAddr {
        SocketAddr::new(self.target.host, self.target.port)
    }

    async fn instance_that_serves(&self) -> Result<Option<supervisor::InstanceStatus>> {
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

    fn instance(&self, id: String, published: &Published, settings: &Settings) -> Result<InstanceSpec> {
        let dir = self.releases().join(&published.source.version);
        let mut env = settings.plain.clone();
        for setting in settings::table(self.env)?.settings {
            let value = match setting.supplied_by {
                // The toolkit holds the public port. A service that does not take its socket must not fail at that port: it
                // then listens on this one, and the gate says so.
                Some(SuppliedBy::Port) if matches!(settings::origin(self.env, &setting)?, Origin::Target(_)) => {
                    env.insert(setting.name, port::free(self.target.host)?.to_string());
                    continue;
                }
                Some(SuppliedBy::Version) => published.source.version.clone(),
                Some(SuppliedBy::WebFolder) if dir.join("web").is_dir() => dir.join("web").into_string(),
                _ => continue,
            };
            env.entry(setting.name).or_insert(value);
        }
        let secrets = settings.secrets.iter().map(|(name, value)| (name.to_owned(), value.expose_secret().to_owned()));
        Ok(InstanceSpec {
            id,
            version: published.source.version.clone(),
            program: releases::program(&dir, published)?,
            args: self.env.config.service.args.clone(),
            dir,
            env,
            secrets: secrets.collect(),
            stop_timeout: InstanceSpec::STOP_TIMEOUT,
        })
    }
}

/// The names, or the first of them and how many more there are.
fn listed(names: &[String]) -> String {
    match names.len().saturating_sub(LISTED) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names[..LISTED].join(", ")),
    }
}
