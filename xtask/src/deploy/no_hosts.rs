//! In the place of `hosts.rs` without the feature `cloud`: no environment of that build has Docker hosts.

use super::asked::Asked;
use super::run::Run;
use crate::failure::Failure;
use crate::release::{Release, Settings};
use crate::state::history::Record;

pub async fn follow(_: &Run<'_>, _: &Release, _: &Settings, _: &Asked<'_>) -> Result<(), Failure> {
    Ok(())
}

pub async fn go_back(_: &Run<'_>, _: &Record, _: &Settings) -> Option<Result<(), Failure>> {
    None
}

pub async fn note(_: &Run<'_>) {}
