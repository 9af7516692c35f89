//! A plan as short text, as Markdown for a pull request, and as JSON. Addresses and names only, no values.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::guard::{Refusal, entry};
use crate::tools::tofu::plan::{Action, Change, Plan};

/// How many changes are listed; the rest is counted. The most dangerous come first.
const LISTED: usize = 40;

/// How many names of attributes are listed for one change.
const NAMES: usize = 4;

/// A plan, to be shown.
pub struct PlanSummary<'a> {
    /// The environment.
    pub environment: &'a str,
    /// The plan.
    pub plan: &'a Plan,
    /// The entries of `protect`.
    pub protected: &'a BTreeSet<String>,
    /// Changes that `protect` refuses.
    pub refusals: &'a [Refusal],
}

impl PlanSummary<'_> {
    /// `2 to create, 1 to replace; 5 unchanged`.
    pub fn counts(&self) -> String {
        let counts = counts(&self.plan.resources.all);
        let mut parts: Vec<String> =
            counts.iter().map(|(action, count)| format!("{count} to {}", verb(*action))).collect();
        if parts.is_empty() {
            parts.push(match self.plan.outputs.values().any(|output| output.action != Action::Nothing) {
                true => "only outputs change".to_owned(),
                false => "nothing to change".to_owned(),
            });
        }
        match self.plan.resources.unchanged.len() {
            0 => parts.join(", "),
            unchanged => format!("{}; {unchanged} unchanged", parts.join(", ")),
        }
    }

    /// One line for each change, the most dangerous first.
    pub fn text(&self) -> String {
        let mut lines = Vec::new();
        let mut all: Vec<&Change> = self.plan.resources.all.iter().collect();
        let refused: BTreeSet<&str> = self.refusals.iter().map(|refusal| refusal.address.as_str()).collect();
        all.sort_by_key(|change| (!refused.contains(before(change)), change.action));
        let (listed, rest) = all.split_at(all.len().min(LISTED));
        let width = listed.iter().map(|change| change.address.chars().count()).max().unwrap_or_default().min(60);
        for change in listed {
            let about = self.about(change);
            let line =
                format!("{} {:<8} {:<width$}  {about}", sign(change.action), verb(change.action), change.address);
            lines.push(line.trim_end().to_owned());
        }
        if !rest.is_empty() {
            let counts: Vec<String> = counts(rest.iter().copied())
                .iter()
                .map(|(action, count)| format!("{count} to {}", verb(*action)))
                .collect();
            lines.push(format!("… and {} more: {}", rest.len(), counts.join(", ")));
        }
        lines.extend(self.drift());
        let outputs: Vec<String> = self
            .plan
            .outputs
            .iter()
            .filter(|(_, output)| output.action != Action::Nothing)
            .map(|(name, output)| format!("{} {name}", sign(output.action)))
            .collect();
        if !outputs.is_empty() {
            lines.push(format!("outputs  {}", some_of(&outputs, LISTED)));
        }
        lines.join("\n")
    }

    /// The same as Markdown. `approval` is the digest that approves the plan.
    pub fn markdown(&self, approval: Option<&str>) -> String {
        let text = self.text();
        // A key of `for_each` may have backticks in it; the fence is longer than any run of them.
        let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
        let fence = "`".repeat(3.max(longest + 1));
        let mut page = format!("### {}: {}\n", self.environment, self.counts());
        if !text.is_empty() {
            page.push_str(&format!("\n{fence}text\n{text}\n{fence}\n"));
        }
        if !self.refusals.is_empty() {
            page.push_str("\n**Refused**: the plan affects protected resources.\n");
        } else if let Some(approval) = approval {
            page.push_str(&format!(
                "\nApprove with `cargo xtask tofu apply {} --approve {approval}`\n",
                self.environment
            ));
        }
        page
    }

    /// Every change, as JSON.
    pub fn json(&self) -> Value {
        let counts: BTreeMap<&str, usize> =
            counts(&self.plan.resources.all).into_iter().map(|(action, count)| (verb(action), count)).collect();
        let outputs: BTreeMap<&String, Action> = self
            .plan
            .outputs
            .iter()
            .filter(|(_, output)| output.action != Action::Nothing)
            .map(|(name, output)| (name, output.action))
            .collect();
        let refused: Vec<Value> = self
            .refusals
            .iter()
            .map(|Refusal { address, what, entry }| json!({ "address": address, "what": what, "protected_by": entry }))
            .collect();
        json!({
            "environment": self.environment,
            "counts": counts,
            "unchanged": self.plan.resources.unchanged.len(),
            "changes": self.plan.resources.all,
            "drift": self.plan.drift.all,
            "outputs": outputs,
            "refused": refused,
        })
    }

    /// The reason of a change, and the names of its attributes.
    fn about(&self, change: &Change) -> String {
        let mut about = Vec::new();
        if self.refusals.iter().any(|refusal| refusal.address == before(change)) {
            about.push("PROTECTED: refused".to_owned());
        } else if entry(&change.address, self.protected).is_some() {
            about.push("protected".to_owned());
        }
        if !change.because_of.is_empty() {
            about.push(format!("because of {}", some_of(&change.because_of, NAMES)));
        } else if let Some(reason) = change.reason.as_deref().and_then(reason) {
            about.push(reason);
        }
        if !change.attributes.is_empty() {
            about.push(some_of(&change.attributes, NAMES));
        }
        if change.deposed {
            about.push("deposed object of an earlier replacement".to_owned());
        }
        if let Some(previous) = &change.previous_address {
            about.push(format!("was {previous}"));
        }
        if change.imported {
            about.push("imported".to_owned());
        }
        about.join("; ")
    }

    /// Changes that were made outside of OpenTofu.
    fn drift(&self) -> Vec<String> {
        let drifted: Vec<&Change> = self.plan.drift.all.iter().filter(|change| change.action != Action::Move).collect();
        let line = |change: &&Change| match change.action {
            Action::Delete => format!("! {} was deleted outside of OpenTofu", change.address),
            _ => {
                let names = some_of(&change.attributes, NAMES);
                format!("! {} was changed outside of OpenTofu: {names}", change.address)
            }
        };
        let mut lines: Vec<String> = drifted.iter().take(LISTED).map(line).collect();
        if drifted.len() > LISTED {
            lines.push(format!("! and {} more were changed or deleted outside of OpenTofu", drifted.len() - LISTED));
        }
        lines
    }
}

