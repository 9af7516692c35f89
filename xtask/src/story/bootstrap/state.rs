//! The bucket of an environment's state.

use anyhow::anyhow;

use super::How;
use crate::report::Audience;
use crate::story::Failure;
use crate::story::tofu::Infra;

/// Under way.
pub async fn state(infra: &Infra<'_>, how: How, audience: Audience) -> Result<(), Failure> {
    Err(anyhow!("{} {how:?} {audience:?}: under way", infra.state_place()).into())
}
