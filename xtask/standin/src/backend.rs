//! Backends: what a resource is on this machine, in addition to its stored values.

mod bucket;
mod compare;
pub mod container;
pub mod domain;
pub mod job;
mod queue;
mod record;
mod resource;
mod route53;
pub mod zone;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use self::bucket::Settings;
pub use self::resource::Resource;
use crate::fields::text;
use crate::store::key;
use crate::value::{Map, Value};

/// The backend of a resource type, which its rules name. A resource is only stored if the backend's server is not
/// configured.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    #[default]
    Stored,
    /// A container of the Docker engine.
    Container,
    /// A bucket of the S3 server, and the settings in its fields.
    Bucket(Settings),
    /// Settings of an existing bucket.
    BucketSettings(Settings),
    /// A queue of the SQS server.
    Queue,
    /// A custom domain of a container, whose CNAME record the DNS server has.
    Domain,
    /// A DNS record of the Route 53 server.
    Record,
    /// A hosted zone of the Route 53 server.
    Zone,
    /// A namespace of the image registry.
    RegistryNamespace,
}

impl Backend {
    /// Creates a resource and returns its new values. Fails if the resource exists.
    pub async fn create(&self, resource: Resource<'_>, values: Map) -> Result<Map> {
        let key = key(resource.object, &values);
        // The stored settings of a deleted bucket remain, so they may be overwritten.
        let overwrite = matches!(self, Self::BucketSettings(_)) && resource.s3(&values).is_some();
        if overwrite || self.read(resource, &key).await?.is_none() {
            resource.store.remove(resource.name, &key)?;
        }
        // The resource is stored first: after a crash, the next process finds what the backend has created.
        resource.store.create(resource.name, &key, &values)?;
        match self.apply(resource, None, values).await {
            Ok(created) => save(resource, &key, created),
            Err(error) => {
                resource.store.remove(resource.name, &key)?;
                Err(error)
            }
        }
    }

    /// Updates a resource and returns its new values. Fails if the resource does not exist.
    pub async fn update(&self, resource: Resource<'_>, values: Map) -> Result<Map> {
        let key = key(resource.object, &values);
        let before = resource.store.get(resource.name, &key, resource.object)?;
        let before = before.with_context(|| format!("{} {key:?} no longer exists", resource.name))?;
        save(resource, &key, self.apply(resource, Some(&before), values).await?)
    }

    /// Returns the current values of a resource, or `None` if it does not exist.
    pub async fn read(&self, resource: Resource<'_>, key: &str) -> Result<Option<Map>> {
        let Some(values) = resource.store.get(resource.name, key, resource.object)? else { return Ok(None) };
        let services = resource.services;
        let s3 = resource.s3(&values);
        let current = match (self, &services.docker, &s3, &services.route53) {
            (Self::Container, Some(docker), ..) => container::read(docker, resource, values).await?,
            (Self::Bucket(settings), _, Some(s3), _) => bucket::read(s3, settings, values).await?,
            (Self::BucketSettings(settings), _, Some(s3), _) => bucket::read_settings(s3, settings, values).await?,
            (Self::Queue, ..) => match resource.sqs(&values) {
                Some((_, sqs)) => queue::read(&sqs, values).await?,
                None => Some(values),
            },
            (Self::Record, .., Some(route53)) => record::read(route53, values).await?,
            (Self::Zone, .., Some(route53)) => zone::read(route53, values).await?,
            _ => Some(values),
        };
        // A server can return fields that the schema lacks.
        Ok(current.map(|current| resource.object.conform(current)))
    }

    /// Deletes a resource. Succeeds if it does not exist.
    pub async fn delete(&self, resource: Resource<'_>, values: &Map) -> Result<()> {
        let services = resource.services;
        match (self, &services.docker, &resource.s3(values), &services.route53) {
            (Self::Container, Some(docker), ..) => container::delete(docker, resource, values).await?,
            (Self::Bucket(_), _, Some(s3), _) => bucket::delete(s3, values).await?,
            (Self::BucketSettings(settings), _, Some(s3), _) => bucket::delete_settings(s3, settings, values).await?,
            (Self::Queue, ..) => {
                if let Some((_, sqs)) = resource.sqs(values) {
                    queue::delete(&sqs, values).await?;
                }
            }
            (Self::Domain, ..) => domain::delete(services, values)?,
            (Self::Record, .., Some(route53)) => record::delete(route53, values).await?,
            (Self::Zone, .., Some(route53)) => zone::delete(route53, values).await?,
            _ => {}
        }
        resource.store.remove(resource.name, &key(resource.object, values))
    }

    /// Creates or updates what the server holds of a resource. `before` is `None` for a new resource.
    async fn apply(&self, resource: Resource<'_>, before: Option<&Map>, values: Map) -> Result<Map> {
        let services = resource.services;
        match (self, &services.docker, &resource.s3(&values), &services.route53) {
            (Self::Container, Some(docker), ..) => container::apply(docker, resource, before, values).await,
            (Self::Bucket(settings), _, Some(s3), _) => bucket::apply(s3, settings, before, values).await,
            (Self::BucketSettings(settings), _, Some(s3), _) => {
                bucket::apply_settings(s3, settings, before, values).await
            }
            (Self::Queue, ..) => match resource.sqs(&values) {
                Some((endpoint, sqs)) => queue::apply(&sqs, endpoint, before, values).await,
                None => Ok(values),
            },
            (Self::Record, .., Some(route53)) => record::apply(route53, before, values).await,
            (Self::Zone, .., Some(route53)) => zone::apply(route53, before, values).await,
            (Self::Domain, ..) => match &services.dns {
                Some(dns) => domain::apply(dns, resource, values).await,
                None => Ok(values),
            },
            (Self::RegistryNamespace, ..) => Ok(with_registry_endpoint(services.registry.as_deref(), values)),
            _ => Ok(values),
        }
    }
}

/// Sets the `endpoint` of a registry namespace to the registry of this machine.
fn with_registry_endpoint(registry: Option<&str>, mut values: Map) -> Map {
    if let (Some(registry), Some(name)) = (registry, text(&values, "name")) {
        values.insert("endpoint".to_owned(), Value::String(format!("{registry}/{name}")));
    }
    values
}

/// Stores the new values. Their key differs from `previous` if the server has assigned the id.
fn save(resource: Resource<'_>, previous: &str, values: Map) -> Result<Map> {
    let key = key(resource.object, &values);
    resource.store.replace(resource.name, &key, &values)?;
    if key != previous {
        resource.store.remove(resource.name, previous)?;
    }
    Ok(values)
}
