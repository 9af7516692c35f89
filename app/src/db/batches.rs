//! What several requests ask of the database at the same time, asked at once. A request that is alone waits for no other; those that
//! come while statements run wait for the next, and share its round trips and its commit.

use std::{
    future::Future,
    io,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::FutureExt as _;
use tokio::{sync::oneshot, task::yield_now, time::timeout};

use super::{is_away, was_cut};

/// Batches that are in progress at a time: one is put together while another waits for its commit.
const AT_ONCE: usize = 2;

/// The most items of a batch. It bounds what one statement locks, and how long.
const MOST: usize = 100;

/// A batch that takes longer has lost its connection, and would hold up all that wait.
const LONGEST: Duration = Duration::from_secs(10);

type Running<O> = Pin<Box<dyn Future<Output = sqlx::Result<Vec<O>>> + Send>>;

/// Collects items, and runs all that wait at once. A clone has the same items.
pub struct Batches<I, O>(Arc<Shared<I, O>>);

struct Shared<I, O> {
    /// Of one batch.
    longest: Duration,
    run: Box<dyn Fn(Vec<I>) -> Running<O> + Send + Sync>,
    state: Mutex<State<I, O>>,
}

struct State<I, O> {
    waiting: Vec<Waiting<I, O>>,
    /// Tasks that take what waits.
    tasks: usize,
}

struct Waiting<I, O> {
    item: I,
    answer: oneshot::Sender<sqlx::Result<O>>,
}

impl<I, O> Clone for Batches<I, O> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<I: Clone + Send + 'static, O: Send + 'static> Batches<I, O> {
    /// `run` gets some items and returns a result for each, in their order. It does all of its work or, if it fails, none.
    pub fn new<F>(run: impl Fn(Vec<I>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = sqlx::Result<Vec<O>>> + Send + 'static,
    {
        Self::within(LONGEST, run)
    }

    fn within<F>(longest: Duration, run: impl Fn(Vec<I>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = sqlx::Result<Vec<O>>> + Send + 'static,
    {
        let run = Box::new(move |items| Box::pin(run(items)) as Running<O>);
        Self(Arc::new(Shared { longest, run, state: Mutex::new(State { waiting: Vec::new(), tasks: 0 }) }))
    }

    /// The result of an item. It is run by a query that begins after this was called. A caller that is dropped takes its item along only
    /// if that has not begun.
    ///
    /// # Errors
    /// Those of `run` for this item alone: where a batch fails by a fault of one of its items, each is run by itself.
    pub async fn run(&self, item: I) -> sqlx::Result<O> {
        let (answer, answered) = oneshot::channel();
        let begins = {
            let mut state = self.0.state();
            state.waiting.push(Waiting { item, answer });
            let begins = state.tasks < AT_ONCE;
            state.tasks += usize::from(begins);
            begins
        };
        if begins {
            tokio::spawn(self.0.clone().work_off());
        }
        answered.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
    }
}

impl<I: Clone + Send + 'static, O: Send + 'static> Shared<I, O> {
    async fn work_off(self: Arc<Self>) {
        loop {
            // Requests that have arrived, but were not read yet, come along.
            yield_now().await;
            let Some(batch) = self.take() else { return };
            self.answer(batch).await;
        }
    }

    /// What waits. Without anything, this task has ended.
    fn take(&self) -> Option<Vec<Waiting<I, O>>> {
        let mut state = self.state();
        state.waiting.retain(|waiting| !waiting.answer.is_closed());
        if state.waiting.is_empty() {
            state.tasks -= 1;
            return None;
        }
        let count = state.waiting.len().min(MOST);
        Some(state.waiting.drain(..count).collect())
    }

    /// A caller that is gone misses its answer, which is no error.
    async fn answer(&self, batch: Vec<Waiting<I, O>>) {
        let items = batch.iter().map(|waiting| waiting.item.clone()).collect();
        match self.run(items).await {
            Ok(results) => {
                for (waiting, result) in batch.into_iter().zip(results) {
                    drop(waiting.answer.send(Ok(result)));
                }
            }
            Err(error) if is_away(&error) => none_is_answered(batch, &error),
            Err(_) => {
                let mut rest = batch.into_iter();
                while let Some(Waiting { item, answer }) = rest.find(|waiting| !waiting.answer.is_closed()) {
                    let alone = self.run(vec![item]).await;
                    let away = alone.as_ref().err().filter(|error| is_away(error)).map(also_away);
                    drop(answer.send(alone.and_then(|mut results| results.pop().ok_or(sqlx::Error::RowNotFound))));
                    if let Some(error) = away {
                        none_is_answered(rest, &error);
                        return;
                    }
                }
            }
        }
    }

    async fn run(&self, items: Vec<I>) -> sqlx::Result<Vec<O>> {
        let running = AssertUnwindSafe(async { (self.run)(items).await }).catch_unwind();
        match timeout(self.longest, running).await {
            Ok(ran) => ran.unwrap_or(Err(sqlx::Error::WorkerCrashed)),
            Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<I, O>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells callers that the database is away, and once the log, why.
fn none_is_answered<I, O>(callers: impl IntoIterator<Item = Waiting<I, O>>, error: &sqlx::Error) {
    tracing::warn!(error = %error, "the database is away for what several requests ask");
    for waiting in callers {
        drop(waiting.answer.send(Err(also_away(error))));
    }
}

/// What the database's absence means to each caller of a batch.
fn also_away(error: &sqlx::Error) -> sqlx::Error {
    if was_cut(error) { io::Error::other(error.to_string()).into() } else { sqlx::Error::PoolTimedOut }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::join_all;
    use tokio::{sync::Semaphore, time::timeout};

    use super::*;

    type Seen = Arc<Mutex<Vec<Vec<u32>>>>;

    /// Records the batches, and doubles their numbers once it may.
    fn doubling() -> (Batches<u32, u32>, Seen, Arc<Semaphore>) {
        let (seen, gate) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Semaphore::new(0)));
        let (seen_too, gate_too) = (seen.clone(), gate.clone());
        let batches = Batches::new(move |items: Vec<u32>| {
            seen_too.lock().unwrap().push(items.clone());
            assert!(!items.contains(&16), "another fault");
            let gate = gate_too.clone();
            async move {
                gate.acquire().await.unwrap().forget();
                match items.as_slice() {
                    [13] => Err(sqlx::Error::RowNotFound),
                    items if items.contains(&13) => Err(sqlx::Error::ColumnNotFound("a".into())),
                    items if items.contains(&14) => Err(sqlx::Error::PoolTimedOut),
                    items if items.contains(&15) => panic!("a fault"),
                    items => Ok(items.iter().map(|item| item * 2).collect()),
                }
            }
        });
        (batches, seen, gate)
    }

    async fn ask(batches: &Batches<u32, u32>, items: &[u32]) -> Vec<sqlx::Result<u32>> {
        join_all(items.iter().map(|item| batches.run(*item))).await
    }

    #[tokio::test]
    async fn what_waits_is_run_at_once_and_each_gets_its_own_result() {
        let (batches, seen, gate) = doubling();
        let first = tokio::spawn({
            let batches = batches.clone();
            async move { ask(&batches, &[1]).await.remove(0).unwrap() }
        });
        while seen.lock().unwrap().is_empty() {
            yield_now().await;
        }
        // The second task takes the first of these, or all.
        let mut rest = std::pin::pin!(ask(&batches, &[2, 3, 4, 5]));
        while seen.lock().unwrap().len() < AT_ONCE {
            assert!(timeout(Duration::ZERO, &mut rest).await.is_err());
        }
        gate.add_permits(100);
        assert_eq!(rest.await.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [4, 6, 8, 10]);
        assert_eq!(first.await.unwrap(), 2);
        assert_eq!(seen.lock().unwrap()[0], [1], "one that is alone waits for no other");
        assert!(seen.lock().unwrap().len() <= 3, "{:?}", seen.lock().unwrap());
        // An idle one has no task.
        while batches.0.state().tasks > 0 {
            yield_now().await;
        }
    }

    #[tokio::test]
    async fn the_fault_of_one_item_is_none_of_the_others() {
        let (batches, _, gate) = doubling();
        gate.add_permits(100);
        let results = ask(&batches, &[1, 13, 2, 15]).await;
        assert!(matches!(&results[..], [Ok(2), Err(sqlx::Error::RowNotFound), Ok(4), Err(sqlx::Error::WorkerCrashed)]));
        let away = ask(&batches, &[1, 14]).await;
        assert!(away.iter().all(|result| matches!(result, Err(sqlx::Error::PoolTimedOut))), "{away:?}");
        for _ in 0..=AT_ONCE {
            let results = ask(&batches, &[16]).await;
            assert!(matches!(&results[..], [Err(sqlx::Error::WorkerCrashed)]), "{results:?}");
        }
        assert_eq!(ask(&batches, &[7]).await.remove(0).unwrap(), 14, "it goes on");
    }

    #[tokio::test]
    async fn a_batch_that_hangs_ends() {
        let batches = Batches::within(Duration::from_millis(10), |items: Vec<u32>| async move {
            if items == [17] { std::future::pending().await } else { Ok(items) }
        });
        for _ in 0..=AT_ONCE {
            let results = ask(&batches, &[17]).await;
            assert!(matches!(&results[..], [Err(sqlx::Error::Io(_))]), "{results:?}");
        }
        assert_eq!(ask(&batches, &[7]).await.remove(0).unwrap(), 7, "it goes on");
    }

    #[tokio::test]
    async fn a_caller_that_is_dropped_harms_no_other() {
        let (batches, seen, gate) = doubling();
        // Both tasks are at work.
        for count in 1..=AT_ONCE {
            let (batches, seen) = (batches.clone(), seen.clone());
            tokio::spawn(async move { batches.run(count as u32).await });
            while seen.lock().unwrap().len() < count {
                yield_now().await;
            }
        }
        assert!(timeout(Duration::ZERO, batches.run(20)).await.is_err());
        let mut kept = std::pin::pin!(batches.run(21));
        assert!(timeout(Duration::ZERO, &mut kept).await.is_err());
        gate.add_permits(100);
        assert_eq!(kept.await.unwrap(), 42);
        assert!(!seen.lock().unwrap().concat().contains(&20), "what has not begun is left out");
    }
}
