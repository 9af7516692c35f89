//! What goes wrong, and how each is recovered from.

use anyhow::{Result, bail};

use crate::stage::Stage;
use xtask::commands::rehearse::Chosen;
use xtask::config::Environment;

mod dns;
mod release;
mod run;
mod servers;

/// The name of its chapter.
pub fn chapter(chosen: Chosen) -> &'static str {
    match chosen {
        Chosen::Health => "a release that never gets ready",
        Chosen::Crash => "a release that ends at once",
        Chosen::Apply => "a change that the platform refuses",
        Chosen::Lease => "two deploys at once",
        Chosen::Dns => "a name that leads elsewhere",
        Chosen::State => "the state's bucket is away",
        Chosen::Registry => "the registry is away",
        Chosen::Killed => "a deploy that is killed",
        Chosen::All => "all",
    }
}

/// Whether the environment has what breaks: a Docker host has neither a state nor a platform, and its name is not rehearsed.
pub fn fits(chosen: Chosen, environment: &Environment, has_database: bool) -> bool {
    let is_host = environment.docker_hosts().is_some();
    match chosen {
        Chosen::Crash | Chosen::Lease | Chosen::Killed | Chosen::All => true,
        Chosen::Health => !is_host || has_database,
        Chosen::Registry => !is_host || environment.registry().is_some(),
        Chosen::Apply | Chosen::Dns | Chosen::State => !is_host,
    }
}

/// Breaks it, and shows that it recovers: what proves that.
pub async fn rehearse(stage: &Stage<'_>, chosen: Chosen) -> Result<Vec<String>> {
    match chosen {
        Chosen::Health => release::health(stage).await,
        Chosen::Crash => release::crash(stage).await,
        Chosen::Apply => release::apply(stage).await,
        Chosen::Lease => run::lease(stage).await,
        Chosen::Killed if stage.is_host() => run::killed_on_host(stage).await,
        Chosen::Killed => run::killed(stage).await,
        Chosen::State => servers::state(stage).await,
        Chosen::Registry => servers::registry(stage).await,
        Chosen::Dns => dns::rehearse(stage).await,
        Chosen::All => bail!("it stands for the others"),
    }
}
