//! How long a server that does not answer is asked again: one rule for all clients.
//!
//! A command that only asks gives up after a few attempts. While a deploy is under way, a server that is restarted or a network that
//! is down for a moment is waited for.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::report::Report;

/// The fewest attempts of one request.
const ATTEMPTS: u32 = 4;
/// The longest pause before the second attempt; it doubles with each one, up to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What the clients of one environment share. Clones are the same one.
#[derive(Clone, Default)]
pub struct Patience(Arc<Shared>);

#[derive(Default)]
struct Shared {
    report: Option<Report>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    lasts: Duration,
    /// Servers that were waited for, and those of them that did not come back.
    told: BTreeSet<String>,
    lost: BTreeSet<String>,
}

impl Patience {
    /// None beyond the few attempts, until [`Patience::lasts`]. The report is told which server is waited for.
    pub fn new(report: Report) -> Self {
        Self(Arc::new(Shared { report: Some(report), kept: Mutex::default() }))
    }

    /// From now on each server is asked again for this long. One that was waited for in vain is not waited for again, so that the
    /// command ends soon.
    pub fn lasts(&self, time: Duration) {
        *self.kept() = Kept { lasts: time, ..Kept::default() };
    }

    /// The attempts of one request to this server, which is named to the user.
    pub fn attempts(&self, server: impl Into<String>) -> Attempts {
        Attempts { patience: self.clone(), server: server.into(), failed: 0, began: Instant::now() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Patience {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Patience({:?})", self.kept().lasts)
    }
}

/// The attempts of one request.
pub struct Attempts {
    patience: Patience,
    server: String,
    failed: u32,
    began: Instant,
}

impl Attempts {
    /// Whether no attempt has failed yet.
    pub fn is_first(&self) -> bool {
        self.failed == 0
    }

    /// Whether to try again after a failure that may pass. If so, waits first: for as long as the server asks, or a little longer
    /// each time.
    pub async fn again(&mut self, asked_for: Option<Duration>) -> bool {
        self.failed += 1;
        if self.failed >= ATTEMPTS && !self.waits() {
            return false;
        }
        // The random part keeps two machines that failed together from trying again together.
        let longest = (PAUSE * 2u32.pow((self.failed - 1).min(ATTEMPTS))).min(LONGEST_PAUSE);
        let part = f64::from(getrandom::u32().unwrap_or(u32::MAX)) / f64::from(u32::MAX);
        sleep(asked_for.unwrap_or_else(|| longest.mul_f64(0.5 + part / 2.0))).await;
        true
    }

    /// Whether the server is waited for after the few attempts.
    fn waits(&self) -> bool {
        let mut kept = self.patience.kept();
        if self.began.elapsed() >= kept.lasts || kept.lost.contains(&self.server) {
            kept.lost.insert(self.server.clone());
            return false;
        }
        if kept.told.insert(self.server.clone())
            && let Some(report) = &self.patience.0.report
        {
            report.note(&format!("{} does not answer; trying again for {} s", self.server, kept.lasts.as_secs()));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many attempts fail until it is given up, with short pauses.
    async fn gives_up(patience: &Patience, server: &str) -> u32 {
        let mut attempts = patience.attempts(server);
        while attempts.again(Some(Duration::from_millis(50))).await {}
        attempts.failed
    }

    #[tokio::test]
    async fn a_server_is_waited_for_once_while_something_is_under_way() {
        let patience = Patience::default();
        assert_eq!(gives_up(&patience, "one").await, ATTEMPTS);
        patience.lasts(Duration::from_secs(1));
        assert!(gives_up(&patience, "one").await > ATTEMPTS);
        assert_eq!(gives_up(&patience.clone(), "one").await, ATTEMPTS);
        assert!(gives_up(&patience.clone(), "two").await > ATTEMPTS);
    }

    #[tokio::test]
    async fn a_server_is_asked_at_least_a_few_times() {
        let patience = Patience::default();
        patience.lasts(Duration::from_millis(1));
        let mut attempts = patience.attempts("one");
        assert!(attempts.is_first());
        while attempts.again(None).await {}
        assert_eq!((attempts.failed, attempts.is_first()), (ATTEMPTS, false));
    }
}
