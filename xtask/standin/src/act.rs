//! What is made of a resource, besides a plan. Whatever its kind, its values are kept as a file; what else there is of it
//! on this machine has the last word about them.

mod bucket;
mod container;
pub mod gateway;
mod record;
mod registry;
pub mod zone;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use self::bucket::Parts;
use crate::fill::conformed;
use crate::machine::Machine;
use crate::schema::{Object, Provider};
use crate::store::{Store, key};
use crate::value::Map;

/// What a resource of a type is on this machine, if that has what it takes; a type's rules say which.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Its values, kept.
    #[default]
    Stored,
    /// A container of the Docker engine.
    Container,
    /// A bucket of the S3 server, and which settings of it stand in which fields.
    Bucket(Parts),
    /// Only settings of a bucket that there is.
    BucketPart(Parts),
    /// A DNS record of the Route 53 server.
    Record,
    /// A DNS zone of the Route 53 server.
    Zone,
    /// A part of the image registry.
    Registry,
}

/// One resource: where it is kept and what it is.
#[derive(Clone, Copy, Debug)]
pub struct Resource<'a> {
    /// What exists.
    pub store: &'a Store,
    /// What there is for more than storing.
    pub machine: &'a Machine,
    /// Whose resource it is.
    pub provider: &'a Provider,
    /// Its type.
    pub name: &'a str,
    /// Its type's fields.
    pub object: &'a Object,
    /// Cancelled when nobody waits any more: what takes its time ends what it has begun, and fails.
    pub stop: Option<&'a CancellationToken>,
}

impl Resource<'_> {
    /// Waits until nobody waits any more.
    pub async fn stopped(&self) {
        match self.stop {
            Some(stop) => stop.cancelled().await,
            None => std::future::pending().await,
        }
    }
}

impl Act {
    /// Makes a resource. Gives what it has become. Fails if there is one already.
    pub async fn create(&self, of: Resource<'_>, values: Map) -> Result<Map> {
        let key = key(of.object, &values);
        // A setting is written over what is there: it went with its bucket, even if its server never knew it.
        let over = matches!(self, Self::BucketPart(_)) && of.machine.s3.is_some();
        if over || self.read(of, &key).await?.is_none() {
            of.store.remove(of.name, &key)?;
        }
        // First, so that what a crash leaves behind is known.
        of.store.create(of.name, &key, &values)?;
        match self.make(of, None, values).await {
            Ok(made) => kept(of, &key, made),
            Err(error) => {
                of.store.remove(of.name, &key)?;
                Err(error)
            }
        }
    }

    /// Makes another of a resource that is there. Fails if it is there no more.
    pub async fn update(&self, of: Resource<'_>, values: Map) -> Result<Map> {
        let key = key(of.object, &values);
        let before = of.store.get(of.name, &key, of.object)?;
        let before = before.with_context(|| format!("{} {key:?} does not exist any more", of.name))?;
        kept(of, &key, self.make(of, Some(&before), values).await?)
    }

    /// What a resource is now. `None` where it does not exist.
    pub async fn read(&self, of: Resource<'_>, key: &str) -> Result<Option<Map>> {
        let Some(values) = of.store.get(of.name, key, of.object)? else { return Ok(None) };
        let machine = of.machine;
        let now = match (self, &machine.docker, &machine.s3, &machine.route53) {
            (Self::Container, Some(docker), ..) => container::look(docker, of, values).await?,
            (Self::Bucket(parts), _, Some(s3), _) => bucket::look(s3, parts, false, values).await?,
            (Self::BucketPart(parts), _, Some(s3), _) => bucket::look(s3, parts, true, values).await?,
            (Self::Record, .., Some(route53)) => record::look(route53, values).await?,
            (Self::Zone, .., Some(route53)) => zone::look(route53, values).await?,
            _ => Some(values),
        };
        // A server may know more than the schema.
        Ok(now.map(|now| conformed(of.object, now)))
    }

    /// Ends a resource. That it is gone already is as good.
    pub async fn delete(&self, of: Resource<'_>, values: &Map) -> Result<()> {
        let machine = of.machine;
        match (self, &machine.docker, &machine.s3, &machine.route53) {
            (Self::Container, Some(docker), ..) => container::end(docker, of, values).await?,
            (Self::Bucket(_), _, Some(s3), _) => bucket::end(s3, values).await?,
            (Self::BucketPart(parts), _, Some(s3), _) => bucket::end_parts(s3, parts, values).await?,
            (Self::Record, .., Some(route53)) => record::end(route53, values).await?,
            (Self::Zone, .., Some(route53)) => zone::end(route53, values).await?,
            _ => {}
        }
        of.store.remove(of.name, &key(of.object, values))
    }

    /// Sees that there is what the values say. `before` is what there was.
    async fn make(&self, of: Resource<'_>, before: Option<&Map>, values: Map) -> Result<Map> {
        let machine = of.machine;
        match (self, &machine.docker, &machine.s3, &machine.route53) {
            (Self::Container, Some(docker), ..) => container::make(docker, of, before, values).await,
            (Self::Bucket(parts), _, Some(s3), _) => bucket::make(s3, parts, before, values).await,
            (Self::BucketPart(parts), _, Some(s3), _) => bucket::make_parts(s3, parts, before, values).await,
            (Self::Record, .., Some(route53)) => record::make(route53, before, values).await,
            (Self::Zone, .., Some(route53)) => zone::make(route53, before, values).await,
            (Self::Registry, ..) => Ok(registry::named(machine.registry.as_deref(), values)),
            _ => Ok(values),
        }
    }
}

/// Its file holds what it has become, and is named by the id that a server may have given it.
fn kept(of: Resource<'_>, before: &str, values: Map) -> Result<Map> {
    let key = key(of.object, &values);
    of.store.replace(of.name, &key, &values)?;
    if key != before {
        of.store.remove(of.name, before)?;
    }
    Ok(values)
}
