//! What jobs share: a job says what it takes of the machine, and begins when that is free.

use tokio::sync::{Mutex, MutexGuard, Semaphore, SemaphorePermit};

/// What a job takes beside a place among those that run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Takes {
    /// The machine's Docker engine: no other job looks at all of its images and containers.
    pub engine: bool,
}

/// The machine that the jobs run on.
pub struct Machine {
    places: Semaphore,
    engine: Mutex<()>,
}

/// What a job holds until it is dropped.
pub struct Held<'a> {
    _place: Option<SemaphorePermit<'a>>,
    _engine: Option<MutexGuard<'a, ()>>,
}

impl Machine {
    /// A machine that runs so many jobs at a time.
    pub fn new(places: usize) -> Self {
        Self { places: Semaphore::new(places), engine: Mutex::default() }
    }

    /// Waits until all that a job takes is free. Jobs get it in the order in which they ask. All ask in the same order of
    /// things, the place last: none waits for another that waits for it.
    pub async fn hold(&self, takes: Takes) -> Held<'_> {
        Held {
            _engine: if takes.engine { Some(self.engine.lock().await) } else { None },
            // It is never closed.
            _place: self.places.acquire().await.ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Jobs that note when they begin and end.
    async fn run(machine: &Machine, jobs: &[(&str, Takes)]) -> String {
        let log = RefCell::new(String::new());
        let jobs = jobs.iter().map(async |(name, takes)| {
            let _held = machine.hold(*takes).await;
            log.borrow_mut().push_str(&format!("+{name}"));
            tokio::task::yield_now().await;
            log.borrow_mut().push_str(&format!("-{name}"));
        });
        futures_util::future::join_all(jobs).await;
        log.into_inner()
    }

    #[tokio::test]
    async fn as_many_jobs_run_as_there_are_places() {
        let nothing = Takes::default();
        let jobs = [("a", nothing), ("b", nothing), ("c", nothing)];
        assert_eq!(run(&Machine::new(2), &jobs).await, "+a+b-a-b+c-c");
        assert_eq!(run(&Machine::new(1), &jobs).await, "+a-a+b-b+c-c");
    }

    #[tokio::test]
    async fn two_jobs_that_take_the_same_run_one_after_another_and_hold_no_other_up() {
        let engine = Takes { engine: true };
        let jobs = [("a", engine), ("b", engine), ("c", Takes::default())];
        assert_eq!(run(&Machine::new(2), &jobs).await, "+a+c-a+b-c-b");
    }
}
