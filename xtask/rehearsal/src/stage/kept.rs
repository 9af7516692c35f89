//! What is left to look at.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use xtask::fs::replace_file;
use xtask::signals::Stop;

use super::Stage;

impl Stage<'_> {
    /// Says how to look around, and waits until the user has seen enough.
    pub async fn keep(&self, stop: &Stop) -> Result<()> {
        let (report, name, place) = (&self.toolkit.report, &self.environment.name, self.place);
        let mut text = format!("# Source this file; then run the toolkit in {}.\n", self.clone()?.root);
        for (variable, value) in self.variables() {
            let quoted = value.replace('\'', r"'\''");
            writeln!(text, "export {variable}='{quoted}'").context("write the variables")?;
        }
        replace_file(&place.look, text.as_bytes())?;
        place.note_kept()?;
        report.note(&format!(
            "kept: to look around, in another terminal: cd {} && . {} && {} status {name}",
            self.clone()?.root,
            place.look,
            self.toolkit.program
        ));
        report.note(&format!("to end it: Ctrl-C here, or: cargo xtask rehearse clean {name}"));
        stop.requested().await;
        Ok(())
    }
}
