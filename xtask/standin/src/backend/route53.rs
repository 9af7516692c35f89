//! Requests to the Route 53 server that records and zones share.

use std::fmt;

use anyhow::{Context as _, Result};
use aws_sdk_route53::Client;
use aws_sdk_route53::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_route53::types::{Change, ChangeAction, ChangeBatch, HostedZoneConfig, ResourceRecordSet};

use crate::template::last_segment;

pub struct Zone {
    /// Without `/hostedzone/`.
    pub id: String,
    /// Without the trailing dot.
    pub name: String,
    pub comment: String,
    pub private: bool,
    pub record_count: i64,
    pub name_servers: Vec<String>,
}

#[derive(Debug)]
pub enum ApiError {
    NoSuchZone,
    Other(String),
}

impl fmt::Display for ApiError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchZone => out.write_str("NoSuchHostedZone: the zone does not exist"),
            Self::Other(message) => out.write_str(message),
        }
    }
}

impl std::error::Error for ApiError {}

impl<E> From<SdkError<E>> for ApiError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    fn from(error: SdkError<E>) -> Self {
        match error.code() {
            Some("NoSuchHostedZone") => Self::NoSuchZone,
            Some(code) => Self::Other(format!("{code}: {}", error.message().unwrap_or("no message"))),
            None => Self::Other(DisplayErrorContext(error).to_string()),
        }
    }
}

/// Returns a zone, or `None` if it does not exist.
pub async fn get_zone(route53: &Client, id: &str) -> Result<Option<Zone>> {
    let output = match route53.get_hosted_zone().id(last_segment(id)).send().await.map_err(ApiError::from) {
        Ok(output) => output,
        Err(ApiError::NoSuchZone) => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("get the zone {id}")),
    };
    let zone = output.hosted_zone.context("the server returned no zone")?;
    let config = zone.config.unwrap_or_else(|| HostedZoneConfig::builder().build());
    Ok(Some(Zone {
        id: last_segment(&zone.id).to_owned(),
        name: zone.name.trim_end_matches('.').to_owned(),
        comment: config.comment.unwrap_or_default(),
        private: config.private_zone,
        record_count: zone.resource_record_set_count.unwrap_or_default(),
        name_servers: output.delegation_set.map(|set| set.name_servers).unwrap_or_default(),
    }))
}

pub async fn change_record(route53: &Client, zone: &str, action: ChangeAction, set: ResourceRecordSet) -> Result<()> {
    let context = format!("{action} the record {} {} of the zone {zone}", set.name(), set.r#type());
    let change = Change::builder().action(action).resource_record_set(set).build()?;
    let batch = ChangeBatch::builder().changes(change).build()?;
    let sent = route53.change_resource_record_sets().hosted_zone_id(zone).change_batch(batch).send().await;
    sent.map(drop).map_err(ApiError::from).context(context)
}
