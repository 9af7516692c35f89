//! This machine's Docker engine: what a rehearsal asks of it beside what the toolkit does.

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use bollard::Docker;
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListImagesOptionsBuilder, ListNetworksOptions, ListVolumesOptions,
    RemoveContainerOptionsBuilder, RemoveImageOptionsBuilder, RemoveVolumeOptions, TagImageOptionsBuilder,
};
use secrecy::SecretString;
use xtask::clients::docker::{Credentials, Engine};

/// The engine.
pub struct Machine {
    docker: Docker,
    engine: Engine,
}

impl Machine {
    /// The one at DOCKER_HOST, or at the default socket.
    pub async fn connect() -> Result<Self> {
        let host = xtask::tools::platform::variable("DOCKER_HOST");
        let engine = Engine::connect(host.as_deref()).await?;
        let docker = Docker::connect_with_defaults().context("connect to the Docker engine")?;
        let docker = docker.negotiate_version().await.context("connect to the Docker engine")?;
        Ok(Self { docker, engine })
    }

    /// Its version.
    pub fn version(&self) -> &str {
        self.engine.version()
    }

    /// This machine's address in the network of the containers.
    pub async fn bridge(&self) -> Result<std::net::Ipv4Addr> {
        let network =
            self.docker.inspect_network("bridge", None).await.context("look at the engine's network `bridge`")?;
        let configs = network.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
        let gateway = configs.into_iter().find_map(|config| config.gateway?.parse().ok());
        gateway.context("the engine's network `bridge` has no IPv4 address of this machine")
    }

    /// Whether it has an image.
    pub async fn has(&self, name: &str) -> Result<bool> {
        Ok(self.engine.image(name).await?.is_some())
    }

    /// Pushes an image under another name, which is removed from the engine again.
    pub async fn push(&self, name: &str, to: &str, user: &str, password: &SecretString) -> Result<()> {
        let (repository, tag) = to.rsplit_once(':').unwrap_or((to, "latest"));
        let options = TagImageOptionsBuilder::new().repo(repository).tag(tag).build();
        self.docker.tag_image(name, Some(options)).await.with_context(|| format!("name the image {name} {to}"))?;
        let credentials = Credentials { user: user.to_owned(), password: password.clone() };
        self.engine.push(to, Some(&credentials), |_, _| {}).await?;
        self.engine.remove(to).await
    }

    /// Removes the containers with this label: how many.
    pub async fn remove_containers(&self, label: &str, value: &str) -> Result<usize> {
        let filters = HashMap::from([("label", vec![format!("{label}={value}")])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let found = self.docker.list_containers(Some(options)).await.context("list containers")?;
        let ids: Vec<String> = found.into_iter().filter_map(|container| container.id).collect();
        for id in &ids {
            let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
            self.docker.remove_container(id, Some(options)).await.with_context(|| format!("remove {id}"))?;
        }
        Ok(ids.len())
    }

    /// Removes the images whose names begin like this: how many.
    pub async fn remove_images(&self, begin: &str) -> Result<usize> {
        let options = ListImagesOptionsBuilder::new().all(false).build();
        let found = self.docker.list_images(Some(options)).await.context("list images")?;
        let mut images = 0;
        for image in found {
            // One that has lost its tag still has its digest.
            let names = image.repo_tags.into_iter().chain(image.repo_digests);
            let names: Vec<String> = names.filter(|name| name.starts_with(begin)).collect();
            images += usize::from(!names.is_empty());
            for name in names {
                let options = RemoveImageOptionsBuilder::new().force(true).build();
                match self.docker.remove_image(&name, Some(options), None).await {
                    // Its last tag takes its digests with it.
                    Ok(_) | Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => {}
                    Err(error) => return Err(error).with_context(|| format!("remove the image {name}")),
                }
            }
        }
        Ok(images)
    }

    /// Removes the volumes and networks whose names begin like this.
    pub async fn remove_volumes_and_networks(&self, begin: &str) -> Result<()> {
        let volumes = self.docker.list_volumes(None::<ListVolumesOptions>).await.context("list volumes")?;
        for volume in volumes.volumes.unwrap_or_default().iter().filter(|volume| volume.name.starts_with(begin)) {
            let removed = self.docker.remove_volume(&volume.name, None::<RemoveVolumeOptions>).await;
            removed.with_context(|| format!("remove the volume {}", volume.name))?;
        }
        let networks = self.docker.list_networks(None::<ListNetworksOptions>).await.context("list networks")?;
        for name in networks.into_iter().filter_map(|network| network.name).filter(|name| name.starts_with(begin)) {
            self.docker.remove_network(&name).await.with_context(|| format!("remove the network {name}"))?;
        }
        Ok(())
    }
}
