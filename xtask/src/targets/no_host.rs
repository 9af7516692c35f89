//! In the place of `host.rs` without the feature `cloud`: `commands/cloud.rs` leaves no environment on a Docker host to that build, so
//! there are no values of these types.

use std::convert::Infallible;
use std::marker::PhantomData;

use anyhow::Result;
use jiff::Timestamp;
use serde::Serialize;

use super::condition::Condition;
use super::{Serving, Switched};
use crate::check::Check;
use crate::clients::service::Service;
use crate::config;
use crate::env::Env;
use crate::failure::Failure;
use crate::release::{Artifact, MediaSettings, Published, Release, Settings, Source};
use crate::report::Ongoing;
use crate::signals::Stop;
use crate::state::history::Record;

pub struct Fleet<'a> {
    never: Infallible,
    env: PhantomData<&'a Env<'a>>,
}

#[derive(Serialize)]
pub struct Seen {
    pub host: String,
    pub version: Option<String>,
    pub ready: bool,
    pub health: String,
}

pub struct Candidate {
    pub service: Service,
    never: Infallible,
}

impl<'a> Fleet<'a> {
    pub fn new(env: &'a Env<'a>, _: &'a config::Compose, _: &'a str) -> Self {
        unreachable!("`Context::env` hands {} to the build with the feature `cloud`", env.name())
    }

    pub async fn checks(&self) -> Result<Vec<Check>, Failure> {
        match self.never {}
    }

    pub fn runs_the_service(&self) -> Result<(), Failure> {
        match self.never {}
    }

    pub async fn provision(&self, _: &MediaSettings, _: &Ongoing) -> Result<Settings, Failure> {
        match self.never {}
    }

    pub async fn serving(&self) -> Result<Option<Serving>, Failure> {
        match self.never {}
    }

    pub async fn build(&self, _: &Source, _: &Ongoing) -> Result<Artifact, Failure> {
        match self.never {}
    }

    pub async fn has_built(&self, _: &Artifact) -> bool {
        match self.never {}
    }

    pub async fn publish(&self, _: &Artifact, _: &Ongoing) -> Result<Published, Failure> {
        match self.never {}
    }

    pub async fn has_published(&self, _: &Published) -> bool {
        match self.never {}
    }

    pub async fn published(&self, _: &Record) -> Result<Published, Failure> {
        match self.never {}
    }

    pub async fn apply(&self, _: String, _: &Release, _: &Settings) -> Result<Candidate, Failure> {
        match self.never {}
    }

    pub async fn switch(&self, _: Candidate, _: &Ongoing, _: &Stop) -> Result<Switched, Failure> {
        match self.never {}
    }

    pub async fn services(&self) -> Result<Vec<Service>, Failure> {
        match self.never {}
    }

    pub fn has_several(&self) -> bool {
        match self.never {}
    }

    pub async fn serving_on_first(&self) -> Result<Option<Serving>, Failure> {
        match self.never {}
    }

    pub async fn seen(&self) -> Vec<Seen> {
        match self.never {}
    }

    pub async fn condition(&self) -> Condition {
        match self.never {}
    }

    pub async fn log_of(&self, _: &str, _: Timestamp) -> Result<Vec<String>, Failure> {
        match self.never {}
    }

    pub async fn show_log(&self, _: usize, _: bool) -> Result<(), Failure> {
        match self.never {}
    }

    pub async fn stop(&self) -> Result<Vec<String>, Failure> {
        match self.never {}
    }

    pub async fn run(&self, _: &Record, _: &[String]) -> Result<(), Failure> {
        match self.never {}
    }

    pub async fn prune(&self, _: &[Record]) -> Result<()> {
        match self.never {}
    }
}

impl Candidate {
    pub async fn exited(&mut self) -> String {
        match self.never {}
    }

    pub async fn give_up(&mut self) -> String {
        match self.never {}
    }

    pub fn summary(&self) -> String {
        match self.never {}
    }
}
