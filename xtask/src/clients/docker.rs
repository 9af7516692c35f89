//! A Docker engine: its images, and what it says of itself. Building is `buildkit`'s.

mod archive;
mod push;
pub mod socket;

use std::io;

use anyhow::{Context as _, Result};
use bollard::models::SystemInfo;
use bollard::query_parameters::RemoveImageOptionsBuilder;
use futures_util::TryStreamExt as _;
use secrecy::SecretString;
use tokio_util::io::StreamReader;

pub use self::archive::{Compress, Layer, Measured, measure};
pub use self::push::PushError;
use self::socket::{Address, NoAddress, Stream};

/// Where an engine listens when nothing else is said.
pub const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";

/// The oldest API that is known to do all that is asked here: that of engine 20.10.
const OLDEST_API: (usize, usize) = (1, 41);

/// Seconds until an answer has to begin.
const TIMEOUT: u64 = 120;

/// An engine that answers and has BuildKit.
#[derive(Clone)]
pub struct Engine {
    api: bollard::Docker,
    address: Address,
    version: String,
}

/// Why there is no engine to work with.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address cannot be one.
    #[error(transparent)]
    Address(#[from] NoAddress),
    /// Nobody listens there.
    #[error(
        "nothing answers at {address}\n  \
         start it (sudo systemctl start docker), or say where it is: DOCKER_HOST for an engine, BUILDKIT_HOST for a buildkitd"
    )]
    Absent {
        /// Where it was looked for.
        address: Address,
        #[source]
        source: io::Error,
    },
    /// The socket is there and this user may not use it.
    #[error("this user may not use {address}\n  type: sudo usermod --append --groups docker $USER, and log in again")]
    Denied {
        /// The socket.
        address: Address,
        #[source]
        source: io::Error,
    },
    /// It answers, and cannot build with BuildKit.
    #[error(
        "what answers at {address} has no BuildKit: {found}\n  \
         Docker has it from 20.10 on; or name a buildkitd: export BUILDKIT_HOST=tcp://host:port"
    )]
    NoBuildKit {
        /// Where it answered.
        address: Address,
        /// What it said.
        found: String,
    },
    /// It answers, and is older than what is needed.
    #[error(
        "the engine at {address} is too old: its API is {found}, and {needed} is needed: upgrade it to Docker 20.10 or newer"
    )]
    TooOld {
        /// Where it answered.
        address: Address,
        /// The API's version.
        found: String,
        /// The oldest that will do.
        needed: String,
    },
    /// It answers something that is not understood.
    #[error("what answers at {address} is not understood")]
    Strange {
        /// Where it answered.
        address: Address,
        #[source]
        source: anyhow::Error,
    },
}

/// What opens a registry.
#[derive(Clone)]
pub struct Credentials {
    /// The user's name.
    pub user: String,
    /// The password or token.
    pub password: SecretString,
}

/// An image in the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// `sha256:…` of its configuration, or of its manifest where the engine keeps images in containerd.
    pub id: String,
    /// `registry/name@sha256:…`, for every registry it was pushed to or pulled from.
    pub digests: Vec<String>,
    /// Its labels.
    pub labels: std::collections::BTreeMap<String, String>,
    /// Bytes on the engine's disk.
    pub size: u64,
}

