//! A queue of Amazon SQS, and what is asked of it. It is in the bucket's region, and takes the bucket's access key.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use aws_sdk_sqs::{
    Client,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig, timeout::TimeoutConfig},
    error::DisplayErrorContext,
    types::{DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName, QueueAttributeName as Attribute},
};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use crate::{settings::S3Settings, worker::STOP_GRACE};

/// How long a request for messages waits for the first, in seconds: the longest that SQS allows.
const WAIT: i32 = 20;

/// Messages in an answer, and in a request to delete them: the most that SQS allows.
pub(super) const BATCH: u8 = 10;

/// How long a received message is hidden from others. It is hidden anew while it is worked on.
const VISIBILITY: Duration = Duration::from_secs(120);

/// Limit for opening a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Limit for one attempt of a call.
const ATTEMPT: Duration = Duration::from_secs(15);

/// Cheap to clone.
#[derive(Clone)]
pub struct Sqs {
    pub(super) client: Client,
    pub(super) url: Arc<str>,
    /// Messages about other buckets are malformed.
    pub(super) bucket: Arc<str>,
    /// In whole seconds.
    pub(super) visibility: Duration,
    /// How long the work on a message may go on after the worker is told to stop.
    pub(super) stop_grace: Duration,
}

/// How many messages a queue has, about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Depth {
    pub waiting: u64,
    /// Received, and neither deleted nor visible again.
    pub in_flight: u64,
    /// In the dead-letter queue; `None` if there is none.
    pub dead: Option<u64>,
}

/// What SQS keeps as the attribute of this name.
#[derive(Deserialize)]
struct RedrivePolicy {
    #[serde(rename = "deadLetterTargetArn")]
    dead_letters: String,
}

impl Sqs {
    pub(super) fn open(settings: &S3Settings, url: &str) -> Self {
        let (key, secret) = (&settings.access_key_id, settings.secret_access_key.expose_secret());
        let limits = TimeoutConfig::builder()
            .connect_timeout(CONNECT)
            .operation_attempt_timeout(ATTEMPT + Duration::from_secs(WAIT.unsigned_abs().into()))
            .build();
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(
                aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https(),
            )
            .region(Region::new(settings.region.clone()))
            .endpoint_url(endpoint(url))
            .credentials_provider(Credentials::new(key, secret, None, None, "environment"))
            .retry_config(RetryConfig::standard())
            .timeout_config(limits);
        Self {
            client: Client::from_conf(config.build()),
            url: url.into(),
            bucket: settings.bucket.as_str().into(),
            visibility: VISIBILITY,
            stop_grace: STOP_GRACE,
        }
    }

