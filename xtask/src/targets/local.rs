//! The local target: a supervised process on this machine, a private PostgreSQL, files on disk, all below
//! `.deploy/<environment>/`.

mod account;
mod build;
mod candidate;
mod checks;
mod development;
mod ears;
#[cfg(feature = "cloud")]
mod image;
#[cfg(not(feature = "cloud"))]
mod no_image;
mod one_off;
mod process;
mod provision;
mod releases;
mod shipped;
mod trial;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use tokio::sync::OnceCell;

pub use self::candidate::Candidate;
pub use self::development::Development;
pub use self::ears::Ears;
#[cfg(feature = "cloud")]
use self::image::Images;
#[cfg(feature = "cloud")]
pub use self::image::{FOLDER, PROCESS, has_process};
#[cfg(not(feature = "cloud"))]
use self::no_image::Images;
use super::condition::Condition;
use super::{Serving, Switched};
use crate::clients::service::Service;
use crate::config::{self, FirstVisit};
use crate::env::Env;
use crate::fs::{Owner, found, tail};
use crate::release::{Migration, Published, Source};
use crate::secrets::Secrets;
use crate::settings;
use crate::state::history::{Outcome, Record};
use crate::supervisor::client::connect;
use crate::supervisor::{self, InstanceStatus, Role, Status};
use crate::tools::postgres::Installation;
use crate::web::Decision;

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
    account: OnceCell<Option<Owner>>,
    web: OnceCell<Option<Decision>>,
    /// Where deploy.yaml says that a release is an image.
    images: Option<Images<'a>>,
}

impl<'a> Local<'a> {
    /// The target of an environment.
    pub fn new(env: &'a Env<'a>, target: &'a config::Local) -> Self {
        let folder = env.folder();
        let (postgres, program, account, web) = (OnceCell::new(), OnceCell::new(), OnceCell::new(), OnceCell::new());
        let images = env.config.service.image.then(|| Images::new(env, folder.clone()));
        Self { env, target, folder, postgres, program, account, web, images }
    }

    /// Whether a release is an image.
    pub fn runs_images(&self) -> bool {
        self.images.is_some()
    }

    /// Where people reach the service.
    pub fn address(&self) -> String {
        // Not every loopback address is what that name stands for.
        if self.target.host == IpAddr::V4(Ipv4Addr::LOCALHOST) || self.target.host.is_unspecified() {
            return format!("http://localhost:{}", self.target.port);
        }
        format!("http://{}", self.listen())
    }

    /// What a person wants to know of this target after a deploy of this version: label and text.
    pub fn hints(&self, version: &str) -> Vec<(&'static str, String)> {
        let mut hints = Vec::new();
        if self.env.config.service.web.is_some() && !self.has_web(version) {
            hints.push((
                "off",
                format!("web: {version} has no web UI; what to type: cargo xtask doctor {}", self.env.name()),
            ));
        }
        let generated = Secrets::read_file(&self.env.generated_file()).unwrap_or_default();
        let names: Vec<&str> = generated.iter().map(|(name, _)| name).collect();
        let are = if names.len() == 1 { "is" } else { "are" };
        if !names.is_empty() {
            hints
                .push(("secrets", format!("{} {are} in {}", names.join(", "), self.shown(&self.env.generated_file()))));
        }
        hints
    }

    /// A command that prints the link to the page for the person who comes first, while nobody has. The link has a secret, so nothing else
    /// prints it.
    pub async fn first_visit(&self, version: &str) -> Result<Option<String>> {
        let visit = self.env.config.service.first_visit.as_ref().filter(|_| self.has_web(version));
        let Some(FirstVisit { page, secret, open }) = visit else { return Ok(None) };
        if !Service::at(self.listen(), open)?.is_open().await? {
            return Ok(None);
        }
        for file in [self.env.file(), self.env.generated_file()] {
            if Secrets::read_file(&file)?.get(secret).is_some() {
                let (link, file) = (format!("{}{page}", self.address()), self.shown(&file));
                return Ok(Some(format!("sed -n 's|^{secret}=|{link}|p' {file}")));
            }
        }
        Ok(None)
    }

    /// Whether the release's folder is there, unchanged.
    pub async fn has_published(&self, published: &Published) -> bool {
        if let Some(images) = &self.images {
            return Box::pin(images.has_published(published)).await;
        }
        releases::has(&self.releases(), published)
    }

