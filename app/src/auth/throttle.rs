//! Limits failed log-ins for each user name, against guessing passwords.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Failed log-ins allowed for one user name within [`WINDOW`].
const MAX_FAILURES: u32 = 10;

const WINDOW: Duration = Duration::from_secs(300);

/// Bounds the memory; beyond it, the oldest entry is dropped.
const MAX_USERNAMES: usize = 10_000;

/// Counts attempts by user name, case-insensitively, in this process's memory.
#[derive(Default)]
pub struct LoginThrottle {
    attempts: Mutex<HashMap<String, Attempts>>,
}

#[derive(Clone, Debug, thiserror::Error)]
#[error("too many failed log-ins with this user name")]
pub struct TooManyAttempts {
    pub retry_after: Duration,
}

struct Attempts {
    count: u32,
    since: Instant,
}

impl LoginThrottle {
    /// Counts an attempt before its password is checked, so that concurrent attempts count too.
    pub fn count_attempt(&self, username: &str) -> Result<(), TooManyAttempts> {
        let username = username.to_lowercase();
        let now = Instant::now();
        let mut attempts = self.lock();
        if attempts.len() >= MAX_USERNAMES && !attempts.contains_key(&username) {
            attempts.retain(|_, attempts| now.duration_since(attempts.since) < WINDOW);
            let oldest = attempts.iter().min_by_key(|(_, attempts)| attempts.since).map(|(name, _)| name.clone());
            if let Some(oldest) = oldest.filter(|_| attempts.len() >= MAX_USERNAMES) {
                attempts.remove(&oldest);
            }
        }
        let entry = attempts.entry(username).or_insert(Attempts { count: 0, since: now });
        if now.duration_since(entry.since) >= WINDOW {
            *entry = Attempts { count: 0, since: now };
        }
        if entry.count >= MAX_FAILURES {
            return Err(TooManyAttempts { retry_after: WINDOW - now.duration_since(entry.since) });
        }
        entry.count += 1;
        Ok(())
    }

    /// Forgets the attempts of a user name after a successful log-in.
    pub fn reset(&self, username: &str) {
        self.lock().remove(&username.to_lowercase());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Attempts>> {
        // The map stays valid if a thread panics while it holds the lock.
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
