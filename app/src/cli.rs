//! The command line of the media service.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{healthcheck, serve, settings::Settings, storage::StorageCommand};

/// The media service: users upload pictures, find them again and share them
///
/// Environment variables configure it; `app config schema` lists them.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Migrate the database, then serve requests until SIGTERM or SIGINT
    Serve,
    /// Migrate the database
    Migrate,
    /// Check that the service at HOST and PORT is alive; exit with 1 if it is not
    Health,
    /// Check or move the stored objects
    #[command(subcommand)]
    Storage(StorageCommand),
    /// Show or check the environment variables
    #[command(subcommand)]
    Config(Config),
}

#[derive(Subcommand)]
enum Config {
    /// Print all variables as JSON
    Schema,
    /// Check the current environment: print OK, or print all problems and exit with 1
    Check,
}

/// Parses the command line and runs the command. It is in the library, with all that it calls, so that the compiler does that
/// once: a program that awaits the library's functions compiles them again.
#[tokio::main]
pub async fn main() -> ExitCode {
    match run(Cli::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("app: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve => serve::serve(Settings::from_env()?).await?,
        Command::Migrate => serve::migrate(Settings::from_env()?).await?,
        Command::Health => healthcheck::run(&Settings::from_env()?).await?,
        Command::Storage(command) => command.run().await?,
        Command::Config(Config::Schema) => println!("{}", serde_json::to_string_pretty(&Settings::schema())?),
        Command::Config(Config::Check) => Settings::from_env().map(|_| println!("OK"))?,
    }
    Ok(())
}
