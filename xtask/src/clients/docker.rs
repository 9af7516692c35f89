//! A Docker engine: its version, its state and its images. `buildkit` builds with it.

mod archive;
pub mod beside;
pub mod container;
pub mod kept;
mod push;
pub mod socket;
mod transport;

use std::io;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bollard::models::SystemInfo;
use bollard::query_parameters::RemoveImageOptionsBuilder;
use futures_util::TryStreamExt as _;
use secrecy::SecretString;
use tokio_util::io::StreamReader;

pub use self::archive::{Compress, Layer, Measured, measure};
pub use self::push::PushError;
use self::socket::{Address, FIRST_ANSWER, InvalidAddress, Stream};

/// The address of the engine when DOCKER_HOST is not set.
pub const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";

/// The oldest API version that has every call made here: that of engine 20.10.
const MIN_API_VERSION: (usize, usize) = (1, 41);

/// Seconds until a response has to begin, and a short one to end.
const TIMEOUT: u64 = 120;

/// An engine that answers and has BuildKit.
#[derive(Clone)]
pub struct Engine {
    api: bollard::Docker,
    address: Address,
    version: String,
}

/// Why no usable engine or buildkitd was found.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// DOCKER_HOST or BUILDKIT_HOST has an invalid address.
    #[error(transparent)]
    Address(#[from] InvalidAddress),
    /// The connection failed.
    #[error(
        "cannot connect to {address}\n  \
         start Docker (sudo systemctl start docker), or set its address: DOCKER_HOST for an engine, BUILDKIT_HOST for a buildkitd"
    )]
    Unreachable {
        address: Address,
        #[source]
        source: io::Error,
    },
    /// It accepts connections and does not answer.
    #[error("{address} accepts connections, and did not answer within {seconds} s")]
    Silent { address: Address, seconds: u64 },
    /// The socket exists, and its permissions exclude this user.
    #[error(
        "permission denied: this user cannot open {address}\n  type: sudo usermod --append --groups docker $USER, and log in again"
    )]
    Denied {
        address: Address,
        #[source]
        source: io::Error,
    },
    /// The program that listens does not offer BuildKit.
    #[error(
        "the program at {address} does not offer BuildKit: {response}\n  \
         Docker contains BuildKit since 20.10; or set the address of a buildkitd: export BUILDKIT_HOST=tcp://host:port"
    )]
    NoBuildKit {
        address: Address,
        /// Its response to the request for an upgrade.
        response: String,
    },
    /// The engine's API is older than [`MIN_API_VERSION`].
    #[error(
        "the engine at {address} is too old: its API version is {found}, and {required} is required; upgrade to Docker 20.10 or newer"
    )]
    TooOld { address: Address, found: String, required: String },
    /// The response is not that of a Docker engine or a buildkitd.
    #[error("the program at {address} did not respond as a Docker engine or buildkitd does")]
    Protocol {
        address: Address,
        #[source]
        source: anyhow::Error,
    },
}

/// Credentials for a registry.
#[derive(Clone)]
pub struct Credentials {
    /// Empty with a token.
    pub user: String,
    /// Or token.
    pub password: SecretString,
}

/// An image in the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// `sha256:…` of its configuration, or of its manifest where the engine uses containerd's image store.
    pub id: String,
    /// `registry/name@sha256:…`, for every registry that it was pushed to or pulled from.
    pub digests: Vec<String>,
    pub labels: std::collections::BTreeMap<String, String>,
    /// Bytes on the engine's disk.
    pub size: u64,
}

impl Engine {
    /// The engine at this address (`DOCKER_HOST`), or at [`DEFAULT_HOST`].
    pub async fn connect(host: Option<&str>) -> Result<Self, ConnectError> {
        Self::connect_within(host, FIRST_ANSWER).await
    }

    /// The same. The engine may take this long for its first answers.
    pub(in crate::clients) async fn connect_within(host: Option<&str>, limit: Duration) -> Result<Self, ConnectError> {
        let address: Address = host.unwrap_or(DEFAULT_HOST).parse()?;
        let silent = ConnectError::Silent { address: address.clone(), seconds: limit.as_secs() };
        tokio::time::timeout(limit, Self::connect_to(address)).await.map_err(|_| silent)?
    }

