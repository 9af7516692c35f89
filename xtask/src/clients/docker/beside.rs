//! A container beside another one, which it shares network, folders and limits with.

use anyhow::{Context as _, Result};
use bollard::errors::Error;
use bollard::models::{ContainerCreateBody, HostConfig};

use super::kept::Spec;
use super::{Engine, within};

/// A running container, and what a container beside it takes from it.
#[derive(Clone, Debug)]
pub struct Neighbour {
    /// Its id.
    id: String,
    /// Its variables, `NAME=value`, with those of its image. They have secrets, and are shown nowhere.
    pub env: Vec<String>,
    user: Option<String>,
    host: HostConfig,
}

impl Engine {
    /// The container with this id; none where the engine has none.
    pub async fn neighbour(&self, id: &str) -> Result<Option<Neighbour>> {
        let found = match within(self.api.inspect_container(id, None)).await {
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => return Ok(None),
            found => found.with_context(|| format!("look at the container {id}"))?,
        };
        let config = found.config.unwrap_or_default();
        Ok(Some(Neighbour {
            id: id.to_owned(),
            env: config.env.unwrap_or_default(),
            user: config.user.filter(|user| !user.is_empty()),
            host: found.host_config.unwrap_or_default(),
        }))
    }
}

impl Neighbour {
    /// A container beside this one. It is in the network of this one itself, because a network of a swarm may be closed to containers that are
    /// of no service. So both cannot listen on the same port.
    pub(super) fn body(&self, spec: &Spec, host: HostConfig) -> ContainerCreateBody {
        let host = HostConfig {
            network_mode: Some(format!("container:{}", self.id)),
            binds: self.host.binds.clone(),
            mounts: self.host.mounts.clone(),
            nano_cpus: self.host.nano_cpus,
            memory: self.host.memory,
            pids_limit: self.host.pids_limit,
            group_add: self.host.group_add.clone(),
            cap_add: self.host.cap_add.clone(),
            cap_drop: self.host.cap_drop.clone(),
            security_opt: self.host.security_opt.clone(),
            readonly_rootfs: self.host.readonly_rootfs,
            init: self.host.init,
            ..host
        };
        ContainerCreateBody {
            image: Some(spec.image.clone()),
            cmd: spec.args.clone(),
            env: Some(spec.env.clone()),
            user: self.user.clone(),
            labels: Some(spec.labels.clone().into_iter().collect()),
            host_config: Some(host),
            ..ContainerCreateBody::default()
        }
    }
}
