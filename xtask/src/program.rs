//! How a program of the toolkit begins and ends: its report, its runtime, its exit code.

use std::process::ExitCode;

use anyhow::Context as _;

use crate::failure::Failure;
use crate::report::{Audience, Report};
use crate::secrets::Redactor;

/// For events if they are asked for, otherwise for what `CI`, `GITHUB_ACTIONS`, `NO_COLOR` and standard error say.
pub fn report(json: bool) -> Report {
    let is_set = |name: &str| std::env::var(name).is_ok_and(|value| !value.is_empty() && value != "false");
    let audience = Audience::detect(json, is_set("CI"), is_set("GITHUB_ACTIONS"));
    Report::new(audience, !is_set("NO_COLOR"), Redactor::default())
}

/// Runs a command in a runtime of one thread.
pub fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    // The only provider that is compiled in; it can be installed only once, and this is the one place that does.
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start the runtime")?;
    runtime.block_on(command)
}

/// Reports a failure, and returns the exit code of the process.
pub fn exit(ended: Result<(), Failure>, report: &Report) -> ExitCode {
    let Err(failure) = ended else { return ExitCode::SUCCESS };
    let code = failure.exit_code();
    if !matches!(failure, Failure::Pending) {
        report.error(&failure.into_error());
    }
    ExitCode::from(code)
}
