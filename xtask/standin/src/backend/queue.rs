//! Queues of the SQS server.

use std::collections::HashMap;

use anyhow::{Context as _, Result, bail};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::QueueAttributeName;

use super::compare::equivalent;
use crate::fields::{non_empty_text, text};
use crate::value::{Map, Value};

/// The fields that the server has, its names for them, and what they are where the configuration says nothing (SQS's API reference,
/// `CreateQueue`).
const FIELDS: [(&str, QueueAttributeName, &str); 4] = [
    ("message_retention_seconds", QueueAttributeName::MessageRetentionPeriod, "345600"),
    ("receive_wait_time_seconds", QueueAttributeName::ReceiveMessageWaitTimeSeconds, "0"),
    ("redrive_policy", QueueAttributeName::RedrivePolicy, ""),
    ("visibility_timeout_seconds", QueueAttributeName::VisibilityTimeout, "30"),
];

/// The account of the provider's queues, which is moto's as well.
const ACCOUNT: &str = "123456789012";

/// Creates a queue, whose URL becomes its id, or updates its attributes.
pub async fn apply(sqs: &Client, endpoint: &str, before: Option<&Map>, mut values: Map) -> Result<Map> {
    let name = text(&values, "name").context("the queue has no name")?;
    let given = |(field, name, default): &(&str, QueueAttributeName, &str)| {
        // What was set and is not any more gets its default again.
        let was_set = before.is_some_and(|before| non_empty_text(before, field).is_some());
        let value = non_empty_text(&values, field).or_else(|| was_set.then(|| (*default).to_owned()))?;
        Some((name.clone(), value))
    };
    let attributes: HashMap<_, _> = FIELDS.iter().filter_map(given).collect();
    if before.is_some() {
        let set = sqs.set_queue_attributes().queue_url(url(&values)).set_attributes(Some(attributes)).send().await;
        if let Err(error) = set {
            bail!("set the attributes of the queue {name}: {}", DisplayErrorContext(error));
        }
        return Ok(values);
    }
    let created = sqs.create_queue().queue_name(&name).set_attributes(Some(attributes)).send().await;
    if let Err(error) = created {
        bail!("create the queue {name}: {}", DisplayErrorContext(error));
    }
    for field in ["id", "url"] {
        values.insert(field.to_owned(), Value::String(format!("{endpoint}/{ACCOUNT}/{name}")));
    }
    Ok(values)
}

/// Updates the attributes that differ on the server. Returns `None` if the queue does not exist.
pub async fn read(sqs: &Client, mut values: Map) -> Result<Option<Map>> {
    let asked = sqs.get_queue_attributes().queue_url(url(&values)).attribute_names(QueueAttributeName::All);
    let attributes = match asked.send().await {
        Ok(answer) => answer.attributes.unwrap_or_default(),
        Err(error) if error.as_service_error().is_some_and(|error| error.is_queue_does_not_exist()) => {
            return Ok(None);
        }
        Err(error) => bail!("look at the queue {}: {}", name_of(&values), DisplayErrorContext(error)),
    };
    for (field, name, _) in &FIELDS {
        // What the configuration leaves to the server is no drift.
        let Some(given) = non_empty_text(&values, field) else { continue };
        let current = attributes.get(name).cloned().unwrap_or_default();
        if !equivalent(&Value::String(given), &Value::String(current.clone())) {
            values.insert((*field).to_owned(), Value::String(current));
        }
    }
    Ok(Some(values))
}

/// Deletes a queue. Succeeds if it does not exist.
pub async fn delete(sqs: &Client, values: &Map) -> Result<()> {
    match sqs.delete_queue().queue_url(url(values)).send().await {
        Ok(_) => Ok(()),
        Err(error) if error.as_service_error().is_some_and(|error| error.is_queue_does_not_exist()) => Ok(()),
        Err(error) => bail!("delete the queue {}: {}", name_of(values), DisplayErrorContext(error)),
    }
}

fn url(values: &Map) -> String {
    text(values, "url").unwrap_or_default()
}

/// For people: the URL may have a secret path.
fn name_of(values: &Map) -> String {
    text(values, "name").unwrap_or_default()
}
