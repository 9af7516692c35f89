//! Caddy, the proxy of a Docker host.

use std::path::PathBuf;

use anyhow::Result;

use crate::path;

/// Its program, to be put into an image.
pub fn program() -> Result<PathBuf> {
    path::need("the proxy of a Docker host", "caddy", "apt-get install caddy")
}
