//! What an environment still needs of the things that its records name.

use anyhow::anyhow;

use super::{Outcome, Record};
use crate::failure::Failure;

/// The things (`of` names the one of a record) that an environment may need, each with what for: `runs it`. These are the one that
/// serves, those that a rollback can restore, those that served before them, and those of deploys since the live release that
/// failed. `records` has the oldest first.
pub fn uses<'r>(
    records: &'r [Record],
    keep_releases: usize,
    of: impl Fn(&'r Record) -> Option<&'r str>,
) -> Vec<(&'r str, String)> {
    let live: Vec<&Record> = records.iter().rev().filter(|record| record.outcome == Outcome::Live).collect();
    let mut kept: Vec<&str> = Vec::new();
    let mut uses = Vec::new();
    for thing in live.iter().filter_map(|record| of(record)) {
        if !kept.contains(&thing) && kept.len() < keep_releases.max(1) {
            let what = if kept.is_empty() { "runs it" } else { "can roll back to it" };
            kept.push(thing);
            uses.push((thing, what.to_owned()));
        }
    }
    for record in live.iter().filter(|record| of(record).is_some_and(|thing| kept.contains(&thing))) {
        let before = records.iter().find(|other| Some(&other.id) == record.previous.as_ref());
        if let Some(thing) = before.and_then(&of).filter(|thing| !kept.contains(thing)) {
            uses.push((thing, "ran it before".to_owned()));
        }
    }
    // A deploy that failed or was interrupted may have started it.
    for record in records.iter().rev().take_while(|record| record.outcome != Outcome::Live) {
        if let Some(thing) = of(record).filter(|thing| !kept.contains(thing)) {
            uses.push((thing, format!("may run it (deploy {})", record.outcome.words())));
        }
    }
    uses
}

/// That environments have no record of a live release, so that their uses are not known. `things` are what they use.
pub fn without_live(environments: &[String], things: &str) -> String {
    format!("no live release of {} is recorded, so {things} are not known", environments.join(", "))
}

/// Refuses to delete anything while there are such environments.
pub fn refuse_without_live(environments: &[String], things: &str) -> Result<(), Failure> {
    if environments.is_empty() {
        return Ok(());
    }
    let flags: Vec<String> = environments.iter().map(|name| format!("--never-deployed {name}")).collect();
    Err(Failure::Refused(anyhow!(
        "nothing was deleted: {}\n  if it was never deployed, add: {}",
        without_live(environments, things),
        flags.join(" ")
    )))
}
