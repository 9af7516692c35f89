//! What goes wrong, and how each is recovered from.

use anyhow::{Result, bail};

use crate::stage::Stage;
use xtask::commands::rehearse::Chosen;

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

/// Breaks it, and shows that it recovers: what proves that.
pub async fn rehearse(stage: &Stage<'_>, chosen: Chosen) -> Result<Vec<String>> {
    match chosen {
        Chosen::Health => release::health(stage).await,
        Chosen::Crash => release::crash(stage).await,
        Chosen::Apply => release::apply(stage).await,
        Chosen::Lease => run::lease(stage).await,
        Chosen::Killed => run::killed(stage).await,
        Chosen::State => servers::state(stage).await,
        Chosen::Registry => servers::registry(stage).await,
        Chosen::Dns => dns::rehearse(stage).await,
        Chosen::All => bail!("it stands for the others"),
    }
}