impl Engine {
    /// The engine at this address (`DOCKER_HOST`), or at [`DEFAULT_HOST`].
    pub async fn connect(host: Option<&str>) -> Result<Self, ConnectError> {
        let address: Address = host.unwrap_or(DEFAULT_HOST).parse()?;
        // bollard says of every failure only that its client failed.
        drop(address.open().await.map_err(|source| ConnectError::of(&address, source))?);
        let strange =
            |error: bollard::errors::Error| ConnectError::Strange { address: address.clone(), source: error.into() };
        let api = match &address {
            Address::Unix(path) => {
                bollard::Docker::connect_with_unix(path.as_str(), TIMEOUT, bollard::API_DEFAULT_VERSION)
            }
            Address::Tcp(host) => bollard::Docker::connect_with_http(host, TIMEOUT, bollard::API_DEFAULT_VERSION),
        };
        let api = api.map_err(strange)?.with_request_modifier(push::mend_credentials);
        let api = api.negotiate_version().await.map_err(strange)?;
        let found = api.client_version();
        if (found.major_version, found.minor_version) < OLDEST_API {
            let (major, minor) = OLDEST_API;
            return Err(ConnectError::TooOld { address, found: found.to_string(), needed: format!("{major}.{minor}") });
        }
        let version = api.version().await.map_err(strange)?;
        let engine = Self { api, version: version.version.unwrap_or_default(), address };
        engine.upgrade("/grpc", &[]).await.map_err(|source| ConnectError::of(&engine.address, source))?;
        Ok(engine)
    }

    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Its version, such as `20.10.24+dfsg1`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// All that it says of itself.
    pub async fn info(&self) -> Result<SystemInfo> {
        self.api.info().await.with_context(|| format!("ask the engine at {} about itself", self.address))
    }

    /// The image of this name or id, if the engine has it.
    pub async fn image(&self, name: &str) -> Result<Option<Image>> {
        let found = match self.api.inspect_image(name).await {
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => return Ok(None),
            found => found.with_context(|| format!("ask the engine about the image {name}"))?,
        };
        Ok(Some(Image {
            id: found.id.context("the engine gives no id of an image")?,
            digests: found.repo_digests.unwrap_or_default(),
            labels: found.config.and_then(|config| config.labels).unwrap_or_default().into_iter().collect(),
            size: found.size.unwrap_or_default().unsigned_abs(),
        }))
    }

    /// What every layer holds, the base's first: its instruction and its size on disk.
    pub async fn layers(&self, name: &str) -> Result<Vec<Layer>> {
        let history = self.api.image_history(name).await;
        let history = history.with_context(|| format!("ask the engine how the image {name} was built"))?;
        // Newest first, and instructions that only say something make no layer.
        Ok(history
            .into_iter()
            .rev()
            .filter(|item| item.size > 0)
            .map(|item| Layer { instruction: item.created_by, unpacked: item.size.unsigned_abs(), compressed: None })
            .collect())
    }

    /// The same with compressed sizes, as a push would make them, within a hundredth. The engine hands out the whole image
    /// for it, which is only counted: seconds for each 100 MB.
    pub async fn compressed_layers(&self, name: &str) -> Result<Vec<Layer>> {
        let tar = StreamReader::new(Box::pin(self.api.export_image(name).map_err(io::Error::other)));
        let measured = measure(tar, Compress::Yes).await;
        Ok(measured.with_context(|| format!("measure the image {name}"))?.layers)
    }

    /// Takes a name from an image; the image itself goes with its last name. A name that is not there is no error.
    pub async fn remove(&self, name: &str) -> Result<()> {
        let options = RemoveImageOptionsBuilder::new().build();
        match self.api.remove_image(name, Some(options), None).await {
            Ok(_) | Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("remove the image {name}")),
        }
    }

    /// A connection that speaks gRPC, by one of the two ways the engine has for that.
    pub(super) async fn upgrade(&self, path: &str, headers: &[(&str, &str)]) -> io::Result<Box<dyn Stream>> {
        self.address.upgrade(path, headers).await
    }
}

impl ConnectError {
    /// What a failure to connect means.
    pub(super) fn of(address: &Address, source: io::Error) -> Self {
        let address = address.clone();
        match source.kind() {
            io::ErrorKind::PermissionDenied => Self::Denied { address, source },
            io::ErrorKind::Unsupported => Self::NoBuildKit { address, found: source.to_string() },
            _ => Self::Absent { address, source },
        }
    }
}

/// A name without its tag, and the tag; a port is none.
fn split_tag(name: &str) -> (&str, &str) {
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (name, "latest"),
    }
}
