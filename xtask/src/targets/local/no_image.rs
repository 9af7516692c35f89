//! In the place of `image.rs` without the feature `cloud`: `commands/cloud.rs` leaves no environment whose releases are images to that
//! build, so there is no value of this type.

use std::convert::Infallible;
use std::marker::PhantomData;

use anyhow::Result;
use camino::Utf8PathBuf;

use crate::check::Check;
use crate::env::Env;
use crate::release::{Artifact, Published, Settings, Source};
use crate::report::Ongoing;
use crate::state::history::Record;
use crate::supervisor::InstanceSpec;

pub struct Images<'a> {
    never: Infallible,
    env: PhantomData<&'a Env<'a>>,
}

impl<'a> Images<'a> {
    pub fn new(env: &'a Env<'a>, _: Utf8PathBuf) -> Self {
        unreachable!("`Context::env` hands {} to the build with the feature `cloud`", env.name())
    }

    pub async fn checks(&self) -> Vec<Check> {
        match self.never {}
    }

    pub async fn build(&self, _: &Source, _: &Ongoing) -> Result<Artifact> {
        match self.never {}
    }

    pub async fn has_built(&self, _: &Artifact) -> bool {
        match self.never {}
    }

    pub async fn publish(&self, _: &Artifact, _: &Ongoing) -> Result<Published> {
        match self.never {}
    }

    pub async fn has_published(&self, _: &Published) -> bool {
        match self.never {}
    }

    pub async fn published(&self, _: &Record) -> Result<Published> {
        match self.never {}
    }

    pub async fn instance(&self, _: String, _: &Published, _: &Settings) -> Result<InstanceSpec> {
        match self.never {}
    }

    pub async fn remove_leftovers(&self) -> Result<()> {
        match self.never {}
    }

    pub async fn prune(&self, _: &[Record]) -> Result<()> {
        match self.never {}
    }
}
