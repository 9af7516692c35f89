//! What an OpenTofu stack makes: a container that runs the service's image.

use anyhow::anyhow;

use crate::check::Check;
use crate::clients::service::Service;
use crate::config::SuppliedBy;
use crate::env::Env;
use crate::failure::Failure;
use crate::release::{Artifact, ArtifactForm, Published, PublishedForm, Release, Settings, Source};
use crate::report::Ongoing;
use crate::signals::Stop;
use crate::tofu::plan::Planned;

/// An environment whose release runs on a stack.
pub struct Stack<'a> {
    env: &'a Env<'a>,
}

/// A release that a stack has.
pub struct Candidate {
    /// Where its readiness is asked for.
    pub service: Service,
    /// What was applied.
    pub summary: String,
}

impl<'a> Stack<'a> {
    /// The target of an environment.
    pub fn new(env: &'a Env<'a>) -> Self {
        Self { env }
    }

    /// What this target cannot do.
    pub fn unsupported(&self, what: &str) -> Failure {
        let name = self.env.name();
        Failure::Usage(anyhow!(
            "{what} works with `target: local` only, and {name} runs on a stack\n  commands for {name}: cargo xtask image push {name}, cargo xtask tofu plan {name}"
        ))
    }
}
