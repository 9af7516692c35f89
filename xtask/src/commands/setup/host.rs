//! What `setup host` runs: look, show the commands, run them, look again.

use anyhow::{Context as _, Result, anyhow};
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::HostArgs;
use crate::check::Check;
use crate::commands::Context;
use crate::config::{Compose, Config, Target};
use crate::env::Env;
use crate::failure::Failure;
use crate::report::{Paint, Report};
use crate::targets::host::setup::{Found, Machine, Root};

impl HostArgs {
    /// Runs the command. Without `--yes` it changes nothing. Fails while a host lacks what no command of it sets right.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let name = match self.environment {
            Some(name) => name,
            None => the_only_one(context.config)?,
        };
        let env = &context.env(&name)?;
        let (target, proxy) = hosts_of(env)?;
        let (report, again) = (context.report, format!("cargo xtask setup host {} --yes", env.name()));
        let machines = Machine::all(target);
        let look = async || join_all(machines.iter().map(|machine| machine.look(env, target, proxy))).await;
        let mut found = look().await;
        let is_planned = found.iter().any(|found| !found.commands.is_empty());
        let runs = self.yes && is_planned;
        let mut failed = Vec::new();
        if runs {
            refuse_without_root(&machines, &found)?;
            for (machine, found) in machines.iter().zip(&found) {
                // One host does not keep the next one from its commands.
                failed.extend(run_all(machine, found, report).await.err().map(|error| format!("{error:#}")));
            }
            found = look().await;
        }
        let shown = machines.iter().zip(&found).map(|(machine, found)| text(machine, found, report.paint()));
        let mut text = shown.collect::<Result<Vec<_>, _>>()?.join("\n");
        let left = found.iter().map(|found| found.by_hand + found.commands.len()).sum::<usize>();
        let is_root = found.iter().all(|found| found.root.asks_nothing());
        text.push_str(&match (runs, is_planned, left) {
            (false, true, _) if is_root => format!("\n  nothing was changed; to run these commands, type: {again}"),
            (false, true, _) => "\n  nothing was changed".to_owned(),
            (true, _, 0) => format!("\n  done. Next: cargo xtask doctor {}", env.name()),
            (false, _, 0) => format!("\n  nothing to do. Next: cargo xtask doctor {}", env.name()),
            _ => String::new(),
        });
        let hosts: Vec<Value> = machines.iter().zip(&found).map(|(machine, found)| detail(machine, found)).collect();
        report.result(json!({ "hosts": hosts, "changed": runs, "fit": left == 0 }), &text);
        if !failed.is_empty() {
            let failed = failed.join("\n  ");
            return Err(anyhow!(
                "{failed}\n  the commands after it on that host did not run; once that is mended, type: {again}"
            )
            .into());
        }
        let is_fit = if runs { left == 0 } else { found.iter().all(|found| found.by_hand == 0) };
        match is_fit {
            true => Ok(()),
            false => Err(anyhow!(
                "a host lacks what has to be set right by hand, as shown above; then type: cargo xtask setup host {}",
                env.name()
            )
            .into()),
        }
    }
}

/// The only environment that is on hosts of its own.
fn the_only_one(config: &Config) -> Result<String, Failure> {
    let has_hosts = |target: &Target| matches!(target, Target::Compose(target) if !target.hosts.is_empty());
    let all = config.environments.iter().filter(|(_, environment)| has_hosts(&environment.target));
    let names: Vec<&str> = all.map(|(name, _)| name.as_str()).collect();
    match names[..] {
        [name] => Ok(name.to_owned()),
        [] => Err(Failure::Usage(anyhow!(
            "no environment of deploy.yaml is on a Docker host that SSH reaches\n  see docs/DOCKER-HOST.md"
        ))),
        [first, ..] => Err(Failure::Usage(anyhow!(
            "several environments are on Docker hosts: {}\n  type one of them: cargo xtask setup host {first}",
            names.join(", ")
        ))),
    }
}

/// The hosts of the environment, and their proxy's image. Fails where there are none that SSH reaches.
fn hosts_of<'a>(env: &Env<'a>) -> Result<(&'a Compose, &'a str), Failure> {
    let name = env.name();
    match &env.environment.target {
        Target::Compose(target) => match &target.proxy {
            Some(proxy) if !target.hosts.is_empty() => Ok((target, proxy)),
            Some(_) => Err(Failure::Usage(anyhow!(
                "{name} has no `host`: it is on this machine\n  to install Docker here, type: cargo xtask setup --docker"
            ))),
            None => Err(Failure::Usage(anyhow!(
                "{name} has no `proxy`, so Docker Compose runs it on a host that the toolkit does not know\n  see docs/DOCKER-HOST.md"
            ))),
        },
        _ => Err(Failure::Usage(anyhow!(
            "{name} is not on Docker hosts\n  to see what it needs, type: cargo xtask doctor {name}"
        ))),
    }
}

/// Fails, with what a person types there, before a command runs on any host.
fn refuse_without_root(machines: &[Machine], found: &[Found]) -> Result<(), Failure> {
    let Some((machine, found)) = machines.iter().zip(found).find(|(_, found)| !found.root.asks_nothing()) else {
        return Ok(());
    };
    let why = match found.root {
        Root::NoSudo => "there is no sudo",
        _ => "sudo asks for a password, or refuses this user",
    };
    Err(anyhow!(
        "{}: {why}; nothing was changed on any host\n  to run the commands with the password, type: {}",
        machine.name,
        machine.by_hand(found)?
    )
    .into())
}

/// Runs the commands of a host, up to the first that fails.
async fn run_all(machine: &Machine, found: &Found, report: &Report) -> Result<()> {
    for command in &found.commands {
        let shown = format!("{}: {}", machine.name, found.root.prefixed(command));
        report.note(&shown);
        machine.run(command, found.root).await.context(shown)?;
    }
    Ok(())
}

/// What the host has, and the commands.
fn text(machine: &Machine, found: &Found, paint: Paint) -> Result<String, Failure> {
    let mut text = format!("{}\n", machine.name);
    text.extend(found.checks.iter().map(|check| check.text(paint) + "\n"));
    if !found.commands.is_empty() {
        text.push_str("\n  the commands there:\n");
        text.extend(found.commands.iter().map(|command| format!("    {}\n", found.root.prefixed(command))));
    }
    let why = match found.root {
        Root::Itself | Root::Sudo => return Ok(text),
        Root::Asks => "sudo does not run without a password there",
        Root::NoSudo => "there is no sudo, so root's own password is asked for",
    };
    text.push_str(&format!("  {why}; type: {}\n", machine.by_hand(found)?));
    Ok(text)
}

fn detail(machine: &Machine, found: &Found) -> Value {
    let commands: Vec<String> = found.commands.iter().map(|command| found.root.prefixed(command)).collect();
    let checks: Vec<Value> = found.checks.iter().map(Check::json).collect();
    json!({ "host": machine.name, "checks": checks, "commands": commands })
}
