//! How large an upload may be, and how many may be in progress: in all, and of one account.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use super::{FORM_OVERHEAD, too_large};
use crate::{error_code::ErrorCode, http::error::ApiError};

/// One account may have this part of all places: slow uploads of three accounts leave places for others.
const SHARE_OF_ONE: usize = 4;

/// Seconds after which a client may try again.
const RETRY_AFTER: u64 = 2;

/// The limits of uploads. Cheap to clone.
#[derive(Clone)]
pub struct UploadLimits {
    /// Maximum size of an uploaded file, in bytes.
    max_bytes: u64,
    /// How many uploads one account may have in progress.
    max_of_one: usize,
    /// One permit for each upload that may be in progress.
    in_progress: Arc<Semaphore>,
    /// How many uploads each account has in progress. An account without any has no entry.
    by_account: Arc<Mutex<HashMap<Uuid, usize>>>,
}

/// The place of an upload that is in progress, until it is dropped.
pub struct UploadPlace {
    account: Uuid,
    by_account: Arc<Mutex<HashMap<Uuid, usize>>>,
    _permit: OwnedSemaphorePermit,
}

impl UploadLimits {
    pub fn new(max_bytes: u64, max_in_progress: usize) -> Self {
        Self {
            max_bytes,
            max_of_one: max_in_progress.div_ceil(SHARE_OF_ONE),
            in_progress: Arc::new(Semaphore::new(max_in_progress)),
            by_account: Arc::default(),
        }
    }

    /// Maximum size of an uploaded file, in bytes.
    pub fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// Fails with 413 if a file of this size is too large.
    pub fn check_size(&self, size: u64) -> Result<(), ApiError> {
        if size > self.max_bytes { Err(too_large(self.max_bytes)) } else { Ok(()) }
    }

    /// Begins an upload of an account, which ends when the place is dropped. Fails with 429 if too many are in progress, of this account or
    /// in all.
    pub fn begin(&self, account: Uuid) -> Result<UploadPlace, ApiError> {
        let mut by_account = locked(&self.by_account);
        let of_account = by_account.get(&account).copied().unwrap_or_default();
        if of_account >= self.max_of_one {
            return Err(busy("too many uploads of this account are in progress"));
        }
        let permit = self.in_progress.clone().try_acquire_owned();
        let permit = permit.map_err(|_| busy("too many uploads are in progress"))?;
        by_account.insert(account, of_account + 1);
        Ok(UploadPlace { account, by_account: self.by_account.clone(), _permit: permit })
    }

    /// Maximum size of the body of an upload request, in bytes.
    pub fn body_limit(&self) -> usize {
        usize::try_from(self.max_bytes).unwrap_or(usize::MAX).saturating_add(FORM_OVERHEAD)
    }
}

impl Drop for UploadPlace {
    fn drop(&mut self) {
        let mut by_account = locked(&self.by_account);
        match by_account.get_mut(&self.account) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(by_account.remove(&self.account)),
        }
    }
}

fn locked(by_account: &Mutex<HashMap<Uuid, usize>>) -> MutexGuard<'_, HashMap<Uuid, usize>> {
    by_account.lock().unwrap_or_else(PoisonError::into_inner)
}

fn busy(message: &str) -> ApiError {
    ApiError::new(ErrorCode::Busy, message).retry_after(RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_upload_ends() {
        let limits = UploadLimits::new(1, 5);
        let [one, other, third] = [1, 2, 3].map(Uuid::from_u128);
        let mut places = vec![limits.begin(one).ok().unwrap(), limits.begin(one).ok().unwrap()];
        assert!(limits.begin(one).is_err(), "two of five are all that one account may have");
        places.extend([limits.begin(other).ok().unwrap(), limits.begin(other).ok().unwrap()]);
        places.push(limits.begin(third).ok().unwrap());
        assert!(limits.begin(third).is_err(), "all five are taken");
        drop(places.remove(0));
        assert!(limits.begin(third).is_ok());
        assert!(limits.begin(one).is_ok());
        drop(places);
        assert!(locked(&limits.by_account).is_empty());
    }
}
