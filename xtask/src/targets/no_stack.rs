//! In the place of `stack.rs` without the feature `cloud`: `commands/cloud.rs` leaves no environment with a stack to that build,
//! so there are no values of these types.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use super::condition::Condition;
use jiff::Timestamp;
use serde::Serialize;

use super::{Serving, Switched};
use crate::check::Check;
use crate::clients::service::{Readiness, Service};
use crate::env::Env;
use crate::failure::Failure;
use crate::release::{Artifact, MediaSettings, Provenance, Published, Release, Settings, Source};
use crate::report::{Ongoing, Summary};
use crate::signals::Stop;
use crate::state::history::Record;
use crate::tools::postgres::Throwaway;

pub struct Stack<'a> {
    never: Infallible,
    env: PhantomData<&'a Env<'a>>,
}

pub struct Candidate {
    pub service: Service,
    pub platform: Arc<Platform>,
    pub public: Option<PublicAddress>,
    pub summary: String,
    never: Infallible,
}

pub struct Trial {
    pub service: Service,
    never: Infallible,
}

pub struct Platform {
    never: Infallible,
}

pub struct PublicAddress {
    never: Infallible,
}

pub struct Planned {
    pub has_changes: bool,
    never: Infallible,
}

impl<'a> Stack<'a> {
    pub fn new(env: &'a Env<'a>) -> Self {
        unreachable!("`Context::env` hands {} to the build with the feature `cloud`", env.name())
    }

    pub async fn checks(&self) -> Result<Vec<Check>, Failure> {
        match self.never {}
    }

    pub async fn prerequisites(&self) -> Result<Vec<Check>, Failure> {
        match self.never {}
    }

    pub async fn provision(&self, _: &MediaSettings) -> Result<Settings, Failure> {
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

    pub async fn verify_build(&self, _: &Published) -> Result<Option<Provenance>, Failure> {
        match self.never {}
    }

    pub async fn has_published(&self, _: &Published) -> bool {
        match self.never {}
    }

    pub fn runs_the_service(&self) -> Result<(), Failure> {
        match self.never {}
    }

    pub async fn serving(&self) -> Result<Option<Serving>, Failure> {
        match self.never {}
    }

    pub async fn sign(&self, _: &mut Record) -> Result<(), Failure> {
        match self.never {}
    }

    pub async fn published(&self, _: &Record) -> Result<Published, Failure> {
        match self.never {}
    }

    pub async fn initialize(&self, _: &Source, _: &Ongoing, _: &Stop) -> Result<(), Failure> {
        match self.never {}
    }

    pub async fn plan(
        &self,
        _: &Release,
        _: &Settings,
        _: Option<&str>,
        _: &Ongoing,
        _: &Stop,
    ) -> Result<Planned, Failure> {
        match self.never {}
    }

    pub async fn apply(&self, _: &Release, _: &Planned, _: &Ongoing, _: &Stop) -> Result<Candidate, Failure> {
        match self.never {}
    }

    pub async fn switch(&self, _: Candidate) -> Result<Switched, Failure> {
        match self.never {}
    }

    pub async fn seen(&self, _: &Record) -> Seen {
        match self.never {}
    }

    pub fn container(&self) -> Option<String> {
        match self.never {}
    }

    pub async fn log(&self) -> Result<Log, Failure> {
        match self.never {}
    }

    pub async fn log_of(&self, _: &str, _: Timestamp) -> Result<Vec<String>, Failure> {
        match self.never {}
    }

    pub fn unsupported(&self, _: &str) -> Failure {
        match self.never {}
    }

    pub async fn cannot_try(&self) -> Result<Option<String>, Failure> {
        match self.never {}
    }

    pub async fn try_on(&self, _: &Release, _: &Settings, _: &Throwaway) -> Result<Trial, Failure> {
        match self.never {}
    }
}

impl Trial {
    pub async fn exited(&self) -> String {
        match self.never {}
    }

    pub async fn give_up(&mut self) -> String {
        match self.never {}
    }

    pub fn summary(&self) -> String {
        match self.never {}
    }
}

#[derive(Serialize)]
pub enum Seen {}

impl Seen {
    pub fn describe(&self) -> String {
        match *self {}
    }

    pub fn differs(&self) -> &[String] {
        match *self {}
    }
}

pub struct Log {
    never: Infallible,
}

impl Log {
    pub async fn last(&mut self, _: usize) -> Result<Vec<String>, Failure> {
        match self.never {}
    }

    pub async fn more(&mut self) -> Result<(Vec<String>, bool), Failure> {
        match self.never {}
    }
}

impl Candidate {
    pub fn where_its_log_is(&self) -> String {
        match self.never {}
    }
}

impl Platform {
    pub async fn condition(&self) -> Condition {
        match self.never {}
    }
}

impl PublicAddress {
    pub async fn verify(&self, _: &str, _: Duration, _: impl Fn(String), _: &Ongoing) -> Result<Readiness, Failure> {
        match self.never {}
    }
}

impl Planned {
    pub fn approval(&self) -> Option<String> {
        match self.never {}
    }

    pub fn text(&self) -> String {
        match self.never {}
    }

    pub fn json(&self) -> serde_json::Value {
        match self.never {}
    }

    pub fn changes_only_the_release(&self) -> bool {
        match self.never {}
    }

    pub fn guard(&self) -> Result<(), Failure> {
        match self.never {}
    }
}

impl Summary for Planned {
    fn summary(&self) -> String {
        match self.never {}
    }
}
