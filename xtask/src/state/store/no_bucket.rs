//! In the place of `bucket.rs` without the feature `cloud`: `commands/cloud.rs` leaves no environment whose store is a bucket to
//! that build, so there are no [`Objects`].

use std::convert::Infallible;

use super::{Page, Put, Result, Versioned};

#[derive(Clone, Debug)]
pub struct Objects {
    never: Infallible,
}

#[expect(dead_code, reason = "no bucket reads it")]
pub(super) enum Condition<'a> {
    Absent,
    Unchanged(&'a str),
}

impl Objects {
    pub(super) fn location(&self) -> String {
        match self.never {}
    }

    pub(super) async fn get(&self, _: &str) -> Result<Option<Versioned>> {
        match self.never {}
    }

    pub(super) async fn list(&self, _: &str) -> Result<Vec<String>> {
        match self.never {}
    }

    pub(super) async fn list_after(&self, _: &str, _: &str) -> Result<Page> {
        match self.never {}
    }

    pub(super) async fn put(&self, _: &str, _: &[u8], _: Condition<'_>) -> Result<Put> {
        match self.never {}
    }

    pub(super) async fn delete(&self, _: &str) -> Result<()> {
        match self.never {}
    }
}
