//! What a host of an environment lacks for deploys, and the commands that install it. Looking changes nothing.

mod facts;

use anyhow::{Context as _, Result};

use self::facts::{Engine, Facts, LOOK};
use super::Host;
use crate::check::Check;
use crate::config::{self, Compose};
use crate::env::Env;
use crate::tools::apt;
use crate::tools::ssh::Remote;

/// A host, and the way to it.
pub struct Machine {
    /// `ssh://user@host:port`
    pub name: String,
    host: config::Host,
}

/// What a host has, and what it lacks.
#[derive(Default)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Root {
    /// It is root.
    #[default]
    Itself,
    /// sudo(8) asks for no password.
    Sudo,
    /// sudo asks for a password, or refuses this user.
    Asks,
    /// There is no sudo, only su(1), which asks for the password of root.
    NoSudo,
}

impl Root {
    /// Whether commands become root's without a person.
    pub fn asks_nothing(self) -> bool {
        matches!(self, Self::Itself | Self::Sudo)
    }

    /// The command as this user types it, and root itself where there is no sudo.
    pub fn prefixed(self, command: &str) -> String {
        match self {
            Self::Itself | Self::NoSudo => command.to_owned(),
            Self::Sudo | Self::Asks => format!("sudo -n {command}"),
        }
    }
}

impl Machine {
    /// The hosts of an environment that are other machines.
    pub fn all(target: &Compose) -> Vec<Self> {
        let machine = |host: &config::Host| Self { name: Remote::new(host.clone()).address(), host: host.clone() };
        target.hosts.iter().map(machine).collect()
    }

    /// Looks at it by a new connection: a user is in the groups that it had when it logged in. A host that cannot be asked is found to
    /// be so.
    pub async fn look(&self, env: &Env<'_>, target: &Compose, proxy: &str) -> Found {
        self.asked(env, target, proxy).await.unwrap_or_else(|error| {
            let mut found = Found::default();
            found.lacks(
                "ssh",
                format!("{error:#}"),
                "see that the host runs, and that ssh logs in there without a question",
            );
            found
        })
    }

    async fn asked(&self, env: &Env<'_>, target: &Compose, proxy: &str) -> Result<Found> {
        let remote = Remote::new(self.host.clone());
        let (_, said) = remote.run(LOOK, Vec::new(), &[]).await?;
        let facts = Facts::read(&String::from_utf8_lossy(&said));
        let engine = match facts.is("socket", "usable") {
            true => Some(ask(&Host::new(env, target, proxy, Some(remote.clone()))).await),
            false => None,
        };
        let mut found = facts.judge(engine.as_ref(), &ports(target.port, target.domain.is_some()));
        if found.commands.is_empty() || facts.is("uid", "0") {
            return Ok(found);
        }
        found.root = Root::NoSudo;
        if facts.is("sudo", "yes") {
            // Asked only where it is needed: sudo may report a refusal to the administrator.
            let (code, _) = remote.run("sudo -n true 2>/dev/null || exit 1", Vec::new(), &[1]).await?;
            found.root = if code == 0 { Root::Sudo } else { Root::Asks };
        }
        Ok(found)
    }

    /// Runs one of the commands. A new host is often just updating its package lists.
    pub async fn run(&self, command: &str, root: Root) -> Result<()> {
        let command = format!("PATH=$PATH:/usr/sbin:/sbin; {}", root.prefixed(command));
        let remote = Remote::new(self.host.clone());
        apt::unlocked(async || remote.run(&command, Vec::new(), &[]).await.map(drop)).await
    }

    /// What a person types to run what is left, with the password of sudo; without sudo, with that of root.
    pub fn by_hand(&self, found: &Found) -> Result<String> {
        let quote = |text: &str| shlex::try_quote(text).map(String::from).context("quote commands");
        let all = match found.root {
            // Only as a login it has the PATH of root.
            Root::NoSudo => format!("su - -c {}", quote(&found.commands.join(" && "))?),
            _ => found.commands.iter().map(|command| format!("sudo {command}")).collect::<Vec<_>>().join(" && "),
        };
        let port = self.host.port.map(|port| format!("-p {port} ")).unwrap_or_default();
        Ok(format!("ssh -t {port}{} {}", self.host.destination, quote(&all)?))
    }
}

/// The ports of the host that the proxy publishes.
fn ports(own: u16, has_domain: bool) -> Vec<u16> {
    let of_the_domain = has_domain.then_some([80, 443]);
    std::iter::once(own).chain(of_the_domain.into_iter().flatten()).collect()
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
