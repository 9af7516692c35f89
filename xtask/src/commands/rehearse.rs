//! `rehearse` is a program of its own, the crate `rehearsal`, so that a deploy does not compile its dependencies.

use std::convert::Infallible;
use std::process::Command;

use anyhow::anyhow;
use camino::Utf8Path;
use clap::{Args, Subcommand, ValueEnum};

use super::Context;
use crate::config::{Config, Environment};
use crate::failure::Failure;
use crate::tools::cargo;
use crate::{PACKAGE, typed};

/// The crate's manifest, in a project that has it.
const MANIFEST: &str = "xtask/rehearsal/Cargo.toml";

/// It and the programs that it runs.
const PACKAGES: [&str; 3] = ["rehearsal", PACKAGE, "standin"];

const EXAMPLES: &str = "Examples:
  cargo xtask rehearse production
  cargo xtask rehearse production --break all
  cargo xtask rehearse production --break health --keep
  cargo xtask rehearse production --ci
  cargo xtask rehearse clean production

The stack's own files, the real OpenTofu, Docker engine, registry, S3 server and PostgreSQL; the providers, the platform and DNS \
are stood in for. A Docker host is this machine's engine. Nothing leaves this machine, and nothing of the project changes: the \
rehearsal works in a clone of the last commit below .deploy/rehearsal-ENV. Values that only an account or a host has, such as \
project ids, are read from environments.ENV.rehearsal in deploy.yaml; what is missing is said at the start.";

/// Rehearse a deploy to a stack or a Docker host on this machine: deploy, break, recover, roll back, clean up
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub struct RehearseArgs {
    /// Instead of a rehearsal
    #[command(subcommand)]
    pub command: Option<RehearseCommand>,

    /// What is rehearsed
    #[command(flatten)]
    pub story: StoryArgs,
}

/// Instead of a rehearsal.
#[derive(Subcommand, Debug)]
pub enum RehearseCommand {
    /// Remove what a rehearsal has left on this machine, also one that was killed
    Clean(CleanArgs),
}

/// What is rehearsed.
#[derive(Args, Debug)]
pub struct StoryArgs {
    /// Environment in deploy.yaml; by default the only one with a stack or a Docker host
    #[arg(value_name = "ENV")]
    pub environment: Option<String>,
    /// What goes wrong, and is recovered from; may be repeated; by default health, crash and killed
    #[arg(long = "break", value_name = "BREAK")]
    pub breaks: Vec<Chosen>,
    /// Leave everything, and say how to look around
    #[arg(long)]
    pub keep: bool,
    /// Deploy as CI does, once: by the jobs of the rendered deploy workflow, without a terminal
    #[arg(long)]
    pub ci: bool,
}

/// `rehearse clean`.
#[derive(Args, Debug)]
pub struct CleanArgs {
    /// Environment in deploy.yaml; by default the only one with a stack or a Docker host
    #[arg(value_name = "ENV")]
    pub environment: Option<String>,
}

/// What `--break` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Chosen {
    /// The release never gets ready
    Health,
    /// The container ends at once
    Crash,
    /// The provider refuses the change of the container
    Apply,
    /// Another deploy takes the lease from one that was stopped
    Lease,
    /// The name leads elsewhere
    Dns,
    /// The bucket of the state is away
    State,
    /// The registry is away
    Registry,
    /// The deploy is killed while it applies
    Killed,
    /// All of these
    All,
}

impl RehearseArgs {
    /// Replaces this process by the program that rehearses.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let name = match &self.command {
            Some(RehearseCommand::Clean(args)) => args.environment.as_deref(),
            None => self.story.environment.as_deref(),
        };
        // Before cargo builds for minutes.
        environment(context.config, name)?;
        match become_rehearsal(&context.config.root).await? {}
    }
}

impl StoryArgs {
    /// The breaks that were chosen, each once, in the order in which they are rehearsed.
    pub fn breaks(&self) -> Vec<Chosen> {
        let every = || Chosen::value_variants().iter().copied().filter(|one| *one != Chosen::All);
        if self.breaks.contains(&Chosen::All) {
            return every().collect();
        }
        let default = [Chosen::Health, Chosen::Crash, Chosen::Killed];
        let chosen: &[Chosen] = if self.breaks.is_empty() { &default } else { &self.breaks };
        every().filter(|one| chosen.contains(one)).collect()
    }
}

/// The environment of this name, or the only one that can be rehearsed. It must have what a deploy to a stack or a Docker host takes.
pub fn environment<'a>(config: &'a Config, name: Option<&str>) -> Result<&'a Environment, Failure> {
    let usage = |text: String| Failure::Usage(anyhow!(text));
    let is_rehearsed = |other: &&Environment| other.has_own_stack() || other.docker_hosts().is_some();
    let with: Vec<&Environment> = config.environments.values().filter(is_rehearsed).collect();
    let names = || with.iter().map(|environment| environment.name.as_str()).collect::<Vec<_>>().join(", ");
    let environment = match (name, with.as_slice()) {
        (Some(name), _) => config.environment(name)?,
        (None, [only]) => only,
        (None, []) => {
            return Err(usage("deploy.yaml has no environment with a `stack` or a Docker host, and only a deploy to one is rehearsed\n  type: cargo xtask deploy local".to_owned()));
        }
        (None, _) => {
            return Err(usage(format!("which environment? {}\n  type: cargo xtask rehearse ENV", names())));
        }
    };
    let missing = match environment.docker_hosts() {
        Some(_) => config.image.is_none().then(|| "there is no `image`, which a Docker host runs".to_owned()),
        None => config.lacks_for_a_stack(environment),
    };
    let Some(missing) = missing else { return Ok(environment) };
    Err(usage(format!(
        "deploy.yaml: {missing}; only a deploy to a stack or a Docker host is rehearsed\n  environments that can be rehearsed: {}",
        names()
    )))
}

/// Has cargo build `rehearsal` with the programs that it runs, and replaces this process by it, with the same arguments: its signals
/// and its exit code are those of the command.
async fn become_rehearsal(root: &Utf8Path) -> Result<Infallible, Failure> {
    if !root.join(MANIFEST).exists() {
        return Err(Failure::Usage(anyhow!(
            "{root} has no {MANIFEST}: `cargo xtask rehearse` works in a project that has this crate of the toolkit only\n  \
             to see what a deploy would change, type: cargo xtask deploy ENV --plan-only"
        )));
    }
    let build = |build: &mut Command| {
        build.args(PACKAGES.iter().flat_map(|package| ["--package", package]));
        build.args(["--features", &format!("{PACKAGE}/cloud")]);
    };
    Ok(cargo::become_built(root, build, "rehearsal", typed::arguments()).await?)
}
