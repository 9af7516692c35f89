//! What the toolkit has set at GitHub: fingerprints and times, in the environment's store. GitHub does not show a secret's value.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::env::Env;
use crate::failure::Failure;
use crate::state::store::{Put, Store, Versioned};

const KEY: &str = "ci-secrets.json";
const SCHEMA: u32 = 1;

/// The secrets that were set.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Given {
    schema: u32,
    /// By environment at GitHub, then by name.
    set: BTreeMap<String, BTreeMap<String, Set>>,
}

/// A secret that was set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Set {
    /// Of its value.
    pub fingerprint: String,
    /// When, as GitHub says it.
    pub at: Timestamp,
}

impl Given {
    /// The secret of an environment at GitHub.
    pub fn of(&self, place: &str, name: &str) -> Option<&Set> {
        self.set.get(place)?.get(name)
    }
}

/// What was set.
pub async fn read(env: &Env<'_>) -> Result<Given, Failure> {
    Ok(parse(get(env.store()?).await?.as_ref())?)
}

/// Adds what was set now to what was set before.
pub async fn add(env: &Env<'_>, place: &str, set: BTreeMap<String, Set>) -> Result<(), Failure> {
    let store = env.store()?;
    loop {
        let read = get(store).await?;
        let mut given = parse(read.as_ref())?;
        given.set.entry(place.to_owned()).or_default().extend(set.clone());
        let text = serde_json::to_vec_pretty(&given).context("write what was set at GitHub as JSON")?;
        let put = store.put_over(KEY, &text, read.as_ref().map(|read| read.etag.as_str())).await;
        match put.with_context(|| format!("write {KEY}"))? {
            Put::Written { .. } => return Ok(()),
            // Another command has written in between.
            Put::Refused => {}
        }
    }
}

async fn get(store: &Store) -> Result<Option<Versioned>> {
    store.get(KEY).await.with_context(|| format!("read {KEY} of the environment's store"))
}

fn parse(read: Option<&Versioned>) -> Result<Given> {
    let Some(read) = read else { return Ok(Given { schema: SCHEMA, set: BTreeMap::new() }) };
    let given: Given = serde_json::from_slice(&read.bytes).with_context(|| format!("{KEY} is not understood"))?;
    if given.schema != SCHEMA {
        bail!("{KEY} has schema {}, and this toolkit reads {SCHEMA}: a newer one has written it", given.schema);
    }
    Ok(given)
}
