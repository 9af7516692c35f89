//! Passwords: hashing and checking them without letting either exhaust the machine or be tried without end.

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

/// Hashes that may wait for a processor; more are turned away, as they would only time out.
const QUEUE: usize = 64;

/// Log-ins of one user name that may fail within [`WINDOW`].
const MAX_FAILURES: u32 = 10;

/// See [`MAX_FAILURES`].
const WINDOW: Duration = Duration::from_secs(300);

/// User names whose failures are remembered at most.
const MAX_REMEMBERED: usize = 10_000;

/// Hashes passwords with Argon2id (19 MiB, 2 passes: OWASP's first choice), as many at a time as there are processors.
pub struct Passwords {
    running: Semaphore,
    queue: Semaphore,
    attempts: Mutex<HashMap<String, Attempts>>,
}

/// Why a password was neither hashed nor checked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Unavailable {
    /// Too many are being checked at this moment.
    #[error("too many log-ins at the same time")]
    Busy,
    /// Too many log-ins with this user name have failed.
    #[error("too many failed log-ins with this user name")]
    Throttled {
        /// When the next may be tried.
        retry_after: Duration,
    },
    /// The hash in the database is not one, or hashing failed.
    #[error("hashing: {0}")]
    Broken(String),
}

struct Attempts {
    count: u32,
    since: Instant,
}

impl Default for Passwords {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self { running: Semaphore::new(processors), queue: Semaphore::new(QUEUE), attempts: Mutex::default() }
    }
}

impl Passwords {
    /// The password's hash in PHC format, with a fresh salt.
    ///
    /// # Errors
    /// [`Unavailable::Busy`] or [`Unavailable::Broken`].
    pub async fn hash(&self, password: SecretString) -> Result<String, Unavailable> {
        self.run(move || {
            let hash = Argon2::default().hash_password(password.expose_secret().as_bytes());
            hash.map(|hash| hash.to_string()).map_err(|error| Unavailable::Broken(error.to_string()))
        })
        .await
    }

    /// Whether the password is the hash's. Without a hash, for an unknown user, it takes the same time and is not.
    ///
    /// # Errors
    /// All of [`Unavailable`].
    pub async fn check(
        &self,
        username: &str,
        password: SecretString,
        hash: Option<String>,
    ) -> Result<bool, Unavailable> {
        let username = username.to_lowercase();
        self.count_attempt(&username)?;
        let matches = match hash {
            None => self.hash(password).await.map(|_| false)?,
            Some(hash) => {
                self.run(move || {
                    match Argon2::default().verify_password(password.expose_secret().as_bytes(), hash.as_str()) {
                        Ok(()) => Ok(true),
                        Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
                        Err(error) => Err(Unavailable::Broken(error.to_string())),
                    }
                })
                .await?
            }
        };
        if matches {
            self.attempts().remove(&username);
        }
        Ok(matches)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Unavailable> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let _place = self.queue.try_acquire().map_err(|_| Unavailable::Busy)?;
        let _permit = self.running.acquire().await.map_err(|_| Unavailable::Busy)?;
        tokio::task::spawn_blocking(work).await.map_err(|panic| Unavailable::Broken(panic.to_string()))?
    }

    /// Counts before the answer is known, so that attempts at the same moment count too.
    fn count_attempt(&self, username: &str) -> Result<(), Unavailable> {
        let now = Instant::now();
        let mut attempts = self.attempts();
        if attempts.len() >= MAX_REMEMBERED && !attempts.contains_key(username) {
            attempts.retain(|_, attempts| now.duration_since(attempts.since) < WINDOW);
            let oldest = attempts.iter().min_by_key(|(_, attempts)| attempts.since).map(|(name, _)| name.clone());
            if let Some(oldest) = oldest.filter(|_| attempts.len() >= MAX_REMEMBERED) {
                attempts.remove(&oldest);
            }
        }
        let entry = attempts.entry(username.to_owned()).or_insert(Attempts { count: 0, since: now });
        if now.duration_since(entry.since) >= WINDOW {
            *entry = Attempts { count: 0, since: now };
        }
        if entry.count >= MAX_FAILURES {
            return Err(Unavailable::Throttled { retry_after: WINDOW - now.duration_since(entry.since) });
        }
        entry.count += 1;
        Ok(())
    }

    fn attempts(&self) -> std::sync::MutexGuard<'_, HashMap<String, Attempts>> {
        // A panic while it was held leaves a map that is still a map.
        self.attempts.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
