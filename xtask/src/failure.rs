//! Why a command did not do what it was asked.

use anyhow::anyhow;

use crate::config::ConfigError;
use crate::sqlx;
use crate::state::lease::Holder;
use crate::tools::tofu::diagnostic::Diagnostics;

/// Why a command did not do what it was asked; each way out has its exit code.
#[derive(Debug)]
pub enum Failure {
    /// It failed.
    Failed(anyhow::Error),
    /// It was asked in a way that cannot be: deploy.yaml, an unknown environment.
    Usage(anyhow::Error),
    /// deploy.yaml is not what it should be.
    Config(ConfigError),
    /// Something newer is there, which a check was asked for.
    Newer(anyhow::Error),
    /// Somebody else deploys the environment.
    Locked(Box<Holder>, String),
    /// Somebody else works on what its stack made, or on the state of that.
    Busy(anyhow::Error),
    /// Changes are pending, which was asked for and said.
    Pending,
    /// Refused by the guard, or not approved.
    Refused(anyhow::Error),
    /// Unhealthy; the previous release serves again.
    Restored(anyhow::Error),
    /// Unhealthy; nothing serves.
    NotRestored(anyhow::Error),
    /// Somebody ended it, or the lease was lost.
    Aborted(anyhow::Error),
}

impl Failure {
    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Failed(_) | Self::Aborted(_) => 1,
            Self::Usage(_) | Self::Config(_) => 2,
            Self::Newer(_) | Self::Pending => 10,
            Self::Locked(..) | Self::Busy(_) => 20,
            Self::Refused(_) => 21,
            Self::Restored(_) => 30,
            Self::NotRestored(_) => 31,
        }
    }

    /// File, line and column of what is wrong, when that is known.
    pub fn place(&self) -> Option<(String, usize, usize)> {
        let error = match self {
            Self::Config(error) => error,
            Self::Failed(error) => {
                let of_query = error.downcast_ref::<sqlx::Problems>().and_then(sqlx::Problems::place);
                let of_stack = || error.downcast_ref::<Diagnostics>().and_then(Diagnostics::place);
                return of_query.or_else(of_stack);
            }
            _ => return None,
        };
        let first = error.problems().first()?;
        let at = first.at?;
        Some((first.file.to_string(), at.line, at.column))
    }

    /// The error that people are shown.
    pub fn into_error(self) -> anyhow::Error {
        match self {
            Self::Failed(error)
            | Self::Usage(error)
            | Self::Newer(error)
            | Self::Busy(error)
            | Self::Refused(error)
            | Self::Restored(error)
            | Self::NotRestored(error)
            | Self::Aborted(error) => error,
            Self::Config(error) => error.into(),
            Self::Pending => anyhow!("changes are pending"),
            Self::Locked(holder, environment) => anyhow::anyhow!(
                "{environment} is locked: {who} is at \"{message}\" since {since} (toolkit {version}, process {pid})\n  \
                 wait for it, or, if it is certain that nobody works there: cargo xtask lock break {environment}",
                who = holder.who,
                message = holder.message,
                since = holder.since.strftime("%Y-%m-%d %H:%M:%SZ"),
                version = holder.version,
                pid = holder.process.pid,
            ),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}
