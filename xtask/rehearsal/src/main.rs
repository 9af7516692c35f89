//! `cargo xtask rehearse`: what a deploy does not compile.

use std::process::ExitCode;

use clap::Parser as _;
use rehearsal::cli::Cli;
use xtask::program;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return program::usage(&error),
    };
    let report = program::report(cli.json);
    program::exit(program::block_on(rehearsal::run(cli, &report)), &report)
}
