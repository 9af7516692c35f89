//! Password hashing with Argon2id, bounded so that log-in requests cannot exhaust CPU and memory.

use std::sync::Arc;

use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Requests that may run or wait at the same time; a longer queue would only time out.
const MAX_QUEUED: usize = 64;

/// Argon2id with 19 MiB and 2 passes, OWASP's recommended minimum.
pub struct PasswordHasher {
    running: Arc<Semaphore>,
    queue: Arc<Semaphore>,
}

/// The permission to hash once.
pub struct HashingSlot {
    _running: OwnedSemaphorePermit,
    _queued: OwnedSemaphorePermit,
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum PasswordError {
    #[error("too many log-ins at the same time")]
    Busy,
    /// The stored hash is malformed, or Argon2 failed.
    #[error("password hashing failed: {0}")]
    Hashing(String),
}

impl PasswordHasher {
    pub fn new(max_parallel: usize) -> Self {
        Self { running: Arc::new(Semaphore::new(max_parallel)), queue: Arc::new(Semaphore::new(MAX_QUEUED)) }
    }

    /// Waits until a password may be hashed. Fails at once if too many requests wait already.
    pub async fn slot(&self) -> Result<HashingSlot, PasswordError> {
        let queued = self.queue.clone().try_acquire_owned().map_err(|_| PasswordError::Busy)?;
        let running = self.running.clone().acquire_owned().await.map_err(|_| PasswordError::Busy)?;
        Ok(HashingSlot { _running: running, _queued: queued })
    }
}

impl HashingSlot {
    /// Hashes a password with a new salt; returns the PHC format.
    pub async fn hash(self, password: SecretString) -> Result<String, PasswordError> {
        self.run(move || hash_with_new_salt(&password)).await
    }

    /// Whether the password matches the hash. Without a hash (unknown user), it takes the same time and returns false. Passes
    /// the result to `record` before the slot is free, even if the caller has gone.
    pub async fn verify(
        self,
        password: SecretString,
        hash: Option<String>,
        record: impl FnOnce(bool) + Send + 'static,
    ) -> Result<bool, PasswordError> {
        self.run(move || {
            let matches = match hash {
                Some(hash) => verify(&password, &hash)?,
                None => hash_with_new_salt(&password).map(|_| false)?,
            };
            record(matches);
            Ok(matches)
        })
        .await
    }

    /// A thread cannot be stopped, so the slot is free when the work ends and not when its client hangs up.
    async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let (done, result) = oneshot::channel();
        // Not on the runtime's threads for blocking work: each that has hashed once would keep Argon2's memory. These end, and
        // leave it to the next.
        let hashing = std::thread::Builder::new().name("password".to_owned()).spawn(move || {
            let _slot = self;
            // Fails if the caller has gone.
            done.send(work()).ok();
        });
        hashing.map_err(|error| PasswordError::Hashing(error.to_string()))?;
        result.await.map_err(|_| PasswordError::Hashing("the thread panicked".to_owned()))?
    }
}

fn hash_with_new_salt(password: &SecretString) -> Result<String, PasswordError> {
    let hash = Argon2::default().hash_password(password.expose_secret().as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|error| PasswordError::Hashing(error.to_string()))
}

fn verify(password: &SecretString, hash: &str) -> Result<bool, PasswordError> {
    match Argon2::default().verify_password(password.expose_secret().as_bytes(), hash) {
        Ok(()) => Ok(true),
        Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
        Err(error) => Err(PasswordError::Hashing(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_slot_is_taken_until_its_work_has_ended_even_if_the_caller_has_gone() {
        let hasher = PasswordHasher::new(1);
        let slot = hasher.slot().await.unwrap();
        let (started, is_started) = mpsc::channel();
        let (finish, may_finish) = mpsc::channel::<()>();
        let call = tokio::spawn(slot.run(move || {
            started.send(()).unwrap();
            may_finish.recv().unwrap();
            Ok(())
        }));
        tokio::task::spawn_blocking(move || is_started.recv().unwrap()).await.unwrap();
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        assert_eq!(hasher.running.available_permits(), 0);

        finish.send(()).unwrap();
        hasher.slot().await.unwrap().hash("password".into()).await.unwrap();
    }
}
