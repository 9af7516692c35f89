//! Why a build did not give an image.

use std::io;

use tonic::{Code, Status};

use super::status::Steps;

/// Why a build did not give an image.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A step failed.
    #[error("{step} failed{}{}", exit(.exit_code, .message), said(.tail))]
    Step {
        /// Its name, with its instruction.
        step: String,
        /// The last lines it said.
        tail: Vec<String>,
        /// The exit code, if it ran a program to its end.
        exit_code: Option<i32>,
        /// What the builder said of it.
        message: String,
    },
    /// The builder's disk is full.
    #[error(
        "the disk of {builder} is full, which is not this checkout's: {message}\n  \
         see what takes the space: docker system df (buildctl du); and let go of what can be made anew: \
         docker builder prune (buildctl prune)"
    )]
    DiskFull {
        /// Which builder.
        builder: String,
        /// What it said.
        message: String,
    },
    /// The builder ended, or the way to it broke.
    #[error(
        "{builder} went away during the build: {message}\n  see whether it runs (docker version), then type it again"
    )]
    Gone {
        /// Which builder.
        builder: String,
        /// What broke.
        message: String,
    },
    /// Somebody ended the build in the builder.
    #[error("the build was ended: {0}")]
    Interrupted(String),
    /// The context could not be read to its end.
    #[error("the files to build from could not be read to their end")]
    Context(#[source] io::Error),
    /// A registry gives nothing for these credentials.
    #[error("a registry refuses what was asked with these credentials, or without any: {0}")]
    Unauthorized(String),
    /// Anything else, such as a mistake in the Dockerfile.
    #[error("the builder could not do it: {0}")]
    Other(String),
}

impl BuildError {
    /// What the builder's answer means.
    pub(super) fn of(status: &Status, steps: &Steps, builder: &str) -> Self {
        let message = status.message().to_owned();
        let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
        let failed = steps.failed(&message);
        let tail = failed.as_ref().map(|(_, tail)| tail.join("\n")).unwrap_or_default();
        // Programs in a step write it with a capital.
        if has(&[NO_SPACE]) || tail.to_lowercase().contains(NO_SPACE) {
            return Self::DiskFull { builder: builder.to_owned(), message };
        }
        if has(UNAUTHORIZED) {
            return Self::Unauthorized(message);
        }
        match (status.code(), failed) {
            (Code::Unavailable, _) => Self::Gone { builder: builder.to_owned(), message },
            // What tonic makes of a connection that ends in the middle of an answer.
            (Code::Unknown | Code::Internal | Code::Cancelled, None) if has(BROKEN) || is_transport(status) => {
                Self::Gone { builder: builder.to_owned(), message }
            }
            (Code::Cancelled, _) => Self::Interrupted(message),
            (_, None) if has(&["context canceled"]) => Self::Interrupted(message),
            (_, Some((step, tail))) => Self::Step { step, tail, exit_code: exit_code(&message), message },
            (_, None) => Self::Other(message),
        }
    }
}

const NO_SPACE: &str = "no space left on device";

/// What registries' clients in the builder say (containerd's resolver).
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

/// `… exit code: 3`, from old builders and new ones.
fn exit_code(message: &str) -> Option<i32> {
    let (_, rest) = message.rsplit_once("exit code: ")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn exit(code: &Option<i32>, message: &str) -> String {
    match code {
        Some(code) => format!(" with exit code {code}"),
        None => format!(": {message}"),
    }
}

fn said(tail: &[String]) -> String {
    if tail.is_empty() { ", and it said nothing".to_owned() } else { format!(". It said:\n{}", tail.join("\n")) }
}
