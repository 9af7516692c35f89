//! `setup`, and `setup host`

#[cfg(feature = "cloud")]
mod host;

use clap::{Args, Subcommand};
use serde_json::json;

use super::Context;
use crate::failure::Failure;
use crate::setup::{Extras, Missing};
use crate::tools::tofu::install;
use crate::web::{self, Decision};

/// Install missing programs, or print the command if that needs your permission
#[derive(Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  cargo xtask setup
  cargo xtask setup --docker      also a Docker engine, from the distribution's packages
  cargo xtask setup --tests       also what `cargo xtask test` needs
  cargo xtask setup --dry-run
  cargo xtask setup host prod     what the Docker hosts of an environment lack

If an environment has a stack, OpenTofu is downloaded into the toolkit's cache. If that fails, it is \
built from its Go module, which needs Go and takes minutes."
)]
pub struct SetupArgs {
    /// What to set up instead of this machine
    #[command(subcommand)]
    pub command: Option<SetupCommand>,
    /// Also a Docker engine, which builds images
    #[arg(long)]
    docker: bool,
    /// Also what the tests need
    #[arg(long)]
    tests: bool,
    /// Show what would be installed and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// What to set up instead of this machine.
#[derive(Subcommand, Debug)]
pub enum SetupCommand {
    Host(HostArgs),
}

/// Show what the Docker hosts of an environment lack, and with `--yes` install it
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask setup host prod           shows the commands; changes nothing
  cargo xtask setup host prod --yes     runs them, by sudo if the user of SSH is not root

On Debian and its relatives, Docker is installed from the distribution's packages and started at boot, and the user of the \
connection is added to the group `docker`. Docker brings its dependencies, and adds rules of its own to the host's packet filter: \
ports that it publishes pass ufw. No other setting of the host is changed.")]
pub struct HostArgs {
    /// An environment of deploy.yaml on Docker hosts that SSH reaches; without it, the only one
    #[arg(value_name = "ENV")]
    environment: Option<String>,
    /// Run the commands that are shown otherwise
    #[arg(long)]
    pub yes: bool,
}

impl SetupArgs {
    /// Sets up this machine.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let report = context.report;
        let extras = Extras { docker: self.docker, tests: self.tests, tofu: self.tests };
        let missing = Missing::find(context.config, extras).await;
        let names = missing.names();
        if names.is_empty() {
            look_at_node(context).await;
            report.result(json!({ "missing": names }), "nothing is missing");
            return Ok(());
        }
        if self.dry_run {
            report.result(json!({ "missing": names }), &format!("missing: {}", names.join(", ")));
            return Ok(());
        }
        report.note(&format!("installing {}", names.join(", ")));
        if let Some(program) = missing.install(|line| report.detail(line)).await? {
            report.note(&format!("OpenTofu {} is {program}", install::VERSION));
        }
        look_at_node(context).await;
        report.result(json!({ "installed": names }), &format!("installed: {}", names.join(", ")));
        Ok(())
    }
}

/// A distribution's Node.js may be another one than the web UI takes.
async fn look_at_node(context: &Context<'_>) {
    match web::decide(context.config).await {
        Ok(Some(Decision::Off(why))) => context.report.warn(&format!("the web UI cannot be built: {why}")),
        Err(error) => context.report.warn(&format!("the web UI cannot be built: {error:#}")),
        Ok(_) => {}
    }
}
