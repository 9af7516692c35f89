//! `cargo xtask`: takes a commit of this repository to a running, verified, reversible deployment.

use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;
use xtask::cli::Cli;
use xtask::program;
use xtask::tools::cmd::Inherited;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.kind() == ErrorKind::DisplayVersion => return print_version(),
        Err(error) => return program::usage(&error),
    };
    let report = program::report(cli.json);
    program::exit(cli.run(&report), &report)
}

/// The toolkit is run from a checkout, so git is asked for the commit. Compiled in, it would rebuild the toolkit with every
/// commit.
fn print_version() -> ExitCode {
    let mut git = std::process::Command::new("git");
    git.env_clear().envs(Inherited::of("git").variables());
    let commit = git.args(["rev-parse", "--short=12", "HEAD"]).output();
    let commit = commit.ok().filter(|output| output.status.success());
    let commit = commit.map(|output| format!(" ({})", String::from_utf8_lossy(&output.stdout).trim()));
    let report = program::report(false);
    report.data(&format!("xtask {}{}\n", env!("CARGO_PKG_VERSION"), commit.unwrap_or_default()));
    program::exit(Ok(()), &report)
}
