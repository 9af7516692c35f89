//! Receives messages and acts on them, until the worker stops.

use std::{convert::Infallible, future::Future, time::Duration};

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName::ApproximateReceiveCount};
use tokio::{
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::{
    event::{self, Notice},
    sqs::{BATCH, Sqs},
};
use crate::media::MediaId;

/// Messages that are worked on at once: those of two answers, so one can be received while another is worked on.
const AT_ONCE: usize = 2 * BATCH as usize;

/// The pause after the queue did not answer. The SDK has tried again until then.
const PAUSE: Duration = Duration::from_secs(5);

impl Sqs {
    pub(super) async fn consume<A, F>(&self, arrived: A, stop: &CancellationToken)
    where
        A: Fn(MediaId) -> F + Clone + Send + 'static,
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let mut at_work = JoinSet::new();
        let (done, to_delete) = mpsc::unbounded_channel();
        let deleting = tokio::spawn(self.clone().delete_done(to_delete));
        loop {
            // Each answer has as many messages as it may: a request for each message would take a burst ten times as long.
            while at_work.len() > AT_ONCE - usize::from(BATCH) {
                ended(at_work.join_next().await);
            }
            while let Some(done) = at_work.try_join_next() {
                ended(Some(done));
            }
            // A message that is on its way when this is cut off is delivered again.
            let received = tokio::select! {
                () = stop.cancelled() => break,
                received = self.receive() => received,
            };
            match received {
                Ok(messages) => {
                    for message in messages {
                        at_work.spawn(self.clone().work(message, arrived.clone(), done.clone(), stop.clone()));
                    }
                }
                Err(error) => {
                    warn!(error = format!("{error:#}"), "cannot receive from the queue");
                    tokio::select! {
                        () = stop.cancelled() => break,
                        () = sleep(PAUSE) => {}
                    }
                }
            }
        }
        while let Some(done) = at_work.join_next().await {
            ended(Some(done));
        }
        drop(done);
        ended(Some(deleting.await));
    }

    /// Acts on a message and has it deleted. If that fails, the message stays, and is delivered again when its time is over, at last to
    /// the dead-letter queue.
    async fn work<A, F>(self, message: Message, arrived: A, done: UnboundedSender<String>, stop: CancellationToken)
    where
        A: Fn(MediaId) -> F,
        F: Future<Output = anyhow::Result<()>>,
    {
        let id = message.message_id.as_deref().unwrap_or_default();
        let receipt = message.receipt_handle.as_deref().unwrap_or_default();
        let body = message.body.as_deref().unwrap_or_default();
        let mut work = std::pin::pin!(async {
            tokio::select! {
                done = act(id, event::read(body, &self.bucket), arrived) => done,
                never = self.keep_hidden(id, receipt) => match never {},
            }
        });
        let worked = tokio::select! {
            worked = &mut work => Some(worked),
            () = stop.cancelled() => timeout(self.stop_grace, work).await.ok(),
        };
        match worked {
            // It is open until all messages have been worked on.
            Some(Ok(())) => drop(done.send(receipt.to_owned())),
            Some(Err(error)) => {
                let attributes = message.attributes.as_ref();
                let receives = attributes.and_then(|all| all.get(&ApproximateReceiveCount)).map(String::as_str);
                let error = format!("{error:#}");
                warn!(message_id = id, receives, error, "a message of the queue failed; it is delivered again");
            }
            None => {
                info!(message_id = id, "stopping: giving a message back");
                if let Err(error) = self.give_back(receipt).await {
                    warn!(
                        message_id = id,
                        error = format!("{error:#}"),
                        "cannot give a message back; it is delivered late"
                    );
                }
            }
        }
    }

    /// Deletes messages by their receipts, until none can come any more: all that have come while the ones before were deleted, at once.
    async fn delete_done(self, mut to_delete: UnboundedReceiver<String>) {
        let mut receipts = Vec::new();
        while to_delete.recv_many(&mut receipts, BATCH.into()).await > 0 {
            if let Err(error) = self.delete(std::mem::take(&mut receipts)).await {
                warn!(error = format!("{error:#}"), "cannot delete messages of the queue; they are delivered again");
            }
        }
    }

    async fn keep_hidden(&self, id: &str, receipt: &str) -> Infallible {
        loop {
            // Twice this may fail.
            sleep(self.visibility / 3).await;
            match self.extend(receipt).await {
                Ok(()) => debug!(message_id = id, "a message stays hidden"),
                Err(error) => {
                    warn!(
                        message_id = id,
                        error = format!("{error:#}"),
                        "cannot hide a message any longer; others may get it"
                    );
                }
            }
        }
    }
}

/// All of the message, even if one part of it fails.
async fn act<A, F>(id: &str, notices: Vec<Notice>, arrived: A) -> anyhow::Result<()>
where
    A: Fn(MediaId) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    let mut acted = Ok(());
    for notice in notices {
        match notice {
            Notice::Arrived(media) => acted = acted.and(arrived(media).await),
            Notice::Test => info!(message_id = id, "the queue has a test event: the bucket tells it of new objects"),
            Notice::Malformed(why) => warn!(message_id = id, why, "a malformed message of the queue is deleted"),
        }
    }
    acted
}

fn ended(done: Option<Result<(), tokio::task::JoinError>>) {
    if let Some(Err(error)) = done {
        error!(%error, "the work on a message panicked; it is delivered again");
    }
}
