//! Why a command did not do what it was asked. Each variant has its exit code.

use std::fmt;

use anyhow::anyhow;
use camino::Utf8PathBuf;

use crate::config::ConfigError;

/// Why a command did not do what it was asked. A failure keeps its variant, and so its exit code, through every step.
#[derive(Debug)]
pub enum Failure {
    /// 1: it failed.
    Failed(anyhow::Error),
    /// 1: a signal or the loss of the lease ended it.
    Aborted(anyhow::Error),
    /// 2: wrong usage or configuration.
    Usage(anyhow::Error),
    /// 10: changes are pending. The command has printed them, so there is no error to print.
    Pending,
    /// 20: another command holds the environment's lease, or the lock of its stack's state.
    Locked(anyhow::Error),
    /// 21: refused by the guard, or not approved.
    Refused(anyhow::Error),
    /// 30: unhealthy; the previous release was restored.
    Restored(anyhow::Error),
    /// 31: unhealthy, and no release serves.
    NotRestored(anyhow::Error),
    /// The exit code of a program that was run for the user.
    Ended(u8, anyhow::Error),
}

/// A line of a file that causes an error. Displays as its error does.
#[derive(Debug)]
pub struct Located {
    /// Relative to the project's root.
    pub file: Utf8PathBuf,
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    error: Box<dyn std::error::Error + Send + Sync>,
}

/// Context of an error of an apply: it came before anything was changed, so what served still serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Untouched;

impl fmt::Display for Untouched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing was applied")
    }
}

impl Failure {
    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Failed(_) | Self::Aborted(_) => 1,
            Self::Usage(_) => 2,
            Self::Pending => 10,
            Self::Locked(_) => 20,
            Self::Refused(_) => 21,
            Self::Restored(_) => 30,
            Self::NotRestored(_) => 31,
            Self::Ended(code, _) => *code,
        }
    }

    /// The error that is shown.
    pub fn into_error(self) -> anyhow::Error {
        match self {
            Self::Failed(error)
            | Self::Aborted(error)
            | Self::Usage(error)
            | Self::Locked(error)
            | Self::Refused(error)
            | Self::Restored(error)
            | Self::NotRestored(error)
            | Self::Ended(_, error) => error,
            Self::Pending => anyhow!("changes are pending"),
        }
    }

    /// The same failure, marked as one that came before anything was changed.
    pub fn untouched(self) -> Self {
        match self {
            Self::Failed(error) => Self::Failed(error.context(Untouched)),
            Self::Aborted(error) => Self::Aborted(error.context(Untouched)),
            other => other,
        }
    }

    /// The same failure with a changed error.
    pub fn map(self, change: impl FnOnce(anyhow::Error) -> anyhow::Error) -> Self {
        match self {
            Self::Failed(error) => Self::Failed(change(error)),
            Self::Aborted(error) => Self::Aborted(change(error)),
            Self::Usage(error) => Self::Usage(change(error)),
            Self::Pending => Self::Pending,
            Self::Locked(error) => Self::Locked(change(error)),
            Self::Refused(error) => Self::Refused(change(error)),
            Self::Restored(error) => Self::Restored(change(error)),
            Self::NotRestored(error) => Self::NotRestored(change(error)),
            Self::Ended(code, error) => Self::Ended(code, change(error)),
        }
    }
}

impl Located {
    /// Attaches a place to an error.
    pub fn new(
        file: impl Into<Utf8PathBuf>,
        line: usize,
        column: usize,
        error: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self { file: file.into(), line, column, error: Box::new(error) }
    }

    /// The error itself, if it has this type.
    pub fn error<E: std::error::Error + 'static>(&self) -> Option<&E> {
        self.error.downcast_ref()
    }
}

impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Located {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let first = error.problems().first().and_then(|problem| Some((problem.file.to_string(), problem.at?)));
        Self::Usage(match first {
            Some((file, at)) => Located::new(file, at.line, at.column, error).into(),
            None => error.into(),
        })
    }
}
