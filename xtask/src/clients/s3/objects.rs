//! Reading, listing and conditional writing of small objects.
//!
//! Each call has a time limit. A transient error is retried after a random pause, see `clients/patience.rs`. A write whose answer was lost may have succeeded. The condition then rejects the retry, so the object is
//! read back and compared before the call returns.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{Builder, ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::{ByteStream, DateTime, DateTimeFormat};
use tokio::time::timeout;

use super::error::{Kind, Result, S3Error};
use super::{Bucket, MAX_PAGES};
use crate::clients::patience::Attempts;

/// Limit for one attempt, without the transfer of its bytes.
const ATTEMPT: Duration = Duration::from_secs(15);
/// The slowest transfer that is waited for, in bytes per second.
const SLOWEST: u64 = 64 << 10;

/// A version of an object.
#[derive(Clone, Debug)]
pub struct Object {
    pub bytes: Vec<u8>,
    /// As the server sends it, with quotes.
    pub etag: String,
    /// Time since it was written, by the server's clock. `None` if the server does not report it.
    pub age: Option<Duration>,
}

/// The condition of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition<'a> {
    /// The object does not exist.
    Absent,
    /// The object still has this ETag.
    Unchanged(&'a str),
}

impl Bucket {
    /// Reads the object. `None` if it does not exist, [`Kind::TooLarge`] if it has more than `limit` bytes.
    pub async fn get(&self, key: &str, limit: u64) -> Result<Option<Object>> {
        let mut attempts = self.attempts();
        loop {
            match self.get_once(key, limit).await {
                Err(error) if self.again(&mut attempts, &error).await => {}
                done => return done,
            }
        }
    }

    /// Writes the object and returns its new ETag. `None` if the condition does not hold.
    pub async fn put(&self, key: &str, bytes: &[u8], condition: Condition<'_>) -> Result<Option<String>> {
        let mut attempts = self.attempts();
        let failed = loop {
            match self.put_once(key, bytes, condition).await {
                Ok(Some(etag)) => return Ok(Some(etag)),
                Ok(None) if attempts.is_first() => return Ok(None),
                Ok(None) => break None,
                Err(error) if self.again(&mut attempts, &error).await => {}
                Err(error) if error.is_passing() => break Some(error),
                Err(error) => return Err(error),
            }
        };
        // An earlier attempt may have written it.
        let found = self.get(key, bytes.len() as u64 + 1).await;
        match (found, failed) {
            (Ok(Some(object)), _) if object.bytes == bytes => Ok(Some(object.etag)),
            (_, Some(error)) => Err(error),
            // A larger object is another writer's.
            (Ok(_), None) => Ok(None),
            (Err(error), None) if error.kind == Kind::TooLarge => Ok(None),
            (Err(error), None) => Err(error),
        }
    }

