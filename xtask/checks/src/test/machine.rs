//! What jobs share: a job says what it takes of the machine, and begins when that is free.

use std::cell::RefCell;

use tokio::sync::Notify;

/// What a job takes beside a place among those that run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Takes {
    /// The machine's Docker engine: no other job looks at all of its images and containers.
    pub engine: bool,
}

/// The machine that the jobs run on.
pub struct Machine {
    free: RefCell<Free>,
    changed: Notify,
}

/// What a job holds until it is dropped.
pub struct Held<'a> {
    machine: &'a Machine,
    takes: Takes,
}

struct Free {
    places: usize,
    engine: bool,
    /// Those that wait, in the order in which they asked.
    waiting: Vec<(usize, Takes)>,
    asked: usize,
}

impl Machine {
    /// A machine that runs so many jobs at a time.
    pub fn new(places: usize) -> Self {
        Self {
            free: RefCell::new(Free { places, engine: true, waiting: Vec::new(), asked: 0 }),
            changed: Notify::new(),
        }
    }

    /// Waits until all that a job takes is free. A place goes to the first of those that wait, in the order in which they
    /// asked, that finds all else free: a job that waits for the engine keeps its turn, and holds no other up.
    pub async fn hold(&self, takes: Takes) -> Held<'_> {
        let number = self.free.borrow_mut().ask(takes);
        loop {
            // Registered before the look, so that no change in between is missed.
            let changed = self.changed.notified();
            if self.free.borrow_mut().take(number) {
                // Another one is the next now.
                self.changed.notify_waiters();
                return Held { machine: self, takes };
            }
            changed.await;
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut free = self.machine.free.borrow_mut();
        free.places += 1;
        free.engine |= self.takes.engine;
        self.machine.changed.notify_waiters();
    }
}

impl Free {
    fn ask(&mut self, takes: Takes) -> usize {
        self.asked += 1;
        self.waiting.push((self.asked, takes));
        self.asked
    }

    /// Whether this one is the next.
    fn take(&mut self, number: usize) -> bool {
        let next = self.waiting.iter().position(|(_, takes)| self.engine || !takes.engine);
        match next {
            Some(next) if self.places > 0 && self.waiting[next].0 == number => {
                let (_, takes) = self.waiting.remove(next);
                self.places -= 1;
                self.engine &= !takes.engine;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
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

    #[tokio::test]
    async fn one_that_waits_for_the_engine_keeps_its_turn() {
        let (engine, nothing) = (Takes { engine: true }, Takes::default());
        let jobs = [("a", engine), ("b", engine), ("c", nothing), ("d", nothing)];
        assert_eq!(run(&Machine::new(2), &jobs).await, "+a+c-a+b-c+d-b-d");
    }
}
