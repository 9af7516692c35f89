//! A bucket and a queue that it tells of its objects, as `infra/aws` makes them.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::{Moto, http};

/// The bucket's name.
pub const BUCKET: &str = "media";

/// The region of both.
pub const REGION: &str = "us-east-1";

/// Two queues, of which one takes what the other could not settle. The bucket tells of nothing yet.
pub struct Uploads {
    endpoint: String,
    /// The URL of the queue.
    pub queue: String,
    /// The URL of its dead-letter queue.
    pub dead: String,
}

impl Moto {
    /// Makes a bucket and its queues. A message that was received `max_receives` times is a dead letter.
    pub fn uploads(&self, max_receives: u32) -> Result<Uploads> {
        let endpoint = self.endpoint();
        let dead = create(&endpoint, &json!({ "QueueName": "dead" }))?;
        let policy = json!({ "deadLetterTargetArn": arn("dead"), "maxReceiveCount": max_receives }).to_string();
        let attributes = json!({ "QueueName": "uploads", "Attributes": { "RedrivePolicy": policy } });
        let queue = create(&endpoint, &attributes)?;
        let uploads = Uploads { endpoint, queue, dead };
        uploads.put(&format!("/{BUCKET}"), &[], b"")?;
        Ok(uploads)
    }
}

impl Uploads {
    /// Has the bucket tell of its objects, or of those whose keys begin so. The first that it tells is that it will.
    pub fn tell_of(&self, prefix: Option<&str>) -> Result<()> {
        let rule = |prefix| format!("<FilterRule><Name>prefix</Name><Value>{prefix}</Value></FilterRule>");
        let filter = prefix.map(|prefix| format!("<Filter><S3Key>{}</S3Key></Filter>", rule(prefix)));
        let (queue, filter) = (arn("uploads"), filter.unwrap_or_default());
        let notify = format!(
            "<NotificationConfiguration><QueueConfiguration><Queue>{queue}</Queue><Event>s3:ObjectCreated:*</Event>\
             {filter}</QueueConfiguration></NotificationConfiguration>"
        );
        self.put(&format!("/{BUCKET}?notification"), &[], notify.as_bytes())
    }

    /// Puts an object into the bucket, as a client does. The key is in the form that a URL has.
    pub fn put_object(&self, key: &str, content_type: &str, bytes: &[u8]) -> Result<()> {
        self.put(&format!("/{BUCKET}/{key}"), &[("Content-Type", content_type)], bytes)
    }

    /// The type of an object; none if it is not there.
    pub fn content_type(&self, key: &str) -> Result<Option<String>> {
        let signed = signed("s3");
        let answer =
            http::ask(&self.endpoint, "HEAD", &format!("/{BUCKET}/{key}"), &[("Authorization", &signed)], b"")?;
        Ok((answer.status == 200).then(|| answer.header("content-type").unwrap_or_default().to_owned()))
    }

    /// Sends messages to the queue, at most ten.
    pub fn send(&self, bodies: &[String]) -> Result<()> {
        let entries = bodies.iter().enumerate();
        let entries: Vec<_> =
            entries.map(|(place, body)| json!({ "Id": place.to_string(), "MessageBody": body })).collect();
        let sent = sqs(&self.endpoint, "SendMessageBatch", &json!({ "QueueUrl": self.queue, "Entries": entries }))?;
        ensure!(sent["Failed"].as_array().is_none_or(Vec::is_empty), "send messages to moto: {sent}");
        Ok(())
    }

    /// How many messages of the queue are not deleted.
    pub fn left(&self) -> Result<u64> {
        let names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
        let asked = json!({ "QueueUrl": self.queue, "AttributeNames": names });
        let answer = sqs(&self.endpoint, "GetQueueAttributes", &asked)?;
        let count = |name| answer["Attributes"][name].as_str()?.parse::<u64>().ok();
        let [waiting, in_flight] = names.map(count);
        waiting.zip(in_flight).map(|(waiting, in_flight)| waiting + in_flight).context("moto counts messages")
    }

    fn put(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<()> {
        let answer =
            http::ask(&self.endpoint, "PUT", path, &[headers, &[("Authorization", &signed("s3"))]].concat(), body)
                .with_context(|| format!("put {path} into moto"))?;
        ensure!(answer.status == 200, "put {path} into moto: {}", answer.text());
        Ok(())
    }
}

/// Makes a queue, and returns its URL.
fn create(endpoint: &str, queue: &Value) -> Result<String> {
    let made = sqs(endpoint, "CreateQueue", queue)?;
    Ok(made["QueueUrl"].as_str().with_context(|| format!("make a queue of moto: {made}"))?.to_owned())
}

/// Calls an operation of SQS.
fn sqs(endpoint: &str, operation: &str, asked: &Value) -> Result<Value> {
    let (target, authorization) = (format!("AmazonSQS.{operation}"), signed("sqs"));
    let headers =
        [("Content-Type", "application/x-amz-json-1.0"), ("X-Amz-Target", &target), ("Authorization", &authorization)];
    let answer = http::ask(endpoint, "POST", "/", &headers, asked.to_string());
    let answer = answer.with_context(|| format!("ask moto for {operation}"))?;
    ensure!(answer.status == 200, "ask moto for {operation}: {}", answer.text());
    serde_json::from_slice(&answer.body).with_context(|| format!("read moto's answer to {operation}"))
}

/// moto gives every queue this account.
fn arn(queue: &str) -> String {
    format!("arn:aws:sqs:{REGION}:123456789012:{queue}")
}

/// moto selects the service by the credential's scope, and checks no signature.
fn signed(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=id/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=none"
    )
}
