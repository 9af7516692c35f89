//! `secrets`: what the jobs of GitHub Actions are given. The command line is here; what it runs is compiled with the feature `cloud`
//! only.

#[cfg(feature = "cloud")]
mod run;

use clap::{Args, Subcommand};

use super::StackArg;

/// `secrets …`
#[derive(Subcommand, Debug)]
pub enum SecretsCommand {
    Plan(PlanArgs),
    Apply(ApplyArgs),
    Check(CheckArgs),
}

/// Show which secrets and variables the environment's jobs need, and what GitHub has
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask secrets plan production
  cargo xtask secrets plan production --values-from 'sops --decrypt production.env'

Exits with 10 when something would be set. A secret is compared by the fingerprint of the value that was set last: GitHub shows no \
value. No value is printed.")]
pub struct PlanArgs {
    #[command(flatten)]
    environment: StackArg,
    #[command(flatten)]
    values: ValuesArg,
}

/// Set the secrets and variables that GitHub lacks or has otherwise
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask secrets apply production
  cargo xtask secrets apply production --prune --yes

Values: of the program that --values-from names, else of .env.<ENV>, else of the environment. Nothing is set when anything is \
missing (exit code 21). Token: GH_TOKEN, with the permissions administration, environments, secrets and variables: write.")]
pub struct ApplyArgs {
    #[command(flatten)]
    environment: StackArg,
    #[command(flatten)]
    values: ValuesArg,
    /// Also delete what nothing needs
    #[arg(long)]
    prune: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Check that GitHub has what the environment's jobs need, by name
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask secrets check production

Needs no value. Exits with 10 when something is missing.")]
pub struct CheckArgs {
    #[command(flatten)]
    environment: StackArg,
}

/// Where values come from.
#[derive(Args, Debug)]
struct ValuesArg {
    /// A command of the shell that prints values as an .env file does
    #[arg(long, value_name = "COMMAND")]
    values_from: Option<String>,
}
