//! An environment of deploy.yaml: where its release runs, and when it counts as healthy.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::compose::Compose;
use super::document::Document;
use super::easypanel::Easypanel;
use super::media::{Media, MediaStack};
use super::stack::{Stack, State};
use super::verify::Verify;

/// An environment to deploy to.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Its name: a label of lower-case letters, digits and `-`.
    pub name: String,
    /// Where its release runs.
    pub target: Target,
    /// Settings of the service, by the name of the environment variable; see [`SettingsTable::check`]. A stack gets the variables
    /// of a release only if this is set.
    pub settings: Option<BTreeMap<String, String>>,
    /// The stack of its media, beside the service's, if it has one.
    pub media: Option<Media>,
    /// When a release counts as healthy.
    pub gate: Gate,
    /// How many releases are kept for a rollback, including the one that serves; at least one.
    pub keep_releases: usize,
    /// The proof that a deploy requires of the image; none where it requires none, and in a local environment.
    pub verify: Option<Verify>,
    /// What stands for the values of an account or a host in a rehearsal; empty for a local environment.
    pub rehearsal: Rehearsal,
    pub(super) document: Arc<Document>,
}

/// Values that are used in a rehearsal only, where there is no account to take them from. In a variable `{zone_id}` stands for the id of
/// the zone that the rehearsal has made; in a setting `{aws_endpoint}` for the address of AWS's S3 and SQS. None is secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rehearsal {
    /// Of variables of the stack, which replace those of [`Stack::variables`].
    pub variables: BTreeMap<String, String>,
    /// Of settings of the service, secret ones too.
    pub settings: BTreeMap<String, String>,
}

/// Where a release runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A supervised process on this machine.
    Local(Local),
    /// Scaleway Serverless Containers.
    Scaleway(Scaleway),
    /// Containers of a Docker host.
    Compose(Compose),
    /// Services of an Easypanel.
    Easypanel(Easypanel),
    /// Nothing: only the stack of another environment's media.
    Media(MediaStack),
}

/// A process on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// The TCP port it listens on; never 0.
    pub port: u16,
    /// The address it listens on; 127.0.0.1 by default.
    pub host: IpAddr,
    /// The source of its PostgreSQL.
    pub postgres: Postgres,
}

/// A container at Scaleway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scaleway {
    /// The registry of its image, with the namespace: `rg.fr-par.scw.cloud/meemi`.
    pub registry: String,
    /// Its public host name.
    pub domain: Option<String>,
    /// The OpenTofu stack. Without it, the environment has images only.
    pub stack: Option<Box<Stack>>,
}

/// The source of a local PostgreSQL's programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Postgres {
    /// Those installed on the machine, else downloaded ones.
    #[default]
    Auto,
    /// Those installed on the machine.
    Found,
    /// Downloaded ones.
    Embedded,
}

/// When a release counts as healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate {
    /// How long it may take to become ready, and on a stack also to answer at its public address; whole seconds in deploy.yaml. By
    /// default 60, and 300 on a stack, whose platform has yet to get a certificate, and at Easypanel.
    pub timeout: Duration,
    /// How long it is watched after it has taken over; whole seconds, by default 0, and 60 on a stack.
    pub watch: Duration,
    /// On a stack and at Easypanel: how long neither the platform's status nor the kind of the service's answers may stay the same before the release
    /// is ready; whole seconds, 120 by default.
    pub no_progress: Duration,
}

impl Environment {
    /// The registry of its images, with the namespace; none for a local environment.
    pub fn registry(&self) -> Option<&str> {
        match &self.target {
            Target::Local(_) | Target::Media(_) => None,
            Target::Scaleway(target) => Some(&target.registry),
            Target::Compose(target) => target.registry.as_deref(),
            Target::Easypanel(target) => Some(&target.registry),
        }
    }

    /// Its public host name, if it has one.
    pub fn domain(&self) -> Option<&str> {
        match &self.target {
            Target::Local(_) | Target::Media(_) | Target::Easypanel(_) => None,
            Target::Scaleway(target) => target.domain.as_deref(),
            Target::Compose(target) => target.domain.as_deref(),
        }
    }

    /// Its OpenTofu stack, if it has one.
    pub fn stack(&self) -> Option<&Stack> {
        match &self.target {
            Target::Local(_) | Target::Compose(_) | Target::Easypanel(_) => None,
            Target::Scaleway(target) => target.stack.as_deref(),
            Target::Media(target) => Some(&target.stack),
        }
    }

    /// The Docker hosts on which a deploy switches its releases; none where Docker Compose runs them, and elsewhere.
    pub fn docker_hosts(&self) -> Option<&Compose> {
        match &self.target {
            Target::Compose(target) => target.proxy.is_some().then_some(target),
            Target::Local(_) | Target::Scaleway(_) | Target::Easypanel(_) | Target::Media(_) => None,
        }
    }

    /// The place of its stack's state, or the bucket of lease, journal and records alone; none if they are elsewhere.
    pub fn state(&self) -> Option<&State> {
        match &self.target {
            Target::Easypanel(target) => target.state.as_ref(),
            _ => self.stack().map(|stack| &stack.state),
        }
    }

    /// Whether it has a stack that is not the one of another environment's media.
    pub fn has_own_stack(&self) -> bool {
        self.stack().is_some() && !matches!(self.target, Target::Media(_))
    }
}
