//! Lighthouse, which gives a page scores for its speed and its quality.

use std::path::PathBuf;

use anyhow::Result;

use crate::npm;

const VERSION: &str = "12.8.2";

/// A folder from which Node finds it.
pub fn install() -> Result<PathBuf> {
    npm::install("lighthouse", VERSION)
}
