//! Every check of this machine and of an environment. None changes anything.

use camino::Utf8Path;

use crate::check::Check;
use crate::config::{self, Need};
use crate::deploy::preflight;
use crate::env::Env;
use crate::failure::Failure;
use crate::settings;
use crate::setup::missing_packages;
use crate::targets::Target;
use crate::tools::cmd::Cmd;
use crate::tools::{cargo, git, platform};

/// Every check, area by area: the machine, the target, the stack's prerequisites, the image.
pub async fn checks(env: &Env<'_>) -> Result<Vec<Check>, Failure> {
    let target = Target::of(env);
    let of_target = async {
        match &env.environment.target {
            config::Target::Local(_) => {
                let mut checks = preflight::checks(env, &target).await?;
                checks.extend(preflight::check_web(env, &target).await);
                Ok(checks)
            }
            config::Target::Compose(host) if host.proxy.is_some() => preflight::checks(env, &target).await,
            config::Target::Easypanel(_) => preflight::checks(env, &target).await,
            config::Target::Scaleway(_) | config::Target::Compose(_) | config::Target::Media(_) => {
                target.checks().await
            }
        }
    };
    let machine = async { Ok(machine(env).await) };
    let sources = async { Ok(settings::check_sources(env).await.into_iter().collect()) };
    let all = tokio::try_join!(machine, Box::pin(of_target), target.prerequisites(), sources)?;
    Ok([all.0, all.1, all.2, all.3].concat())
}

/// The machine's clock, programs and user.
async fn machine(env: &Env<'_>) -> Vec<Check> {
    let config = env.config;
    let version = async |name: &'static str, command: Cmd, fix: &str| {
        // Outside of the project: rustup, nvm and others run what files of the current folder name.
        Check::of(name, command.dir("/").arg("--version").capture().await, |version| version, fix)
    };
    let mut checks = vec![clock(&config.root).await, version("git", Cmd::new("git"), "apt-get install git").await];
    if config.service.command.is_none() && !config.service.image {
        checks.push(version("cargo", cargo::cargo(&config.root), "install Rust with rustup").await);
    }
    let missing = missing_packages(config, |need| *need == Need::Build);
    checks.push(if missing.is_empty() {
        Check::good("build", "every program that the build needs is installed")
    } else {
        Check::bad("build", format!("packages are missing: {}", missing.join(", ")), "cargo xtask setup")
    });
    checks.push(user());
    checks.extend(for_a_machine_only(env));
    checks
}

/// What deploy.yaml says of the service that does not apply to this environment.
fn for_a_machine_only(env: &Env<'_>) -> Option<Check> {
    let service = &env.config.service;
    let said = [
        ("command", service.command.is_some()),
        ("build", service.build.is_some()),
        ("files", !service.files.is_empty()),
    ];
    let said: Vec<&str> = said.into_iter().filter(|(_, is_said)| *is_said).map(|(key, _)| key).collect();
    if said.is_empty() || matches!(env.environment.target, config::Target::Local(_)) {
        return None;
    }
    let text = format!("the image runs here by its own command; not used: `service.{}`", said.join("`, `service."));
    Some(Check::good("command", text))
}

/// PostgreSQL refuses to run as root, so under root it needs another user.
fn user() -> Check {
    if !platform::is_root() {
        return Check::good("user", platform::current_user().name);
    }
    match platform::find_user("postgres") {
        Ok(Some(user)) => Check::good("user", format!("root; PostgreSQL runs as {}", user.name)),
        Ok(None) => Check::good("user", "root; PostgreSQL runs as nobody"),
        Err(error) => Check::bad("user", format!("{error:#}"), "see what this says: id postgres"),
    }
}

/// A clock behind the newest commit is wrong, and leases, tokens and records would be too.
async fn clock(root: &Utf8Path) -> Check {
    let now = jiff::Timestamp::now();
    match git::commit_time(root, "HEAD").await {
        Ok(commit) if commit > now + jiff::SignedDuration::from_hours(1) => Check::bad(
            "clock",
            format!("it is {now} here, but the newest commit is from {commit}"),
            "set the clock: timedatectl set-ntp true",
        ),
        Ok(_) => Check::good("clock", now.strftime("%Y-%m-%d %H:%M:%SZ").to_string()),
        Err(error) => {
            let fix = git::remedy(&error).unwrap_or_else(|| "git add . && git commit".to_owned());
            Check::bad("clock", format!("{error:#}"), fix)
        }
    }
}
