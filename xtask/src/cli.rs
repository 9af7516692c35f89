//! The command line: every command, the exit codes, and where each command is run.

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand};

use crate::commands::Context;
use crate::commands::bootstrap::Bootstrap;
use crate::commands::checks::{self, ChecksArgs};
use crate::commands::ci::Ci;
#[cfg(not(feature = "cloud"))]
use crate::commands::cloud;
use crate::commands::completions::CompletionsArgs;
use crate::commands::deploy::DeployArgs;
use crate::commands::dev::DevArgs;
use crate::commands::docs::DocsArgs;
use crate::commands::doctor::DoctorArgs;
use crate::commands::drift::DriftArgs;
use crate::commands::history::HistoryArgs;
use crate::commands::image::Image;
use crate::commands::init::InitArgs;
use crate::commands::lock::Lock;
use crate::commands::logs::LogsArgs;
use crate::commands::open::OpenArgs;
use crate::commands::rehearse::RehearseArgs;
use crate::commands::release::ReleaseCommand;
use crate::commands::render::RenderArgs;
use crate::commands::rollback::RollbackArgs;
use crate::commands::run::RunArgs;
use crate::commands::secrets::SecretsCommand;
use crate::commands::setup::{HostArgs, SetupArgs, SetupCommand};
use crate::commands::sqlx::Sqlx;
use crate::commands::status::StatusArgs;
use crate::commands::stop::StopArgs;
use crate::commands::supervise_image::SuperviseImage;
use crate::commands::tofu::Tofu;
use crate::commands::upgrade::UpgradeArgs;
use crate::config::Config;
use crate::env;
use crate::failure::Failure;
use crate::program;
use crate::report::Report;
use crate::signals::Stop;
use crate::tools::cmd::Inherited;
use crate::{supervisor, typed};

/// The whole program, under each of its names.
pub fn main() -> ExitCode {
    // clap takes the first for the program's name.
    let cli = match Cli::try_parse_from([typed::program().into()].into_iter().chain(typed::arguments())) {
        Ok(cli) => cli,
        Err(error) if error.kind() == ErrorKind::DisplayVersion => return print_version(),
        Err(error) => return program::usage(&error),
    };
    let report = program::report(cli.json);
    program::exit(cli.run(&report), &report)
}

/// In its own repository the toolkit is run from a checkout, so git is asked for the commit. Compiled in, it would rebuild the toolkit
/// with every commit.
fn print_version() -> ExitCode {
    let commit = match typed::is_installed() {
        true => None,
        false => {
            let mut git = std::process::Command::new("git");
            git.env_clear().envs(Inherited::of("git").variables());
            let commit = git.args(["rev-parse", "--short=12", "HEAD"]).output();
            commit.ok().filter(|output| output.status.success())
        }
    };
    let commit = commit.map(|output| format!(" ({})", String::from_utf8_lossy(&output.stdout).trim()));
    let report = program::report(false);
    report.data(&format!("{} {}{}\n", typed::program(), env!("CARGO_PKG_VERSION"), commit.unwrap_or_default()));
    program::exit(Ok(()), &report)
}

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
  cargo xtask deploy              build, start and verify on this machine
  cargo xtask status              show what serves
  cargo xtask rollback            go back to the previous release
  cargo xtask deploy --dry-run    show what would happen

Exit codes:
  0  done
  1  failed
  2  wrong usage or configuration
  10 changes are pending (`plan`, `--check`), or something differs (`drift`)
  20 the environment is locked by another command
  21 refused by the guard, or not approved
  30 unhealthy; the previous release was restored
  31 unhealthy; the previous release could not be restored

`run` ends with the exit code of the program that it has run."
)]
pub struct Cli {
    /// Print events, one JSON object a line, on standard output
    #[arg(long, global = true)]
    pub json: bool,

    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    Init(InitArgs),
    Deploy(DeployArgs),
    Rollback(RollbackArgs),
    Status(StatusArgs),
    Drift(DriftArgs),
    History(HistoryArgs),
    Logs(LogsArgs),
    Open(OpenArgs),
    Run(RunArgs),
    Dev(DevArgs),
    Stop(StopArgs),

