//! Every command and flag. The doc comments are the help.

mod bootstrap;
mod image;
mod tofu;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

pub use self::bootstrap::{Bootstrap, BootstrapArgs};
pub use self::image::Image;
pub use self::tofu::{StackArg, Tofu};
use crate::commands::checks::ChecksArgs;

/// Takes a commit of this repository to a running, verified, reversible deployment.
#[derive(Parser, Debug)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    version,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:
  cargo xtask deploy              build, start, verify, on this machine
  cargo xtask status              what serves now
  cargo xtask rollback            back to the release before
  cargo xtask deploy --dry-run    what would happen

Exit codes:
  0 done            1 failed               2 wrong usage or configuration
  10 something newer is there, which a check was asked for; changes are pending
  20 somebody else works on this environment
  21 refused by the guard, or not approved
  30 unhealthy; the previous release serves
  31 unhealthy, and nothing serves"
)]
pub struct Cli {
    /// Say everything as events, one JSON object a line, on standard output
    #[arg(long, global = true)]
    pub json: bool,

    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Build the service, start it beside the one that serves, verify it, and let it take over
    #[command(after_help = "Examples:
  cargo xtask deploy
  cargo xtask deploy local --dry-run
  cargo xtask deploy local --resume     go on after a crash or Ctrl-C

A tree with uncommitted changes deploys to `local` too, under a version that says so.")]
    Deploy {
        #[command(flatten)]
        environment: EnvironmentArg,
        /// Say what would happen and change nothing
        #[arg(long, conflicts_with = "resume")]
        dry_run: bool,
        /// Go on with a deploy that was cut short; what it had finished is not done again
        #[arg(long)]
        resume: bool,
        /// A note for whoever finds the environment locked meanwhile
        #[arg(long, short)]
        message: Option<String>,
    },

    /// Bring an earlier release back
    #[command(after_help = "Examples:
  cargo xtask rollback                     to the release before this one
  cargo xtask rollback local --to 3f9c2d   to the newest release whose version begins so
  cargo xtask history                      what there is to go back to

Refused (exit code 21) when a migration marked `-- irreversible` lies between.")]
    Rollback {
        #[command(flatten)]
        environment: EnvironmentArg,
        /// Version to go back to, or its beginning
        #[arg(long, value_name = "VERSION")]
        to: Option<String>,
        /// Say what would happen and change nothing
        #[arg(long)]
        dry_run: bool,
    },

    /// Show what serves, since when, and how it is
    #[command(after_help = "Examples:
  cargo xtask status
  cargo xtask status local --json")]
    Status {
        #[command(flatten)]
        environment: EnvironmentArg,
    },

    /// List every deploy and rollback, newest first
    #[command(after_help = "Examples:
  cargo xtask history
  cargo xtask history local --json | head -1")]
    History {
        #[command(flatten)]
        environment: EnvironmentArg,
        /// At most this many
        #[arg(long, short = 'n', default_value_t = 20, value_name = "COUNT")]
        lines: usize,
    },

    /// Show the end of the service's log
    #[command(after_help = "Examples:
  cargo xtask logs
  cargo xtask logs local -n 200 --follow")]
    Logs {
        #[command(flatten)]
        environment: EnvironmentArg,
        /// Lines to show
        #[arg(long, short = 'n', default_value_t = 50, value_name = "COUNT")]
        lines: usize,
        /// Go on with new lines as they come, until Ctrl-C
        #[arg(long, short)]
        follow: bool,
    },

    /// Stop the service and its database; all data is kept
    #[command(after_help = "Examples:
  cargo xtask stop
  cargo xtask deploy      starts it again")]
    Stop {
        #[command(flatten)]
        environment: EnvironmentArg,
    },

    /// Who may deploy now
    #[command(
        subcommand,
        after_help = "Examples:
  cargo xtask lock status
  cargo xtask lock break local --yes"
    )]
    Lock(Lock),

    /// The service as an image: build it from a commit, put it into a registry, see and clear what is there
    #[command(
        subcommand,
        after_help = "Examples:
  cargo xtask image build
  cargo xtask image push production
  cargo xtask image prune production --dry-run"
    )]
    Image(Image),

    /// What the environment rests on, as its stack says: plan it, look at the plan, apply just that
    #[command(
        subcommand,
        after_help = "Examples:
  cargo xtask tofu plan production
  cargo xtask tofu apply production
  cargo xtask tofu output production"
    )]
    Tofu(Tofu),

    /// What a stack takes and cannot make for itself: look at it item by item, and mend it
    #[command(
        subcommand,
        after_help = "Examples:
  cargo xtask bootstrap state production
  cargo xtask bootstrap registry production
  cargo xtask bootstrap zone production --check"
    )]
    Bootstrap(Bootstrap),

    /// The service's compiled-in queries, and the migrations that they rest on
    #[command(
        subcommand,
        after_help = "Examples:
  cargo xtask sqlx prepare     after a change of a query or a migration
  cargo xtask sqlx check       in CI: fails, with file and line, when a query is stale

