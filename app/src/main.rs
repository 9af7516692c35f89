//! The media service's command line.

use std::process::ExitCode;

use app::{health, serve, settings::Settings};
use clap::{Parser, Subcommand};

/// The media service: people upload pictures, find them again, share them. It is configured by environment variables
/// alone; `app config schema` lists them.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Migrate the database and answer requests until SIGTERM or SIGINT
    Serve,
    /// Migrate the database and end
    Migrate,
    /// Ask the service that runs with the same environment whether it is alive, and exit with 1 when it is not
    Health,
    /// The environment variables
    #[command(subcommand)]
    Config(Config),
}

#[derive(Subcommand)]
enum Config {
    /// Print the table of all variables as JSON
    Schema,
    /// Check the present environment: print OK, or every problem and exit with 1
    Check,
}

#[tokio::main]
async fn main() -> ExitCode {
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
        Command::Health => health::ask(&Settings::from_env()?).await?,
        Command::Config(Config::Schema) => println!("{}", serde_json::to_string_pretty(&Settings::schema())?),
        Command::Config(Config::Check) => Settings::from_env().map(|_| println!("OK"))?,
    }
    Ok(())
}
