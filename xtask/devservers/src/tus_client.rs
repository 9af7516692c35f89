//! tus-js-client, the client for uploads in parts that browsers run, for Node.

use std::path::PathBuf;

use anyhow::Result;

use crate::npm;

const VERSION: &str = "4.3.1";

/// A folder from which Node finds it.
pub fn install() -> Result<PathBuf> {
    npm::install("tus-js-client", VERSION)
}
