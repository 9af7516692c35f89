//! A release that was started and does not serve yet, wherever it runs.

use super::stack::{self, PublicAddress};
use super::{easypanel, host, local};
use crate::clients::service::Service;
use crate::report::Summary;

/// A release that was started and does not serve yet. Dropped before the switch, it ends.
pub enum Candidate {
    /// A process with a socket of its own.
    Local(Box<local::Candidate>),
    /// A container behind its platform's address.
    Stack(Box<stack::Candidate>),
    /// A container of a Docker host.
    Host(Box<host::Candidate>),
    /// Services of an Easypanel, in the place of the previous release.
    Easypanel(Box<easypanel::Candidate>),
    /// A container of this machine's engine, which never serves.
    Trial(Box<stack::Trial>),
}

/// What the gate asks of a release that was started.
pub trait Started {
    /// Where its readiness is asked for.
    fn service(&self) -> Service;

    /// Where its process listens; none for a process on another machine.
    fn ears(&self) -> Option<local::Ears>;

    /// Resolves when it ends by itself, with why and the end of its log.
    fn exited(&mut self) -> impl Future<Output = String>;

    /// Ends it, and returns the end of its log.
    fn give_up(&mut self) -> impl Future<Output = String>;
}

impl Candidate {
    /// Where people reach it, if that is another address than the one that the gate asks.
    pub fn public(&self) -> Option<&PublicAddress> {
        match self {
            Self::Local(_) | Self::Host(_) | Self::Easypanel(_) | Self::Trial(_) => None,
            Self::Stack(candidate) => candidate.public.as_ref(),
        }
    }
}

impl Started for Candidate {
    fn service(&self) -> Service {
        match self {
            Self::Local(candidate) => candidate.service.clone(),
            Self::Stack(candidate) => candidate.service.clone(),
            Self::Host(candidate) => candidate.service.clone(),
            Self::Easypanel(candidate) => candidate.service.clone(),
            Self::Trial(trial) => trial.service.clone(),
        }
    }

    fn ears(&self) -> Option<local::Ears> {
        match self {
            Self::Local(candidate) => candidate.ears.clone(),
            Self::Stack(_) | Self::Host(_) | Self::Easypanel(_) | Self::Trial(_) => None,
        }
    }

    async fn exited(&mut self) -> String {
        match self {
            Self::Local(candidate) => candidate.exited().await,
            // Its platform starts it again.
            Self::Stack(_) | Self::Easypanel(_) => std::future::pending().await,
            Self::Host(candidate) => candidate.exited().await,
            Self::Trial(trial) => trial.exited().await,
        }
    }

    async fn give_up(&mut self) -> String {
        match self {
            Self::Local(candidate) => candidate.give_up().await,
            Self::Stack(candidate) => candidate.where_its_log_is(),
            Self::Host(candidate) => candidate.give_up().await,
            Self::Easypanel(candidate) => candidate.where_its_log_is(),
            Self::Trial(trial) => trial.give_up().await,
        }
    }
}

impl Summary for Candidate {
    fn summary(&self) -> String {
        match self {
            Self::Local(candidate) => format!("process {}, not public yet", candidate.process),
            Self::Stack(candidate) => candidate.summary.clone(),
            Self::Host(candidate) => candidate.summary(),
            Self::Easypanel(candidate) => candidate.summary(),
            Self::Trial(trial) => trial.summary(),
        }
    }
}
