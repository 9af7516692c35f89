//! Builds images with BuildKit, over gRPC: with the one inside a Docker engine, or with a `buildkitd`.
//!
//! The builder asks for everything it needs through a session that this process serves: the context, secrets, credentials.
//! So nothing of that is written anywhere, and a build whose future is dropped ends in the builder too.

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

/// A tar as it comes, for example the output of `git archive`; never held in memory.
pub type ContextStream = Pin<Box<dyn AsyncRead + Send>>;

/// Credentials by the registry's host: `registry.example:5000`, or `docker.io`.
pub type Auth = BTreeMap<String, Credentials>;

/// What is built.
pub struct Request<'a> {
    /// The files. `.dockerignore` is not looked at.
    pub context: ContextStream,
    /// The Dockerfile's path in the context.
    pub dockerfile: &'a str,
    /// Build arguments. Never secret: they are in the image's history.
    pub args: &'a BTreeMap<String, String>,
    /// Labels of the image.
    pub labels: &'a BTreeMap<String, String>,
    /// Secrets by their id in `RUN --mount=type=secret,id=…`. Changing one does not invalidate the layer cache.
    pub secrets: &'a BTreeMap<String, SecretString>,
    /// Such as `linux/amd64`.
    pub platform: &'a str,
    /// Where layers of earlier builds are.
    pub cache: Option<Cache<'a>>,
    /// The image's own time (`SOURCE_DATE_EPOCH`). A `buildkitd` gives it to every file that is newer.
    pub created: Timestamp,
    /// For private bases, the layer cache and the push.
    pub auth: &'a Auth,
    /// Runs every step anew.
    pub no_cache: bool,
}

/// The layer cache in a registry.
#[derive(Clone, Copy)]
pub struct Cache<'a> {
    /// Where layers are taken from. One that is not there yet is no error.
    pub reference: &'a str,
    /// Whether all layers are written back to it. Takes [`Capabilities::registry_cache`]; without that the layers' cache
    /// records are put into the image itself, and the reference has to be that of an image that was pushed.
    pub write: bool,
}

/// What becomes of the image.
#[derive(Clone, Copy)]
pub enum Output<'a> {
    /// An engine keeps it under this name; a `buildkitd` only measures it.
    Keep(&'a str),
    /// A `buildkitd` pushes it under this name (`registry/name:tag`). An engine keeps it: pushing is another call there.
    Push(&'a str),
}

/// What was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// In an engine the image's id; from a `buildkitd` the digest of the manifest, as a registry names it.
    pub digest: String,
    /// The base's layers first. Compressed sizes are known from a `buildkitd`, see [`super::docker::Engine::compressed_layers`].
    pub layers: Vec<Layer>,
}

/// A step of the build. The same step has the same number in all its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its number in this build, from 0.
    pub number: usize,
    /// Such as `[deps 3/5] RUN cargo build`, or `[internal] load metadata for …`.
    pub name: String,
}

/// What a builder tells while it works.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event<'a> {
    /// A step begins.
    Started(&'a Step),
    /// A step's result is known from an earlier build.
    Cached(&'a Step),
    /// A step has ended well, in this time.
    Done(&'a Step, Duration),
    /// A step failed. That need not be the end: a layer cache that is not there fails too.
    Failed(&'a Step, &'a str),
    /// A line of what a step says.
    Log(&'a Step, &'a str),
    /// A part of a step, such as a layer that is pulled: how much of it is done, and of how much if that is known.
    Progress(&'a Step, &'a str, u64, Option<u64>),
}
