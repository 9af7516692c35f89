//! A container that is started to see whether it can, and removed again.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context as _, Result, anyhow};
use bollard::auth::DockerCredentials;
use bollard::errors::Error;
use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType, PortBinding, ResourcesUlimits};
use bollard::query_parameters::{
    CreateImageOptionsBuilder, ListContainersOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
    WaitContainerOptions,
};
use camino::Utf8Path;
use futures_util::{StreamExt as _, TryStreamExt as _};
use secrecy::ExposeSecret as _;

use super::{Credentials, Engine};

/// Names what a container was started for, so that what a killed process left is found.
const LABEL: &str = "xtask.trial";

/// What a container runs.
pub struct Spec<'s> {
    /// The image: `name@sha256:…`.
    pub image: &'s str,
    /// What it is started for. Containers that were left of an earlier one are removed.
    pub purpose: &'s str,
    /// Its variables.
    pub env: &'s BTreeMap<String, String>,
    /// The port that it listens on. It is published on a free port of this machine's loopback address.
    pub port: u16,
    /// A folder of this machine, and where it is in the container.
    pub folder: (&'s Utf8Path, &'s str),
    /// `user:group` that it runs as, if that is not the image's own.
    pub user: Option<String>,
    /// A group that it is in beside its own.
    pub group: Option<u32>,
}

/// A container under way. Dropped, it ends and is removed.
pub struct Container {
    engine: Engine,
    id: String,
    removed: bool,
    /// Where its port is published.
    pub address: SocketAddr,
}

impl Engine {
    /// Gets an image, unless the engine has it.
    pub async fn pull(&self, image: &str, credentials: Option<&Credentials>) -> Result<()> {
        if self.image(image).await?.is_some() {
            return Ok(());
        }
        let credentials = credentials.map(|credentials| DockerCredentials {
            username: Some(credentials.user.clone()),
            password: Some(credentials.password.expose_secret().to_owned()),
            ..DockerCredentials::default()
        });
        let options = CreateImageOptionsBuilder::new().from_image(image).build();
        let pulled = self.api.create_image(Some(options), None, credentials).try_for_each(|_| async { Ok(()) });
        pulled.await.with_context(|| format!("pull the image {image} into the engine"))
    }

    /// Whether users of its containers have the numbers that they have on this machine, and its folders can be theirs.
    pub async fn shares_users(&self) -> Result<bool> {
        let options = self.info().await?.security_options.unwrap_or_default();
        let maps = |option: &String| ["name=rootless", "name=userns"].iter().any(|name| option.contains(name));
        Ok(self.address().is_local() && !options.iter().any(maps))
    }

    /// Starts a container.
    pub async fn start(&self, spec: &Spec<'_>) -> Result<Container> {
        self.remove_leftovers(spec.purpose).await?;
        let inside = format!("{}/tcp", spec.port);
        let loopback = PortBinding { host_ip: Some(Ipv4Addr::LOCALHOST.to_string()), host_port: Some(String::new()) };
        let (folder, place) = spec.folder;
        let mount = Mount {
            typ: Some(MountType::BIND),
            source: Some(folder.to_string()),
            target: Some(place.to_owned()),
            ..Mount::default()
        };
        let host = HostConfig {
            port_bindings: Some([(inside.clone(), Some(vec![loopback]))].into()),
            mounts: Some(vec![mount]),
            group_add: spec.group.map(|group| vec![group.to_string()]),
            // As `program::write_no_core` does it for processes of this machine.
            ulimits: Some(vec![ResourcesUlimits { name: Some("core".to_owned()), soft: Some(1), hard: Some(1) }]),
            ..HostConfig::default()
        };
        let body = ContainerCreateBody {
            image: Some(spec.image.to_owned()),
            env: Some(spec.env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
            user: spec.user.clone(),
            exposed_ports: Some(vec![inside.clone()]),
            labels: Some([(LABEL.to_owned(), spec.purpose.to_owned())].into()),
            host_config: Some(host),
            ..ContainerCreateBody::default()
        };
        let made = self.api.create_container(None, body).await;
        let id = made.with_context(|| format!("make a container of {}", spec.image))?.id;
        let mut container = Container {
            engine: self.clone(),
            id,
            removed: false,
            address: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0),
        };
        container.begin(&inside).await.with_context(|| format!("start a container of {}", spec.image))?;
        Ok(container)
    }

    /// Removes what a killed process left: it has the service's secrets.
    async fn remove_leftovers(&self, purpose: &str) -> Result<()> {
        let filters = HashMap::from([("label".to_owned(), vec![format!("{LABEL}={purpose}")])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let left = self.api.list_containers(Some(options)).await.context("list the containers of earlier trials")?;
        for id in left.into_iter().filter_map(|container| container.id) {
            remove(&self.api, &id).await?;
        }
        Ok(())
    }
}

impl Container {
    /// Resolves when it has ended by itself, with its exit code.
    pub async fn exited(&self) -> Result<i64> {
        let mut ended = Box::pin(self.engine.api.wait_container(&self.id, None::<WaitContainerOptions>));
        match ended.next().await {
            Some(Ok(ended)) => Ok(ended.status_code),
            // Any code but 0.
            Some(Err(Error::DockerContainerWaitError { code, .. })) => Ok(code),
            Some(Err(error)) => Err(anyhow!(error).context("wait for a container")),
            None => Err(anyhow!("the engine does not tell how a container ended")),
        }
    }

    /// The last lines that it wrote.
    pub async fn log(&self, lines: usize) -> Result<String> {
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail(&lines.to_string()).build();
        let log = self.engine.api.logs(&self.id, Some(options)).map_ok(|part| part.into_bytes());
        let parts: Vec<_> = log.try_collect().await.context("read the log of a container")?;
        Ok(String::from_utf8_lossy(&parts.concat()).into_owned())
    }

    /// Ends and removes it, with its files.
    pub async fn remove(&mut self) -> Result<()> {
        remove(&self.engine.api, &self.id).await?;
        self.removed = true;
        Ok(())
    }

    async fn begin(&mut self, inside: &str) -> Result<()> {
        let api = &self.engine.api;
        api.start_container(&self.id, None).await?;
        let ports = api.inspect_container(&self.id, None).await?.network_settings.and_then(|net| net.ports);
        let bound = ports.and_then(|mut ports| ports.remove(inside)?).and_then(|bound| bound.into_iter().next());
        // A container that has ended already has no port, and says why when it is waited for.
        if let Some(port) = bound.and_then(|bound| bound.host_port?.parse().ok()) {
            self.address.set_port(port);
        }
        Ok(())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if self.removed {
            return;
        }
        // `drop` can neither await nor block inside a runtime, so this gets its own thread, runtime and connection. What cannot be
        // removed here is removed by the next trial.
        let remove = || -> Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let engine = Engine::connect(Some(&self.engine.address.to_string())).await?;
                remove(&engine.api, &self.id).await
            })
        };
        std::thread::scope(|scope| drop(scope.spawn(remove).join()));
    }
}

async fn remove(api: &bollard::Docker, id: &str) -> Result<()> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    match api.remove_container(id, Some(options)).await {
        Ok(()) | Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("remove the container {id}")),
    }
}
