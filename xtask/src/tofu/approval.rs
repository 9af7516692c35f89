//! An approval is for one plan: for its file, its commit and its version of the state, and for a limited time. When one of
//! them is different, a new plan is needed.

use anyhow::{Context as _, Result, anyhow};
use jiff::{SignedDuration, Timestamp};

use crate::config::Stack;
use crate::failure::Failure;
use crate::release::Source;
use crate::state::plan_store::PlanRecord;
use crate::tools::tofu::StateVersion;

/// Fails if the plan must not be applied to this environment and what is checked out now.
pub fn check(
    record: &PlanRecord,
    environment: &str,
    stack: &Stack,
    source: &Source,
    now: Timestamp,
) -> Result<(), Failure> {
    let refused = |why: String| Err(refused(environment, &why));
    if record.environment != environment {
        return refused(format!("the plan is for {}", record.environment));
    }
    if !source.is_clean() {
        return refused(format!(
            "the tree is {}, and only a commit can be applied; commit or stash the changes",
            source.version
        ));
    }
    if source.version != record.version || source.commit != record.commit {
        return refused(format!("the plan was made from {}, and {} is checked out", record.version, source.version));
    }
    let age = now.duration_since(record.made);
    let valid_for = SignedDuration::try_from(stack.approval_lasts).context("read `approval_minutes`")?;
    if age > valid_for || age.is_negative() {
        let (minutes, valid_for) = (age.as_mins(), valid_for.as_mins());
        return refused(format!(
            "the plan is {minutes} minutes old, and a plan is valid for {valid_for} (`approval_minutes`)"
        ));
    }
    Ok(())
}

/// Fails if the state is not the one that the plan was made from.
pub fn check_state(record: &PlanRecord, state: &StateVersion) -> Result<(), Failure> {
    if record.state == *state {
        return Ok(());
    }
    let why = if record.state.lineage == state.lineage {
        let (before, now) = (record.state.serial, state.serial);
        format!("the state has changed since the plan was made: its serial was {before}, and is {now} now")
    } else {
        "the plan was made from another state: its lineage is different".to_owned()
    };
    Err(refused(&record.environment, &why))
}

/// Why a plan is not applied, and the command that makes a new one.
pub fn refused(environment: &str, why: &str) -> Failure {
    Failure::Refused(anyhow!("nothing was applied: {why}\n  make a new plan: cargo xtask tofu plan {environment}"))
}
