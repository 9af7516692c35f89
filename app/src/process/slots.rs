//! Bounds how many processes work at the same time.

use std::{convert::Infallible, future::Future, sync::Arc};

use tokio::sync::{Semaphore, oneshot};

use super::ProcessError;

/// A slot for each process that may work. Callers get them in the order in which they asked.
#[derive(Clone)]
pub struct Slots(Arc<Semaphore>);

/// Tells the work that its caller no longer waits for the result.
pub struct Abandoned(oneshot::Receiver<Infallible>);

impl Slots {
    pub fn new(count: usize) -> Self {
        Self(Arc::new(Semaphore::new(count)))
    }

    /// Waits for a slot, then runs the work in a task of its own. The task keeps the slot until its process is gone, also
    /// when the caller is dropped: it is told so, and ends the process.
    pub async fn run<T, F>(&self, work: impl FnOnce(Abandoned) -> F) -> Result<T, ProcessError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ProcessError>> + Send + 'static,
    {
        // The semaphore is never closed.
        let permit = self.0.clone().acquire_owned().await.map_err(anyhow::Error::from)?;
        // Dropped with this future, which the receiver notices.
        let (_caller, abandoned) = oneshot::channel();
        let work = work(Abandoned(abandoned));
        let task = tokio::spawn(async move {
            let _permit = permit;
            work.await
        });
        task.await.map_err(|panic| ProcessError::Internal(panic.into()))?
    }
}

impl Abandoned {
    /// Waits until the caller is dropped.
    pub async fn wait(self) {
        // Nothing is ever sent, so this is the end of the sender.
        self.0.await.map_or_else(drop, |never| match never {});
    }
}
