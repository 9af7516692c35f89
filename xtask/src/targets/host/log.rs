//! What containers write.

use anyhow::Context as _;
use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use serde_json::json;

use super::{Host, containers};
use crate::clients::docker::kept::Kept;
use crate::failure::Failure;

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
        self.show(&container.id, Some(lines), follow, host).await
    }

    /// Shows what a container writes, line by line. Without a number, from the first one.
    pub(super) async fn show(
        &self,
        container: &str,
        lines: Option<usize>,
        follow: bool,
        host: Option<&str>,
    ) -> Result<(), Failure> {
        let show = |line: &[u8]| {
            let line = String::from_utf8_lossy(line);
            match host {
                Some(host) => {
                    self.env.report.result(json!({ "host": host, "line": line }), &format!("{host} | {line}"))
                }
                None => self.env.report.result(json!({ "line": line }), &line),
            }
        };
        let mut written = Box::pin(self.engine().await?.written(container, lines, follow));
        let mut begun = Vec::new();
        while let Some(part) = written.try_next().await? {
            begun.extend_from_slice(&part);
            while let Some(end) = begun.iter().position(|byte| *byte == b'\n') {
                show(begun[..end].trim_ascii_end());
                begun.drain(..=end);
            }
            if self.env.report.is_unread() {
                return Ok(());
            }
        }
        if !begun.is_empty() {
            show(&begun);
        }
        Ok(())
    }
}
