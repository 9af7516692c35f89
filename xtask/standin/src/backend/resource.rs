//! The context of an operation on one resource.

use tokio_util::sync::CancellationToken;

use crate::fields::non_empty_text;
use crate::schema::{Object, Provider};
use crate::services::{Aws, Services};
use crate::store::Store;
use crate::value::Map;

#[derive(Clone, Copy)]
pub struct Resource<'a> {
    pub store: &'a Store,
    pub services: &'a Services,
    pub provider: &'a Provider,
    /// The resource type.
    pub name: &'a str,
    /// The schema of the resource type.
    pub object: &'a Object,
    /// Cancelled when the user interrupts OpenTofu. A long operation then undoes what it has begun, and fails.
    pub stop: Option<&'a CancellationToken>,
}

impl<'a> Resource<'a> {
    /// The S3 server of its provider.
    pub fn s3(&self, values: &Map) -> Option<aws_sdk_s3::Client> {
        match self.aws() {
            Some(aws) => Some(aws.s3(&region(values))),
            None => self.services.s3.clone(),
        }
    }

    /// The address of the SQS server, and a client of it.
    pub fn sqs(&self, values: &Map) -> Option<(&'a str, aws_sdk_sqs::Client)> {
        self.aws().map(|aws| (aws.endpoint.as_str(), aws.sqs(&region(values))))
    }

    /// Waits until the user interrupts OpenTofu.
    pub async fn stopped(&self) {
        match self.stop {
            Some(stop) => stop.cancelled().await,
            None => std::future::pending().await,
        }
    }

    fn aws(&self) -> Option<&'a Aws> {
        self.services.aws.as_ref().filter(|_| self.name.starts_with("aws_"))
    }
}

/// The region of a resource, which the provider's configuration gives it where it names none.
fn region(values: &Map) -> String {
    non_empty_text(values, "region").unwrap_or_else(|| "us-east-1".to_owned())
}
