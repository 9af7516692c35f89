//! `cargo xtask test` and `cargo xtask bench`: what a deploy does not compile.

mod bench;
mod cli;
mod test;

use std::process::ExitCode;

use clap::Parser as _;
use xtask::config::Config;
use xtask::failure::Failure;
use xtask::report::Report;
use xtask::{env, program};

use self::cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let (_, report) = program::report(cli.json);
    program::exit(program::block_on(run(cli.command, &report)), &report)
}

async fn run(command: Command, report: &Report) -> Result<(), Failure> {
    let config = Config::load(&env::find_root().map_err(Failure::Usage)?)?;
    match command {
        Command::Test { only } => test::test(&config, &only, report).await,
        Command::Bench { only } => bench::bench(&config, &only, report).await,
    }
}