    /// Show or break the lease that allows one deploy at a time
    #[command(
        subcommand,
        after_help = "Examples:
  cargo xtask lock status
  cargo xtask lock break local --yes"
    )]
    Lock(Lock),

    /// Build, push, list and prune the service's images
    #[command(
        subcommand,
        after_help = "Examples:
  cargo xtask image build
  cargo xtask image push production
  cargo xtask image prune production --dry-run"
    )]
    Image(Image),

    /// Make, list, check, promote and prune releases at GitHub
    #[command(
        subcommand,
        after_help = "Examples:
  cargo xtask release create production
  cargo xtask release list production
  cargo xtask release check build-20261129-0123456789ab
  cargo xtask release promote build-20261129-0123456789ab --follow"
    )]
    Release(ReleaseCommand),

    /// Plan and apply the environment's OpenTofu stack
    #[command(
        subcommand,
        after_help = "Examples:
  cargo xtask tofu plan production
  cargo xtask tofu apply production
  cargo xtask tofu output production"
    )]
    Tofu(Tofu),

    /// Compare and set the secrets and variables that jobs of GitHub Actions are given
    #[command(
        subcommand,
        after_help = "Examples:
  cargo xtask secrets plan production
  cargo xtask secrets apply production
  cargo xtask secrets check production"
    )]
    Secrets(SecretsCommand),

    /// Check and create a stack's prerequisites (state bucket, DNS zone, registry, GitHub)
    #[command(
        subcommand,
        after_help = "Examples:
  cargo xtask bootstrap state production
  cargo xtask bootstrap registry production
  cargo xtask bootstrap zone production --check
  cargo xtask bootstrap github production --check"
    )]
    Bootstrap(Bootstrap),

    /// Check the service's compiled-in queries and its migrations
    #[command(
        subcommand,
        after_help = "Examples:
  cargo xtask sqlx prepare     after a change of a query or a migration
  cargo xtask sqlx check       in CI: fails, with file and line, if a query is stale

Neither needs your database: both start a temporary PostgreSQL."
    )]
    Sqlx(Sqlx),

    /// Run a rendered workflow on this machine
    #[command(
        subcommand,
        after_help = "Examples:
  cargo xtask ci run --list
  cargo xtask ci run ci check
  cargo xtask ci actions"
    )]
    Ci(Ci),

    Render(RenderArgs),
    Docs(DocsArgs),
    Upgrade(UpgradeArgs),
    Doctor(DoctorArgs),
    Setup(SetupArgs),

    /// Run all tests
    #[command(disable_help_flag = true, after_help = crate::commands::checks::TEST_EXAMPLES)]
    Test(ChecksArgs),

    /// Measure the toolkit against a reference that runs beside it
    #[command(disable_help_flag = true, after_help = crate::commands::checks::BENCH_EXAMPLES)]
    Bench(ChecksArgs),

    Rehearse(RehearseArgs),

    Completions(CompletionsArgs),

    /// Run the supervisor, which owns the local target's listening socket
    #[command(hide = true)]
    Supervise(supervisor::Supervise),

    /// Become the service's program, with its listening socket
    #[command(hide = true)]
    SuperviseExec(supervisor::SuperviseExec),

    /// Run an image, as the process that stands for its container
    #[command(hide = true)]
    SuperviseImage(SuperviseImage),
}

impl Cli {
    /// Runs the command.
    pub fn run(self, report: &Report) -> Result<(), Failure> {
        // This one hands the listening socket on, and nothing else was left open to it.
        if !matches!(self.command, Command::SuperviseExec(_)) {
            program::keep_inherited_descriptors();
        }
        program::write_no_core();
        match self.command {
            // These need no deploy.yaml.
            Command::Supervise(args) => Ok(supervisor::supervise(args)?),
            Command::SuperviseExec(args) => match supervisor::exec(args)? {},
            #[cfg(feature = "cloud")]
            Command::SuperviseImage(args) => program::block_on(args.run()),
            #[cfg(not(feature = "cloud"))]
            Command::SuperviseImage(_) => match cloud::become_full_build()? {},
            Command::Completions(args) => {
                report.data(&args.text(&Self::command()));
                Ok(())
            }
            Command::Docs(args) => args.run(report),
            Command::Upgrade(args) => args.run(report),
            Command::Test(args) => {
                program::block_on(async { match checks::become_checks("test", args, self.json).await? {} })
            }
            Command::Bench(args) => {
                program::block_on(async { match checks::become_checks("bench", args, self.json).await? {} })
            }
            Command::Init(args) => program::block_on(async {
                let stop = Stop::on_signals()?;
                stop.cancels("nothing was written", Box::pin(args.run(report, &stop))).await
            }),
            command => program::block_on(run(command, report)),
        }
    }
}

