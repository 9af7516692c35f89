//! Why a build failed.

use std::io;

use tonic::{Code, Status};

use super::status::Steps;

/// Why a build failed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A step failed.
    #[error("{step} failed{}{}", cause(.exit_code, .message), output(.tail))]
    Step {
        /// Its name, with its instruction.
        step: String,
        /// The last lines of its output.
        tail: Vec<String>,
        /// The exit code of its program; none where the step failed otherwise.
        exit_code: Option<i32>,
        /// The builder's error.
        message: String,
    },
    /// The builder's disk is full.
    #[error(
        "the disk of {builder} is full: {message}\n  \
         to see what takes the space: docker system df (buildctl du); to delete build caches: docker builder prune \
         (buildctl prune)"
    )]
    DiskFull { builder: String, message: String },
    /// The builder ended, or the connection to it broke.
    #[error(
        "lost the connection to {builder} during the build: {message}\n  check whether it runs (docker version), then run the command again"
    )]
    Gone { builder: String, message: String },
    /// Another client cancelled the build.
    #[error("the build was cancelled: {0}")]
    Cancelled(String),
    /// Reading the context failed.
    #[error("cannot read the build context")]
    Context(#[source] io::Error),
    /// A registry refused the credentials, or requires some.
    #[error(
        "a registry refused the builder's request: {0}\n  check REGISTRY_HOST, REGISTRY_USERNAME and REGISTRY_PASSWORD, or type: docker login"
    )]
    Unauthorized(String),
    /// Any other error, such as a syntax error in the Dockerfile.
    #[error("the build failed: {0}")]
    Other(String),
}

impl BuildError {
    /// The variant for the builder's status.
    pub(super) fn of(status: &Status, steps: &Steps, builder: &str) -> Self {
        let message = status.message().to_owned();
        let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
        let failed = steps.failed(&message);
        let tail = failed.as_ref().map(|(_, tail)| tail.join("\n")).unwrap_or_default();
        // Programs in a step capitalize it.
        if has(&[NO_SPACE]) || tail.to_lowercase().contains(NO_SPACE) {
            return Self::DiskFull { builder: builder.to_owned(), message };
        }
        if has(UNAUTHORIZED) {
            return Self::Unauthorized(message);
        }
        match (status.code(), failed) {
            (Code::Unavailable, _) => Self::Gone { builder: builder.to_owned(), message },
            // tonic's status for a connection that ends in the middle of a response.
            (Code::Unknown | Code::Internal | Code::Cancelled, None) if has(BROKEN) || is_transport(status) => {
                Self::Gone { builder: builder.to_owned(), message }
            }
            (Code::Cancelled, _) => Self::Cancelled(message),
            (_, None) if has(&["context canceled"]) => Self::Cancelled(message),
            (_, Some((step, tail))) => Self::Step { step, tail, exit_code: exit_code(&message), message },
            (_, None) => Self::Other(message),
        }
    }
}

const NO_SPACE: &str = "no space left on device";

/// Messages of the builder's registry client (containerd's resolver).
const UNAUTHORIZED: &[&str] =
    &["401 Unauthorized", "403 Forbidden", "authorization failed", "insufficient_scope", "no basic auth credentials"];

const BROKEN: &[&str] =
    &["transport error", "h2 protocol error", "broken pipe", "connection reset", "connection error"];

fn is_transport(status: &Status) -> bool {
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        if error.is::<tonic::transport::Error>() || error.is::<hyper::Error>() || error.is::<io::Error>() {
            return true;
        }
        source = error.source();
    }
    false
}

/// Of a message that ends with `exit code: 3`.
fn exit_code(message: &str) -> Option<i32> {
    let (_, rest) = message.rsplit_once("exit code: ")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn cause(code: &Option<i32>, message: &str) -> String {
    match code {
        Some(code) => format!(" with exit code {code}"),
        None => format!(": {message}"),
    }
}

fn output(tail: &[String]) -> String {
    if tail.is_empty() { ", without output".to_owned() } else { format!(". Its last output:\n{}", tail.join("\n")) }
}
