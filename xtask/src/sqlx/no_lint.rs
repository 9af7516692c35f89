//! The place of `lint` in a build without the feature `cloud`. The command hands over to a build that has it, before it
//! would be called.

use anyhow::{Result, bail};

use super::problem::Problem;
use crate::report::Notice;
use crate::tools::sqlx::migrate::Script;

/// See `lint`.
pub fn lint(_: &[Script]) -> Result<(Vec<Problem>, Vec<Notice>)> {
    bail!("this build of the toolkit cannot look at migrations; build it with the feature `cloud`")
}
