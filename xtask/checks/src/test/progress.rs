//! How far a run is: a line when a job ends, its output only when it failed, and a sign of life each minute.

use std::cell::{Ref, RefCell};
use std::time::{Duration, Instant};

use xtask::report::{Report, seconds};

use super::job::Done;
use crate::processor;

/// How often is said what runs.
const SIGN_OF_LIFE: Duration = Duration::from_secs(60);

/// What has ended and what runs.
pub struct Progress {
    report: Report,
    began: Instant,
    busy: Option<Duration>,
    running: RefCell<Vec<(String, Instant)>>,
    done: RefCell<Vec<Done>>,
}

impl Progress {
    /// Nothing so far.
    pub fn new(report: &Report) -> Self {
        let (running, done) = (RefCell::default(), RefCell::default());
        Self { report: report.clone(), began: Instant::now(), busy: processor::busy(), running, done }
    }

    /// A job begins.
    pub fn begins(&self, name: &str) {
        self.running.borrow_mut().push((name.to_owned(), Instant::now()));
    }

    /// A job has ended.
    pub fn ends(&self, done: Done) {
        self.running.borrow_mut().retain(|(name, _)| *name != done.name);
        let outcome = &done.outcome;
        if !outcome.failed.is_empty() || !outcome.flaky.is_empty() {
            done.lines.iter().for_each(|line| self.report.detail(line));
        }
        let counts = match (outcome.passed, outcome.failed.len(), outcome.skipped.len()) {
            (0, 0, 0) => "done".to_owned(),
            (passed, failed, skipped) => format!("{passed} passed, {failed} failed, {skipped} skipped"),
        };
        self.report.note(&format!("{}: {counts} in {}", done.name, seconds(done.wall)));
        self.done.borrow_mut().push(done);
    }

    /// Says from time to time what runs. Never ends.
    pub async fn signs_of_life(&self) {
        loop {
            tokio::time::sleep(SIGN_OF_LIFE).await;
            let running = self.running.borrow();
            let running: Vec<_> =
                running.iter().map(|(name, began)| format!("{name} ({})", seconds(began.elapsed()))).collect();
            self.report.detail(&format!("after {}: {}", seconds(self.elapsed()), running.join(", ")));
        }
    }

    /// What has ended.
    pub fn done(&self) -> Ref<'_, Vec<Done>> {
        self.done.borrow()
    }

    /// Time since the run began.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// The processor time that all of the machine has spent since then, where the system tells.
    pub fn busy(&self) -> Option<Duration> {
        Some(processor::busy()?.saturating_sub(self.busy?))
    }
}