/// The address of the resource in the state.
fn before(change: &Change) -> &str {
    change.previous_address.as_ref().unwrap_or(&change.address)
}

fn counts<'a>(changes: impl IntoIterator<Item = &'a Change>) -> BTreeMap<Action, usize> {
    let mut counts = BTreeMap::new();
    for change in changes {
        *counts.entry(change.action).or_default() += 1;
    }
    counts
}

fn some_of(names: &[String], most: usize) -> String {
    match names.len().checked_sub(most) {
        Some(more @ 1..) => format!("{} and {more} more", names[..most].join(", ")),
        _ => names.join(", "),
    }
}

/// The sign of an operation.
fn sign(action: Action) -> char {
    match action {
        Action::Delete => '-',
        Action::Replace => '±',
        Action::Forget => '×',
        Action::Update => '~',
        Action::Create => '+',
        Action::Move => '→',
        Action::Read => '?',
        Action::Nothing => ' ',
    }
}

fn verb(action: Action) -> &'static str {
    match action {
        Action::Delete => "delete",
        Action::Replace => "replace",
        Action::Forget => "forget",
        Action::Update => "update",
        Action::Create => "create",
        Action::Move => "move",
        Action::Read => "read",
        Action::Nothing => "leave",
    }
}

/// OpenTofu's reason in words; none if the operation says the same.
fn reason(reason: &str) -> Option<String> {
    Some(match reason {
        "replace_because_cannot_update" => "cannot be changed in place".to_owned(),
        "replace_because_tainted" => "tainted: an earlier apply failed halfway".to_owned(),
        "replace_by_request" => "requested".to_owned(),
        "replace_by_triggers" => "by replace_triggered_by".to_owned(),
        "delete_because_no_resource_config" => "no longer in the stack".to_owned(),
        "delete_because_no_module" => "its module is no longer in the stack".to_owned(),
        "delete_because_count_index" => "its index is beyond count".to_owned(),
        "delete_because_each_key" => "its key is no longer in for_each".to_owned(),
        "delete_because_enabled_false" => "no longer enabled".to_owned(),
        "delete_because_wrong_repetition" => "count or for_each was added or removed".to_owned(),
        "read_because_config_unknown" | "read_because_dependency_pending" | "read_because_check_nested" => return None,
        other => other.replace('_', " "),
    })
}

#[cfg(test)]
mod tests;
