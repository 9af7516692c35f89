//! In the place of `media.rs` without the feature `cloud`: an environment on this machine has no stack.

use std::ops::ControlFlow;

use super::approval::Approval;
use super::changes::{MediaPlan, Plan};
use super::run::Run;
use crate::failure::Failure;
use crate::release::{MediaSettings, Source};

pub type Before<'r> = ControlFlow<Box<MediaPlan>, Box<Ready<'r>>>;

pub struct Ready<'r> {
    pub settings: MediaSettings,
    pub plan: Option<MediaPlan>,
    pub approval: Approval<'r>,
    pub applied: Option<String>,
}

pub async fn before<'r>(_: &Run<'_>, _: &Source, approval: Approval<'r>, _: &str) -> Result<Before<'r>, Failure> {
    let settings = MediaSettings::default();
    Ok(Before::Continue(Box::new(Ready { settings, plan: None, approval, applied: None })))
}

pub async fn apply_with(_: &Run<'_>, _: &Plan, _: &Source, _: &MediaSettings) -> Result<(), Failure> {
    Ok(())
}

pub async fn present(_: &Run<'_>) -> Result<MediaSettings, Failure> {
    Ok(MediaSettings::default())
}
