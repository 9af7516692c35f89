//! `cargo xtask`: takes a commit of this repository to a running, verified, reversible deployment.

use std::io::Write as _;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};

use xtask::cli::{Bootstrap, BootstrapArgs, Cli, Command, EnvironmentArg, Image, Lock, Sqlx, StackArg, Tofu};
use xtask::commands::setup::Also;
use xtask::commands::{checks, doctor, operate, setup};
use xtask::config::Config;
use xtask::deploy::{self, Deployed, How, rollback};
use xtask::env::Env;
use xtask::failure::Failure;
use xtask::image::{Images, build, inspect, list, pin, prune, push};
use xtask::report::{Audience, Report};
use xtask::signals::until_interrupted;
use xtask::tofu::{self, Infra};
use xtask::{bootstrap, env, program, render, sqlx, supervisor};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.kind() == ErrorKind::DisplayVersion => return print_version(),
        Err(error) => error.exit(),
    };
    let (audience, report) = program::report(cli.json);
    program::exit(run(cli.command, cli.json, audience, &report), &report)
}

fn run(command: Command, json: bool, audience: Audience, report: &Report) -> Result<(), Failure> {
    match command {
        // These are processes of their own; the first two know no deploy.yaml.
        Command::Supervise(args) => return Ok(supervisor::supervise(args)?),
        Command::SuperviseExec(args) => match supervisor::exec(args)? {},
        Command::Completions { shell } => {
            print_completions(shell);
            return Ok(());
        }
        Command::Test(args) => match checks::become_checks("test", args, json)? {},
        Command::Bench(args) => match checks::become_checks("bench", args, json)? {},
        _ => {}
    }
    program::block_on(dispatch(command, audience, report))
}

async fn dispatch(command: Command, audience: Audience, report: &Report) -> Result<(), Failure> {
    let config = Config::load(&env::find_root().map_err(Failure::Usage)?)?;
    let find = |arg: &EnvironmentArg| Env::find(&config, &arg.environment, report);
    match command {
        Command::Deploy { environment, dry_run: true, .. } => deploy::dry_run(&find(&environment)?).await,
        Command::Deploy { environment, dry_run: false, resume, message } => {
            let env = find(&environment)?;
            let deployed = deploy::deploy(&env, &How { resume, message }).await?;
            summarize(&env, &deployed);
            Ok(())
        }
        Command::Rollback { environment, to, dry_run } => {
            let env = find(&environment)?;
            if let Some(release) = rollback::rollback(&env, to.as_deref(), dry_run).await? {
                summarize(&env, &Deployed::Live(release));
            }
            Ok(())
        }
        Command::Status { environment } => operate::status(&find(&environment)?).await,
        Command::History { environment, lines } => operate::history(&find(&environment)?, lines),
        Command::Logs { environment, lines, follow } => operate::logs(&find(&environment)?, lines, follow).await,
        Command::Stop { environment } => operate::stop(&find(&environment)?).await,
        Command::Lock(Lock::Status { environment }) => operate::lock_status(&find(&environment)?),
        Command::Lock(Lock::Break { environment, yes }) => {
            operate::lock_break(&find(&environment)?, yes, audience).await
        }
        Command::Image(command) => {
            let otherwise = "nothing is left half done, and what was finished is kept: type it again to go on";
            until_interrupted(otherwise, Box::pin(images(&config, command, audience, report))).await
        }
        Command::Tofu(command) => Box::pin(stacks(&config, command, audience, report)).await,
        Command::Bootstrap(command) => {
            let otherwise = "what was mended before stays; type it again to go on";
            until_interrupted(otherwise, Box::pin(foundations(&config, command, audience, report))).await
        }
        Command::Sqlx(Sqlx::Prepare { environment }) => sqlx::prepare(&find(&environment)?).await,
        Command::Sqlx(Sqlx::Check { environment }) => sqlx::check(&find(&environment)?).await,
        Command::Render { check } => render::render(&config, check, report).await,
        Command::Doctor { environment } => doctor::doctor(&config, &environment.environment, report).await,
        Command::Setup { docker, tests, dry_run } => {
            setup::setup(&config, Also { docker, tests, tofu: tests }, dry_run, report).await
        }
        Command::Supervise(_)
        | Command::SuperviseExec(_)
        | Command::Completions { .. }
        | Command::Test(_)
        | Command::Bench(_) => Ok(()),
    }
}

