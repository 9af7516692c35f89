//! What containers write.

use anyhow::Context as _;
use jiff::Timestamp;

use super::{Host, containers};
use crate::clients::docker::kept::Kept;
use crate::failure::Failure;
use crate::targets::docker::show;

/// Lines of a container's log that are kept with a failed release.
const TAIL: usize = 1000;

impl Host<'_> {
    /// What the containers of this version have written.
    pub async fn log_of(&self, version: &str, _since: Timestamp) -> Result<Vec<String>, Failure> {
        let of_version = |kept: &Kept| kept.labels.get(containers::VERSION).is_some_and(|label| label == version);
        match self.services().await?.into_iter().find(of_version) {
            Some(container) => Ok(self.engine().await?.last_lines(&container.id, TAIL).await?),
            None => Ok(Vec::new()),
        }
    }

    /// Shows the last lines that the release that serves has written, and with `follow` what comes. `host` is put before each.
    pub(super) async fn show_log(&self, lines: usize, follow: bool, host: Option<&str>) -> Result<(), Failure> {
        let name = self.env.name();
        let missing = || format!("no release of {name} serves; type: cargo xtask deploy {name}");
        let container = self.container_that_serves().await?.with_context(missing)?;
        let source = host.map(|host| ("host", host));
        show(self.env, &self.engine().await?, &container.id, Some(lines), follow, source).await
    }
}
