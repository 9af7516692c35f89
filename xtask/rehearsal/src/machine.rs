//! What this machine has of what a rehearsal takes, and how the rest is installed.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, anyhow, ensure};
use camino::Utf8PathBuf;
use devservers::{MachineEngine, port};
use xtask::config::Environment;
use xtask::tools::postgres::{Choice, locate_or_fetch};

use crate::engine::Machine;

/// One thing that was looked for.
pub struct Finding {
    /// What it is.
    pub name: &'static str,
    /// Where it is, or why it is missing and how it is installed.
    pub found: Result<String>,
    /// What a rehearsal is without it; none if there is no rehearsal.
    pub without: Option<&'static str>,
}

/// What was found.
pub struct Found {
    /// All that was looked for.
    pub findings: Vec<Finding>,
    /// The engine; none where it is missing.
    pub engine: Option<Machine>,
    /// Where the platform's gateway can listen.
    pub gateway: Option<SocketAddr>,
    _started: Option<MachineEngine>,
}

/// The programs that are run.
pub struct Programs {
    /// The toolkit.
    pub toolkit: Utf8PathBuf,
    /// The stand-in.
    pub standin: Utf8PathBuf,
}

impl Found {
    /// Looks for everything; starts the engine and installs servers where that needs no decision of the user.
    pub async fn look(environment: &Environment, database: bool) -> Self {
        let (started, engine) = engine().await;
        let path = |path: Result<std::path::PathBuf>| path.map(|path| path.display().to_string());
        let mut findings = vec![Finding {
            name: "Docker engine",
            found: engine.as_ref().map(|engine| engine.version().to_owned()).map_err(|error| anyhow!("{error:#}")),
            without: None,
        }];
        if environment.registry().is_some() {
            let found = path(devservers::registry::program());
            findings.push(Finding { name: "image registry", found, without: None });
        }
        if database {
            let found = locate_or_fetch(Choice::Auto, |_| {}).await.map(|found| found.to_string());
            findings.push(Finding { name: "PostgreSQL", found, without: None });
        }
        if environment.stack().is_none() {
            return Self { findings, engine: engine.ok(), gateway: None, _started: started };
        }
        findings.extend([
            Finding { name: "OpenTofu", found: path(devservers::tofu::program()), without: None },
            Finding { name: "S3 server", found: path(devservers::versitygw::install()), without: None },
            Finding { name: "Route 53", found: path(devservers::moto::install()), without: None },
        ]);
        let gateway = gateway();
        let listens = gateway.as_ref().map(|gateway| format!("can listen on {gateway}"));
        findings.push(Finding {
            name: "gateway",
            found: listens.map_err(|error| anyhow!("{error:#}")),
            without: Some(
                "containers are reached by HTTP at a port, and neither the domain nor its certificate is rehearsed",
            ),
        });
        Self { findings, engine: engine.ok(), gateway: gateway.ok(), _started: started }
    }

    /// What keeps the rehearsal from beginning.
    pub fn obstacles(&self) -> Vec<String> {
        let missing = self.findings.iter().filter(|finding| finding.without.is_none());
        missing
            .filter_map(|Finding { name, found, .. }| found.as_ref().err().map(|error| format!("{name}: {error:#}")))
            .collect()
    }
}

impl Programs {
    /// Finds them where cargo says that it has built them, or beside this program.
    pub fn find() -> Result<Self> {
        let this = std::env::current_exe().context("find this program")?;
        let find = |name: &str| {
            let named = std::env::var_os(format!("CARGO_BIN_EXE_{name}")).map(std::path::PathBuf::from);
            let path = named.unwrap_or_else(|| this.with_file_name(name));
            ensure!(path.is_file(), "{} is not built\n  type: cargo xtask rehearse", path.display());
            Utf8PathBuf::from_path_buf(path).map_err(|path| anyhow!("{} is not UTF-8", path.display()))
        };
        Ok(Self { toolkit: find("xtask")?, standin: find("standin")? })
    }
}

async fn engine() -> (Option<MachineEngine>, Result<Machine>) {
    match MachineEngine::start_if_none(None) {
        Ok(started) => (started, Machine::connect().await),
        Err(error) => (None, Err(error)),
    }
}

/// An address of this machine's own at which no other server listens on the port of HTTPS.
fn gateway() -> Result<SocketAddr> {
    port::secure().context(
        "this user cannot listen on port 443: to reach containers under their names, run this as root, or type: \
         sudo sysctl net.ipv4.ip_unprivileged_port_start=443",
    )
}
