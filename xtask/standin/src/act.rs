//! What is made of a resource, besides a plan.

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::schema::Object;
use crate::store::{Store, key};
use crate::value::Map;

/// What a resource of a type is on this machine; a type's rules say which.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Its values, kept.
    #[default]
    Stored,
}

/// One resource: where it is kept and what it is.
#[derive(Clone, Copy, Debug)]
pub struct Resource<'a> {
    /// What exists.
    pub store: &'a Store,
    /// Its type.
    pub name: &'a str,
    /// Its type's fields.
    pub object: &'a Object,
}

impl Act {
    /// Makes a resource. Gives what it has become. Fails if there is one already.
    pub async fn create(self, of: Resource<'_>, values: Map) -> Result<Map> {
        match self {
            Self::Stored => of.store.create(of.name, &key(of.object, &values), &values)?,
        }
        Ok(values)
    }

    /// Makes another of a resource that is there. Fails if it is there no more.
    pub async fn update(self, of: Resource<'_>, values: Map) -> Result<Map> {
        let key = key(of.object, &values);
        match self {
            Self::Stored => {
                let there = of.store.get(of.name, &key, of.object)?;
                there.with_context(|| format!("{} {key:?} does not exist any more", of.name))?;
                of.store.replace(of.name, &key, &values)?;
            }
        }
        Ok(values)
    }

    /// What a resource is now. `None` where it does not exist.
    pub async fn read(self, of: Resource<'_>, key: &str) -> Result<Option<Map>> {
        match self {
            Self::Stored => of.store.get(of.name, key, of.object),
        }
    }

    /// Ends a resource. That it is gone already is as good.
    pub async fn delete(self, of: Resource<'_>, values: &Map) -> Result<()> {
        match self {
            Self::Stored => of.store.remove(of.name, &key(of.object, values)),
        }
    }
}
