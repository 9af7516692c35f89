//! Builds images with BuildKit over gRPC: the one inside a Docker engine, or a `buildkitd`.
//!
//! This process serves a session, through which the builder reads context, secrets and credentials. None of them is written
//! to disk, and BuildKit cancels a build when its session ends: dropping the future of a build is enough.

mod connect;
mod error;
mod receive;
mod session;
mod solve;
mod status;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::io::AsyncRead;

pub use self::connect::Builder;
pub use self::error::BuildError;
use super::docker::{Credentials, Layer};

/// A tar archive as a stream, for example the output of `git archive`.
pub type ContextStream = Pin<Box<dyn AsyncRead + Send>>;

/// Credentials by the registry's host: `registry.example:5000`, or `docker.io`.
pub type Auth = BTreeMap<String, Credentials>;

/// One build.
pub struct Request<'a> {
    /// The files. `.dockerignore` has been applied already.
    pub context: ContextStream,
    /// The Dockerfile's path in the context.
    pub dockerfile: &'a str,
    /// Build arguments. They are in the image's history, so none is secret.
    pub args: &'a BTreeMap<String, String>,
    pub labels: &'a BTreeMap<String, String>,
    /// Secrets by their id in `RUN --mount=type=secret,id=…`. Changing one does not invalidate the layer cache.
    pub secrets: &'a BTreeMap<String, SecretString>,
    /// For example `linux/amd64`.
    pub platform: &'a str,
    /// The layer cache in a registry.
    pub cache: Cache<'a>,
    /// SOURCE_DATE_EPOCH: the image's creation time. A `buildkitd` also sets it on every newer file.
    pub created: Timestamp,
    /// For private base images, the layer cache and the push.
    pub auth: &'a Auth,
    /// Runs every step again.
    pub no_cache: bool,
    /// What a `buildkitd` attaches to an image that it pushes. The image of a platform is the same with and without it.
    pub attest: Attest<'a>,
}

/// What is attached to an image: SLSA provenance, in any case, and a list of its software.
#[derive(Clone, Copy, Default)]
pub struct Attest<'a> {
    /// The repository that the files are from, for the provenance.
    pub source: Option<&'a str>,
    /// Their commit.
    pub revision: Option<&'a str>,
    /// The image that lists the software, by its digest (BuildKit's SBOM scanning protocol); no list without one.
    pub scanner: Option<&'a str>,
}

/// The layer cache in a registry.
#[derive(Clone, Copy, Default)]
pub struct Cache<'a> {
    /// The image or cache that layers are taken from, by its digest if others may write to the registry. A missing one is not an
    /// error.
    pub from: Option<&'a str>,
    /// Where the build writes its cache. With [`Capabilities::registry_cache`] it writes all layers there. Without it the cache
    /// records are in the image itself (an inline cache), and the caller tags the pushed image with this name.
    pub to: Option<&'a str>,
}

/// Where the image goes.
#[derive(Clone, Copy)]
pub enum Output<'a> {
    /// An engine stores it under this name; of a `buildkitd` it is only measured.
    Keep(&'a str),
    /// A `buildkitd` pushes it under this name (`registry/name:tag`). An engine stores it: `Engine::push` pushes it.
    Push(&'a str),
}

/// The result of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// In an engine the image's id; of a `buildkitd` the digest of the manifest.
    pub digest: String,
    /// The base image's layers first. Only a `buildkitd` reports compressed sizes; see
    /// [`super::docker::Engine::compressed_layers`].
    pub layers: Vec<Layer>,
    /// The digest of the layer cache that was written to a registry.
    pub cache: Option<String>,
}

/// A step of the build. All events of a step have the same number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its number in this build, from 0.
    pub number: usize,
    /// For example `[deps 3/5] RUN cargo build`, or `[internal] load metadata for …`.
    pub name: String,
}

/// Progress of a build.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event<'a> {
    /// A step begins.
    Started(&'a Step),
    /// The layer cache has the step's result.
    Cached(&'a Step),
    /// A step succeeded, in this time.
    Done(&'a Step, Duration),
    /// A step failed. The build continues if the step is optional: for example, the import of a missing layer cache.
    Failed(&'a Step, &'a str),
    /// A line of a step's output.
    Log(&'a Step, &'a str),
    /// A part of a step, such as the pull of a layer: its name, bytes done, and bytes in total if that is known.
    Progress(&'a Step, &'a str, u64, Option<u64>),
}
