//! Is this machine fit? Every check, one by one, and the next command to type.

use anyhow::{Result, anyhow};
use camino::Utf8Path;
use clap::Args;
use serde_json::json;

use super::{Context, EnvironmentArg};

use crate::bootstrap;
use crate::check::{Check, Verdict};
use crate::config::{self, Config, Need};
use crate::deploy::preflight::{checks, missing_packages};
use crate::env::Env;
use crate::failure::Failure;
use crate::image::{self, ServiceImage};
use crate::targets::Target;
use crate::tools::cmd::Cmd;
use crate::tools::{cargo, git, platform};

/// Check this machine: programs, versions, disk, ports; print the next command to type
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask doctor
  cargo xtask doctor local --json")]
pub struct DoctorArgs {
    #[command(flatten)]
    environment: EnvironmentArg,
}

impl DoctorArgs {
    /// Runs the command. Fails when a check fails.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = context.env(&self.environment.environment)?;
        doctor(&env).await
    }
}

/// Shows every check of this machine and of the environment of this name. Fails when one of them must be mended.
pub async fn doctor(env: &Env<'_>) -> Result<(), Failure> {
    let Env { config, environment, report, .. } = env;
    let name = env.name();
    let is_local = matches!(environment.target, config::Target::Local(_));
    let mut all = vec![clock(&config.root).await];
    all.extend(programs(config).await);
    let target = Target::of(env);
    all.extend(if is_local { checks(env, &target).await? } else { target.checks().await? });
    all.extend(bootstrap::zone::check(env).await);
    if config.image.is_some() {
        let images = ServiceImage::find(env)?;
        all.extend(image::check::checks(&images).await);
        all.extend(bootstrap::registry::check(&images).await);
    }
    let paint = report.paint();
    let (mut rows, mut text) = (Vec::new(), String::new());
    for check in &all {
        let (mark, word, mend) = match &check.verdict {
            Verdict::Good => (paint.green("✓"), "good", None),
            Verdict::Doubtful => (paint.yellow("!"), "doubtful", None),
            Verdict::Bad { mend } => (paint.red("✗"), "bad", Some(mend)),
        };
        text.push_str(&format!("  {mark} {:<11} {}\n", check.name, check.found.replace('\n', "\n                ")));
        if let Some(mend) = mend {
            text.push_str(&format!("    {:<11} → {mend}\n", ""));
        }
        rows.push(json!({ "name": check.name, "found": check.found, "verdict": word, "mend": mend }));
    }
    let bad = all.iter().filter(|check| check.is_bad()).count();
    if bad == 0 {
        let next = if is_local { "deploy" } else { "image push" };
        text.push_str(&format!("\n  fit. Next: cargo xtask {next} {name}"));
    }
    report.result(json!({ "checks": rows, "fit": bad == 0 }), &text);
    if bad == 0 {
        return Ok(());
    }
    Err(anyhow!("{bad} of {} checks must be mended before a deploy to {name}", all.len()).into())
}

async fn programs(config: &Config) -> Vec<Check> {
    let mut found = Vec::new();
    let version = async |name: &'static str, command: Cmd, mend: &str| {
        Check::of(name, command.arg("--version").capture().await, |said| said, mend)
    };
    found.push(version("git", Cmd::new("git"), "apt-get install git").await);
    found.push(version("cargo", cargo::cargo(&config.root), "install Rust with rustup").await);
    if config.service.web.is_some() {
        found.push(version("node", Cmd::new("node"), "cargo xtask setup").await);
    }
    let missing = missing_packages(config, |need| *need == Need::Build);
    found.push(if missing.is_empty() {
        Check::good("build", "every program that the build needs is here")
    } else {
        Check::bad("build", format!("packages are missing: {}", missing.join(", ")), "cargo xtask setup")
    });
    found.push(user().await);
    found
}

/// PostgreSQL does not run as root, so root needs somebody else for it.
async fn user() -> Check {
    if !platform::is_root() {
        return Check::good("user", platform::current_user().await.name);
    }
    match platform::find_user("postgres").await {
        Ok(Some(user)) => Check::good("user", format!("root; PostgreSQL runs as {}", user.name)),
        Ok(None) => Check::good("user", "root; PostgreSQL runs as nobody"),
        Err(error) => Check::bad("user", format!("{error:#}"), "look at it: id postgres"),
    }
}

/// A clock that is behind the newest commit is wrong, and so would be leases, tokens and records.
async fn clock(root: &Utf8Path) -> Check {
    let now = jiff::Timestamp::now();
    match git::commit_time(root, "HEAD").await {
        Ok(commit) if commit > now + jiff::SignedDuration::from_hours(1) => Check::bad(
            "clock",
            format!("it is {now} here, and the newest commit is of {commit}"),
            "set the clock: timedatectl set-ntp true",
        ),
        Ok(_) => Check::good("clock", now.strftime("%Y-%m-%d %H:%M:%SZ").to_string()),
        Err(error) => Check::bad("clock", format!("{error:#}"), "make the project a git repository with a commit"),
    }
}
