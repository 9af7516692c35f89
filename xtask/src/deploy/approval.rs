//! Who approves what a deploy changes on its stacks: a person at the terminal, or one who has seen the kept plan, by its digest.

use anyhow::anyhow;

use super::changes::Plan;
use crate::config::Approvals;
use crate::confirm::confirmed;
use crate::env::Env;
use crate::failure::Failure;
use crate::targets::Planned;

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

/// Fails unless the changes of the stacks are approved: by the digest, by deploy.yaml, or by the user's answer. `command` is what the
/// digest would be given to.
pub async fn approve(env: &Env<'_>, plan: &Plan, approval: Approval<'_>, command: &str) -> Result<(), Failure> {
    // A digest that was given was compared with the plan.
    let of_media = plan.media.as_ref().filter(|media| !media.is_approved).map(|media| &media.planned);
    let of_media = of_media.zip(env.environment.media.as_ref().map(|media| media.stack.approval));
    let of_service = plan.stack.as_ref().filter(|stack| stack.has_changes && approval.digest().is_none());
    let of_service = of_service.zip(env.environment.stack().map(|stack| stack.approval));
    let open = [of_media, of_service].into_iter().flatten().filter(|(_, approvals)| *approvals != Approvals::No);
    let open: Vec<_> = open.collect();
    if open.is_empty() {
        return Ok(());
    }
    for (planned, _) in &open {
        env.report.note(&planned.text());
    }
    let needs_none = |(planned, approvals): &(&Planned, Approvals)| {
        *approvals == Approvals::BeyondTheRelease && planned.changes_only_the_release()
    };
    if open.iter().all(needs_none) {
        env.report.note("nothing but the release changes, and deploy.yaml has `approval: none`: no question is asked");
        return Ok(());
    }
    let name = env.name();
    if confirmed(&env.report, &env.stop, &format!("Apply this to {name}?"), "nothing was applied").await? {
        return Ok(());
    }
    let digest = plan.approval().unwrap_or_default();
    Err(Failure::Refused(anyhow!(
        "nothing was applied: the plan is not approved; to approve it, type: {command} --approve {digest}"
    )))
}
