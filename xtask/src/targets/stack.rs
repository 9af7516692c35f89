//! What an OpenTofu stack makes: a container that runs the service's image.

use anyhow::anyhow;

use crate::check::Check;
use crate::clients::service::Service;
use crate::env::Env;
use crate::failure::Failure;
use crate::release::{Artifact, Published, Release, Settings, Source};
use crate::report::Ongoing;
use crate::signals::Stop;
use crate::tofu;
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

    /// Every check of stack, image, registry and zone. None changes anything.
    pub async fn checks(&self) -> Result<Vec<Check>, Failure> {
        if self.env.environment.stack().is_none() {
            return Ok(Vec::new());
        }
        tofu::checks(self.env).await
    }

    /// The values of the service's settings. The stack provides the rest.
    pub fn provision(&self) -> Result<Settings, Failure> {
        Err(self.unsupported("resolving settings"))
    }

    /// Builds the commit's image, unless it exists already.
    pub async fn build(&self, source: &Source, _: &Ongoing) -> Result<Artifact, Failure> {
        let _ = source;
        Err(self.unsupported("building"))
    }

    /// Whether the image is still there.
    pub async fn has_built(&self, _: &Artifact) -> bool {
        false
    }

    /// Pushes the image.
    pub async fn publish(&self, _: &Artifact, _: &Ongoing) -> Result<Published, Failure> {
        Err(self.unsupported("publishing"))
    }

    /// Whether the registry still has the image.
    pub async fn has_published(&self, _: &Published) -> bool {
        false
    }

    /// What the stack would change.
    pub async fn plan(&self, _: &Release, _: &Settings, _: &Ongoing) -> Result<Planned, Failure> {
        Err(self.unsupported("planning"))
    }

    /// Applies a plan.
    pub async fn apply(&self, _: &Planned, _: &Ongoing, _: &Stop) -> Result<Candidate, Failure> {
        Err(self.unsupported("applying"))
    }

    /// What this target cannot do.
    pub fn unsupported(&self, what: &str) -> Failure {
        let name = self.env.name();
        Failure::Usage(anyhow!(
            "{what} works with `target: local` only, and {name} runs on a stack\n  commands for {name}: cargo xtask image push {name}, cargo xtask tofu plan {name}"
        ))
    }
}

impl Candidate {
    /// Where to read the container's log.
    pub fn where_its_log_is(&self) -> String {
        "its log is in the platform's console".to_owned()
    }
}
