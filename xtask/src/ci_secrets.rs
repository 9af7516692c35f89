//! What the jobs of GitHub Actions are given for an environment: the secrets and variables of its two environments at GitHub,
//! compared with what it needs (`needs`) and with the values that are here.

pub mod apply;
mod given;

use std::collections::BTreeMap;

use anyhow::{Context as _, anyhow};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

use crate::clients::github::GitHub;
use crate::env::{Env, lacks};
use crate::failure::Failure;
use crate::needs::{Ci, Need, PASSPHRASE, approved_at_github, needs, planned_at_github};
use crate::secrets::FingerprintKey;
use crate::settings;

/// One secret or variable of an environment at GitHub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The environment at GitHub.
    pub place: String,
    /// Its name.
    pub name: String,
    /// Whether it is a secret, or else a variable.
    pub secret: bool,
    /// What was found.
    pub state: State,
}

/// How a secret or variable stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As it is here, as far as that is known: of a secret, by the fingerprint of the value that was set last.
    Set,
    /// GitHub has one, and there is no value here to compare it with.
    Unknown,
    /// GitHub does not have it, and there is a value here.
    New,
    /// The value here is another one.
    Stale,
    /// It was not set by the toolkit, or was set at GitHub after that.
    ChangedThere,
    /// The environment at GitHub does not have it, and the repository has one for all jobs.
    OfRepository,
    /// It is needed, and neither GitHub nor this machine has it.
    Missing,
    /// Nothing needs it without being given, and neither has it.
    Optional,
    /// GitHub has it, and nothing needs it.
    Unused,
}

/// What is there and what would be done.
pub struct Plan {
    /// Secrets and variables, by place.
    pub entries: Vec<Entry>,
    needs: Vec<Need>,
    values: BTreeMap<String, SecretString>,
}

impl State {
    /// For tables.
    pub fn words(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Unknown => "set, not compared: no value here",
            Self::New => "to set",
            Self::Stale => "to set: the value here is another one",
            Self::ChangedThere => "to set: GitHub has one that the toolkit has not set",
            Self::OfRepository => "set for all jobs of the repository",
            Self::Missing => "missing",
            Self::Optional => "not given",
            Self::Unused => "not needed",
        }
    }

    /// Whether `apply` sets it.
    pub fn is_set_by_apply(self) -> bool {
        matches!(self, Self::New | Self::Stale | Self::ChangedThere)
    }
}

impl Entry {
    /// `secret` or `variable`.
    pub fn kind(&self) -> &'static str {
        if self.secret { "secret" } else { "variable" }
    }
}

impl Plan {
    /// What is missing, by name.
    pub fn missing(&self) -> Vec<&Entry> {
        self.entries.iter().filter(|entry| entry.state == State::Missing).collect()
    }

    /// What `apply` would set.
    pub fn to_set(&self) -> Vec<&Entry> {
        self.entries.iter().filter(|entry| entry.state.is_set_by_apply()).collect()
    }

    /// What a need is for.
    pub fn help(&self, name: &str) -> &str {
        self.needs.iter().find(|need| need.name == name).map_or("", |need| &need.help)
    }
}

/// Compares what GitHub has with what the environment needs, and with the values that are here: those that another program has told,
/// else those of the environment. Changes nothing.
pub async fn plan(env: &Env<'_>, github: &GitHub, told: BTreeMap<String, SecretString>) -> Result<Plan, Failure> {
    let needs = given_needs(env)?;
    let mut values = BTreeMap::new();
    for need in &needs {
        let own = || Ok::<_, Failure>(if need.secret { env.secret(&need.name)? } else { env.value(&need.name)? });
        let value = match told.get(&need.name) {
            Some(value) => Some(value.clone()),
            None => own()?,
        };
        values.extend(value.map(|value| (need.name.clone(), value)));
    }
    let (there, given) = tokio::try_join!(There::read(env, github), given::read(env))?;
    let key = key(env)?;
    let mut entries = Vec::new();
    for (place, (secrets, variables)) in &there.0 {
        for need in &needs {
            let (name, value) = (&at_github(&need.name), values.get(&need.name));
            let state = match (value, need.secret) {
                (None, true) if secrets.contains_key(name) => State::Unknown,
                (None, false) if variables.contains_key(name) => State::Unknown,
                (None, _) if need.required => State::Missing,
                (None, _) => State::Optional,
                (Some(value), false) => match variables.get(name) {
                    None => State::New,
                    Some(there) if there == value.expose_secret() => State::Set,
                    Some(_) => State::Stale,
                },
                (Some(value), true) => match (secrets.get(name), given.of(place, name)) {
                    (None, _) => State::New,
                    (Some(_), Some(set)) if set.fingerprint != key.fingerprint(&scope(env, place), name, value) => {
                        State::Stale
                    }
                    (Some(there), Some(set)) if set.at == *there => State::Set,
                    // The value may be the same: only a write makes it certain.
                    (Some(_), _) => State::ChangedThere,
                },
            };
            entries.push(Entry { place: place.clone(), name: need.name.clone(), secret: need.secret, state });
        }
        entries.extend(unused(place, secrets.keys(), variables.keys(), &needs));
    }
    look_in_repository(env, github, &mut entries).await;
    Ok(Plan { entries, needs, values })
}