async fn run(command: Command, report: &Report) -> Result<(), Failure> {
    let stop = &Stop::on_signals()?;
    let config = &Config::load(&env::find_root().map_err(Failure::Usage)?)?;
    let context = &Context { config, report, stop };
    let left = match &command {
        // These end in order by themselves when a stop is requested.
        Command::Deploy(_)
        | Command::Rollback(_)
        | Command::Tofu(_)
        | Command::Logs(_)
        | Command::Run(_)
        | Command::Dev(_) => {
            return dispatch(command, context).await;
        }
        Command::Image(_) => "run the command again to continue; finished work is kept",
        Command::Release(_) => "run the command again to continue; what was made is kept",
        Command::Ci(_) => "the step that ran was ended; to continue a deploy of it: cargo xtask deploy ENV --resume",
        Command::Bootstrap(_) => "run the command again to continue; earlier fixes are kept",
        Command::Setup(SetupArgs { command: Some(SetupCommand::Host(HostArgs { yes: true, .. })), .. }) => {
            "a command that has begun on a host runs on there; run this one again to continue"
        }
        _ => "nothing is left half done",
    };
    stop.cancels(left, Box::pin(dispatch(command, context))).await
}

async fn dispatch(command: Command, context: &Context<'_>) -> Result<(), Failure> {
    match command {
        Command::Deploy(args) => Box::pin(args.run(context)).await,
        Command::Rollback(args) => Box::pin(args.run(context)).await,
        Command::Status(args) => args.run(context).await,
        Command::History(args) => args.run(context).await,
        Command::Logs(args) => Box::pin(args.run(context)).await,
        Command::Open(args) => args.run(context).await,
        Command::Run(args) => Box::pin(args.run(context)).await,
        Command::Dev(args) => Box::pin(args.run(context)).await,
        Command::Stop(args) => args.run(context).await,
        Command::Lock(command) => command.run(context).await,
        #[cfg(feature = "cloud")]
        Command::Image(command) => Box::pin(command.run(context)).await,
        #[cfg(feature = "cloud")]
        Command::Tofu(command) => Box::pin(command.run(context)).await,
        #[cfg(feature = "cloud")]
        Command::Drift(args) => Box::pin(args.run(context)).await,
        #[cfg(feature = "cloud")]
        Command::Bootstrap(command) => Box::pin(command.run(context)).await,
        #[cfg(feature = "cloud")]
        Command::Secrets(command) => Box::pin(command.run(context)).await,
        #[cfg(feature = "cloud")]
        Command::Release(command) => Box::pin(command.run(context)).await,
        #[cfg(feature = "cloud")]
        Command::Setup(SetupArgs { command: Some(SetupCommand::Host(args)), .. }) => Box::pin(args.run(context)).await,
        #[cfg(not(feature = "cloud"))]
        Command::Image(_)
        | Command::Release(_)
        | Command::Tofu(_)
        | Command::Bootstrap(_)
        | Command::Drift(_)
        | Command::Secrets(_)
        | Command::Setup(SetupArgs { command: Some(SetupCommand::Host(_)), .. }) => {
            cloud::check_environment(context.config, Cli::command())?;
            match cloud::become_full_build()? {}
        }
        Command::Sqlx(command) => Box::pin(command.run(context)).await,
        Command::Ci(command) => Box::pin(command.run(context)).await,
        Command::Render(args) => args.run(context).await,
        Command::Doctor(args) => Box::pin(args.run(context)).await,
        Command::Setup(args) => Box::pin(args.run(context)).await,
        Command::Rehearse(args) => args.run(context).await,
        // `Cli::run` has run these.
        Command::Test(_)
        | Command::Bench(_)
        | Command::Completions(_)
        | Command::Docs(_)
        | Command::Upgrade(_)
        | Command::Init(_)
        | Command::Supervise(_)
        | Command::SuperviseExec(_)
        | Command::SuperviseImage(_) => Ok(()),
    }
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
        let mut documents: Vec<_> =
            ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"].iter().map(|name| root.join(name)).collect();
        documents.extend(fs_err::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()));
        let mut texts: Vec<String> = documents.iter().map(|path| fs_err::read_to_string(path).unwrap()).collect();
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
