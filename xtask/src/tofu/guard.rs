//! Protects the resources that `protect` in deploy.yaml names: a plan that would delete, replace or forget one is neither
//! kept nor applied, whatever the flags. Only a commit that removes the entry lifts the protection.

use std::collections::BTreeSet;

use anyhow::{Context as _, Error, anyhow};
use camino::Utf8Path;

use super::Workspace;
use crate::config::{Config, FILE};
use crate::failure::Failure;
use crate::tools::git;
use crate::tools::tofu::plan::{Action, Change, Plan};

/// A change that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The resource.
    pub address: String,
    /// What would happen to it: `deleted`.
    pub what: &'static str,
    /// The entry of `protect` that covers it.
    pub entry: String,
}

/// The entries of `protect`, both of the checked-out commit and of the file: an entry that was deleted or added without a
/// commit is in force, too.
pub async fn protected(workspace: &Workspace<'_>) -> Result<BTreeSet<String>, Failure> {
    let (name, commit) = (workspace.name(), workspace.source.commit.as_str());
    let committed = git::show(workspace.env.root(), commit, FILE).await;
    let committed = committed.with_context(|| format!("read {FILE} of the checked-out commit"))?;
    let refused = |why: &str| {
        Failure::Refused(anyhow!(
            "`protect` for {name} is read from {FILE} of the checked-out commit, which {why}\n  commit {FILE}"
        ))
    };
    let committed = committed.ok_or_else(|| refused("does not have that file"))?;
    let committed = Config::parse(&committed).map_err(|_| refused("has errors"))?;
    let committed = committed.environments.get(name).and_then(|environment| environment.stack());
    let committed = committed.ok_or_else(|| refused("has no stack for it"))?;
    Ok(committed.protect.iter().chain(&workspace.stack.protect).cloned().collect())
}

/// Every change of a plan that is refused.
pub fn refusals(plan: &Plan, protected: &BTreeSet<String>) -> Vec<Refusal> {
    plan.resources.all.iter().filter_map(|change| refusal(change, protected)).collect()
}

/// Entries that cover no resource of the plan, probably because of a typing error.
pub fn unused_protect_entries(plan: &Plan, protected: &BTreeSet<String>) -> Vec<String> {
    let changed = plan.resources.all.iter().flat_map(|change| {
        [Some(&change.address), change.previous_address.as_ref()].into_iter().flatten().map(String::as_str)
    });
    let known: Vec<&str> = changed.chain(plan.resources.unchanged.iter().map(String::as_str)).collect();
    let is_unused = |entry: &&String| !known.iter().any(|address| covers(entry, address));
    protected.iter().filter(is_unused).cloned().collect()
}

/// The entry that protects the resource with this address.
pub fn entry<'a>(address: &str, protected: &'a BTreeSet<String>) -> Option<&'a str> {
    protected.iter().map(String::as_str).find(|entry| covers(entry, address))
}

/// The error of a plan with refusals, and how to lift the protection.
pub fn refused(environment: &str, refusals: &[Refusal]) -> Error {
    let lines: Vec<String> = refusals
        .iter()
        .map(|Refusal { address, what, entry }| format!("  {address} would be {what}; `protect` names {entry}"))
        .collect();
    anyhow!(
        "the plan for {environment} affects protected resources and cannot be applied:\n{}\n  \
         to lift the protection, remove the entry from `protect` in {FILE}, commit that, and type: cargo xtask tofu plan {environment}",
        lines.join("\n")
    )
}

/// The error of a plan that would destroy what the stack itself protects by `prevent_destroy`, and how to lift that.
pub fn prevented_destroys(environment: &str, stack: &Utf8Path, addresses: &[String]) -> Error {
    let lines: Vec<String> = addresses.iter().map(|address| format!("  {address} has `prevent_destroy`")).collect();
    anyhow!(
        "the plan for {environment} would destroy protected resources and cannot be applied:\n{}\n  \
         to lift the protection, remove `prevent_destroy` from {stack}, and the entry from `protect` in {FILE} if there is one, \
         commit that, and type: cargo xtask tofu plan {environment}",
        lines.join("\n")
    )
}

