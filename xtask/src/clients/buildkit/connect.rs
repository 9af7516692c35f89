//! Connecting to a builder, and its capabilities.

use std::time::Duration;

use anyhow::{Context as _, Result};
use bollard_buildkit_proto::moby::buildkit::v1::InfoRequest;
use bollard_buildkit_proto::moby::buildkit::v1::control_client::ControlClient;
use hyper_util::rt::TokioIo;
use tonic::transport::{Channel, Endpoint};

use crate::clients::docker::socket::{Address, FIRST_ANSWER};
use crate::clients::docker::{ConnectError, Engine};

/// The maximum message size of BuildKit's own clients and daemons (`defaults.DefaultMaxRecvMsgSize` of containerd).
pub(super) const MAX_MESSAGE: usize = 16 << 20;

/// A server of grpc-go closes a connection that sends pings more often than every five minutes (its
/// `keepalive.EnforcementPolicy`).
const PING_INTERVAL: Duration = Duration::from_secs(330);

/// Limit for the answer to a ping.
const PING_ANSWER: Duration = Duration::from_secs(30);

/// BuildKit, in one of its two forms.
#[derive(Clone)]
pub enum Builder {
    /// The BuildKit inside a Docker engine.
    Engine(Engine),
    /// A separate `buildkitd`.
    Daemon(Daemon),
}

/// A `buildkitd` that responded.
#[derive(Clone)]
pub struct Daemon {
    pub(super) channel: Channel,
    address: Address,
    version: String,
}

/// Name and capabilities of a builder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// `Docker 20.10.24` or `buildkitd v0.23.2`.
    pub name: String,
    /// Whether it can export all layers to a cache in a registry (`mode=max`).
    pub registry_cache: bool,
}

impl Builder {
    /// The `buildkitd` at `daemon` (BUILDKIT_HOST) if that is set, else the engine at `engine` (DOCKER_HOST) or at its default
    /// address.
    pub async fn connect(daemon: Option<&str>, engine: Option<&str>) -> Result<Self, ConnectError> {
        Self::connect_within(daemon, engine, FIRST_ANSWER).await
    }

    /// The same. The builder may take this long for its first answers.
    pub(super) async fn connect_within(
        daemon: Option<&str>,
        engine: Option<&str>,
        limit: Duration,
    ) -> Result<Self, ConnectError> {
        match daemon {
            Some(address) => Ok(Self::Daemon(Daemon::connect(address, limit).await?)),
            None => Ok(Self::Engine(Engine::connect_within(engine, limit).await?)),
        }
    }

    /// Its name and capabilities.
    pub async fn capabilities(&self) -> Result<Capabilities> {
        match self {
            Self::Engine(engine) => {
                let info = engine.info().await?;
                // The engine reports this when it uses containerd's image store; only then its BuildKit has all exporters.
                let mut status = info.driver_status.into_iter().flatten().flatten();
                let containerd = status.any(|value| value == "io.containerd.snapshotter.v1");
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

    /// A gRPC client.
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
        Ok(ControlClient::new(channel).max_decoding_message_size(MAX_MESSAGE))
    }
}

impl Daemon {
    async fn connect(address: &str, limit: Duration) -> Result<Self, ConnectError> {
        let address: Address = address.parse()?;
        drop(address.open().await.map_err(|source| ConnectError::of(&address, source))?);
        let protocol = |source: anyhow::Error| ConnectError::Protocol { address: address.clone(), source };
        let target = address.clone();
        let open = tower::service_fn(move |_| {
            let target = target.clone();
            async move { target.open().await.map(TokioIo::new) }
        });
        let channel = endpoint().connect_with_connector(open).await.map_err(|error| protocol(error.into()))?;
        let mut control = ControlClient::new(channel.clone());
        let info = tokio::time::timeout(limit, control.info(InfoRequest {})).await;
        let silent = || ConnectError::Silent { address: address.clone(), seconds: limit.as_secs() };
        let info = info.map_err(|_| silent())?;
        let info = info.context("read its version").map_err(protocol)?.into_inner();
        let version = info.buildkit_version.map(|version| version.version).unwrap_or_default();
        Ok(Self { channel, address, version })
    }
}

/// tonic requires an address; the connector ignores it. A build may be silent for hours, so only its connection is asked whether it
/// lives.
fn endpoint() -> Endpoint {
    Endpoint::from_static("http://builder")
        .connect_timeout(FIRST_ANSWER)
        .http2_keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_ANSWER)
}
