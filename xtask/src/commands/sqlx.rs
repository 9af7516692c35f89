//! `sqlx`: the service's compiled-in queries and its migrations.

use clap::{Args, Subcommand};

use super::{Context, EnvironmentArg};
use crate::failure::Failure;
use crate::sqlx;

/// `sqlx …`
#[derive(Subcommand, Debug)]
pub enum Sqlx {
    /// Migrate a throw-away PostgreSQL and rewrite the query cache, .sqlx
    Prepare(SqlxArgs),
    /// Compare the query cache with a throw-away PostgreSQL, and run new migrations on the released schema; change nothing
    Check(SqlxArgs),
}

/// Arguments of the `sqlx` commands.
#[derive(Args, Debug)]
pub struct SqlxArgs {
    #[command(flatten)]
    environment: EnvironmentArg,
}

impl Sqlx {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        match self {
            Self::Prepare(args) => sqlx::prepare(&context.env(&args.environment.environment)?).await,
            Self::Check(args) => sqlx::check(&context.env(&args.environment.environment)?).await,
        }
    }
}
