//! Records are read newest first, and no more of them than a command needs.

use std::cmp::Reverse;
use std::collections::VecDeque;

use anyhow::{Context as _, Result, anyhow, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::key::{FOLDER, Key, NEWEST};
use super::{Kind, Outcome, Record, SCHEMA};
use crate::state::store::Store;

/// How many records are read at once. The first read is of one, the next of two, and so on up to this.
const SIDE_BY_SIDE: usize = 16;

/// How many records are enough for what a deploy compares itself with: see [`recent`].
const RECENT: usize = 100;

/// How many records are named when an id is ambiguous.
const NAMED: usize = 10;

/// The records, newest first: in the order of the lease's tokens, which no clock can turn round. A record that cannot be read is an
/// error that names it: an unreadable history is never taken for an empty one.
pub struct NewestFirst<'s> {
    store: &'s Store,
    /// Read, and not yet taken.
    read: VecDeque<Record>,
    /// Listed, and not yet read.
    keys: VecDeque<String>,
    /// What is to be listed next.
    rest: Rest,
    at_once: usize,
}

/// The keys that are not listed yet.
enum Rest {
    /// Those after this key, then the earlier toolkits' ones.
    After(String),
    /// Those of earlier toolkits.
    Earlier,
    None,
}

impl<'s> NewestFirst<'s> {
    /// Nothing is asked yet.
    pub fn of(store: &'s Store) -> Self {
        let (read, keys) = (VecDeque::new(), VecDeque::new());
        Self { store, read, keys, rest: Rest::After(NEWEST.to_owned()), at_once: 1 }
    }

    /// The next older one; none after the oldest.
    pub async fn next(&mut self) -> Result<Option<Record>> {
        loop {
            if let Some(record) = self.read.pop_front() {
                return Ok(Some(record));
            }
            // One holder of the lease may have written two, whose keys tell no order. So those are read together, and a list may
            // end between them.
            while self.whole_holders() == 0 && self.read.is_empty() {
                if matches!(self.rest, Rest::None) {
                    return Ok(None);
                }
                self.list().await?;
            }
            let keys: Vec<String> = self.keys.drain(..self.whole_holders()).collect();
            self.at_once = (self.at_once * 2).min(SIDE_BY_SIDE);
            self.read.extend(sorted(read_keys(self.store, &keys).await?));
        }
    }

    /// How many keys are to be read now: about [`Self::at_once`], and all of each holder.
    fn whole_holders(&self) -> usize {
        let token = |key: &String| Key::parse(key).token;
        let mut count = self.at_once.min(self.keys.len());
        while count > 0 && count < self.keys.len() && token(&self.keys[count]) == token(&self.keys[count - 1]) {
            count += 1;
        }
        if count == self.keys.len() && matches!(self.rest, Rest::After(_)) {
            // The last holder may have more keys.
            let last = self.keys.back().and_then(token);
            count = self.keys.iter().take_while(|key| token(key) != last).count().min(count);
        }
        count
    }

    async fn list(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.rest, Rest::None) {
            Rest::After(after) => {
                let page = self.store.list_after(FOLDER, &after).await.context("list the records")?;
                self.rest = match page.keys.last() {
                    Some(last) if !page.is_last => Rest::After(last.clone()),
                    _ => Rest::Earlier,
                };
                self.keys.extend(page.keys);
            }
            Rest::Earlier => {
                let mut keys = earlier_keys(self.store).await?;
                keys.sort_by_key(|key| Reverse(Key::parse(key).token));
                if keys.last().is_some_and(|key| Key::parse(key).token.is_none()) {
                    // Only what they contain tells their order.
                    let before = read_keys(self.store, &self.keys.drain(..).collect::<Vec<_>>()).await?;
                    self.read.extend(sorted(before));
                    self.read.extend(sorted(read_keys(self.store, &keys).await?));
                } else {
                    self.keys.extend(keys);
                }
            }
            Rest::None => {}
        }
        Ok(())
    }
}

/// Every record, oldest first.
pub async fn read_all(store: &Store) -> Result<Vec<Record>> {
    let keys = store.list(FOLDER).await.context("list the records")?;
    let mut records = sorted(read_keys(store, &keys).await?);
    records.reverse();
    Ok(records)
}

/// The newest record of a release that went live.
pub async fn live(store: &Store) -> Result<Option<Record>> {
    let mut records = NewestFirst::of(store);
    while let Some(record) = records.next().await? {
        if record.outcome == Outcome::Live {
            return Ok(Some(record));
        }
    }
    Ok(None)
}

