//! How a program of the toolkit begins and ends: its report, its runtime, its exit code.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::failure::Failure;
use crate::report::{Audience, Report};
use crate::secrets::Redactor;
use crate::typed::as_typed;

/// The first descriptor behind standard input, output and error.
const FIRST_INHERITED: i32 = 3;

/// Keeps the descriptors that this process has inherited, but for its input and output, from every program that it starts. The
/// service and PostgreSQL outlive it: they would hold the caller's files open, and its locks, and may be less privileged.
pub fn keep_inherited_descriptors() {
    close_fds::set_fds_cloexec(FIRST_INHERITED, &[]);
}

/// Keeps this process, and all that it starts, from leaving a core file: it would have every secret of the process that crashed, in the
/// folder of a release or where the system collects such files. A limit of one byte also stops Linux from passing the core to a
/// program (`fs/coredump.c`), which a limit of none does not.
pub fn write_no_core() {
    let most = getrlimit(Resource::Core).maximum.map_or(1, |most| most.min(1));
    let limit = Rlimit { current: Some(most), maximum: Some(most) };
    // No process needs a right to lower its limits.
    setrlimit(Resource::Core, limit).ok();
}

/// For events if they are asked for, otherwise for what `CI`, `GITHUB_ACTIONS`, `NO_COLOR` and standard error say.
pub fn report(json: bool) -> Report {
    let is_set = |name: &str| std::env::var(name).is_ok_and(|value| !value.is_empty() && value != "false");
    let audience = Audience::detect(json, is_set("CI"), is_set("GITHUB_ACTIONS"));
    Report::new(audience, !is_set("NO_COLOR"), Redactor::default())
}

/// Shows help, or what is wrong with a command line, and returns the exit code of the process.
pub fn usage(error: &clap::Error) -> ExitCode {
    let report = report(false);
    let text = error.render();
    let plain = as_typed(&text.to_string()).into_owned();
    if error.use_stderr() {
        // It repeats an argument, which in a workflow may be a branch's or a commit's name.
        match report.audience() == Audience::Terminal && report.shown(&plain) == text.to_string() {
            true => drop(error.print()),
            false => report.usage(&plain),
        }
        report.end().ok();
        return ExitCode::from(2);
    }
    report.data(&if std::io::stdout().is_terminal() { as_typed(&text.ansi().to_string()).into_owned() } else { plain });
    exit(Ok(()), &report)
}

/// Runs a command in a runtime of one thread.
pub fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    // The only provider that is compiled in; it can be installed only once, and this is the one place that does.
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start the runtime")?;
    runtime.block_on(command)
}

/// Reports a failure, and returns the exit code of the process. A result that could not be written is a failure of its own.
pub fn exit(ended: Result<(), Failure>, report: &Report) -> ExitCode {
    let ended = match (ended, report.end()) {
        (Ok(()) | Err(Failure::Pending), Err(lost)) => Err(Failure::Failed(lost)),
        (ended, _) => ended,
    };
    let Err(failure) = ended else { return ExitCode::SUCCESS };
    let code = failure.exit_code();
    if !matches!(failure, Failure::Pending) {
        report.error(&failure.into_error());
        // Nothing more is said that could be lost.
        report.end().ok();
    }
    ExitCode::from(code)
}
