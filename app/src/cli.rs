//! The command line of the media service.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{
    healthcheck, http,
    import::{self, ImportArgs},
    migrate_auth::{self, MigrateAuthArgs},
    process::{
        child::{self, DecodeArgs},
        limits::{self, LimitedArgs},
    },
    serve,
    settings::Settings,
    storage::StorageCommand,
    worker::WorkerCommand,
};

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
    #[command(flatten)]
    Service(ServiceCommand),
    #[command(hide = true)]
    Decode(DecodeArgs),
    #[command(hide = true)]
    Limited(LimitedArgs),
}

#[derive(Subcommand)]
enum ServiceCommand {
    /// Migrate the database, then serve requests until SIGTERM or SIGINT
    Serve,
    /// Process uploads of other instances, without serving requests, until SIGTERM or SIGINT
    Worker {
        #[command(subcommand)]
        command: Option<WorkerCommand>,
    },
    /// Migrate the database
    Migrate,
    MigrateAuth(MigrateAuthArgs),
    /// Check that the service at HOST and PORT is alive; exit with 1 if it is not
    Health,
    Import(ImportArgs),
    /// Check or move the stored objects
    #[command(subcommand)]
    Storage(StorageCommand),
    /// Print the description of the HTTP API as JSON, by OpenAPI 3.1
    Openapi,
    /// Show or check the environment variables
    #[command(subcommand)]
    Config(Config),
}

#[derive(Subcommand)]
enum Config {
    /// Print all variables as JSON
    Schema,
    /// Check the current environment: print OK, or print all problems and exit with 1; name variables that are nearly a setting
    Check,
}

/// Parses the command line and runs the command. It is in the library, with all that it calls, so that the compiler does that
/// once: a program that awaits the library's functions compiles them again.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        // Before there are threads, which would keep the rights that these processes give up.
        Command::Decode(args) => child::main(&args),
        Command::Limited(args) => limits::main(args),
        Command::Service(command) => service(command),
    }
}

#[tokio::main]
async fn service(command: ServiceCommand) -> ExitCode {
    match run(command).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("app: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: ServiceCommand) -> anyhow::Result<ExitCode> {
    match command {
        ServiceCommand::Serve => serve::serve(Settings::from_env()?).await?,
        ServiceCommand::Worker { command: None } => serve::work(Settings::from_env()?).await?,
        ServiceCommand::Worker { command: Some(command) } => command.run().await?,
        ServiceCommand::Migrate => serve::migrate(Settings::from_env()?).await?,
        ServiceCommand::MigrateAuth(args) => migrate_auth::run(args).await?,
        ServiceCommand::Health => healthcheck::run(&Settings::from_env()?).await?,
        ServiceCommand::Import(args) => return import::run(args).await,
        ServiceCommand::Storage(command) => command.run().await?,
        ServiceCommand::Openapi => println!("{}", serde_json::to_string_pretty(&http::document())?),
        ServiceCommand::Config(Config::Schema) => println!("{}", serde_json::to_string_pretty(&Settings::schema())?),
        ServiceCommand::Config(Config::Check) => {
            Settings::unread().iter().for_each(|unread| eprintln!("app: {unread}"));
            Settings::from_env().map(|_| println!("OK"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