    /// All keys that begin with a prefix, in byte order.
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let (mut keys, mut next, mut pages) = (Vec::new(), None, 0);
        let what = format!("list {prefix} in");
        let mut attempts = self.attempts();
        loop {
            let call =
                self.client.list_objects_v2().bucket(&self.name).prefix(prefix).set_continuation_token(next.clone());
            let sent = call.customize().config_override(once(0)).send().await;
            let page = match sent.map_err(|error| self.error(&what, error)) {
                Err(error) if self.again(&mut attempts, &error).await => continue,
                page => page?,
            };
            keys.extend(page.contents().iter().filter_map(|object| object.key().map(str::to_owned)));
            pages += 1;
            if pages == MAX_PAGES {
                return Err(self.failed(&what, Kind::Other, &format!("the list has more than {MAX_PAGES} pages")));
            }
            next = page.next_continuation_token().map(str::to_owned);
            if next.is_none() {
                return Ok(keys);
            }
            attempts = self.attempts();
        }
    }

    /// The first page of the keys that begin with a prefix and come after `after`, in byte order, and whether it is the last one.
    pub async fn list_after(&self, prefix: &str, after: &str) -> Result<(Vec<String>, bool)> {
        let what = format!("list {prefix} in");
        let mut attempts = self.attempts();
        loop {
            let call = self.client.list_objects_v2().bucket(&self.name).prefix(prefix).start_after(after);
            let sent = call.customize().config_override(once(0)).send().await;
            let page = match sent.map_err(|error| self.error(&what, error)) {
                Err(error) if self.again(&mut attempts, &error).await => continue,
                page => page?,
            };
            let keys = page.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect();
            return Ok((keys, page.next_continuation_token().is_none()));
        }
    }

    async fn get_once(&self, key: &str, limit: u64) -> Result<Option<Object>> {
        let what = format!("read {key} from");
        let date = ServerDate::default();
        let call = self.client.get_object().bucket(&self.name).key(key).customize();
        let sent = call.config_override(once(0)).interceptor(date.clone()).send().await;
        let mut answer = match sent.map_err(|error| self.error(&what, error)) {
            Err(error) if error.kind == Kind::Unset => return Ok(None),
            answer => answer?,
        };
        let etag = answer.e_tag().map(str::to_owned);
        let etag = etag.ok_or_else(|| self.failed(&what, Kind::Other, "the server sent no ETag"))?;
        let age = date.since(answer.last_modified());
        let length = answer.content_length().and_then(|length| length.try_into().ok()).unwrap_or(limit).min(limit);
        let bytes = timeout(time_for(length), self.receive(&what, &mut answer, limit)).await;
        let bytes = bytes.map_err(|_| self.failed(&what, Kind::Away, "it took too long"))??;
        Ok(Some(Object { bytes, etag, age }))
    }

    async fn receive(&self, what: &str, answer: &mut GetObjectOutput, limit: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            let piece = answer.body.try_next().await;
            let Some(piece) = piece.map_err(|error| self.failed(what, Kind::Away, &error.to_string()))? else {
                return Ok(bytes);
            };
            if (bytes.len() + piece.len()) as u64 > limit {
                return Err(self.failed(what, Kind::TooLarge, &format!("it has more than {limit} bytes")));
            }
            bytes.extend_from_slice(&piece);
        }
    }

    async fn put_once(&self, key: &str, bytes: &[u8], condition: Condition<'_>) -> Result<Option<String>> {
        let what = format!("write {key} into");
        let call = self.client.put_object().bucket(&self.name).key(key).body(ByteStream::from(bytes.to_vec()));
        let call = match condition {
            Condition::Absent => call.if_none_match("*"),
            Condition::Unchanged(etag) => call.if_match(etag),
        };
        let sent = call.customize().config_override(once(bytes.len() as u64)).send().await;
        match sent.map_err(|error| self.error(&what, error)) {
            Ok(put) => match put.e_tag() {
                Some(etag) => Ok(Some(etag.to_owned())),
                None => Err(self.failed(&what, Kind::Other, "the server sent no ETag")),
            },
            Err(error) if error.kind == Kind::Condition => Ok(None),
            // The object was deleted since the caller read it.
            Err(error) if error.kind == Kind::Unset && condition != Condition::Absent => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn failed(&self, what: &str, kind: Kind, said: &str) -> S3Error {
        S3Error { what: format!("{what} {}", self.name), kind, said: said.to_owned() }
    }

    fn attempts(&self) -> Attempts {
        self.patience.attempts(self.endpoint.clone().unwrap_or_else(|| self.location()))
    }

    /// Whether to try again after this error. If so, waits first.
    async fn again(&self, attempts: &mut Attempts, error: &S3Error) -> bool {
        error.is_passing() && attempts.again(None).await
    }
}

/// One attempt: the SDK does not retry, [`Attempts`] do.
fn once(bytes: u64) -> Builder {
    let limits = TimeoutConfig::builder().operation_attempt_timeout(time_for(bytes)).build();
    Builder::new().retry_config(RetryConfig::disabled()).timeout_config(limits)
}

fn time_for(bytes: u64) -> Duration {
    ATTEMPT + Duration::from_secs(bytes / SLOWEST)
}

/// The `Date` header of an answer.
#[derive(Clone, Debug, Default)]
struct ServerDate(Arc<Mutex<Option<i64>>>);

impl ServerDate {
    fn since(&self, modified: Option<&DateTime>) -> Option<Duration> {
        let now = *self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        Some(Duration::from_secs((now? - modified?.secs()).try_into().unwrap_or(0)))
    }
}

impl Intercept for ServerDate {
    fn name(&self) -> &'static str {
        "the server's date"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> std::result::Result<(), aws_sdk_s3::error::BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|date| DateTime::from_str(date, DateTimeFormat::HttpDate).ok());
        *self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = date.map(|date| date.secs());
        Ok(())
    }
}