    async fn connect_to(address: Address) -> Result<Self, ConnectError> {
        // bollard's own errors do not tell why a connection failed.
        drop(address.open().await.map_err(|source| ConnectError::of(&address, source))?);
        let protocol =
            |error: bollard::errors::Error| ConnectError::Protocol { address: address.clone(), source: error.into() };
        let api = transport::api(&address, bollard::API_DEFAULT_VERSION).map_err(protocol)?;
        let api = api.with_request_modifier(push::fix_auth_header);
        let api = api.negotiate_version().await.map_err(protocol)?;
        let found = api.client_version();
        if (found.major_version, found.minor_version) < MIN_API_VERSION {
            let (major, minor) = MIN_API_VERSION;
            return Err(ConnectError::TooOld {
                address,
                found: found.to_string(),
                required: format!("{major}.{minor}"),
            });
        }
        let version = api.version().await.map_err(protocol)?;
        let engine = Self { api, version: version.version.unwrap_or_default(), address };
        engine.upgrade("/grpc", &[]).await.map_err(|source| ConnectError::of(&engine.address, source))?;
        Ok(engine)
    }

    /// The address it listens on.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// For example `20.10.24+dfsg1`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The engine's state: `docker info`.
    pub async fn info(&self) -> Result<SystemInfo> {
        within(self.api.info()).await.with_context(|| format!("read the state of the engine at {}", self.address))
    }

    /// The image of this name or id, if the engine has it.
    pub async fn image(&self, name: &str) -> Result<Option<Image>> {
        let found = match within(self.api.inspect_image(name)).await {
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => return Ok(None),
            found => found.with_context(|| format!("look for the image {name} in the engine"))?,
        };
        Ok(Some(Image {
            id: found.id.context("the engine reports no id of the image")?,
            digests: found.repo_digests.unwrap_or_default(),
            labels: found.config.and_then(|config| config.labels).unwrap_or_default().into_iter().collect(),
            size: found.size.unwrap_or_default().unsigned_abs(),
        }))
    }

    /// Instruction and size on disk of every layer, the base image's first.
    pub async fn layers(&self, name: &str) -> Result<Vec<Layer>> {
        let history = within(self.api.image_history(name)).await;
        let history = history.with_context(|| format!("read the history of the image {name}"))?;
        // The history is newest first. Instructions that change no file make no layer.
        Ok(history
            .into_iter()
            .rev()
            .filter(|item| item.size > 0)
            .map(|item| Layer { instruction: item.created_by, unpacked: item.size.unsigned_abs(), compressed: None })
            .collect())
    }

    /// The same with compressed sizes, within 1 % of those of a push. Exports the whole image from the engine and compresses it
    /// without writing it anywhere: some seconds for each 100 MB.
    pub async fn compressed_layers(&self, name: &str) -> Result<Vec<Layer>> {
        let tar = StreamReader::new(Box::pin(self.api.export_image(name).map_err(io::Error::other)));
        let measured = measure(tar, Compress::Yes).await;
        Ok(measured.with_context(|| format!("measure the image {name}"))?.layers)
    }

    /// Untags an image; the engine deletes the image with its last name. A missing name is not an error.
    pub async fn remove(&self, name: &str) -> Result<()> {
        let options = RemoveImageOptionsBuilder::new().build();
        match within(self.api.remove_image(name, Some(options), None)).await {
            Ok(_) | Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("remove the image {name}")),
        }
    }

    /// A gRPC connection, by an HTTP upgrade of `/grpc` or `/session`.
    pub(super) async fn upgrade(&self, path: &str, headers: &[(&str, &str)]) -> io::Result<Box<dyn Stream>> {
        self.address.upgrade(path, headers).await
    }
}

impl ConnectError {
    /// The variant for an I/O error.
    pub(super) fn of(address: &Address, source: io::Error) -> Self {
        let address = address.clone();
        match source.kind() {
            io::ErrorKind::PermissionDenied => Self::Denied { address, source },
            io::ErrorKind::Unsupported => Self::NoBuildKit { address, response: source.to_string() },
            _ => Self::Unreachable { address, source },
        }
    }
}

/// A call with its whole answer; bollard's own limit is for the answer's beginning.
async fn within<T>(call: impl Future<Output = Result<T, bollard::errors::Error>>) -> Result<T, bollard::errors::Error> {
    let answered = tokio::time::timeout(Duration::from_secs(TIMEOUT), call).await;
    answered.unwrap_or(Err(bollard::errors::Error::RequestTimeoutError))
}

/// Splits a name before its tag; a port is not a tag.
fn split_tag(name: &str) -> (&str, &str) {
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (name, "latest"),
    }
}
