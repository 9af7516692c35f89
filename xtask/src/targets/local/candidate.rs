//! A release that was started and has not taken over.

use tempfile::TempDir;

use super::Ears;
use crate::clients::service::Service;
use crate::supervisor::client::Connection;
use crate::targets::log_tail;

/// A release that runs beside the one that serves, on a socket of its own. Dropped before the switch, it ends.
pub struct Candidate {
    /// Where its readiness is asked for.
    pub service: Service,
    /// Its process.
    pub process: u32,
    /// The socket that it was given; none if it opens a port.
    pub ears: Option<Ears>,
    pub(super) connection: Connection,
    pub(super) id: String,
    pub(super) version: String,
    /// Its data folders, where they end with it.
    pub(super) _folders: Option<TempDir>,
}

impl Candidate {
    /// Resolves when its process ends by itself, with why and the tail of its log.
    pub async fn exited(&mut self) -> String {
        match self.connection.exited().await {
            Ok(exit) => format!("its process {}\n{}", exit.ended, log_tail(&exit.tail)),
            Err(error) => format!("{error:#}"),
        }
    }

    /// Ends it, and returns the end of its log.
    pub async fn give_up(&mut self) -> String {
        match self.connection.discard().await {
            Ok(Some(exit)) => log_tail(&exit.tail),
            Ok(None) => log_tail(&[]),
            Err(error) => format!("{error:#}"),
        }
    }
}
