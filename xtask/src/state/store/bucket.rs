//! A store in a bucket, below a prefix of its own. The server does the conditional writes.

use super::{ErrorKind, Page, Put, Result, Store, StoreError, Versioned};
use crate::clients::s3::Bucket;
use crate::clients::s3::error::{Kind, S3Error};
pub(super) use crate::clients::s3::objects::Condition;

/// The largest object, in bytes: the plan of a stack with a hundred thousand resources is smaller.
const LARGEST: u64 = 256 << 20;

#[derive(Clone, Debug)]
pub struct Objects {
    bucket: Bucket,
    /// Ends with `/`, or is empty.
    prefix: String,
}

impl Store {
    /// The objects whose keys begin with `<prefix>/`. Nothing is asked of the server yet.
    pub fn bucket(bucket: Bucket, prefix: String) -> Self {
        let prefix = prefix.trim_end_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Self::Bucket(Objects { bucket, prefix })
    }
}

impl Objects {
    pub(super) fn location(&self) -> String {
        match self.prefix.as_str() {
            "" => self.bucket.location(),
            prefix => format!("{} of {}", prefix.trim_end_matches('/'), self.bucket.location()),
        }
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<Versioned>> {
        let got = self.bucket.get(&self.full(key), LARGEST).await;
        let object = got.map_err(|error| self.error("read", key, error))?;
        Ok(object.map(|object| Versioned { bytes: object.bytes, etag: object.etag, age: object.age }))
    }

    /// An object that ends with `/` stands for a folder in the consoles of some services.
    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let listed = self.bucket.list(&self.full(prefix)).await;
        let all = listed.map_err(|error| self.error("list", prefix, error))?;
        let mut keys = self.own(&all);
        keys.sort();
        Ok(keys)
    }

    pub(super) async fn list_after(&self, prefix: &str, after: &str) -> Result<Page> {
        let listed = self.bucket.list_after(&self.full(prefix), &self.full(after)).await;
        let (keys, is_last) = listed.map_err(|error| self.error("list", prefix, error))?;
        Ok(Page { keys: self.own(&keys), is_last })
    }

    pub(super) async fn put(&self, key: &str, bytes: &[u8], condition: Condition<'_>) -> Result<Put> {
        let put = self.bucket.put(&self.full(key), bytes, condition).await;
        let etag = put.map_err(|error| self.error("write", key, error))?;
        Ok(etag.map_or(Put::Refused, |etag| Put::Written { etag }))
    }

    pub(super) async fn delete(&self, key: &str) -> Result<()> {
        match self.bucket.delete(&self.full(key)).await {
            Err(error) if error.kind == Kind::Unset => Ok(()),
            done => done.map(drop).map_err(|error| self.error("delete", key, error)),
        }
    }

    fn own(&self, keys: &[String]) -> Vec<String> {
        let own = keys.iter().filter(|key| !key.ends_with('/')).filter_map(|key| key.strip_prefix(&self.prefix));
        own.map(str::to_owned).collect()
    }

    fn full(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    fn error(&self, tried: &'static str, key: &str, error: S3Error) -> StoreError {
        let kind = match error.kind {
            Kind::Denied => ErrorKind::Denied,
            Kind::NoBucket => ErrorKind::NoBucket,
            Kind::Unknown => ErrorKind::UnknownCredentials,
            Kind::Away | Kind::Busy => ErrorKind::Unreachable,
            _ => ErrorKind::Other,
        };
        StoreError { kind, location: self.location(), key: key.to_owned(), tried, reason: error.said }
    }
}
