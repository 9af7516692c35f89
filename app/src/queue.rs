//! Where a worker hears of files that clients have put into the store themselves.

mod consume;
mod event;
mod sqs;
#[cfg(test)]
mod tests;

use std::future::Future;

use tokio_util::sync::CancellationToken;

pub use self::sqs::{Depth, Sqs};
use crate::{media::MediaId, settings::StorageSettings};

/// What tells of such files. The work on them is a job of the table `job` either way.
#[derive(Clone)]
pub enum Queue {
    /// The table alone: clients tell, and workers look into the store.
    Postgres,
    /// Beside that, the bucket's events.
    Sqs(Sqs),
}

impl Queue {
    /// Sends no request.
    pub fn open(storage: &StorageSettings) -> Self {
        match storage {
            StorageSettings::S3(settings) => match &settings.queue_url {
                Some(url) => Self::Sqs(Sqs::open(settings, url)),
                None => Self::Postgres,
            },
            StorageSettings::Local { .. } => Self::Postgres,
        }
    }

    /// Calls `arrived` for each object that has arrived under the key of an original, at least once and in any order, until
    /// `stop`. The queue tells again of what it fails for. With the table alone there is nothing to receive.
    pub async fn consume<A, F>(&self, arrived: A, stop: &CancellationToken)
    where
        A: Fn(MediaId) -> F + Clone + Send + 'static,
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        match self {
            Self::Postgres => {}
            Self::Sqs(sqs) => sqs.consume(arrived, stop).await,
        }
    }

    /// How many messages wait; `None` with the table alone.
    ///
    /// # Errors
    /// If the queue does not answer.
    pub async fn depth(&self) -> anyhow::Result<Option<Depth>> {
        match self {
            Self::Postgres => Ok(None),
            Self::Sqs(sqs) => sqs.depth().await.map(Some),
        }
    }
}
