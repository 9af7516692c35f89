//! Presigned URLs to read objects with.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ring::digest::{self, SHA256};

use super::signer::{Signable, Signer};
use crate::storage::{StorageError, StorageKey};

/// In this time, in seconds, an object's URL stays the same, so that browsers can keep what they got there.
const WINDOW: u64 = 30 * 60;

/// The least time, in seconds, for which a URL is valid from the begin of its window.
const LIFE: u64 = 60 * 60;

/// How many URLs are kept. Each takes about half a kilobyte.
const KEPT: usize = 10_000;

/// The URLs of a window.
#[derive(Default)]
pub(super) struct Presigned {
    recent: Mutex<Recent>,
}

#[derive(Default)]
struct Recent {
    /// When the window began, in seconds since 1970.
    began: u64,
    urls: HashMap<(StorageKey, u64), String>,
}

impl Presigned {
    /// Every instance makes the same URL, because all sign for the begin of the window. Versions of an object differ in how
    /// long their URLs are valid: stores ignore or refuse parameters that they do not know.
    pub(super) async fn url(&self, signer: &Signer, key: StorageKey, version: &str) -> Result<String, StorageError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let began = now - now % WINDOW;
        let life = LIFE + hash(version) % LIFE;
        if let Some(url) = self.lock(began).urls.get(&(key, life)) {
            return Ok(url.clone());
        }
        let begins_at = UNIX_EPOCH + Duration::from_secs(began);
        let url = signer.url(&Signable::read(key, begins_at, Duration::from_secs(life))).await?;
        let mut recent = self.lock(began);
        if recent.urls.len() == KEPT {
            recent.urls.clear();
        }
        recent.urls.insert((key, life), url.clone());
        Ok(url)
    }

    /// Forgets the URLs of earlier windows.
    fn lock(&self, began: u64) -> std::sync::MutexGuard<'_, Recent> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.began != began {
            *recent = Recent { began, urls: HashMap::new() };
        }
        recent
    }
}

fn hash(version: &str) -> u64 {
    digest::digest(&SHA256, version.as_bytes())
        .as_ref()
        .iter()
        .take(4)
        .fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}
