//! What a host of an environment lacks for deploys, and the commands that install it. Looking changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};

use super::Host;
use super::checks::{NEEDED_BYTES, WANTED_BYTES};
use crate::check::Check;
use crate::config::{self, Compose};
use crate::env::Env;
use crate::tools::ssh::Remote;

/// Prints lines of `name=value`, and the sockets that the kernel lists. Takes no program that a small system lacks.
const LOOK: &str = include_str!("setup/look.sh");
const INSTALL: [&str; 2] = [
    "apt-get -o DPkg::Lock::Timeout=120 update",
    "env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 install -y --no-remove docker.io",
];
/// On a system whose packages are not known.
const BY_HAND: &str = "install Docker 20.10 or newer there by hand: https://docs.docker.com/engine/install";
/// The state of a listening socket in /proc/net/tcp (proc(5)).
const LISTENS: &str = "0A";

/// A host, and the way to it.
pub struct Machine {
    /// `ssh://user@host:port`
    pub name: String,
    host: config::Host,
}

/// What a host has, and what it lacks.
pub struct Found {
    pub checks: Vec<Check>,
    /// What sets it right, in this order, as root types it.
    pub commands: Vec<String>,
    /// How many checks are bad that no command sets right.
    pub by_hand: usize,
    /// How commands become root's.
    pub root: Root,
}

/// How the commands of a connection's user become those of root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// It is root.
    Itself,
    /// sudo(8) asks for no password.
    Sudo,
    /// sudo asks for a password, or refuses this user, or is not there.
    No,
}

impl Root {
    /// The command as this user types it.
    pub fn prefixed(self, command: &str) -> String {
        match self {
            Self::Itself => command.to_owned(),
            Self::Sudo | Self::No => format!("sudo -n {command}"),
        }
    }
}

/// What [`LOOK`] has found.
#[derive(Default)]
struct Facts {
    values: BTreeMap<String, String>,
    /// The TCP ports that a program listens at.
    ports: BTreeSet<u16>,
}

/// What the engine itself says.
enum Engine {
    /// Its version, and the host's ports that the environment's proxy has.
    Answers(String, Vec<u16>),
    Fails(String),
}

impl Machine {
    /// The hosts of an environment that are other machines.
    pub fn all(target: &Compose) -> Vec<Self> {
        let machine = |host: &config::Host| Self { name: Remote::new(host.clone()).address(), host: host.clone() };
        target.hosts.iter().map(machine).collect()
    }

    /// Looks at it by a new connection: a user is in the groups that it had when it logged in.
    pub async fn look(&self, env: &Env<'_>, target: &Compose, proxy: &str) -> Result<Found> {
        let remote = Remote::new(self.host.clone());
        let (_, said) = remote.run(LOOK, Vec::new(), &[]).await?;
        let facts = Facts::read(&String::from_utf8_lossy(&said));
        let engine = match facts.is("socket", "usable") {
            true => Some(ask(&Host::new(env, target, proxy, Some(remote.clone()))).await),
            false => None,
        };
        let wanted = if target.domain.is_some() { vec![80, 443] } else { vec![target.port] };
        let mut found = facts.judge(engine.as_ref(), &wanted);
        if !found.commands.is_empty() && !facts.is("uid", "0") {
            // Asked only where it is needed: sudo may report a refusal to the administrator.
            let (code, _) = remote.run("sudo -n true 2>/dev/null || exit 1", Vec::new(), &[1]).await?;
            found.root = if code == 0 { Root::Sudo } else { Root::No };
        }
        Ok(found)
    }

    /// Runs one of the commands.
    pub async fn run(&self, command: &str, root: Root) -> Result<()> {
        let command = format!("PATH=$PATH:/usr/sbin:/sbin; {}", root.prefixed(command));
        Remote::new(self.host.clone()).run(&command, Vec::new(), &[]).await.map(drop)
    }

    /// What a person types to run these commands with sudo's password.
    pub fn by_hand(&self, commands: &[String]) -> Result<String> {
        let all: Vec<String> = commands.iter().map(|command| format!("sudo {command}")).collect();
        let port = self.host.port.map(|port| format!("-p {port} ")).unwrap_or_default();
        let all = all.join(" && ");
        Ok(format!("ssh -t {port}{} {}", self.host.destination, shlex::try_quote(&all).context("quote commands")?))
    }
}

async fn ask(host: &Host<'_>) -> Engine {
    let asked = async {
        let version = host.engine().await?.version().to_owned();
        let proxies = host.proxies().await.map_err(|failure| failure.into_error())?;
        let ports = proxies.into_iter().filter(|proxy| proxy.is_running).flat_map(|proxy| proxy.ports.into_values());
        anyhow::Ok(Engine::Answers(version, ports.collect()))
    };
    asked.await.unwrap_or_else(|error| Engine::Fails(format!("{error:#}")))
}

