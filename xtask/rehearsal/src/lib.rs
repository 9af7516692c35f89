//! `cargo xtask rehearse`: the whole story of a deploy to a stack or a Docker host, on this machine and with the stack's own files.
//!
//! The toolkit's program is run as a user types it, in a clone of the last commit, and it knows of no rehearsal: it is led to the
//! servers of this machine by variables that every user may set.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

pub mod account;
pub mod cli;

mod breaks;
mod clean;
mod engine;
mod load;
mod log;
mod machine;
mod place;
mod project;
mod servers;
mod stage;
mod story;
mod toolkit;
mod values;

use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;
use xtask::commands::rehearse::{self, RehearseCommand, StoryArgs};
use xtask::config::{Config, Environment};
use xtask::env;
use xtask::failure::Failure;
use xtask::fs::Lock;
use xtask::report::Report;
use xtask::signals::Stop;

use self::cli::{Cli, Command};
use self::place::Place;
use self::story::{Ended, Story};

/// How long `clean` waits for the end of a rehearsal that was kept.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the command.
pub async fn run(cli: Cli, report: &Report) -> Result<(), Failure> {
    let stop = &Stop::on_signals()?;
    let config = &Config::load(&env::find_root().map_err(Failure::Usage)?)?;
    let Command::Rehearse(args) = cli.command;
    match args.command {
        Some(RehearseCommand::Clean(args)) => {
            let environment = rehearse::environment(config, args.environment.as_deref())?;
            Box::pin(clean(config, environment, report)).await
        }
        None => {
            let environment = rehearse::environment(config, args.story.environment.as_deref())?;
            Box::pin(rehearse(config, environment, &args.story, report, stop)).await
        }
    }
}

async fn rehearse(
    config: &Config,
    environment: &Environment,
    args: &StoryArgs,
    report: &Report,
    stop: &Stop,
) -> Result<(), Failure> {
    let name = &environment.name;
    let place = Place::of(config, name)?;
    let _lock = place.take("rehearses")?;
    if place.has_remains() {
        let removed = clean::clean(&place).await?;
        report.note(&format!("an earlier rehearsal was not cleaned up: {removed}"));
    }
    let ended = Story { config, environment, args, place: &place, report, stop }.tell().await;
    let cleaned = clean::clean(&place).await;
    match &cleaned {
        Ok(removed) => report.note(&format!(
            "cleaned up: {removed}; the engine's build cache stays, so that the next rehearsal builds faster: docker builder prune"
        )),
        Err(error) => report.warn(&format!("{error:#}\n  type: cargo xtask rehearse clean {name}")),
    }
    match ended {
        Ended { account: Some(account), failure } => {
            account.text().lines().for_each(|line| report.detail(line));
            report.result(json!({ "account": account, "html": place.html }), "");
            report.note(&format!("the account as a page: {}", place.html));
            failure.map_or(Ok(()), Err)?;
        }
        Ended { account: None, failure } => {
            place.remove_all()?;
            failure.map_or(Ok(()), Err)?;
        }
    }
    cleaned.map(drop).context("the rehearsal went well, but was not cleaned up").map_err(Failure::Failed)
}

async fn clean(config: &Config, environment: &Environment, report: &Report) -> Result<(), Failure> {
    let place = Place::of(config, &environment.name)?;
    let _lock = take_or_end(&place, report).await?;
    let removed = clean::clean(&place).await?;
    place.remove_all()?;
    report.result(
        json!({ "processes": removed.processes, "containers": removed.containers, "images": removed.images }),
        &removed.to_string(),
    );
    Ok(())
}

/// Takes the lock. A rehearsal that only waits, because of `--keep`, is asked to end.
async fn take_or_end(place: &Place, report: &Report) -> Result<Lock, Failure> {
    let taken = place.take("cleans up");
    if !matches!(taken, Err(Failure::Locked(_))) || !place.end_kept()? {
        return taken;
    }
    report.note("the rehearsal that was kept is asked to end");
    let begin = tokio::time::Instant::now();
    loop {
        match place.take("cleans up") {
            Err(Failure::Locked(_)) if begin.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(50)).await
            }
            taken => return taken,
        }
    }
}
