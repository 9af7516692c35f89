//! A release that was started and has not taken over.

use crate::clients::service::Service;
use crate::release::Summary;
use crate::supervisor::client::Connection;

/// A release that runs beside the one that serves, on a socket of its own. Dropped before the switch, it ends.
pub struct Applied {
    /// Where it is asked for its readiness.
    pub service: Service,
    pub(super) connection: Connection,
    pub(super) id: String,
    pub(super) version: String,
    pub(super) process: u32,
}

impl Summary for Applied {
    fn summary(&self) -> String {
        format!("process {}, not public yet", self.process)
    }
}

impl Applied {
    /// Resolves when its process ends by itself, with why and the tail of its log.
    pub async fn exited(&mut self) -> String {
        match self.connection.exited().await {
            Ok(exit) => format!("its process ended: {}\n{}", exit.ended, said(&exit.tail)),
            Err(error) => format!("{error:#}"),
        }
    }

    /// Ends it, and tells what it said last.
    pub async fn give_up(&mut self) -> String {
        match self.connection.discard().await {
            Ok(Some(exit)) => said(&exit.tail),
            Ok(None) => said(&[]),
            Err(error) => format!("{error:#}"),
        }
    }
}

pub(super) fn said(lines: &[String]) -> String {
    match lines {
        [] => "it wrote nothing to its log".to_owned(),
        lines => format!("the end of its log:\n  {}", lines.join("\n  ")),
    }
}
