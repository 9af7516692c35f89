//! In the place of `easypanel.rs` without the feature `cloud`: `commands/cloud.rs` leaves no environment at an Easypanel to that build, so
//! there are no values of these types.

use std::convert::Infallible;
use std::marker::PhantomData;

use anyhow::Result;

use super::condition::Condition;
use super::{Serving, Switched};
use crate::check::Check;
use crate::clients::service::Service;
use crate::config;
use crate::env::Env;
use crate::failure::Failure;
use crate::release::{Artifact, Published, Release, Settings, Source};
use crate::report::Ongoing;
use crate::signals::Stop;
use crate::state::history::Record;

pub struct Panel<'a> {
    never: Infallible,
    env: PhantomData<&'a Env<'a>>,
}

pub struct Candidate {
    pub service: Service,
    never: Infallible,
}

impl<'a> Panel<'a> {
    pub fn new(env: &'a Env<'a>, _: &'a config::Easypanel) -> Self {
        unreachable!("`Context::env` hands {} to the build with the feature `cloud`", env.name())
    }

    pub async fn checks(&self) -> Result<Vec<Check>, Failure> {
        match self.never {}
    }

    pub async fn prerequisites(&self) -> Result<Vec<Check>, Failure> {
        match self.never {}
    }

    pub fn runs_the_service(&self) -> Result<(), Failure> {
        match self.never {}
    }

    pub async fn provision(&self) -> Result<Settings, Failure> {
        match self.never {}
    }

    pub async fn serving(&self) -> Result<Option<Serving>, Failure> {
        match self.never {}
    }

    pub async fn serves_as_now(&self, _: &Record, _: &Settings) -> Result<bool, Failure> {
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

    pub async fn apply(&self, _: &Release, _: &Settings, _: &Ongoing, _: &Stop) -> Result<Candidate, Failure> {
        match self.never {}
    }

    pub async fn switch(&self, _: Candidate) -> Result<Switched, Failure> {
        match self.never {}
    }

    pub async fn condition(&self) -> Condition {
        match self.never {}
    }

    pub async fn seen(&self, _: &Record) -> Condition {
        match self.never {}
    }

    pub fn service(&self) -> Result<Service> {
        match self.never {}
    }

    pub async fn show_log(&self, _: usize, _: bool) -> Result<(), Failure> {
        match self.never {}
    }

    pub async fn run(&self, _: &Record, _: &[String]) -> Result<(), Failure> {
        match self.never {}
    }
}

impl Candidate {
    pub async fn condition(&self) -> Condition {
        match self.never {}
    }

    pub fn where_its_log_is(&self) -> String {
        match self.never {}
    }

    pub fn summary(&self) -> String {
        match self.never {}
    }
}
