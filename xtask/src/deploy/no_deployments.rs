//! In the build without the feature `cloud`, which deploys to this machine only: nothing at GitHub.

use std::marker::PhantomData;

use crate::env::Env;
use crate::state::history::Record;

/// None.
pub struct Deployments<'a>(PhantomData<&'a ()>);

impl<'a> Deployments<'a> {
    pub fn of(_: &'a Env<'a>) -> Self {
        Self(PhantomData)
    }

    pub async fn open(&self, _: &Record, _: Option<&Record>) {}

    pub async fn close(&self, _: &Record, _: Option<&Record>, _: bool) {}
}
