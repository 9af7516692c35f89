//! What the toolkit does, done without it: the references.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};

use super::scratch::{Scratch, free_port};
use xtask::clients::service::{Answer, Service};
use xtask::config::SuppliedBy;
use xtask::failure::Failure;
use xtask::release::{MediaSettings, Settings};
use xtask::report::{Report, Step};
use xtask::targets::Target;
use xtask::tools::cmd::Cmd;
use xtask::tools::npm;

/// How long the service may take to be ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long until it is asked again.
const PAUSE: Duration = Duration::from_millis(10);

/// The least that tells that there is nothing to do: which commit, which packages, what serves. One after another.
pub async fn look(scratch: &Scratch, service: &Service) -> Result<Duration> {
    let began = Instant::now();
    Cmd::new("git").args(["rev-parse", "HEAD"]).dir(scratch.root()).capture().await?;
    scratch.cargo().args(["metadata", "--no-deps", "--format-version", "1"]).capture().await?;
    match service.ask().await {
        Answer::Ready(_) => Ok(began.elapsed()),
        other => bail!("the service that was deployed is not ready: {}", other.describe()),
    }
}

/// Builds the service as a person would.
pub async fn build(scratch: &Scratch) -> Result<Duration> {
    let service = &scratch.config.service;
    let cargo = scratch.cargo().args(["build", "--release", "--package", &service.package, "--bin", &service.binary]);
    let began = Instant::now();
    tokio::try_join!(cargo.run(), async {
        match &service.web {
            Some(web) => npm::build(&scratch.root().join(web), &[], |_| {}).await.map(drop),
            None => Ok(()),
        }
    })?;
    Ok(began.elapsed())
}

/// The settings that deploys give to the service.
pub async fn settings(scratch: &Scratch, report: &Report) -> Result<Settings> {
    let env = scratch.env()?;
    let target = Target::of(&env);
    let provisioned =
        report.step(Step::Provision, async |step| target.provision(&MediaSettings::default(), step).await).await;
    provisioned.map_err(Failure::into_error)
}

/// Starts the program that was built, beside the one that was deployed, until it is ready; then ends it.
pub async fn start(scratch: &Scratch, settings: &Settings) -> Result<Duration> {
    let (service, port) = (&scratch.config.service, free_port()?);
    let table = scratch.config.settings_table()?;
    let mut program = Cmd::new(scratch.program()).args(&service.args).dir(scratch.root());
    for (name, value) in &settings.plain {
        let value = match table.get(name).and_then(|setting| setting.supplied_by.as_ref()) {
            Some(SuppliedBy::Host) => "127.0.0.1".to_owned(),
            _ => value.clone(),
        };
        program = program.env(name, value);
    }
    // A deploy chooses it for each process, so it is no setting of the release.
    for setting in table.settings.iter().filter(|setting| setting.supplied_by == Some(SuppliedBy::Port)) {
        program = program.env(&setting.name, port.to_string());
    }
    for (name, value) in settings.secrets.iter() {
        program = program.secret(name, value);
    }
    let asked = Service::new(format!("http://127.0.0.1:{port}{}", service.readiness))?;
    let began = Instant::now();
    tokio::select! {
        ended = program.run() => Err(ended.err().unwrap_or_else(|| anyhow!("it ended by itself"))).context("start the service"),
        ready = until_ready(&asked) => ready.map(|()| began.elapsed()),
    }
}

async fn until_ready(service: &Service) -> Result<()> {
    let began = Instant::now();
    loop {
        match service.ask().await {
            Answer::Ready(_) => return Ok(()),
            other if began.elapsed() >= PATIENCE => {
                bail!("the service is not ready after {PATIENCE:?}: {}", other.describe())
            }
            _ => tokio::time::sleep(PAUSE).await,
        }
    }
}
