//! What must not be lost is not lost, whatever the flags: no plan that would is kept or applied. The guard is lifted by a
//! commit that takes the line out of deploy.yaml, and by nothing else.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, anyhow};
use camino::Utf8Path;

use super::Infra;
use crate::config::{Config, FILE, Stack};
use crate::failure::Failure;
use crate::tools::git;
use crate::tools::tofu::plan::{Action, Change, Plan};

/// A change that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The resource.
    pub address: String,
    /// What would be done to it.
    pub what: &'static str,
    /// What deploy.yaml says that protects it.
    pub entry: String,
}

/// What is protected: what the commit that is checked out says, and what the file says. A line that is only deleted in the
/// file still holds; one that is only added in it holds too.
pub async fn protected(root: &Utf8Path, environment: &str, stack: &Stack) -> Result<BTreeSet<String>, Failure> {
    let committed = git::show(root, "HEAD", FILE).await.with_context(|| format!("read {FILE} of the last commit"))?;
    let refused = |why: &str| {
        Failure::Refused(anyhow!(
            "{FILE} of the last commit {why}, and what it protects in {environment} is read from there\n  commit {FILE}"
        ))
    };
    let committed = committed.ok_or_else(|| refused("is not there"))?;
    let committed = Config::parse(&committed).map_err(|_| refused("cannot be read"))?;
    let committed = committed.environments.get(environment).and_then(|environment| environment.stack());
    let committed = committed.ok_or_else(|| refused("has no such stack"))?;
    Ok(committed.protect.iter().chain(&stack.protect).cloned().collect())
}

/// Everything in a plan that is refused.
pub fn refusals(plan: &Plan, protected: &BTreeSet<String>) -> Vec<Refusal> {
    plan.resources.all.iter().filter_map(|change| refusal(change, protected)).collect()
}

/// Entries that protect nothing that the plan knows of: slips of the pen, probably.
pub fn idle<'a>(plan: &Plan, protected: &'a BTreeSet<String>) -> Vec<&'a str> {
    let changed = plan.resources.all.iter().flat_map(|change| {
        [Some(&change.address), change.previous_address.as_ref()].into_iter().flatten().map(String::as_str)
    });
    let known: Vec<&str> = changed.chain(plan.resources.unchanged.iter().map(String::as_str)).collect();
    let idle = |entry: &&String| !known.iter().any(|address| covers(entry, address));
    protected.iter().filter(idle).map(String::as_str).collect()
}

/// The entry that protects the resource of this address.
pub fn entry<'a>(address: &str, protected: &'a BTreeSet<String>) -> Option<&'a str> {
    protected.iter().map(String::as_str).find(|entry| covers(entry, address))
}

/// The refusals, for people, and how to lift the guard.
pub fn refused(environment: &str, refusals: &[Refusal]) -> Failure {
    let lines: Vec<String> = refusals
        .iter()
        .map(|Refusal { address, what, entry }| format!("  {address} would be {what}; `protect` names {entry}"))
        .collect();
    Failure::Refused(anyhow!(
        "the plan for {environment} touches what is protected, and cannot be applied:\n{}\n  \
         to lift the guard, take the line out of `protect` in {FILE}, commit that, and type: cargo xtask tofu plan {environment}",
        lines.join("\n")
    ))
}

/// What the stack itself keeps, by `prevent_destroy`, and how to let it go: both guards are lifted by a commit.
pub fn kept(infra: &Infra<'_>, addresses: &[String]) -> Failure {
    let (name, folder) = (infra.name, &infra.stack.folder);
    let lines: Vec<String> = addresses.iter().map(|address| format!("  {address} has `prevent_destroy`")).collect();
    Failure::Refused(anyhow!(
        "the plan for {name} takes away what the stack keeps, and cannot be applied:\n{}\n  \
         to let it go, take `prevent_destroy` out of {folder}, and its line out of `protect` in {FILE} if it has one, \
         commit that, and type: cargo xtask tofu plan {name}",
        lines.join("\n")
    ))
}

fn refusal(change: &Change, protected: &BTreeSet<String>) -> Option<Refusal> {
    let previous = change.previous_address.as_ref();
    let before = entry(previous.unwrap_or(&change.address), protected);
    let now = entry(&change.address, protected);
    let what = match change.action {
        Action::Delete if change.deposed => "deleted, as a remnant of an earlier replacement",
        Action::Delete => "deleted",
        Action::Replace => "deleted and made anew",
        Action::Forget => "forgotten",
        // At its new address it would be without protection.
        _ if before.is_some() && now.is_none() => "moved to an address that is not protected",
        Action::Update | Action::Create | Action::Move | Action::Read | Action::Nothing => return None,
    };
    let entry = before.or(now)?.to_owned();
    Some(Refusal { address: previous.unwrap_or(&change.address).clone(), what, entry })
}

/// Whether an entry means this address: as it is, as something inside of it, by its type, and each of them also without
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
    fn an_entry_means_an_address_a_type_or_a_module() {
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
        assert_eq!(
            refused(&moved("b.new", Action::Move), "b.media"),
            Some("moved to an address that is not protected")
        );
        assert!(refused(&moved("b.new", Action::Update), "b.media").is_some());
        assert!(refused(&moved("b.new", Action::Delete), "b.media").is_some());
        assert_eq!(refused(&moved("b.media[0]", Action::Move), "b.media"), None);
        assert_eq!(refused(&moved("b.new", Action::Move), "b"), None);
    }
}
