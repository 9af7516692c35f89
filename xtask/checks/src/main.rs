//! `cargo xtask test` and `cargo xtask bench`: what a deploy does not compile.

mod bench;
mod cli;
mod processor;
mod test;

use std::process::ExitCode;

use clap::Parser as _;
use xtask::commands::Context;
use xtask::config::Config;
use xtask::failure::Failure;
use xtask::report::Report;
use xtask::signals::Stop;
use xtask::{env, program};

use self::cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return program::usage(&error),
    };
    let report = program::report(cli.json);
    program::exit(program::block_on(run(cli.command, &report)), &report)
}

async fn run(command: Command, report: &Report) -> Result<(), Failure> {
    // It listens for no signal, and so ends by one.
    if let Command::Install(args) = command {
        return args.run();
    }
    let stop = &Stop::on_signals()?;
    let config = &Config::load(&env::find_root().map_err(Failure::Usage)?)?;
    let context = &Context { config, report, stop };
    match command {
        Command::Test(args) => args.run(context).await,
        Command::Bench(args) => args.run(context).await,
        Command::Install(_) => Ok(()),
    }
}
