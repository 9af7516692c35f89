//! Errors of a panel.

use crate::clients::registry::error::RegistryError;

/// Why a panel did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum PanelError {
    /// It does not know the token, or the token's user may not do it.
    #[error("{panel} refuses the request to {what}: {response}")]
    Unauthorized {
        /// Its address.
        panel: String,
        /// The request, as in `list its projects`.
        what: String,
        /// Status and message.
        response: String,
    },
    /// It answers, and not as asked: the service is gone, an input is wrong, or the image could not be pulled.
    #[error("{panel} refuses the request to {what}: {response}")]
    Refused {
        /// Its address.
        panel: String,
        /// The request.
        what: String,
        /// Status and message.
        response: String,
    },
    /// It does not answer, or a server before it answers with an error. What it was asked may be done or not.
    #[error("{panel} is away: {why}")]
    Away {
        /// Its address.
        panel: String,
        /// How that showed.
        why: String,
    },
    /// It is no panel, or not one of a known version.
    #[error("{panel}: {why}")]
    Other {
        /// Its address.
        panel: String,
        /// What is wrong.
        why: String,
    },
}

impl PanelError {
    /// The same of a request that got no answer.
    pub(super) fn of(panel: &str, error: RegistryError) -> Self {
        let panel = panel.to_owned();
        match error {
            RegistryError::Unreachable { why, .. } => Self::Away { panel, why },
            RegistryError::NotARegistry { why, .. } | RegistryError::Other { why, .. } => Self::Other { panel, why },
            other => Self::Other { panel, why: other.to_string() },
        }
    }
}
