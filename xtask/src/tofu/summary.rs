//! A plan that people read in ten seconds, and the same for programs and for a pull request. Addresses and names only.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::guard::{Refusal, entry};
use crate::tools::tofu::plan::{Action, Change, Plan};

/// Changes that are listed; of more, those that take something away come first and the rest is counted.
const LISTED: usize = 40;

/// Names of attributes that are listed for one change.
const NAMES: usize = 4;

/// What there is to say of a plan.
pub struct Summary<'a> {
    /// The environment.
    pub environment: &'a str,
    /// What would be done.
    pub plan: &'a Plan,
    /// What is protected.
    pub protected: &'a BTreeSet<String>,
    /// What the guard refuses.
    pub refusals: &'a [Refusal],
}

impl Summary<'_> {
    /// `2 to create, 1 to replace; 5 stay as they are`.
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
            1 => format!("{}; 1 stays as it is", parts.join(", ")),
            more => format!("{}; {more} stay as they are", parts.join(", ")),
        }
    }

    /// One line for each change, the gravest first.
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

    /// The same as a part of a page.
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
            page.push_str("\n**Refused by the guard**: it touches what is protected.\n");
        } else if let Some(approval) = approval {
            page.push_str(&format!(
                "\nApprove with `cargo xtask tofu apply {} --approve {approval}`\n",
                self.environment
            ));
        }
        page
    }

    /// The same for programs, every change of it.
    pub fn detail(&self) -> Value {
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

    /// Why, and what of it.
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
            about.push("a remnant of an earlier replacement".to_owned());
        }
        if let Some(previous) = &change.previous_address {
            about.push(format!("was {previous}"));
        }
        if change.imported {
            about.push("exists and is taken over".to_owned());
        }
        about.join("; ")
    }

    /// What others have done.
    fn drift(&self) -> Vec<String> {
        let drifted: Vec<&Change> = self.plan.drift.all.iter().filter(|change| change.action != Action::Move).collect();
        let line = |change: &&Change| match change.action {
            Action::Delete => format!("! {} was deleted by somebody else", change.address),
            _ => {
                let names = some_of(&change.attributes, NAMES);
                format!("! {} was changed by somebody else: {names}", change.address)
            }
        };
        let mut lines: Vec<String> = drifted.iter().take(LISTED).map(line).collect();
        if drifted.len() > LISTED {
            lines.push(format!("! and {} more were changed or deleted by somebody else", drifted.len() - LISTED));
        }
        lines
    }
}

/// Where the resource is now.
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

/// One letter for what is done.
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

/// OpenTofu's reason in words; none where the words would say what the sign says.
fn reason(reason: &str) -> Option<String> {
    Some(match reason {
        "replace_because_cannot_update" => "cannot be changed in place".to_owned(),
        "replace_because_tainted" => "an earlier apply left it half done".to_owned(),
        "replace_by_request" => "asked for".to_owned(),
        "replace_by_triggers" => "because of what it is replaced with".to_owned(),
        "delete_because_no_resource_config" => "is not in the stack any more".to_owned(),
        "delete_because_no_module" => "its module is not in the stack any more".to_owned(),
        "delete_because_count_index" => "beyond its count".to_owned(),
        "delete_because_each_key" => "its key is not in for_each any more".to_owned(),
        "delete_because_enabled_false" => "is not enabled any more".to_owned(),
        "delete_because_wrong_repetition" => "has count or for_each now, or no more".to_owned(),
        "read_because_config_unknown" | "read_because_dependency_pending" | "read_because_check_nested" => return None,
        other => other.replace('_', " "),
    })
}

#[cfg(test)]
mod tests;
