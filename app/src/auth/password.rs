//! Password hashing with Argon2id, bounded so that log-in requests cannot exhaust CPU and memory.

use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

/// Requests that may run or wait at the same time; a longer queue would only time out.
const MAX_QUEUED: usize = 64;

/// Argon2id with 19 MiB and 2 passes, OWASP's recommended minimum.
pub struct PasswordHasher {
    running: Semaphore,
    queue: Semaphore,
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
        Self { running: Semaphore::new(max_parallel), queue: Semaphore::new(MAX_QUEUED) }
    }

    /// Hashes a password with a new salt; returns the PHC format.
    pub async fn hash(&self, password: SecretString) -> Result<String, PasswordError> {
        self.run(move || {
            let hash = Argon2::default().hash_password(password.expose_secret().as_bytes());
            hash.map(|hash| hash.to_string()).map_err(|error| PasswordError::Hashing(error.to_string()))
        })
        .await
    }

    /// Whether the password matches the hash. Without a hash (unknown user), it takes the same time and returns false.
    pub async fn verify(&self, password: SecretString, hash: Option<String>) -> Result<bool, PasswordError> {
        let Some(hash) = hash else { return self.hash(password).await.map(|_| false) };
        self.run(move || match Argon2::default().verify_password(password.expose_secret().as_bytes(), hash.as_str()) {
            Ok(()) => Ok(true),
            Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
            Err(error) => Err(PasswordError::Hashing(error.to_string())),
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let _queued = self.queue.try_acquire().map_err(|_| PasswordError::Busy)?;
        let _running = self.running.acquire().await.map_err(|_| PasswordError::Busy)?;
        tokio::task::spawn_blocking(work).await.map_err(|panic| PasswordError::Hashing(panic.to_string()))?
    }
}
