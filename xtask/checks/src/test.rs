//! Everything that is tested, in one command: it starts what the tests need and counts what they say.

mod engine;
mod outcome;

use std::time::Instant;

use anyhow::{Context as _, Result, anyhow};
use clap::ValueEnum;
use serde_json::json;

use self::engine::Engine;
use self::outcome::{Outcome, Reading};
use xtask::config::{Config, Environment, Target};
use xtask::env::Env;
use xtask::failure::Failure;
use xtask::render;
use xtask::report::{Report, seconds};
use xtask::setup::{Extras, Missing};
use xtask::signals::until_interrupted;
use xtask::sqlx;
use xtask::tools::cargo;
use xtask::tools::cmd::Cmd;
use xtask::tools::postgres::{Choice, Throwaway};

/// Debian's place for backgrounds: real photographs of many sizes.
const PICTURES: &str = "/usr/share/backgrounds";

/// What can be run by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// rustfmt
    Format,
    /// clippy, without warnings
    Lint,
    /// Rendered files are up to date
    Render,
    /// The query cache is fresh
    Queries,
    /// The service, against a real PostgreSQL
    Service,
    /// The toolkit's modules and its built binary
    Toolkit,
    /// The stand-in provider, with a real OpenTofu
    StandIn,
    /// Stacks from nothing to nothing, with a real OpenTofu and a real S3 server
    Tofu,
    /// The service's image, with a real engine and real registries
    Image,
    /// A fresh clone from the first deploy to the rollback, with real processes and load
    Journey,
}

/// Runs the suites, or only some, and closes with their sum. What this machine cannot run is skipped by name; with
/// `CI=true` that is a failure.
pub async fn test(config: &Config, only: &[Suite], report: &Report) -> Result<(), Failure> {
    let started = Instant::now();
    let chosen = |suite: &Suite| only.is_empty() || only.contains(suite);
    let suites: Vec<Suite> = Suite::value_variants().iter().copied().filter(chosen).collect();
    prepare(config, &suites, report).await;
    let engine = Engine::start_if_none().await.unwrap_or_else(|error| {
        report.warn(&format!("{error:#}"));
        None
    });
    let sum = Box::pin(all(config, &suites, report));
    let sum = until_interrupted("what was started for the tests has ended", sum).await;
    if let Some(engine) = engine {
        engine.end().await?;
    }
    let sum = sum?;
    for skipped in &sum.skipped {
        report.warn(&format!("skipped: {skipped}"));
    }
    // Once more, and all together: a long run has said them far above.
    for failed in &sum.failed {
        report.error(&anyhow!(failed.said()).context(format!("{} failed", failed.name)), None);
    }
    let failed: Vec<&str> = sum.failed.iter().map(|failed| failed.name.as_str()).collect();
    let text = format!("{} passed, {} failed, {} skipped", sum.passed, failed.len(), sum.skipped.len());
    let detail = json!({ "passed": sum.passed, "failed": failed, "skipped": sum.skipped, "seconds": started.elapsed().as_secs() });
    report.result(detail, &text);
    if !failed.is_empty() {
        return Err(anyhow!("{} tests failed", failed.len()).into());
    }
    if !sum.skipped.is_empty() && std::env::var("CI").is_ok_and(|ci| ci == "true") {
        return Err(anyhow!("{} tests were skipped, and CI=true allows none", sum.skipped.len()).into());
    }
    Ok(())
}

/// Runs suites one after another.
async fn all(config: &Config, suites: &[Suite], report: &Report) -> Result<Outcome, Failure> {
    let mut sum = Outcome::default();
    for &suite in suites {
        report.note(&format!("{suite:?}: begins"));
        let began = Instant::now();
        let outcome = run(config, suite, report).await;
        let outcome = outcome.unwrap_or_else(|error| Outcome::failed(&name(suite), [format!("{error:#}")]));
        let (passed, failed, skipped) = (outcome.passed, outcome.failed.len(), outcome.skipped.len());
        report.note(&format!(
            "{suite:?}: {passed} passed, {failed} failed, {skipped} skipped in {}",
            seconds(began.elapsed())
        ));
        sum.add(outcome);
    }
    Ok(sum)
}