/// Whether GitHub has what the environment needs, by name alone. Changes nothing, and needs no value.
pub async fn check(env: &Env<'_>, github: &GitHub) -> Result<Plan, Failure> {
    let needs = given_needs(env)?;
    let mut entries = Vec::new();
    for (place, (secrets, variables)) in &There::read(env, github).await?.0 {
        for need in &needs {
            let name = &at_github(&need.name);
            let is_there = if need.secret { secrets.contains_key(name) } else { variables.contains_key(name) };
            let state = match (is_there, need.required) {
                (true, _) => State::Set,
                (false, true) => State::Missing,
                (false, false) => State::Optional,
            };
            entries.push(Entry { place: place.clone(), name: need.name.clone(), secret: need.secret, state });
        }
        entries.extend(unused(place, secrets.keys(), variables.keys(), &needs));
    }
    look_in_repository(env, github, &mut entries).await;
    Ok(Plan { entries, needs, values: BTreeMap::new() })
}

/// Looks for what is missing among what all jobs of the repository are given. A token may read an environment's secrets and not
/// these: what is missing then stays missing.
async fn look_in_repository(env: &Env<'_>, github: &GitHub, entries: &mut [Entry]) {
    if !entries.iter().any(|entry| entry.state == State::Missing) {
        return;
    }
    let (secrets, variables) = match tokio::try_join!(github.secrets(None), github.variables(None)) {
        Ok(kept) => kept,
        Err(error) => return env.report.note(&format!("the repository's own secrets were not read: {error}")),
    };
    for entry in entries.iter_mut().filter(|entry| matches!(entry.state, State::Missing | State::Optional)) {
        let name = &at_github(&entry.name);
        if if entry.secret { secrets.contains_key(name) } else { variables.contains_key(name) } {
            entry.state = State::OfRepository;
        }
    }
}

/// The secrets, with the times at which they were set, and the variables, with their values.
type Kept = (BTreeMap<String, Timestamp>, BTreeMap<String, String>);

/// What GitHub has, by environment there.
struct There(Vec<(String, Kept)>);

impl There {
    async fn read(env: &Env<'_>, github: &GitHub) -> Result<Self, Failure> {
        let read = async |place: String| -> Result<(String, Kept), Failure> {
            let what = || format!("read what the environment {place} has at GitHub");
            if github.environment(&place).await.with_context(what)?.is_none() {
                return Ok((place.clone(), Kept::default()));
            }
            let kept =
                tokio::try_join!(github.secrets(Some(&place)), github.variables(Some(&place))).with_context(what)?;
            Ok((place.clone(), kept))
        };
        let places = places(env);
        let (one, other) = tokio::try_join!(read(places[0].clone()), read(places[1].clone()))?;
        Ok(Self(vec![one, other]))
    }
}

/// GitHub keeps names in upper case, and finds them in any.
fn at_github(name: &str) -> String {
    name.to_ascii_uppercase()
}

/// The two environments at GitHub.
fn places(env: &Env<'_>) -> [String; 2] {
    [approved_at_github(env.name()), planned_at_github(env.name())]
}

/// What a person gives to the environment at GitHub.
fn given_needs(env: &Env<'_>) -> Result<Vec<Need>, Failure> {
    let all = needs(env.config, env.environment, &settings::table(env)?)?;
    let given: Vec<Need> = all.into_iter().filter(|need| matches!(need.ci, Ci::Given | Ci::Alone)).collect();
    if given.is_empty() {
        let missing = lacks(env.config, env.name(), "registry", |other| other.registry().is_some());
        return Err(Failure::Usage(missing));
    }
    Ok(given)
}

fn unused<'s>(
    place: &str,
    secrets: impl Iterator<Item = &'s String>,
    variables: impl Iterator<Item = &'s String>,
    needs: &[Need],
) -> Vec<Entry> {
    let all = secrets.map(|name| (name, true)).chain(variables.map(|name| (name, false)));
    let is_unused = |(name, secret): &(&String, bool)| {
        !needs.iter().any(|need| at_github(&need.name) == **name && need.secret == *secret)
    };
    let entry = |(name, secret): (&String, bool)| Entry {
        place: place.to_owned(),
        name: name.clone(),
        secret,
        state: State::Unused,
    };
    all.filter(is_unused).map(entry).collect()
}

/// The key of the fingerprints: of the passphrase, so that who reads the bucket cannot try values.
fn key(env: &Env<'_>) -> Result<FingerprintKey, Failure> {
    let passphrase = env.secret(PASSPHRASE)?.ok_or_else(|| {
        Failure::Refused(anyhow!(
            "{PASSPHRASE} is not set, and a fingerprint by it tells whether a secret has changed
  put it into .env.{}",
            env.name()
        ))
    })?;
    Ok(FingerprintKey::of_passphrase(&passphrase, &format!("{} at GitHub", env.store_prefix())))
}

fn scope(env: &Env<'_>, place: &str) -> String {
    format!("{} at GitHub: {place}", env.store_prefix())
}