    /// Waits up to 20 s for messages, at most [`BATCH`] of them.
    pub(super) async fn receive(&self) -> anyhow::Result<Vec<Message>> {
        let call = self.client.receive_message().queue_url(&*self.url).max_number_of_messages(BATCH.into());
        let call = call.wait_time_seconds(WAIT).visibility_timeout(self.seconds());
        let sent = call.message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount).send();
        let answer = said(sent.await).with_context(|| format!("receive from {}", self.url))?;
        Ok(answer.messages.unwrap_or_default())
    }

    /// Deletes at most [`BATCH`] messages, by their receipts.
    pub(super) async fn delete(&self, receipts: Vec<String>) -> anyhow::Result<()> {
        let context = || format!("delete messages of {}", self.url);
        let entries = receipts.into_iter().enumerate().map(|(place, receipt)| {
            DeleteMessageBatchRequestEntry::builder().id(place.to_string()).receipt_handle(receipt).build()
        });
        let entries = entries.collect::<Result<_, _>>().with_context(context)?;
        let sent = self.client.delete_message_batch().queue_url(&*self.url).set_entries(Some(entries)).send();
        let failed = said(sent.await).with_context(context)?.failed;
        let Some(first) = failed.first() else { return Ok(()) };
        let why = first.message.as_deref().unwrap_or(&first.code);
        Err(anyhow::anyhow!("{} are left: {why}", failed.len())).with_context(context)
    }

    /// Hides a message for as long again.
    pub(super) async fn extend(&self, receipt: &str) -> anyhow::Result<()> {
        self.hide(receipt, self.seconds()).await
    }

    /// Has a message delivered at once, to any worker.
    pub(super) async fn give_back(&self, receipt: &str) -> anyhow::Result<()> {
        self.hide(receipt, 0).await
    }

    /// # Errors
    /// If SQS does not answer.
    pub async fn depth(&self) -> anyhow::Result<Depth> {
        let (waiting, in_flight, dead_letters) = self.look(&self.url).await?;
        let dead = match dead_letters {
            Some(arn) => {
                let (waiting, in_flight, _) = self.look(&self.url_of(&arn).await?).await?;
                Some(waiting + in_flight)
            }
            None => None,
        };
        Ok(Depth { waiting, in_flight, dead })
    }

    /// Moves the messages of the dead-letter queue back. Returns how many. Those that are moved when this is cut off may be in both.
    ///
    /// # Errors
    /// If SQS does not answer, or the queue has no dead-letter queue.
    pub async fn redrive(&self) -> anyhow::Result<usize> {
        let (.., dead_letters) = self.look(&self.url).await?;
        let arn = dead_letters.with_context(|| format!("{} has no dead-letter queue", self.url))?;
        let dead = Self { url: self.url_of(&arn).await?.into(), ..self.clone() };
        let mut moved = 0;
        loop {
            // Only with a wait does SQS ask all of its servers, so that an empty answer means an empty queue.
            let call = self.client.receive_message().queue_url(&*dead.url).max_number_of_messages(BATCH.into());
            let sent = call.wait_time_seconds(1).visibility_timeout(self.seconds()).send();
            let answer = said(sent.await).with_context(|| format!("receive from {}", dead.url))?;
            let messages = answer.messages.unwrap_or_default();
            if messages.is_empty() {
                return Ok(moved);
            }
            let mut receipts = Vec::new();
            for message in messages {
                let call = self.client.send_message().queue_url(&*self.url);
                let sent = call.message_body(message.body.unwrap_or_default()).send().await;
                said(sent).with_context(|| format!("send to {}", self.url))?;
                receipts.push(message.receipt_handle.unwrap_or_default());
            }
            moved += receipts.len();
            dead.delete(receipts).await?;
        }
    }

    /// How many messages of a queue wait and are in flight, and the ARN of its dead-letter queue.
    async fn look(&self, url: &str) -> anyhow::Result<(u64, u64, Option<String>)> {
        let call = self.client.get_queue_attributes().queue_url(url);
        let call = call.attribute_names(Attribute::ApproximateNumberOfMessages);
        let call = call.attribute_names(Attribute::ApproximateNumberOfMessagesNotVisible);
        let sent = call.attribute_names(Attribute::RedrivePolicy).send().await;
        let answer = said(sent).with_context(|| format!("look at {url}"))?;
        let attributes = answer.attributes.unwrap_or_default();
        let count = |name: Attribute| attributes.get(&name).and_then(|text| text.parse().ok()).unwrap_or_default();
        let policy = attributes.get(&Attribute::RedrivePolicy).filter(|policy| !policy.is_empty());
        let policy: Option<RedrivePolicy> = policy.map(|policy| serde_json::from_str(policy)).transpose()?;
        Ok((
            count(Attribute::ApproximateNumberOfMessages),
            count(Attribute::ApproximateNumberOfMessagesNotVisible),
            policy.map(|policy| policy.dead_letters),
        ))
    }

    /// The URL of a queue in the same region, by its ARN: `arn:aws:sqs:REGION:ACCOUNT:NAME`.
    async fn url_of(&self, arn: &str) -> anyhow::Result<String> {
        let name = arn.rsplit(':').next().unwrap_or_default();
        let account = arn.rsplit(':').nth(1).unwrap_or_default();
        let sent = self.client.get_queue_url().queue_name(name).queue_owner_aws_account_id(account).send().await;
        let answer = said(sent).with_context(|| format!("find the queue {arn}"))?;
        answer.queue_url.with_context(|| format!("find the queue {arn}: SQS answers without a URL"))
    }

    async fn hide(&self, receipt: &str, seconds: i32) -> anyhow::Result<()> {
        let call = self.client.change_message_visibility().queue_url(&*self.url).receipt_handle(receipt);
        let sent = call.visibility_timeout(seconds).send().await;
        said(sent).map(drop).with_context(|| format!("hide a message of {}", self.url))
    }

    fn seconds(&self) -> i32 {
        self.visibility.as_secs().try_into().unwrap_or(i32::MAX)
    }
}

/// The error of the SDK with all that it says: its `Display` leaves out why.
fn said<T, E: std::error::Error>(sent: Result<T, E>) -> anyhow::Result<T> {
    sent.map_err(|error| anyhow::anyhow!("{}", DisplayErrorContext(error)))
}

/// Where requests about a queue go: its URL without the account and the name, which end its path. At Amazon this is the address of the
/// region; another server may be below a path.
fn endpoint(url: &str) -> &str {
    let host = url.find("://").map_or(0, |scheme| scheme + 3);
    let path = url[host..].find('/').map_or(url.len(), |path| host + path);
    url[path..].rmatch_indices('/').take(2).last().map_or(url, |(end, _)| &url[..path + end])
}

#[cfg(test)]
mod tests {
    use super::endpoint;

    #[test]
    fn requests_go_to_what_is_before_the_account_and_the_name() {
        for (url, expected) in [
            ("https://sqs.eu-north-1.amazonaws.com/123456789012/uploads", "https://sqs.eu-north-1.amazonaws.com"),
            ("http://127.0.0.1:9324/000000000000/uploads", "http://127.0.0.1:9324"),
            ("http://127.0.0.1:9324/uploads", "http://127.0.0.1:9324"),
            ("http://127.0.0.1:5000/aws/123456789012/uploads", "http://127.0.0.1:5000/aws"),
        ] {
            assert_eq!(endpoint(url), expected);
        }
    }
}
