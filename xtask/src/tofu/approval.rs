//! An approval is for one plan: for its file, its commit and its version of the state, and for a limited time. When one of
//! them is different, a new plan is needed.

use anyhow::{Context as _, Result, anyhow};
use jiff::{SignedDuration, Timestamp};

use crate::config::Stack;
use crate::failure::Failure;
use crate::release::Source;
use crate::state::plan_store::PlanRecord;
use crate::tools::tofu::StateVersion;
use crate::tools::tofu::plan::{Action, Change, Plan};

/// The resource that runs a release.
const CONTAINER: &str = "scaleway_container";

/// What a release sets of it: the variables `image`, `release`, `settings` and `secrets`.
const OF_THE_RELEASE: [&str; 4] = ["image", "registry_image", "environment_variables", "secret_environment_variables"];

/// What the platform alone sets of it, so no configuration changes it.
const OF_THE_PLATFORM: [&str; 3] = ["status", "error_message", "cron_status"];

/// Whether a plan changes nothing but what a release sets of the stack's containers, in place. Nothing else may change: no
/// resource is created, deleted, replaced, moved, imported or forgotten, no other attribute is updated, and no output comes or goes,
/// which only changed files of the stack cause. A data source that is read again changes nothing by itself.
pub fn is_of_the_release(plan: &Plan) -> bool {
    let of_the_release = |change: &Change| match change.action {
        Action::Read | Action::Nothing => true,
        Action::Update => change.kind == CONTAINER && !change.imported && is_set_by_release(&change.attributes),
        Action::Delete | Action::Replace | Action::Forget | Action::Create | Action::Move => false,
    };
    !plan.errored
        && plan.resources.all.iter().any(|change| change.action == Action::Update)
        && plan.resources.all.iter().all(|change| of_the_release(change) && change.previous_address.is_none())
        && plan.outputs.values().all(|output| matches!(output.action, Action::Update | Action::Nothing))
}

fn is_set_by_release(attributes: &[String]) -> bool {
    let is_one = |names: &[&str], name: &String| names.contains(&name.as_str());
    attributes.iter().any(|name| is_one(&OF_THE_RELEASE, name))
        && attributes.iter().all(|name| is_one(&OF_THE_RELEASE, name) || is_one(&OF_THE_PLATFORM, name))
}

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
    if age.is_negative() {
        let (minutes, now) = (-age.as_mins(), now.strftime("%Y-%m-%d %H:%M:%SZ"));
        return refused(format!(
            "the plan was made {minutes} minutes after this machine's time, {now}: the clock of this machine is wrong, or that of the \
             machine that planned"
        ));
    }
    let valid_for = SignedDuration::try_from(stack.approval_lasts).context("read `approval_minutes`")?;
    if age > valid_for {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A plan with these changes of resources and outputs, as OpenTofu writes them.
    fn plan(resources: &str, outputs: &str) -> Plan {
        serde_json::from_str(&format!("{{\"resource_changes\":[{resources}],\"output_changes\":{{{outputs}}}}}"))
            .unwrap()
    }

    /// The change of a resource of this type. `more` are further fields.
    fn change(kind: &str, actions: &str, before: &str, after: &str, more: &str) -> String {
        format!(
            r#"{{"address":"{kind}.a","type":"{kind}"{more},"change":{{"actions":[{actions}],"before":{before},"after":{after}}}}}"#
        )
    }

    #[test]
    fn only_an_update_of_what_a_release_sets_is_of_the_release() {
        let update = |before: &str, after: &str| change(CONTAINER, r#""update""#, before, after, "");
        let image = update(r#"{"image":"a","cpu_limit":1}"#, r#"{"image":"b","cpu_limit":1}"#);
        let settings = update(
            r#"{"environment_variables":{"A":"1"},"secret_environment_variables":{},"registry_image":"a","status":"ready"}"#,
            r#"{"environment_variables":{"A":"2"},"secret_environment_variables":{"B":"c"},"registry_image":"b","status":null}"#,
        );
        let output = |action: &str| format!(r#""image":{{"actions":["{action}"]}}"#);
        let read = change("scaleway_secret", r#""read""#, "null", "{}", "");
        for (resources, outputs) in [
            (image.clone(), output("update")),
            (image.clone(), String::new()),
            (settings.clone(), output("no-op")),
            (format!("{image},{settings}"), String::new()),
            (format!("{image},{read}"), String::new()),
        ] {
            assert!(is_of_the_release(&plan(&resources, &outputs)), "{resources} {outputs}");
        }
        let other =
            |actions: &str, more: &str| change(CONTAINER, actions, r#"{"image":"a"}"#, r#"{"image":"b"}"#, more);
        for (why, resources, outputs) in [
            ("nothing changes", String::new(), String::new()),
            ("only an output changes", String::new(), output("update")),
            ("only the platform's part", update(r#"{"status":"a"}"#, r#"{"status":"b"}"#), String::new()),
            (
                "memory, too",
                update(r#"{"image":"a","memory_limit":1}"#, r#"{"image":"b","memory_limit":2}"#),
                String::new(),
            ),
            ("only memory", update(r#"{"memory_limit":1}"#, r#"{"memory_limit":2}"#), String::new()),
            ("replaced", other(r#""delete","create""#, ""), String::new()),
            ("created", other(r#""create""#, ""), String::new()),
            ("deleted", other(r#""delete""#, ""), String::new()),
            ("forgotten", other(r#""forget""#, ""), String::new()),
            ("moved", other(r#""update""#, r#","previous_address":"scaleway_container.b""#), String::new()),
            ("a deposed object", format!("{image},{}", other(r#""delete""#, r#","deposed":"x""#)), String::new()),
            (
                "another resource",
                format!("{image},{}", change("aws_route53_record", r#""update""#, r#"{"ttl":1}"#, r#"{"ttl":2}"#, "")),
                String::new(),
            ),
            (
                "another type",
                change("scaleway_function", r#""update""#, r#"{"image":"a"}"#, r#"{"image":"b"}"#, ""),
                String::new(),
            ),
            ("an output comes", image.clone(), output("create")),
            ("an output goes", image.clone(), output("delete")),
        ] {
            assert!(!is_of_the_release(&plan(&resources, &outputs)), "{why}");
        }
        let unfinished = Plan { errored: true, ..plan(&image, "") };
        assert!(!is_of_the_release(&unfinished));
    }
}
