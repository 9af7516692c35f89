//! Setting what GitHub lacks or has otherwise.

use std::collections::BTreeMap;

use anyhow::{Context as _, anyhow};
use secrecy::ExposeSecret as _;

use super::given::{self, Set};
use super::{Entry, Plan, State, at_github, key, places, scope};
use crate::clients::github::GitHub;
use crate::env::Env;
use crate::failure::Failure;
use crate::report::Ongoing;

/// The longest value of a secret or variable, in bytes (GitHub's documentation of secrets and of variables).
const LONGEST: usize = 48 * 1024;

/// Sets what the plan names, and returns it. Nothing is written when anything is missing, or is too long. With `prune`, what nothing
/// needs is deleted.
pub async fn apply(
    env: &Env<'_>,
    github: &GitHub,
    plan: &Plan,
    prune: bool,
    step: &Ongoing,
) -> Result<Vec<Entry>, Failure> {
    refuse(env, plan)?;
    let key = key(env)?;
    let mut done = Vec::new();
    for place in places(env) {
        let of_place = |entry: &&&Entry| entry.place == place;
        let to_set = plan.to_set();
        let to_set: Vec<&&Entry> = to_set.iter().filter(of_place).collect();
        let unused: Vec<&Entry> =
            plan.entries.iter().filter(|entry| prune && entry.place == place && entry.state == State::Unused).collect();
        if to_set.is_empty() && unused.is_empty() {
            continue;
        }
        let again = || format!("set what {place} needs at GitHub; what was set is kept: type the same command again");
        github.create_environment(&place).await.with_context(again)?;
        let sealing = github.sealing_key(&place).await.with_context(again)?;
        let mut set = BTreeMap::new();
        for entry in to_set {
            let value = plan.values.get(&entry.name).with_context(|| format!("{} has no value", entry.name))?;
            step.progress(&format!("{place}: {}", entry.name));
            if entry.secret {
                github.set_secret(&place, &sealing, &entry.name, value).await.with_context(again)?;
                let name = at_github(&entry.name);
                set.insert(name.clone(), key.fingerprint(&scope(env, &place), &name, value));
            } else {
                let is_new = entry.state == State::New;
                let value = value.expose_secret();
                github.set_variable(&place, &entry.name, value, is_new).await.with_context(again)?;
            }
            done.push((*entry).clone());
        }
        for entry in unused {
            match entry.secret {
                true => github.delete_secret(&place, &entry.name).await,
                false => github.delete_variable(&place, &entry.name).await,
            }
            .with_context(again)?;
            done.push(entry.clone());
        }
        if !set.is_empty() {
            let times = github.secrets(Some(&place)).await.with_context(again)?;
            let set = set.into_iter().filter_map(|(name, fingerprint)| {
                let at = *times.get(&name)?;
                Some((name, Set { fingerprint, at }))
            });
            given::add(env, &place, set.collect()).await?;
        }
    }
    Ok(done)
}

/// Refuses while anything is missing, or has a value that GitHub would not take.
fn refuse(env: &Env<'_>, plan: &Plan) -> Result<(), Failure> {
    let mut missing: Vec<&str> = plan.missing().iter().map(|entry| entry.name.as_str()).collect();
    missing.dedup();
    missing.sort_unstable();
    missing.dedup();
    if !missing.is_empty() {
        return Err(Failure::Refused(anyhow!(
            "nothing was set: neither GitHub nor this machine has a value of {}\n  put them into .env.{} (mode 0600), into the \
             environment, or let a program tell them: --values-from COMMAND",
            missing.join(", "),
            env.name()
        )));
    }
    let is_long =
        |entry: &&&Entry| plan.values.get(&entry.name).is_some_and(|value| value.expose_secret().len() > LONGEST);
    let to_set = plan.to_set();
    if let Some(long) = to_set.iter().find(is_long) {
        return Err(Failure::Refused(anyhow!(
            "nothing was set: the value of {} has more than {} KiB, and GitHub takes no longer one",
            long.name,
            LONGEST / 1024
        )));
    }
    Ok(())
}