async fn images(config: &Config, command: Image, audience: Audience, report: &Report) -> Result<(), Failure> {
    let find = |arg: &EnvironmentArg| Images::find(config, &arg.environment, report);
    match command {
        Image::Build { environment, no_cache } => build::build(&find(&environment)?, no_cache).await,
        Image::Push { environment } => push::push(&find(&environment)?).await,
        Image::List { environment } => list::list(&find(&environment)?).await,
        Image::Inspect { environment, reference } => inspect::inspect(&find(&environment)?, reference.as_deref()).await,
        Image::Prune { environment, keep, dry_run, yes } => {
            prune::prune(&find(&environment)?, prune::How { keep, dry_run, yes }, audience).await
        }
        Image::Pin { environment, check } => pin::pin(&find(&environment)?, check).await,
    }
}

async fn stacks(config: &Config, command: Tofu, audience: Audience, report: &Report) -> Result<(), Failure> {
    let find = |arg: &StackArg| Infra::find(config, &arg.environment, report);
    match command {
        Tofu::Init { stack } => tofu::ready::init(&find(&stack)?).await,
        Tofu::Plan { stack, destroy, markdown } => {
            tofu::plan::plan(&find(&stack)?, &tofu::plan::How { destroy, markdown }).await
        }
        Tofu::Apply { stack, approve } => tofu::apply::apply(&find(&stack)?, approve.as_deref(), audience).await,
        Tofu::Output { stack, name } => tofu::output::output(&find(&stack)?, name.as_deref(), audience).await,
        Tofu::Validate { stack } => tofu::validate::validate(&find(&stack)?).await,
        Tofu::Unlock { stack, id } => tofu::mend::unlock(&find(&stack)?, &id).await,
        Tofu::Recover { stack } => tofu::mend::recover(&find(&stack)?).await,
    }
}

async fn foundations(config: &Config, command: Bootstrap, audience: Audience, report: &Report) -> Result<(), Failure> {
    match command {
        Bootstrap::State { stack, how: BootstrapArgs { check, yes } } => {
            let infra = Infra::find(config, &stack.environment, report)?;
            bootstrap::state::state(&infra, bootstrap::How { check, yes }, audience).await
        }
        Bootstrap::Zone { environment, name, how: BootstrapArgs { check, yes } } => {
            let how = bootstrap::How { check, yes };
            bootstrap::zone::zone(config, &environment.environment, name.as_deref(), how, audience, report).await
        }
        Bootstrap::Registry { environment, how: BootstrapArgs { check, yes } } => {
            let images = Images::find(config, &environment.environment, report)?;
            bootstrap::registry::registry(&images, bootstrap::How { check, yes }, audience).await
        }
    }
}

fn summarize(env: &Env<'_>, deployed: &Deployed) {
    let (label, release) = match deployed {
        Deployed::Live(release) => ("live", release),
        Deployed::Unchanged(release) => ("unchanged", release),
    };
    let mut rows = vec![(label, format!("{}   {}   {}", release.address, release.version, env.report.elapsed()))];
    for (feature, why) in &release.features_off {
        rows.push(("off", format!("{feature}: {why}")));
    }
    rows.extend(env.place.hints());
    if let Some(version) = env.undo() {
        rows.push(("undo", format!("cargo xtask rollback {}     ({version} is kept)", env.name)));
    }
    env.report.summary(&rows);
}

/// The toolkit is run from a checkout, so the commit is asked for, not compiled in: it would be built anew for each.
fn print_version() -> ExitCode {
    let commit = std::process::Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    let commit = commit.ok().filter(|output| output.status.success());
    let commit = commit.map(|output| format!(" ({})", String::from_utf8_lossy(&output.stdout).trim()));
    print(format!("xtask {}{}\n", env!("CARGO_PKG_VERSION"), commit.unwrap_or_default()).as_bytes());
    ExitCode::SUCCESS
}

/// Of what people type: the generator would offer hidden commands too.
fn print_completions(shell: clap_complete::Shell) {
    let all = Cli::command();
    let shown = all.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    let mut shown = clap::Command::new("xtask").args(all.get_arguments().cloned()).subcommands(shown);
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut shown, "xtask", &mut text);
    print(&text);
}

/// A reader that went away (`| head`) is no failure of ours.
fn print(text: &[u8]) {
    drop(std::io::stdout().write_all(text));
}
