//! Reaching a builder, and what it can do.

use anyhow::{Context as _, Result};
use bollard_buildkit_proto::moby::buildkit::v1::InfoRequest;
use bollard_buildkit_proto::moby::buildkit::v1::control_client::ControlClient;
use hyper_util::rt::TokioIo;
use tonic::transport::{Channel, Endpoint};

use crate::clients::docker::socket::Address;
use crate::clients::docker::{ConnectError, Engine};

/// The largest message of BuildKit's own clients and daemons (`defaults.DefaultMaxRecvMsgSize` of containerd).
pub(super) const LARGEST_MESSAGE: usize = 16 << 20;

/// Who builds.
#[derive(Clone)]
pub enum Builder {
    /// The BuildKit inside a Docker engine.
    Engine(Engine),
    /// A BuildKit of its own.
    Daemon(Daemon),
}

/// A `buildkitd` that answers.
#[derive(Clone)]
pub struct Daemon {
    pub(super) channel: Channel,
    address: Address,
    version: String,
}

/// What a builder is and can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// `Docker 20.10.24` or `buildkitd v0.23.2`.
    pub name: String,
    /// Whether it can write all layers to a cache in a registry (`mode=max`).
    pub registry_cache: bool,
}

impl Builder {
    /// The `buildkitd` at `daemon` (`BUILDKIT_HOST`) if there is such an address, else the engine at `engine`
    /// (`DOCKER_HOST`) or at its usual place.
    pub async fn connect(daemon: Option<&str>, engine: Option<&str>) -> Result<Self, ConnectError> {
        match daemon {
            Some(address) => Ok(Self::Daemon(Daemon::connect(address).await?)),
            None => Ok(Self::Engine(Engine::connect(engine).await?)),
        }
    }

    /// What it is and can.
    pub async fn capabilities(&self) -> Result<Capabilities> {
        match self {
            Self::Engine(engine) => {
                let info = engine.info().await?;
                // How the engine itself tells that images are in containerd, whose BuildKit has all exporters.
                let mut status = info.driver_status.into_iter().flatten().flatten();
                let containerd = status.any(|word| word == "io.containerd.snapshotter.v1");
                let name = format!("Docker {}", engine.version());
                Ok(Capabilities { name, registry_cache: containerd })
            }
            Self::Daemon(daemon) => {
                Ok(Capabilities { name: format!("buildkitd {}", daemon.version), registry_cache: true })
            }
        }
    }

    /// Its name and address, for people.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Engine(engine) => format!("the Docker engine at {}", engine.address()),
            Self::Daemon(daemon) => format!("the buildkitd at {}", daemon.address),
        }
    }

    /// A connection for calls.
    pub(super) async fn control(&self) -> Result<ControlClient<Channel>, tonic::transport::Error> {
        let channel = match self {
            Self::Engine(engine) => {
                let engine = engine.clone();
                let open = tower::service_fn(move |_| {
                    let engine = engine.clone();
                    async move { engine.upgrade("/grpc", &[]).await.map(TokioIo::new) }
                });
                endpoint().connect_with_connector(open).await?
            }
            Self::Daemon(daemon) => daemon.channel.clone(),
        };
        Ok(ControlClient::new(channel).max_decoding_message_size(LARGEST_MESSAGE))
    }
}

impl Daemon {
    async fn connect(address: &str) -> Result<Self, ConnectError> {
        let address: Address = address.parse()?;
        drop(address.open().await.map_err(|source| ConnectError::of(&address, source))?);
        let strange = |source: anyhow::Error| ConnectError::Strange { address: address.clone(), source };
        let target = address.clone();
        let open = tower::service_fn(move |_| {
            let target = target.clone();
            async move { target.open().await.map(TokioIo::new) }
        });
        let channel = endpoint().connect_with_connector(open).await.map_err(|error| strange(error.into()))?;
        let info = ControlClient::new(channel.clone()).info(InfoRequest {}).await;
        let info = info.context("ask it for its version").map_err(strange)?.into_inner();
        let version = info.buildkit_version.map(|version| version.version).unwrap_or_default();
        Ok(Self { channel, address, version })
    }
}

/// The address is never used: connections are made by other means.
fn endpoint() -> Endpoint {
    Endpoint::from_static("http://builder")
}
