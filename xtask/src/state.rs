//! What is remembered of deploys, in one store of the environment: the journal of the one under way, the records of all
//! that ended, the lease of the one that may deploy now, and the plan that was made to be applied.

pub mod fingerprint;
pub mod history;
pub mod journal;
pub mod lease;
pub mod plan_store;
pub mod store;

/// Whether the toolkit writes an object with this key. The key is relative to the store's prefix.
pub fn is_own_key(key: &str) -> bool {
    [lease::KEY, journal::KEY, plan_store::RECORD, fingerprint::KEY].contains(&key)
        || [history::FOLDER, plan_store::FILES].iter().any(|folder| key.starts_with(folder))
}