    /// A release that was published earlier and is kept.
    pub async fn published(&self, record: &Record) -> Result<Published> {
        if let Some(images) = &self.images {
            return Box::pin(images.published(record)).await;
        }
        let (version, gone) =
            (record.version(), || format!("{} is no longer kept; deploy its commit instead", record.version()));
        let published = releases::read(&self.releases().join(version)).with_context(gone)?;
        // A folder's name has the first digits of a commit only.
        ensure!(record.source.as_ref().is_some_and(|source| source.commit == published.source.commit), gone());
        // A later deploy of this version may have put other bytes there.
        ensure!(record.digest.as_deref() == Some(published.digest.as_str()), gone());
        ensure!(releases::has(&self.releases(), &published), gone());
        Ok(published)
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
        match (&service.command, &service.build) {
            _ if service.image => lines.push("build: the image of the Dockerfile, by the Docker engine".to_owned()),
            (None, _) => lines.push(format!("build: cargo build --release --package {package} --bin {binary}{locked}")),
            (Some(_), Some(build)) => {
                let typed = shlex::try_join(build.iter().map(String::as_str)).unwrap_or_else(|_| build.join(" "));
                lines.push(format!("build: {typed}"));
            }
            (Some(_), None) => lines.push("build: none, the files are copied".to_owned()),
        }
        match (&service.web, self.web().await?) {
            (Some(folder), Some(Decision::Build(_))) => {
                lines.push(format!("build: npm run build in {folder}, if something changed there"))
            }
            (_, Some(Decision::Off(why))) => lines.push(format!("the web UI is off: {why}")),
            _ => {}
        }
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

    /// The release that serves, if one does.
    pub async fn serving(&self) -> Result<Option<Serving>> {
        let Some(instance) = self.instance_that_serves().await? else { return Ok(None) };
        let service = self.public_service()?;
        Ok(Some(Serving { id: instance.id, version: instance.version, address: self.address(), service }))
    }

    /// What the supervisor says of the release that has just taken over.
    pub async fn condition(&self) -> Condition {
        match self.instance_that_serves().await {
            Ok(Some(instance)) if instance.role == Role::Serving && instance.restarts == 0 => Condition::Ready,
            Ok(Some(instance)) => {
                let ended = instance.last_exit.map_or_else(String::new, |exit| format!(": it {exit}"));
                Condition::Error(format!("its process has ended and is started again{ended}"))
            }
            Ok(None) => Condition::Error("no release serves".to_owned()),
            Err(error) => Condition::NotAsked(format!("{error:#}")),
        }
    }

    /// Whether the release that serves runs as the user that a deploy of now would give it, and with the web UI if that would have one:
    /// Node.js may have been installed since.
    pub async fn serves_as_now(&self) -> Result<bool> {
        let account = self.account().await?;
        let builds_web = matches!(self.web().await?, Some(Decision::Build(_)));
        let is_as_now =
            |instance: InstanceStatus| instance.user == account && (!builds_web || self.has_web(&instance.version));
        Ok(self.instance_that_serves().await?.is_some_and(is_as_now))
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

    /// The last lines of this version in the service's log.
    pub fn log_of(&self, version: &str) -> Result<Vec<String>> {
        let path = self.log();
        // Lines of other versions are among them.
        let lines = found(tail(&path, 1000)).with_context(|| format!("read {path}"))?.unwrap_or_default();
        // `<version> | ` or `<version> candidate | `.
        let of_version = |line: &String| line.strip_prefix(version).is_some_and(|rest| rest.starts_with(' '));
        Ok(lines.into_iter().filter(of_version).collect())
    }

    /// Stops the service, then its database. Returns what was running. All data is kept.
    pub async fn stop(&self) -> Result<Vec<&'static str>> {
        let mut stopped = Vec::new();
        if let Some(connection) = connect(&self.folder).await? {
            connection.stop().await?;
            stopped.push("the service");
        }
        let removed = match &self.images {
            Some(images) => Box::pin(images.remove_leftovers()).await,
            None => Ok(()),
        };
        if let Some(server) = self.find_postgres().await?
            && server.is_running().await
        {
            server.stop().await?;
            stopped.push("PostgreSQL");
        }
        // The engine may be away, where the database is not.
        removed?;
        Ok(stopped)
    }

    /// Removes all but the newest releases that were live.
    pub async fn prune(&self, records: &[Record]) -> Result<()> {
        if let Some(images) = &self.images {
            Box::pin(images.prune(records)).await?;
        }
        let mut keep: Vec<&str> = Vec::new();
        for record in records.iter().rev().filter(|record| record.outcome == Outcome::Live) {
            if keep.len() < self.env.environment.keep_releases && !keep.contains(&record.version()) {
                keep.push(record.version());
            }
        }
        releases::prune(&self.releases(), &keep)
    }

    fn has_web(&self, version: &str) -> bool {
        releases::web(&self.releases().join(version)).is_dir()
    }

    /// A path as it is typed in the project's folder.
    fn shown<'p>(&self, path: &'p Utf8Path) -> &'p Utf8Path {
        path.strip_prefix(self.env.root()).unwrap_or(path)
    }

    fn releases(&self) -> Utf8PathBuf {
        self.folder.join("releases")
    }

    fn public_service(&self) -> Result<Service> {
        self.service_at(self.listen())
    }

    fn service_at(&self, address: SocketAddr) -> Result<Service> {
        Service::at(address, &self.env.config.service.readiness)
    }

    fn listen(&self) -> SocketAddr {
        SocketAddr::new(self.target.host, self.target.port)
    }
}
