//! A release that is an image. A process of the toolkit makes its container in the Docker engine of this machine, shows what it writes, and
//! ends with it; so the supervisor starts, relays to, restarts and stops it as any other release.

use anyhow::{Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use secrecy::ExposeSecret as _;
use tokio::sync::OnceCell;

use crate::check::Check;
use crate::clients::docker::Engine;
use crate::clients::docker::kept::Kept;
use crate::config::SuppliedBy;
use crate::env::Env;
use crate::failure::Failure;
use crate::hash::sha256;
use crate::image::{ServiceImage, check};
use crate::release::{Artifact, Published, Settings, Source};
use crate::report::Ongoing;
use crate::settings;
use crate::state::history::{Outcome, Record};
use crate::supervisor::{InstanceSpec, copy_program, identity};
use crate::targets::host::settings::variables;
use crate::targets::host::{containers, image};
use crate::targets::stack::image as of_commit;
use crate::tools::platform::{own_program, variable};

/// The label of its containers: the environment's folder. Another checkout of the same project has another one.
pub const FOLDER: &str = "xtask.folder";

/// The label of its containers that names the process which made one, and ends it: its number and identity.
pub const PROCESS: &str = "xtask.process";

/// The releases of an environment on this machine that are images.
pub struct Images<'a> {
    env: &'a Env<'a>,
    /// `.deploy/<name>`.
    folder: Utf8PathBuf,
    engine: OnceCell<Engine>,
}

impl<'a> Images<'a> {
    pub fn new(env: &'a Env<'a>, folder: Utf8PathBuf) -> Self {
        Self { env, folder, engine: OnceCell::new() }
    }

    /// Whether this machine builds and runs images. None of these checks changes anything.
    pub async fn checks(&self) -> Vec<Check> {
        match ServiceImage::find(self.env) {
            Ok(image) => check::checks(&image).await,
            Err(failure) => vec![Check::failed("image", failure)],
        }
    }

    /// Builds the commit's image, unless the engine has it.
    pub async fn build(&self, source: &Source, step: &Ongoing) -> Result<Artifact> {
        of_commit::build(self.env, source, step).await.map_err(Failure::into_error)
    }

    /// Whether the image is still there.
    pub async fn has_built(&self, artifact: &Artifact) -> bool {
        of_commit::has_built(self.env, artifact).await
    }

    /// The image as the engine has it.
    pub async fn publish(&self, artifact: &Artifact, step: &Ongoing) -> Result<Published> {
        let engines = [(self.engine().await?.clone(), "this machine".to_owned())];
        image::publish_in(self.env, &engines, artifact, step).await.map_err(Failure::into_error)
    }

    /// Whether the image is still there, unchanged.
    pub async fn has_published(&self, published: &Published) -> bool {
        let found = async { self.engine().await?.image(&published.digest).await };
        published.image().is_some() && matches!(found.await, Ok(Some(_)))
    }

    /// The image of an earlier deploy. Fails if it is no longer kept.
    pub async fn published(&self, record: &Record) -> Result<Published> {
        let published = of_commit::of_record(self.env, record).map_err(Failure::into_error)?;
        match self.has_published(&published).await {
            true => Ok(published),
            false => Err(anyhow!("the image of {} is no longer kept; deploy its commit instead", record.version())),
        }
    }

    /// What starts the container of a release. Its values are in the environment of that process, never in its arguments.
    pub async fn instance(&self, id: String, published: &Published, settings: &Settings) -> Result<InstanceSpec> {
        let (version, config) = (&published.source.version, self.env.config);
        let mut env = variables(self.env, version, settings)?;
        let port = config.service.port_variable.clone().unwrap_or_default();
        env.remove(&port);
        let mut args: Vec<String> = vec!["supervise-image".to_owned()];
        let mut arg = |name: &str, value: &str| args.push(format!("--{name}={value}"));
        arg("engine", &self.engine().await?.address().to_string());
        arg("folder", self.folder.as_str());
        arg("id", &id);
        arg("image", &published.digest);
        arg("prefix", &self.prefix());
        arg("port-variable", &port);
        for name in env.keys() {
            arg("pass", name);
        }
        for setting in settings::table(self.env)?.settings {
            if let Some(SuppliedBy::DataFolder(name)) = setting.supplied_by {
                arg("volume", &format!("{}-{name}:{}", self.prefix(), containers::folder(&name)));
            }
        }
        args.push("--".to_owned());
        args.extend(config.service.args.iter().cloned());
        let mut secrets = std::collections::BTreeMap::new();
        for (name, value) in settings.secrets.iter() {
            env.remove(name);
            secrets.insert(name.to_owned(), value.expose_secret().to_owned());
        }
        Ok(InstanceSpec {
            id,
            version: version.clone(),
            program: copy_program(&own_program()?, &self.folder, "container")?,
            args,
            dir: self.folder.clone(),
            env,
            secrets,
            stop_timeout: InstanceSpec::STOP_TIMEOUT,
            user: None,
            port_variable: config.service.port_variable.clone(),
        })
    }

    /// Removes the containers whose process was killed.
    pub async fn remove_leftovers(&self) -> Result<()> {
        let engine = self.engine().await?;
        for kept in engine.kept(FOLDER, self.folder.as_str()).await? {
            if !has_process(&kept) {
                engine.discard(&kept.id).await?;
            }
        }
        Ok(())
    }

    /// Removes the images of releases that nothing can go back to any more.
    pub async fn prune(&self, records: &[Record]) -> Result<()> {
        let live = records.iter().filter(|record| record.outcome == Outcome::Live);
        let old = image::outdated(self.env, &[], live).await;
        if old.is_empty() {
            return Ok(());
        }
        image::remove(self.env, self.engine().await?, old.into_iter().cloned()).await;
        Ok(())
    }

    async fn engine(&self) -> Result<&Engine> {
        let connect = async || Ok(Engine::connect(variable("DOCKER_HOST").as_deref()).await?);
        self.engine.get_or_try_init(connect).await
    }

    /// What the names of its containers and volumes begin with.
    fn prefix(&self) -> String {
        let folder: &Utf8Path = &self.folder;
        format!("{}-{}-{}", self.env.config.project, self.env.name(), &sha256(folder.as_str().as_bytes())[..8])
    }
}

/// Whether the process that made a container still runs.
pub fn has_process(kept: &Kept) -> bool {
    let process = kept.labels.get(PROCESS).and_then(|label| label.split_once(' '));
    process.is_some_and(|(number, known)| number.parse().ok().and_then(identity).as_deref() == Some(known))
}