/// What a deploy compares itself with, oldest first: the last hundred records, and more if none of them is of a deploy that went
/// live. A release has the migrations of the one that it was deployed over, or its plan has named the ones that it lacks.
pub async fn recent(store: &Store) -> Result<Vec<Record>> {
    let (mut records, mut recent, mut has_deploy) = (NewestFirst::of(store), Vec::new(), false);
    while recent.len() < RECENT || !has_deploy {
        let Some(record) = records.next().await? else { break };
        has_deploy |= record.outcome == Outcome::Live && record.kind == Kind::Deploy;
        recent.push(record);
    }
    recent.reverse();
    Ok(recent)
}

/// The record with this id, if it is one of the newest: the store is asked for one page of keys.
pub async fn with_id(store: &Store, id: &str) -> Result<Option<Record>> {
    let (keys, _) = newest_keys(store).await?;
    match keys.iter().find(|key| Key::parse(key).id == id) {
        Some(key) => Ok(Some(read_key(store, key).await?)),
        None => Ok(None),
    }
}

/// The record with this id or beginning of an id, or else the newest one whose version or commit begins with it. Fails where there
/// is none, or where several ids begin with it.
pub async fn find(store: &Store, text: &str) -> Result<Record> {
    let keys = store.list(FOLDER).await.context("list the records")?;
    let ids = keys.iter().filter(|key| Key::parse(key).id.starts_with(text));
    let (exact, begin): (Vec<&String>, Vec<&String>) = ids.partition(|key| Key::parse(key).id == text);
    match (&exact[..], &begin[..]) {
        ([one], _) | ([], [one]) => return read_key(store, one).await,
        ([], []) => {}
        ([], several) | (several, _) => {
            let mut ids: Vec<&str> = several.iter().map(|key| Key::parse(key).id).collect();
            ids.sort_unstable();
            let more = if ids.len() > NAMED { format!(", and {} more", ids.len() - NAMED) } else { String::new() };
            ids.truncate(NAMED);
            return Err(anyhow!("{} records begin with {text:?}: {}{more}", several.len(), ids.join(", ")));
        }
    }
    let mut records = NewestFirst::of(store);
    while let Some(record) = records.next().await? {
        if record.begins_with(text) {
            return Ok(record);
        }
    }
    Err(anyhow!("no record's id and no version begins with {text:?}"))
}

/// A page of the newest keys, and the greatest token with its key.
pub(super) async fn newest_keys(store: &Store) -> Result<(Vec<String>, Option<(u64, String)>)> {
    let page = store.list_after(FOLDER, NEWEST).await.context("list the records")?;
    let mut keys = page.keys;
    let mut newest = keys.first().and_then(|key| Some((Key::parse(key).token?, key.clone())));
    if page.is_last {
        for key in earlier_keys(store).await? {
            // Only records of an early toolkit, whose keys tell no token, are read.
            let token = match Key::parse(&key).token {
                Some(token) => token,
                None => read_key(store, &key).await?.token,
            };
            newest = newest.max(Some((token, key.clone())));
            keys.push(key);
        }
    }
    Ok((keys, newest))
}

/// The keys that earlier toolkits wrote.
async fn earlier_keys(store: &Store) -> Result<Vec<String>> {
    let (mut keys, mut after) = (Vec::new(), FOLDER.to_owned());
    loop {
        let page = store.list_after(FOLDER, &after).await.context("list the records")?;
        let is_last = page.is_last || page.keys.last().is_none_or(|key| key.as_str() > NEWEST);
        after = page.keys.last().cloned().unwrap_or_default();
        keys.extend(page.keys.into_iter().filter(|key| key.as_str() < NEWEST));
        if is_last {
            return Ok(keys);
        }
    }
}

fn sorted(mut records: Vec<Record>) -> Vec<Record> {
    records.sort_by(|one, other| (other.token, other.ended, &other.id).cmp(&(one.token, one.ended, &one.id)));
    records
}

async fn read_keys(store: &Store, keys: &[String]) -> Result<Vec<Record>> {
    stream::iter(keys).map(|key| read_key(store, key)).buffered(SIDE_BY_SIDE).try_collect().await
}

async fn read_key(store: &Store, key: &str) -> Result<Record> {
    let object = store.get(key).await.with_context(|| format!("read the record {key}"))?;
    let object = object.with_context(|| format!("the record {key} was deleted in this moment; try again"))?;
    let record: Record = serde_json::from_slice(&object.bytes)
        .with_context(|| format!("read the record {key}: it is damaged, or of a newer toolkit"))?;
    ensure!(record.schema == SCHEMA, "the record {key} has schema {}; this toolkit knows {SCHEMA}", record.schema);
    // A copy of an earlier release's record, which is signed, would otherwise be the newest one under such a name.
    let named = Key::parse(key);
    let is_its_own = named.id == record.id && named.token.is_none_or(|token| token == record.token);
    ensure!(is_its_own, "the record {key} is that of {} (token {}) under another name", record.id, record.token);
    Ok(record)
}
