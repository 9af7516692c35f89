//! Installs what is missing on this machine.

use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::json;

use super::Context;
use crate::config::{Config, StackProgram};
use crate::deploy::preflight::missing_packages;
use crate::failure::Failure;
use crate::report::Report;
use crate::tools::apt::Way;
use crate::tools::platform;
use crate::tools::tofu::{self, install};

/// What a Docker engine takes, from Debian's packages.
const DOCKER: [(&str, &str); 2] = [("/usr/sbin/dockerd", "docker.io"), ("/usr/sbin/iptables", "iptables")];

/// What the tests take beside what the service needs: real photographs, a registry, what base images are made of, and what
/// installs Amazon's services as they are played.
const TESTS: [(&str, &str); 6] = [
    ("/usr/share/backgrounds/mate", "mate-backgrounds"),
    ("/usr/share/backgrounds/gnome", "gnome-backgrounds"),
    ("/usr/bin/docker-registry", "docker-registry"),
    ("/usr/sbin/debootstrap", "debootstrap"),
    ("/bin/busybox", "busybox-static"),
    ("/usr/bin/pip3", "python3-pip"),
];

/// What to install beside the programs that the build and the service's features need, and those that deploy.yaml's
/// stacks need.
#[derive(Clone, Copy, Debug, Default)]
pub struct Also {
    /// A Docker engine.
    pub docker: bool,
    /// What the tests need, a Docker engine among it.
    pub tests: bool,
    /// OpenTofu, whether a stack needs it or not.
    pub tofu: bool,
}

/// Install missing programs where that takes no decision; otherwise print the commands
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask setup
  cargo xtask setup --docker      also a Docker engine, from the distribution's packages
  cargo xtask setup --tests       also what `cargo xtask test` needs
  cargo xtask setup --dry-run

Where an environment has a stack, OpenTofu's release goes into the toolkit's cache. Where the release cannot be reached,
OpenTofu is built from its Go module, which needs Go and takes minutes.")]
pub struct SetupArgs {
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

impl SetupArgs {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let also = Also { docker: self.docker, tests: self.tests, tofu: self.tests };
        setup(context.config, also, self.dry_run, context.report).await
    }
}

/// Installs the programs that the build, the service's features and deploy.yaml's stacks need, and what else is asked for.
pub async fn setup(config: &Config, also: Also, dry_run: bool, report: &Report) -> Result<(), Failure> {
    let mut packages = missing_packages(config, |_| true);
    if config.service.web.is_some() {
        packages.extend(
            [("node", "nodejs"), ("npm", "npm")]
                .iter()
                .filter(|(program, _)| platform::find_program(program).is_none())
                .map(|(_, package)| *package),
        );
    }
    let docker = DOCKER.iter().filter(|_| also.docker || also.tests);
    let files = docker.chain(TESTS.iter().filter(|_| also.tests));
    packages.extend(files.filter(|(path, _)| !std::path::Path::new(path).exists()).map(|(_, package)| *package));
    packages.dedup();
    let tofu = (also.tofu || takes_tofu(config)) && tofu::find(StackProgram::Tofu).await.is_err();
    let tofu = tofu.then(|| format!("OpenTofu {}", install::VERSION));
    let names: Vec<&str> = packages.iter().copied().chain(tofu.as_deref()).collect();
    if names.is_empty() {
        report.result(json!({ "missing": names }), "nothing is missing");
        return Ok(());
    }
    if dry_run {
        report.result(json!({ "missing": names }), &format!("missing: {}", names.join(", ")));
        return Ok(());
    }
    // What one of them lacks does not hold up the other.
    let installed = install_packages(&packages, report).await;
    if tofu.is_some() {
        install_tofu(report).await?;
    }
    installed?;
    report.result(json!({ "installed": names }), &format!("installed: {}", names.join(", ")));
    Ok(())
}

async fn install_packages(packages: &[&str], report: &Report) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    report.note(&format!("installing {}", packages.join(" ")));
    // A way that only a person can go fails with the command to type.
    Way::find(packages).await?.install(packages, |line| report.detail(line)).await
}

async fn install_tofu(report: &Report) -> Result<()> {
    let cache = platform::cache_folder()?;
    let installing = install::install(&cache, install::RELEASES, |line| report.detail(line));
    let program = installing.await.context("install OpenTofu")?;
    report.note(&format!("OpenTofu {} is {program}", install::VERSION));
    Ok(())
}

/// Whether a stack is OpenTofu's.
fn takes_tofu(config: &Config) -> bool {
    let mut stacks = config.environments.values().filter_map(|environment| environment.stack());
    stacks.any(|stack| stack.program == StackProgram::Tofu)
}
