//! A PostgreSQL that only containers of this machine reach, by TLS and with a password.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use devservers::{Ready, Server, port};
use secrecy::{ExposeSecret as _, SecretString};
use xtask::fs::{Owner, own_folder, replace_file};
use xtask::secrets::generate;
use xtask::tools::cmd::{Cmd, Inherited};
use xtask::tools::platform::{UTF8_LOCALE, User};
use xtask::tools::postgres::{Choice, default_user, locate_or_fetch};

use crate::place::Place;

/// The service's role and database.
const NAME: &str = "rehearsal";

/// A server. It ends when this value is dropped.
pub struct Database {
    _server: Server,
    /// Where containers reach it.
    pub address: SocketAddr,
    password: SecretString,
}

impl Database {
    /// Makes and starts one that listens on the address of this machine in the containers' network.
    pub async fn start(place: &Place, host: Ipv4Addr) -> Result<Self> {
        let programs = locate_or_fetch(Choice::Auto, |_| {}).await?.programs;
        let user = default_user()?;
        let owner = user.as_ref().map(User::owner);
        let folder = &place.database;
        // Another user passes this folder, and gets the one with the data.
        own_folder(folder, None, 0o711)?;
        let (data, password) = (folder.join("data"), generate()?);
        own_folder(&data, owner, 0o700)?;
        let run = |name: &str| {
            let program = Cmd::new(programs.join(name)).dir("/").inherits(Inherited::Path).env("LC_ALL", "C");
            match owner {
                Some(Owner { uid, gid }) => program.user(uid, gid),
                None => program,
            }
        };
        let initdb = run("initdb").args(["--pgdata", data.as_str(), "--username", "postgres", "--auth=reject"]);
        let initdb = initdb.args(["--encoding=UTF8", "--locale=C", &format!("--lc-ctype={UTF8_LOCALE}"), "--no-sync"]);
        initdb.run().await?;
        // Before it listens anywhere, and with the password in no argument.
        let statements = format!(
            "CREATE ROLE {NAME} LOGIN PASSWORD '{}'\nCREATE DATABASE {NAME} OWNER {NAME}\n",
            password.expose_secret()
        );
        let single = run("postgres").args(["--single", "-D", data.as_str(), "postgres"]).input(statements.into_bytes());
        let (status, _, said) = single.output().await?;
        anyhow::ensure!(status.success() && !said.contains("ERROR"), "make the service's role and database: {said}");

        let address = SocketAddr::from((host, port::free_at(host)?));
        let certificate = rcgen::generate_simple_self_signed(vec![host.to_string()]).context("make a certificate")?;
        write(&data.join("server.crt"), &certificate.cert.pem(), owner)?;
        write(&data.join("server.key"), &certificate.signing_key.serialize_pem(), owner)?;
        write(&data.join("pg_hba.conf"), &format!("hostssl {NAME} {NAME} all scram-sha-256\n"), owner)?;
        let mut command = Command::new(programs.join("postgres"));
        command.args(["-D", data.as_str(), "-p", &address.port().to_string()]);
        let host = host.to_string();
        let settings = [
            ("listen_addresses", host.as_str()),
            ("unix_socket_directories", ""),
            ("ssl", "on"),
            ("password_encryption", "scram-sha-256"),
            ("log_min_error_statement", "panic"),
            ("fsync", "off"),
        ];
        command.args(settings.iter().flat_map(|(name, value)| ["-c".to_owned(), format!("{name}={value}")]));
        command.current_dir("/").env_clear().env("LC_ALL", "C");
        if let Some(Owner { uid, gid }) = owner {
            command.uid(uid).gid(gid);
        }
        let server = Server::start(command, Ready::Port(address))?;
        Ok(Self { _server: server, address, password })
    }

    /// Its URL for the service.
    pub fn url(&self) -> SecretString {
        let (password, address) = (self.password.expose_secret(), self.address);
        SecretString::from(format!("postgres://{NAME}:{password}@{address}/{NAME}?sslmode=require"))
    }
}

fn write(path: &Utf8Path, text: &str, owner: Option<Owner>) -> Result<()> {
    replace_file(path, text.as_bytes())?;
    if let Some(Owner { uid, gid }) = owner {
        std::os::unix::fs::chown(path, Some(uid), Some(gid)).with_context(|| format!("give {path} to its user"))?;
    }
    Ok(())
}
