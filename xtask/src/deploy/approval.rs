//! Who approves what a deploy changes on a stack: a person at the terminal, or one who has seen the kept plan, by its digest.

use anyhow::anyhow;

use super::changes::Plan;
use crate::config::Approvals;
use crate::confirm::confirmed;
use crate::env::Env;
use crate::failure::Failure;

/// How the changes of a stack are approved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Approval<'r> {
    /// The user is asked at the terminal.
    #[default]
    Ask,
    /// The user has seen the kept plan with this digest: exactly that one is applied.
    Digest(&'r str),
    /// Nothing is applied: the plan is kept for the person who approves it.
    PlanOnly,
}

impl<'r> Approval<'r> {
    /// The digest of the kept plan.
    pub fn digest(self) -> Option<&'r str> {
        match self {
            Self::Digest(digest) => Some(digest),
            Self::Ask | Self::PlanOnly => None,
        }
    }
}

/// Fails unless the stack's changes are approved: by the digest, by deploy.yaml, or by the user's answer. `command` is what the
/// digest would be given to.
pub async fn approve(env: &Env<'_>, plan: &Plan, approval: Approval<'_>, command: &str) -> Result<(), Failure> {
    let Some(stack) = plan.stack.as_ref().filter(|stack| stack.has_changes) else { return Ok(()) };
    let approvals = env.environment.stack().map(|stack| stack.approval).unwrap_or_default();
    // The target has compared the digest with the plan.
    if approval.digest().is_some() || approvals == Approvals::No {
        return Ok(());
    }
    env.report.note(&stack.text());
    if approvals == Approvals::BeyondTheRelease && stack.changes_only_the_release() {
        env.report.note("nothing but the release changes, and deploy.yaml has `approval: none`: no question is asked");
        return Ok(());
    }
    let name = env.name();
    if confirmed(&env.report, &env.stop, &format!("Apply this to {name}?"), "nothing was applied").await? {
        return Ok(());
    }
    let digest = stack.approval().unwrap_or_default();
    Err(Failure::Refused(anyhow!(
        "nothing was applied: the plan is not approved; to approve it, type: {command} --approve {digest}"
    )))
}