impl Facts {
    fn read(said: &str) -> Self {
        let mut facts = Self::default();
        for line in said.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            if let Some((name, value)) = line.split_once('=') {
                facts.values.insert(name.to_owned(), value.trim().to_owned());
            } else if words.get(3) == Some(&LISTENS) {
                let port = words[1].rsplit_once(':').and_then(|(_, port)| u16::from_str_radix(port, 16).ok());
                facts.ports.extend(port);
            }
        }
        facts
    }

    fn value(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    fn is(&self, name: &str, value: &str) -> bool {
        self.value(name) == value
    }

    /// `wanted` are the ports that the proxy is to have.
    fn judge(&self, engine: Option<&Engine>, wanted: &[u16]) -> Found {
        let mut found = Found { checks: Vec::new(), commands: Vec::new(), by_hand: 0, root: Root::Itself };
        let knows = self.value("family").split(' ').any(|name| name == "debian" || name == "ubuntu");
        found.checks.push(Check::good("system", self.value("system")));
        let is_there = !self.value("installed").is_empty() || !self.value("socket").is_empty();
        let has_systemd = self.values.contains_key("boot");
        let mut runs = false;
        match engine {
            Some(Engine::Answers(version, _)) => {
                found.checks.push(Check::good("engine", format!("Docker {version}")));
                runs = true;
            }
            Some(Engine::Fails(why)) if !has_systemd || self.is("active", "active") => {
                found.lacks("engine", why, "see the log of dockerd there; with systemd: journalctl --unit docker");
                return found;
            }
            None if self.is("socket", "denied") => {
                found.checks.push(Check::good("engine", self.value("installed")));
                runs = true;
            }
            None if !is_there && !knows => {
                found.lacks(
                    "engine",
                    "no Docker engine, and packages are known of Debian and its relatives only",
                    BY_HAND,
                );
                return found;
            }
            None if !is_there => {
                let fix = "install the distribution's package docker.io";
                found.gets("engine", "no Docker engine", fix, &INSTALL);
            }
            Some(Engine::Fails(_)) | None if has_systemd => {
                let what = format!("{} does not run", self.value("installed"));
                found.checks.push(Check::bad("engine", what, "start it"));
            }
            Some(Engine::Fails(_)) | None => {
                let what = format!("{} does not run", self.value("installed"));
                found.lacks("engine", what, "start it there, and have it start at boot");
            }
        }
        self.judge_boot(&mut found, runs, has_systemd);
        self.judge_user(&mut found, engine);
        self.judge_ports(&mut found, engine, wanted);
        self.judge_disk(&mut found);
        found
    }

    fn judge_boot(&self, found: &mut Found, runs: bool, has_systemd: bool) {
        let state = match self.value("boot") {
            "" => "not-found",
            state => state,
        };
        match state {
            _ if !has_systemd => {
                found.checks.push(Check::doubtful("boot", "no systemd there, so it is not known what starts at boot"));
            }
            _ if !runs => {
                found.gets("boot", "it does not run", "start it, now and at boot", &["systemctl enable --now docker"])
            }
            "enabled" => found.checks.push(Check::good("boot", "systemd starts it")),
            "disabled" => found.gets("boot", "it does not start at boot", "enable it", &["systemctl enable docker"]),
            other => found.checks.push(Check::doubtful("boot", format!("systemd says {other} of docker.service"))),
        }
    }

    fn judge_user(&self, found: &mut Found, engine: Option<&Engine>) {
        let user = self.value("user");
        if self.is("uid", "0") || matches!(engine, Some(Engine::Answers(..))) {
            found.checks.push(Check::good("user", format!("{user} may use it")));
            return;
        }
        let Ok(name) = shlex::try_quote(user) else { return };
        let command = format!("usermod --append --groups docker {name}");
        let fix = "add it to the group docker, which is as good as root there";
        found.gets("user", format!("{user} may not use it"), fix, &[&command]);
    }

    fn judge_ports(&self, found: &mut Found, engine: Option<&Engine>, wanted: &[u16]) {
        let ours = match engine {
            Some(Engine::Answers(_, ports)) => ports.as_slice(),
            _ => &[],
        };
        let is_taken = |port: &&u16| self.ports.contains(port) && !ours.contains(port);
        let taken: Vec<String> = wanted.iter().filter(is_taken).map(u16::to_string).collect();
        let all = wanted.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
        match taken.is_empty() {
            true => found.checks.push(Check::good("ports", format!("{all}: free, or the proxy's"))),
            false => {
                let what = format!("another program listens at {}, which the proxy needs", taken.join(", "));
                found.lacks(
                    "ports",
                    what,
                    "see which one, and stop it there: ss --listening --tcp --numeric --processes",
                );
            }
        }
    }

    fn judge_disk(&self, found: &mut Found) {
        let Ok(free) = self.value("free").parse::<u64>() else { return };
        let free = free << 10;
        let text = format!("{} MB are free", free >> 20);
        match free {
            NEEDED_BYTES.. if free >= WANTED_BYTES => {
                found.checks.push(Check::good("disk", format!("{} GB free", free >> 30)));
            }
            NEEDED_BYTES.. => found.checks.push(Check::doubtful("disk", format!("only {text}"))),
            _ => found.lacks("disk", text, "make room there"),
        }
    }
}

impl Found {
    /// A check that these commands set right.
    fn gets(&mut self, name: &'static str, what: impl Into<String>, fix: &str, commands: &[&str]) {
        self.checks.push(Check::bad(name, what, fix));
        self.commands.extend(commands.iter().map(|command| (*command).to_owned()));
    }

    /// A check that a person sets right.
    fn lacks(&mut self, name: &'static str, what: impl Into<String>, fix: &str) {
        self.checks.push(Check::bad(name, what, fix));
        self.by_hand += 1;
    }
}

#[cfg(test)]
mod tests;
