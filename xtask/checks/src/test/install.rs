//! What the tests need on this machine, installed where that takes no decision. Where it does, tests that need it are
//! skipped by name.

use clap::{Args, ValueEnum};
use xtask::commands::Context;
use xtask::failure::Failure;
use xtask::setup::{Extras, Missing};
use xtask::tools::cmd::{Cmd, Inherited};

use super::job::{Job, Work};
use super::progress::Progress;
use super::suite::Suite;

/// A server or program that no distribution packages: it is built or fetched once for a machine, in a process of its own,
/// which ends with the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Server {
    Buildkitd,
    CargoDeny,
    Gofakes3,
    Moto,
    Schemathesis,
    Versitygw,
    WorkflowChecks,
}

/// The suites that take it.
const VERSITYGW: [Suite; 6] =
    [Suite::Rehearsal, Suite::Service, Suite::StandIn, Suite::Tofu, Suite::Toolkit, Suite::Web];

/// Install a server for tests
#[derive(Args, Debug)]
pub struct InstallArgs {
    server: Server,
}

impl InstallArgs {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        match self.server {
            Server::Buildkitd => devservers::buildkitd::install()?,
            Server::CargoDeny => devservers::cargo_deny::install()?,
            Server::Gofakes3 => devservers::gofakes3::install()?,
            Server::Moto => devservers::moto::install()?,
            Server::Schemathesis => devservers::schemathesis::install()?,
            Server::Versitygw => devservers::versitygw::install()?,
            Server::WorkflowChecks => {
                devservers::workflow_checks::actionlint()?;
                devservers::workflow_checks::zizmor()?;
                let [schema, _] = devservers::workflow_checks::schemas()?;
                schema
            }
        };
        Ok(())
    }
}

/// What the service is compiled with.
pub async fn for_the_compiler(context: &Context<'_>) {
    set_up(context, Extras::default()).await;
}

/// What the tests of these suites need: packages and OpenTofu, then servers.
pub async fn for_the_tests(context: &Context<'_>, suites: &[Suite], progress: &Progress) {
    let any = |of: &[Suite]| suites.iter().any(|suite| of.contains(suite));
    if suites.iter().any(|suite| suite.integration_tests().is_some()) {
        let stacks = any(&[Suite::Rehearsal, Suite::StandIn, Suite::Tofu]);
        set_up(context, Extras { tests: true, tofu: stacks, ..Extras::default() }).await;
    }
    let servers = [
        (Server::CargoDeny, any(&[Suite::Lint])),
        (Server::Gofakes3, any(&[Suite::Service, Suite::Toolkit])),
        (Server::Moto, any(&[Suite::Rehearsal, Suite::StandIn, Suite::Tofu, Suite::Toolkit])),
        (Server::Schemathesis, any(&[Suite::Service])),
        (Server::Versitygw, any(&VERSITYGW)),
        (Server::WorkflowChecks, any(&[Suite::Toolkit])),
        (Server::Buildkitd, any(&[Suite::Image, Suite::Toolkit])),
    ];
    // One after another: the compiler runs beside them.
    for (server, _) in servers.iter().filter(|(_, needed)| *needed) {
        let Some(job) = install(*server) else { continue };
        progress.begins(&job.name);
        progress.ends(job.run(context).await.0);
    }
}

fn install(server: Server) -> Option<Job> {
    let program = std::env::current_exe().ok()?.to_str()?.to_owned();
    let name = server.to_possible_value()?.get_name().to_owned();
    let command = Cmd::new(program).inherits(Inherited::All).args(["install", &name]);
    Some(Job::new(&format!("install {name}"), Work::Install(command)))
}

async fn set_up(context: &Context<'_>, extras: Extras) {
    let (report, missing) = (context.report, Missing::find(context.config, extras).await);
    let names = missing.names();
    if names.is_empty() {
        return;
    }
    report.note(&format!("installing {}", names.join(", ")));
    if let Err(error) = missing.install(|line| report.detail(line)).await {
        report.warn(&format!("{error:#}"));
    }
}
