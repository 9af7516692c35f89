//! What this machine must provide before a release starts on it.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;

use anyhow::{Context as _, Result, bail};
use camino::Utf8Path;
use tokio::net::TcpSocket;

use super::Local;
use crate::check::Check;
use crate::config::did_you_mean;
use crate::release::Migration;
use crate::secrets::{MIN_REDACTED, Secrets};
use crate::settings::{self, Origin};
use crate::supervisor::client::connect;
use crate::supervisor::{Obstacle, supervisor_log};
use crate::tools::{platform, port, postgres};

/// A build needs at least this much.
const NEEDED_BYTES: u64 = 512 << 20;

/// A warning is shown below this.
const WANTED_BYTES: u64 = 3 << 30;

impl Local<'_> {
    /// Every check of this target. None changes anything.
    pub async fn checks(&self) -> Vec<Check> {
        let (port, database, user) = tokio::join!(self.check_port(), self.check_database(), self.check_account());
        let mut checks = self.check_settings();
        checks.extend(self.check_command());
        if let Some(images) = &self.images {
            checks.extend(Box::pin(images.checks()).await);
        }
        checks.extend([self.check_folder(), self.check_disk(), self.check_migrations(), port, database, user]);
        match self.check_own_folders().await {
            Ok(own) => checks.extend(own),
            Err(error) => checks.push(Check::bad("user", format!("{error:#}"), "see the error")),
        }
        checks
    }

    fn check_settings(&self) -> Vec<Check> {
        let fix = |what: &str| format!("see {}; {what}", self.env.config.service.table());
        let table = match settings::table(self.env) {
            Ok(table) => table,
            Err(error) => {
                let next = match self.env.config.service.schema {
                    Some(_) => "cargo xtask render".to_owned(),
                    None => {
                        format!("fix {}, then: cargo xtask doctor {}", self.env.config.service.table(), self.env.name())
                    }
                };
                return vec![Check::bad("settings", format!("{error}"), next)];
            }
        };
        let own = match self.env.file_values() {
            Ok(own) => own,
            Err(error) => return vec![Check::bad("secrets", format!("{error:#}"), fix("fix the file"))],
        };
        let mut checks = Vec::new();
        for problem in table.check(self.env.environment) {
            checks.push(Check::bad("settings", problem.to_string(), fix("fix deploy.yaml")));
        }
        if let Some(visit) = &self.env.config.service.first_visit
            && table.get(&visit.secret).is_none()
        {
            let known = table.settings.iter().filter(|setting| setting.secret).map(|setting| setting.name.as_str());
            checks.push(Check::bad(
                "settings",
                format!("`service.first_visit` names {}, which the service does not know", visit.secret),
                did_you_mean(&visit.secret, "secret settings", known),
            ));
        }
        checks.extend(settings::unknown::checks(self.env, &table));
        for (name, value) in own.iter() {
            if table.get(name).is_some() && secrecy::ExposeSecret::expose_secret(value).len() < MIN_REDACTED {
                checks.push(Check::doubtful("secrets", format!("{name} is too short to be masked in logs")));
            }
        }
        for setting in &table.settings {
            if matches!(settings::origin(self.env, setting), Ok(Origin::Missing)) {
                let found = format!("{} is required and has no value: {}", setting.name, setting.help);
                let place = if setting.secret {
                    format!("put {}=… into {}", setting.name, self.env.file())
                } else {
                    format!("put {}: … under environments.{}.settings in deploy.yaml", setting.name, self.env.name())
                };
                checks.push(Check::bad("settings", found, place));
            }
        }
        checks.push(Check::of(
            "secrets",
            Secrets::read_file(&self.env.generated_file()),
            |_| "private".to_owned(),
            "fix the file",
        ));
        checks.push(Check::good("settings", format!("{} declared", table.settings.len())));
        checks
    }

    /// Whether the program of `service.command` is on this machine, where no package of deploy.yaml brings it.
    fn check_command(&self) -> Option<Check> {
        let service = &self.env.config.service;
        let name = service.command.as_ref()?.first().filter(|name| !name.contains('/'))?;
        if service.programs.iter().any(|program| program.name == *name) {
            return None;
        }
        Some(match platform::find_program(name) {
            Some(path) => Check::good("command", format!("{name} is {path}")),
            None => {
                let found = format!("`service.command` runs {name}, which is not on the PATH");
                Check::bad(
                    "command",
                    found,
                    format!("install {name}, or have deploy.yaml name its package in `programs`"),
                )
            }
        })
    }

    fn check_folder(&self) -> Check {
        // The next folder is made in the nearest one that exists.
        let there = self.folder.ancestors().find(|folder| folder.exists()).unwrap_or(self.env.root());
        if !there.is_dir() {
            return Check::bad("folder", format!("{there} is not a folder"), format!("mv {there} {there}.away"));
        }
        let access =
            rustix::fs::access(there.as_std_path(), rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK);
        let writable = access.map_err(|error| anyhow::Error::from(error).context(format!("write in {there}")));
        let fix = format!("make {there} a folder that you may write in: chown -R \"$(id -un)\" {there}");
        if let (Ok(()), Some(open)) = (&writable, open_to_all(self.env.root())) {
            return Check::doubtful(
                "folder",
                format!(
                    "every user of this machine may write in {open}, and so replace what is deployed; type: chmod o-w {open}"
                ),
            );
        }
        Check::of("folder", writable, |()| format!("{} is writable", self.folder), &fix)
    }

    fn check_disk(&self) -> Check {
        match platform::free_bytes(&self.folder) {
            Ok(free) if free < NEEDED_BYTES => Check::bad(
                "disk",
                format!(
                    "{} MB are free for {}; a build and a release need {}",
                    free >> 20,
                    self.folder,
                    NEEDED_BYTES >> 20
                ),
                "make room, for example: cargo clean",
            ),
            Ok(free) if free < WANTED_BYTES => {
                Check::doubtful("disk", format!("only {} MB of disk are free for {}", free >> 20, self.folder))
            }
            Ok(free) => Check::good("disk", format!("{} GB free", free >> 30)),
            Err(error) => Check::bad("disk", format!("{error:#}"), "look at the disk: df -h"),
        }
    }

    fn check_migrations(&self) -> Check {
        let look = || -> Result<usize> {
            let migrations = Migration::of(self.env.config)?;
            let number = |name: &str| name.split_once('_').and_then(|(number, _)| number.parse::<u64>().ok());
            let mut last = None;
            for migration in &migrations {
                let name = &migration.name;
                let this = number(name).with_context(|| format!("{name} does not begin with a number and _"))?;
                if last.is_some_and(|last| last >= this) {
                    bail!("{name} has the number of another migration, or a smaller one that sorts after it");
                }
                last = Some(this);
            }
            Ok(migrations.len())
        };
        Check::of("migrations", look(), |count| format!("{count} in order"), "rename it to the next free number")
    }

    async fn check_port(&self) -> Check {
        if let Some(check) = self.check_supervisor().await {
            return check;
        }
        match probe(self.listen()) {
            Ok(_) => Check::good("port", format!("{} is free", self.target.port)),
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                // Another deploy may have started the supervisor meanwhile. It can be asked before it takes the port.
                if let Some(check) = self.check_supervisor().await {
                    return check;
                }
                let holder = port::holder(self.target.port)
                    .map_or_else(|| "another program".to_owned(), |holder| holder.to_string());
                let fix =
                    format!("stop that, or set another `port` under environments.{} in deploy.yaml", self.env.name());
                Check::bad("port", format!("port {} is taken by {holder}", self.target.port), fix)
            }
            Err(error) => {
                let fix = format!("set another `port` or `host` under environments.{} in deploy.yaml", self.env.name());
                Check::bad("port", format!("{} cannot be listened on: {error}", self.listen()), fix)
            }
        }
    }

    /// What the environment's supervisor says of the port; none where none runs, or it has another port.
    async fn check_supervisor(&self) -> Option<Check> {
        match connect(&self.folder).await {
            Ok(Some(connection)) if connection.about().listen == self.listen() => {
                Some(Check::good("port", format!("{} is served by this environment", self.target.port)))
            }
            Ok(_) => None,
            Err(error) => {
                let stop = format!("cargo xtask stop {}", self.env.name());
                let fix = error.downcast_ref::<Obstacle>().map_or_else(
                    || format!("see the end of {}", supervisor_log(&self.folder)),
                    |obstacle| obstacle.fix(&stop),
                );
                Some(Check::bad("port", format!("{error:#}"), fix))
            }
        }
    }

    async fn check_database(&self) -> Check {
        let table = settings::table(self.env).map_err(anyhow::Error::from);
        if !table.and_then(|table| self.needs_postgres(&table)).unwrap_or(true) {
            return Check::good("database", "the service needs none from this target");
        }
        match self.located_postgres().await {
            Ok(Some(installation)) => Check::good("database", installation.to_string()),
            Ok(None) if self.env.postgres() == postgres::Choice::Found => Check::bad(
                "database",
                "no PostgreSQL on this machine, and deploy.yaml allows no other",
                format!(
                    "apt-get install postgresql, or set `postgres: auto` under environments.{} in deploy.yaml",
                    self.env.name()
                ),
            ),
            Ok(None) => Check::good("database", format!("PostgreSQL {} will be fetched", postgres::EMBEDDED_VERSION)),
            Err(error) => Check::bad("database", format!("{error:#}"), "cargo xtask doctor"),
        }
    }
}

/// The project's folder or one above it, if every user may put another in its place. In a folder with the sticky bit, as `/tmp`, only
/// owners may.
fn open_to_all(root: &Utf8Path) -> Option<&Utf8Path> {
    const OTHERS_WRITE: u32 = 0o002;
    const STICKY: u32 = 0o1000;
    root.ancestors().find(|folder| {
        let mode = fs_err::metadata(folder).map_or(0, |meta| meta.mode());
        mode & OTHERS_WRITE != 0 && (*folder == root || mode & STICKY == 0)
    })
}

/// A socket at this address, which does not listen, so that another deploy that looks or listens there in this moment is not
/// refused. Fails where another program listens.
fn probe(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn deploys_that_look_for_a_free_port_at_once_do_not_see_each_other() {
        let first = probe("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = first.local_addr().unwrap();
        let second = probe(address).unwrap();
        let listener = second.listen(1).unwrap();
        drop(first);
        assert_eq!(probe(address).unwrap_err().kind(), ErrorKind::AddrInUse);
        drop(listener);
        probe(address).unwrap();
    }
}
