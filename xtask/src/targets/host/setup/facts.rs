//! What a host says of itself, and what is judged of it.

use std::collections::{BTreeMap, BTreeSet};

use super::super::checks::{NEEDED_BYTES, WANTED_BYTES};
use super::Found;
use crate::check::Check;

/// Prints lines of `name=value`, and the sockets that the kernel lists. Takes no program that a small system lacks.
pub(super) const LOOK: &str = include_str!("look.sh");
pub(super) const INSTALL: [&str; 2] = [
    "env LC_ALL=C apt-get -o DPkg::Lock::Timeout=120 update",
    "env LC_ALL=C DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 install -y --no-install-recommends --no-remove \
     ca-certificates docker.io",
];
/// On a system whose packages are not known, or that has another Docker than deploys use.
const BY_HAND: &str = "install Docker 20.10 or newer there by hand: https://docs.docker.com/engine/install";
/// The state of a listening socket in /proc/net/tcp (proc(5)).
const LISTENS: &str = "0A";

/// What [`LOOK`] has found.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) values: BTreeMap<String, String>,
    /// The TCP ports that a program listens at.
    ports: BTreeSet<u16>,
}

/// What the engine itself says.
pub(super) enum Engine {
    /// Its version, and the host's ports that the environment's proxy has.
    Answers(String, Vec<u16>),
    Fails(String),
}

impl Facts {
    /// What [`LOOK`] printed.
    pub(super) fn read(said: &str) -> Self {
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

    /// Whether it says this of that.
    pub(super) fn is(&self, name: &str, value: &str) -> bool {
        self.value(name) == value
    }

    fn has_engine(&self) -> bool {
        !self.value("installed").is_empty() || !self.value("socket").is_empty()
    }

    /// `wanted` are the ports that the proxy is to have.
    pub(super) fn judge(&self, engine: Option<&Engine>, wanted: &[u16]) -> Found {
        let mut found = Found::default();
        let knows = self.value("family").split(' ').any(|name| name == "debian" || name == "ubuntu");
        found.checks.push(Check::good("system", self.value("system")));
        let is_there = self.has_engine();
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
            None if !self.value("rootless").is_empty() => {
                let what = format!("a Docker of {} alone, at {}", self.value("user"), self.value("rootless"));
                found.lacks("engine", what + "; deploys use the one at /var/run/docker.sock", BY_HAND);
                return found;
            }
            // Such as the one of a snap.
            None if self.is("socket", "denied") && !self.is("group", "docker") => {
                let (user, group) = (self.value("user"), self.value("group"));
                found.lacks(
                    "user",
                    format!("{user} may not use /var/run/docker.sock, which is the group {group}'s"),
                    "make a group docker there, add the user to it, and start Docker again, which then gives the socket to that group",
                );
                return found;
            }
            None if self.is("socket", "denied") => {
                found.checks.push(Check::good("engine", self.value("installed")));
                runs = true;
            }
            None if !is_there && !self.value("snap").is_empty() => {
                found.lacks(
                    "engine",
                    "the Docker of a snap does not run",
                    "start it there: sudo snap enable docker; sudo snap start --enable docker",
                );
                return found;
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
        self.judge_user(&mut found);
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
            "not-found" if !runs && self.has_engine() => {
                found.lacks(
                    "boot",
                    "systemd has no docker.service",
                    "start the engine there, and have it start at boot",
                );
            }
            _ if !runs => {
                found.gets("boot", "it does not run", "start it, now and at boot", &["systemctl enable --now docker"])
            }
            "enabled" => found.checks.push(Check::good("boot", "systemd starts it")),
            "disabled" => found.gets("boot", "it does not start at boot", "enable it", &["systemctl enable docker"]),
            other => found.checks.push(Check::doubtful("boot", format!("systemd says {other} of docker.service"))),
        }
    }

    fn judge_user(&self, found: &mut Found) {
        let user = self.value("user");
        if self.is("uid", "0") || self.is("socket", "usable") {
            found.checks.push(Check::good("user", format!("{user} may use it")));
            return;
        }
        let Ok(name) = shlex::try_quote(user) else { return };
        if !self.is("usermod", "yes") {
            found.lacks("user", format!("{user} may not use it"), "add it to the group docker there");
            return;
        }
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