/// What the tests need on this machine, installed where that takes no decision. Where it does, the tests that need it are
/// skipped by name.
async fn prepare(config: &Config, suites: &[Suite], report: &Report) {
    // It takes minutes to build, where it has to be.
    let tofu = suites.iter().any(|suite| matches!(suite, Suite::StandIn | Suite::Tofu));
    let missing = Missing::find(config, Extras { tests: true, tofu, ..Extras::default() }).await;
    if !missing.names().is_empty() {
        report.note(&format!("installing {}", missing.names().join(", ")));
    }
    if let Err(error) = missing.install(|line| report.detail(line)).await {
        report.warn(&format!("{error:#}"));
    }
}

/// The environment of this machine.
fn local<'a>(config: &'a Config, report: &Report) -> Result<Env<'a>, Failure> {
    let is_local = |environment: &&Environment| matches!(environment.target, Target::Local(_));
    let local = config.environments.values().find(is_local);
    let name = &local.context("deploy.yaml has no environment with `target: local`, where tests run")?.name;
    Env::find(config, name, report)
}

async fn run(config: &Config, suite: Suite, report: &Report) -> Result<Outcome> {
    // A panic tells its place without; with it every error would take its time to walk the stack.
    let cargo = || cargo::cargo(&config.root).env("CARGO_TERM_COLOR", "never").env("RUST_BACKTRACE", "0");
    let tests = || cargo().args(["test", "--no-fail-fast"]);
    let of = |package: &str| tests().args(["--quiet", "--package", package, "--", "--show-output"]);
    // Tests that take the whole machine, one after another.
    let alone =
        |name: &str| tests().args(["--package", "xtask", "--test", name, "--", "--show-output", "--test-threads=1"]);
    let tests = match suite {
        Suite::Format => return Ok(as_one(suite, &cargo().args(["fmt", "--all", "--check"]), report).await),
        Suite::Lint => {
            let clippy = |what: &[&str]| {
                cargo().arg("clippy").args(what.iter().copied()).args(["--quiet", "--", "--deny", "warnings"])
            };
            let mut lint = as_one(suite, &clippy(&["--workspace", "--all-targets"]), report).await;
            // All targets are without those that `cargo test` leaves out, even where they are named beside it.
            let left_out = ["--package", "xtask", "--test", "image", "--test", "journey", "--test", "tofu"];
            lint.add(as_one(suite, &clippy(&left_out), report).await);
            return Ok(lint);
        }
        Suite::Render => return Ok(ended(suite, render::render(config, true, report).await)),
        Suite::Queries => {
            let env = local(config, report).map_err(Failure::into_error)?;
            return Ok(ended(suite, sqlx::check(&env).await));
        }
        Suite::Service => of(&config.service.package).env("TEST_PICTURES_DIR", PICTURES),
        Suite::Toolkit => tests().args(["--quiet", "--package", "xtask", "--package", "checks", "--", "--show-output"]),
        Suite::StandIn => of("standin"),
        Suite::Tofu => alone("tofu"),
        Suite::Image => alone("image"),
        Suite::Journey => alone("journey"),
    };
    if !matches!(suite, Suite::Service | Suite::Image) {
        return Ok(counted(suite, &tests, report).await);
    }
    let database = Throwaway::start(Choice::Auto).await.context("start a PostgreSQL for the tests")?;
    let url = database.server().url("postgres");
    Ok(counted(suite, &tests.secret("TEST_DATABASE_URL", &url), report).await)
}

/// A command of the toolkit's own.
fn ended(suite: Suite, result: Result<(), Failure>) -> Outcome {
    match result {
        Ok(()) => Outcome::passed(),
        Err(failure) => Outcome::failed(&name(suite), [format!("{:#}", failure.into_error())]),
    }
}

/// A program that passes or fails as a whole.
async fn as_one(suite: Suite, command: &Cmd, report: &Report) -> Outcome {
    let mut said = Vec::new();
    let ended = command.run_lines(|line| {
        said.push(line.to_owned());
        report.detail(line);
    });
    if ended.await.is_ok() { Outcome::passed() } else { Outcome::failed(&name(suite), said) }
}

/// `cargo test`, whose closing lines are added up.
async fn counted(suite: Suite, command: &Cmd, report: &Report) -> Outcome {
    let mut reading = Reading::default();
    let ended = command.run_lines(|line| {
        if reading.line(line) {
            report.detail(line);
        }
    });
    let well = ended.await.is_ok();
    reading.end(&name(suite), well)
}

fn name(suite: Suite) -> String {
    format!("{suite:?}").to_lowercase()
}