fn refusal(change: &Change, protected: &BTreeSet<String>) -> Option<Refusal> {
    let previous = change.previous_address.as_ref();
    let before = entry(previous.unwrap_or(&change.address), protected);
    let now = entry(&change.address, protected);
    let what = match change.action {
        Action::Delete if change.deposed => "deleted: a deposed object of an earlier replacement",
        Action::Delete => "deleted",
        Action::Replace => "replaced",
        Action::Forget => "forgotten",
        _ if before.is_some() && now.is_none() => "moved to an unprotected address",
        Action::Update | Action::Create | Action::Move | Action::Read | Action::Nothing => return None,
    };
    let entry = before.or(now)?.to_owned();
    Some(Refusal { address: previous.unwrap_or(&change.address).clone(), what, entry })
}

/// Whether an entry covers this address: it is the address itself, a module that contains it, or its type, with or without
/// the keys of `count` and `for_each`.
fn covers(entry: &str, address: &str) -> bool {
    let plain = without_keys(address);
    let inside =
        |address: &str| address.strip_prefix(entry).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
    inside(address) || inside(&plain) || type_of(&plain) == Some(entry)
}

/// `module.a["x.y"].t.n[0]` → `module.a.t.n`.
fn without_keys(address: &str) -> String {
    let (mut plain, mut depth, mut quoted, mut escaped) = (String::new(), 0, false, false);
    for c in address.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' if depth > 0 => quoted = !quoted,
            '[' if !quoted => depth += 1,
            ']' if !quoted => depth -= 1,
            c if depth == 0 => plain.push(c),
            _ => {}
        }
    }
    plain
}

/// The type of the resource at an address without keys.
fn type_of(plain: &str) -> Option<&str> {
    plain.rsplit('.').nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(address: &str, action: Action) -> Change {
        Change {
            address: address.to_owned(),
            previous_address: None,
            kind: "t".to_owned(),
            action,
            reason: None,
            because_of: vec![],
            attributes: vec![],
            deposed: false,
            imported: false,
        }
    }

    fn refused(change: &Change, entry: &str) -> Option<&'static str> {
        refusal(change, &BTreeSet::from([entry.to_owned()])).map(|refusal| refusal.what)
    }

    #[test]
    fn an_entry_covers_an_address_a_type_or_a_module() {
        for (entry, address) in [
            ("b.media", "b.media"),
            ("b.media", "b.media[0]"),
            ("b.media", "b.media[\"a.b]\"]"),
            ("b", "b.media[0]"),
            ("b", "module.x[\"b.c\"].b.media"),
            ("module.x", "module.x[0].b.media"),
            ("module.x.b.media", "module.x[\"\\\"]\"].b.media[1]"),
            ("b.media[0]", "b.media[0]"),
        ] {
            assert!(covers(entry, address), "{entry} {address}");
        }
        for (entry, address) in [
            ("b.media", "b.media2"),
            ("b", "bb.media"),
            ("media", "b.media"),
            ("b.media[0]", "b.media[1]"),
            ("b", "c.b"),
        ] {
            assert!(!covers(entry, address), "{entry} {address}");
        }
    }

    #[test]
    fn what_takes_a_protected_resource_away_is_refused_and_nothing_else_is() {
        for action in [Action::Delete, Action::Replace, Action::Forget] {
            assert!(refused(&change("b.media", action), "b.media").is_some(), "{action:?}");
            assert_eq!(refused(&change("b.other", action), "b.media"), None);
        }
        for action in [Action::Update, Action::Create, Action::Read, Action::Move] {
            assert_eq!(refused(&change("b.media", action), "b.media"), None, "{action:?}");
        }
    }

    #[test]
    fn nothing_leaves_its_protection_by_a_new_address() {
        let previous_address = Some("b.media".to_owned());
        let moved = |to: &str, action| Change { previous_address: previous_address.clone(), ..change(to, action) };
        assert_eq!(refused(&moved("b.new", Action::Move), "b.media"), Some("moved to an unprotected address"));
        assert!(refused(&moved("b.new", Action::Update), "b.media").is_some());
        assert!(refused(&moved("b.new", Action::Delete), "b.media").is_some());
        assert_eq!(refused(&moved("b.media[0]", Action::Move), "b.media"), None);
        assert_eq!(refused(&moved("b.new", Action::Move), "b"), None);
    }
}