Neither needs a database of yours: both start a PostgreSQL and remove it again."
    )]
    Sqlx(Sqlx),

    /// Write the files that come from the settings table and the templates
    #[command(after_help = "Examples:
  cargo xtask render
  cargo xtask render --check      in CI: fails, with a diff, when a file is not up to date")]
    Render {
        /// Change nothing; fail with a diff when a file is not what it should be
        #[arg(long)]
        check: bool,
    },

    /// Check this machine: programs, versions, disk, ports; say the next command to type
    #[command(after_help = "Examples:
  cargo xtask doctor
  cargo xtask doctor local --json")]
    Doctor {
        #[command(flatten)]
        environment: EnvironmentArg,
    },

    /// Install what is missing, where that takes no decision; otherwise say the commands
    #[command(after_help = "Examples:
  cargo xtask setup
  cargo xtask setup --docker      also a Docker engine, from the distribution's packages
  cargo xtask setup --tests       also what `cargo xtask test` needs
  cargo xtask setup --dry-run

OpenTofu, where an environment has a stack: its release, into the toolkit's cache. Where that
cannot be reached it is built from its Go module, which takes Go, and minutes.")]
    Setup {
        /// Also a Docker engine, which images are built by
        #[arg(long)]
        docker: bool,
        /// Also what the tests need
        #[arg(long)]
        tests: bool,
        /// Say what would be installed and change nothing
        #[arg(long)]
        dry_run: bool,
    },

    /// Run everything that is tested
    #[command(disable_help_flag = true, after_help = crate::commands::checks::TEST_EXAMPLES)]
    Test(ChecksArgs),

    /// Measure the toolkit, as ratios against a reference that runs beside it
    #[command(disable_help_flag = true, after_help = crate::commands::checks::BENCH_EXAMPLES)]
    Bench(ChecksArgs),

    /// Print the completions of a shell
    #[command(after_help = "Examples:
  cargo xtask completions bash > ~/.local/share/bash-completion/completions/xtask")]
    Completions {
        /// Which shell
        shell: Shell,
    },

    /// The process that owns the local target's listening socket
    #[command(hide = true)]
    Supervise(crate::supervisor::Supervise),

    /// Becomes a service's program, with its listening socket
    #[command(hide = true)]
    SuperviseExec(crate::supervisor::SuperviseExec),
}

/// `lock …`
#[derive(Subcommand, Debug)]
pub enum Lock {
    /// Show who deploys this environment now
    Status {
        #[command(flatten)]
        environment: EnvironmentArg,
    },
    /// Take the lease away from its holder, who stops at its next step
    Break {
        #[command(flatten)]
        environment: EnvironmentArg,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// `sqlx …`
#[derive(Subcommand, Debug)]
pub enum Sqlx {
    /// Migrate a throw-away PostgreSQL and write the query cache, .sqlx, anew
    Prepare {
        #[command(flatten)]
        environment: EnvironmentArg,
    },
    /// Compare the query cache with a throw-away PostgreSQL, and try new migrations on what is released; change nothing
    Check {
        #[command(flatten)]
        environment: EnvironmentArg,
    },
}

/// The environment a command is about.
#[derive(Args, Debug)]
pub struct EnvironmentArg {
    /// An environment of deploy.yaml
    #[arg(default_value = "local", value_name = "ENV")]
    pub environment: String,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example() {
        for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(&format!("cargo xtask {}", command.get_name())), "{}", command.get_name());
        }
    }

    /// Every command that the documents, the help and the errors' examples show can be typed as it stands.
    #[test]
    fn every_command_that_is_shown_can_be_typed() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let documents = ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"];
        let mut texts: Vec<String> =
            documents.iter().map(|name| fs_err::read_to_string(root.join(name)).unwrap()).collect();
        texts
            .extend(Cli::command().get_subcommands().filter_map(|command| Some(command.get_after_help()?.to_string())));
        let mut seen = 0;
        for line in texts.iter().flat_map(|text| text.lines()) {
            let Some(at) = line.trim_start().strip_prefix("cargo xtask ") else { continue };
            // A comment begins behind two blanks or `#`, a redirection or pipe behind its sign.
            let command = at.split("  ").next().unwrap().split(['#', '>', '|']).next().unwrap();
            let words = command.split_whitespace();
            if let Err(error) = Cli::try_parse_from(std::iter::once("xtask").chain(words)) {
                assert!(!error.use_stderr(), "cargo xtask {command}: {error}");
            }
            seen += 1;
        }
        assert!(seen > 30, "only {seen} commands were found");
    }
}
