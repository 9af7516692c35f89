//! A release that this machine's Docker engine starts, to see whether it can start on another database.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use rustix::process::{getegid, geteuid};
use secrecy::ExposeSecret as _;

use super::{Stack, settings::resolve};
use crate::clients::docker::Engine;
use crate::clients::docker::container::{Container, Spec};
use crate::clients::registry::reference::Reference;
use crate::clients::service::Service;
use crate::config::SuppliedBy;
use crate::failure::Failure;
use crate::image::{ServiceImage, docker_credentials};
use crate::release::{Release, Settings};
use crate::settings;
use crate::sqlx::Migrated;
use crate::targets::log_tail;
use crate::tools::platform::variable;
use crate::tools::postgres::Throwaway;

/// Where the container finds the database's socket.
const SOCKETS: &str = "/run/xtask-postgres";

/// The port in the container.
const PORT: u16 = 8080;

/// Lines of its log that an error repeats.
const TAIL: usize = 25;

/// A release in a container of this machine's engine. It ends when it is dropped.
pub struct Trial {
    /// Where its readiness is asked for.
    pub service: Service,
    container: Container,
}

impl Stack<'_> {
    /// Why no release can be tried on another database; none if one can.
    pub async fn cannot_try(&self) -> Result<Option<String>, Failure> {
        let table = settings::table(self.env)?;
        let file = self.env.config.service.table();
        if !table.settings.iter().any(|setting| setting.supplied_by == Some(SuppliedBy::Postgres)) {
            return Ok(Some(format!("no setting in {file} is `supplied_by: postgres`")));
        }
        let missing = resolve(self.env, None)?.missing;
        if !missing.is_empty() {
            return Ok(Some(format!("the stack sets {}, which this machine does not know", missing.join(", "))));
        }
        Ok(match Engine::connect(variable("DOCKER_HOST").as_deref()).await {
            Err(error) => Some(format!("it takes a Docker engine on this machine: {error}")),
            Ok(engine) if !engine.shares_users().await? => Some(
                "the Docker engine is on another machine or maps users, and the database listens on a socket"
                    .to_owned(),
            ),
            Ok(_) => None,
        })
    }

    /// Starts a release on this database, with the image's own data folders and with the other settings that it is given.
    pub async fn try_on(&self, release: &Release, settings: &Settings, database: &Throwaway) -> Result<Trial, Failure> {
        let engine =
            Engine::connect(variable("DOCKER_HOST").as_deref()).await.context("connect to the Docker engine")?;
        let (image, server) = (release.published.image().context("a stack runs images")?, database.server());
        let reference: Reference = image.parse().context("read the name of the released image")?;
        let credentials = ServiceImage::find(self.env)?.credentials(reference.host()).await?;
        engine.pull(&image, docker_credentials(&credentials).as_ref()).await?;
        // Root's server has a user of its own, whose group may connect. Another user's container runs as that user.
        let group = server.layout().user.as_ref().map(|user| user.gid);
        if let Some(gid) = group {
            server.admit(gid).await?;
        }
        let this = || format!("{}:{}", geteuid().as_raw(), getegid().as_raw());
        let env = self.variables(release, settings, database)?;
        let purpose = self.env.store_prefix();
        let spec = Spec {
            image: &image,
            purpose: &purpose,
            env: &env,
            port: PORT,
            folder: (&server.layout().sockets, SOCKETS),
            user: group.is_none().then(this),
            group,
        };
        let container = engine.start(&spec).await?;
        let url = format!("http://{}{}", container.address, self.env.config.service.readiness);
        Ok(Trial { service: Service::new(url)?, container })
    }

    /// What the container gets: the release's settings with what the platform would add, and the database.
    fn variables(
        &self,
        release: &Release,
        settings: &Settings,
        database: &Throwaway,
    ) -> Result<BTreeMap<String, String>> {
        let mut env = settings.plain.clone();
        env.extend(settings.secrets.iter().map(|(name, value)| (name.to_owned(), value.expose_secret().to_owned())));
        let url = Migrated::url_at(database, Utf8Path::new(SOCKETS));
        self.env.report.redactor().learn_value(&url);
        for setting in settings::table(self.env)?.settings {
            let value = match &setting.supplied_by {
                Some(SuppliedBy::Postgres) => url.expose_secret().to_owned(),
                Some(SuppliedBy::Version) => release.version().to_owned(),
                Some(SuppliedBy::Host) => "0.0.0.0".to_owned(),
                _ => continue,
            };
            env.insert(setting.name, value);
        }
        env.insert("PORT".to_owned(), PORT.to_string());
        Ok(env)
    }
}

impl Trial {
    /// Where it listens.
    pub fn summary(&self) -> String {
        format!("container at {}", self.container.address)
    }

    /// Resolves when it ends by itself, with why and the end of its log.
    pub async fn exited(&self) -> String {
        match self.container.exited().await {
            Ok(code) => format!("its container ended with exit code {code}\n{}", self.log().await),
            Err(error) => format!("{error:#}"),
        }
    }

    /// Ends it, and returns the end of its log.
    pub async fn give_up(&mut self) -> String {
        let log = self.log().await;
        match self.container.remove().await {
            Ok(()) => log,
            Err(error) => format!("{log}\n{error:#}"),
        }
    }

    async fn log(&self) -> String {
        match self.container.log(TAIL).await {
            Ok(log) => log_tail(&log.lines().map(str::to_owned).collect::<Vec<_>>()),
            Err(error) => format!("{error:#}"),
        }
    }
}
