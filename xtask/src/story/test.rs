//! Everything that is tested, in one command: it starts what the tests need and counts what they say.

mod engine;

use std::cell::RefCell;
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow};
use clap::ValueEnum;
use serde_json::json;

use self::engine::Engine;
use super::setup::{self, Also};
use super::{Env, Failure, sqlx};
use crate::config::{Config, Environment, Target};
use crate::render;
use crate::report::{Report, seconds};
use crate::tool::cargo;
use crate::tool::cmd::Cmd;
use crate::tool::postgres::{Choice, Throwaway};

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

#[derive(Clone, Debug, Default)]
struct Count {
    passed: u64,
    failed: u64,
    skipped: Vec<String>,
}

/// Runs the suites, or only some, and closes with their sum. What this machine cannot run is skipped by name; with
/// `CI=true` that is a failure.
pub async fn test(config: &Config, only: &[Suite], report: &Report) -> Result<(), Failure> {
    let started = Instant::now();
    let chosen = |suite: &Suite| only.is_empty() || only.contains(suite);
    let suites: Vec<Suite> = Suite::value_variants().iter().copied().filter(chosen).collect();
    prepare(config, report).await?;
    let engine = Engine::start_if_none().await.unwrap_or_else(|error| {
        report.warn(&format!("{error:#}"));
        None
    });
    let mut sum = Count::default();
    for suite in suites {
        report.note(&format!("{suite:?}: begins"));
        let began = Instant::now();
        let count = run(config, suite, report).await?;
        report.note(&format!(
            "{suite:?}: {} passed, {} failed, {} skipped in {}",
            count.passed,
            count.failed,
            count.skipped.len(),
            seconds(began.elapsed())
        ));
        sum.passed += count.passed;
        sum.failed += count.failed;
        sum.skipped.extend(count.skipped);
    }
    if let Some(engine) = engine {
        engine.end().await?;
    }
    for skipped in &sum.skipped {
        report.warn(&format!("skipped: {skipped}"));
    }
    let text = format!("{} passed, {} failed, {} skipped", sum.passed, sum.failed, sum.skipped.len());
    let detail = json!({ "passed": sum.passed, "failed": sum.failed, "skipped": sum.skipped, "seconds": started.elapsed().as_secs() });
    report.result(detail, &text);
    if sum.failed > 0 {
        return Err(anyhow!("{} tests failed", sum.failed).into());
    }
    if !sum.skipped.is_empty() && std::env::var("CI").is_ok_and(|ci| ci == "true") {
        return Err(anyhow!("{} tests were skipped, and CI=true allows none", sum.skipped.len()).into());
    }
    Ok(())
}

/// What the tests need on this machine, installed where that takes no decision. Where it does, the tests that need it are
/// skipped by name.
async fn prepare(config: &Config, report: &Report) -> Result<(), Failure> {
    let env = local(config, report)?;
    if let Err(failure) = setup::setup(&env, Also { tests: true, ..Also::default() }, false).await {
        report.warn(&format!("{:#}", failure.into_error()));
    }
    Ok(())
}

/// The environment of this machine.
fn local<'a>(config: &'a Config, report: &Report) -> Result<Env<'a>, Failure> {
    let is_local = |environment: &&Environment| matches!(environment.target, Target::Local(_));
    let local = config.environments.values().find(is_local);
    let name = &local.context("deploy.yaml has no environment with `target: local`, where tests run")?.name;
    Env::find(config, name, report)
}

async fn run(config: &Config, suite: Suite, report: &Report) -> Result<Count> {
    let cargo = || cargo::cargo(&config.root).env("CARGO_TERM_COLOR", "never");
    // Tests that take the whole machine, one after another.
    let alone = |name: &str| {
        let tests = cargo().args(["test", "--package", "xtask", "--test", name]);
        tests.args(["--", "--show-output", "--test-threads=1"])
    };
    match suite {
        Suite::Format => as_one(&cargo().args(["fmt", "--all", "--check"]), report).await,
        Suite::Lint => {
            as_one(
                // Targets that `cargo test` leaves out are no part of all targets.
                &cargo()
                    .args([
                        "clippy",
                        "--workspace",
                        "--all-targets",
                        "--test",
                        "image",
                        "--test",
                        "journey",
                        "--test",
                        "tofu",
                    ])
                    .args(["--quiet", "--", "--deny", "warnings"]),
                report,
            )
            .await
        }
        Suite::Render => Ok(ended(render::render(config, true, report).await, report)),
        Suite::Queries => {
            let env = local(config, report).map_err(Failure::into_error)?;
            Ok(ended(sqlx::check(&env).await, report))
        }
        Suite::Service => {
            let database = Throwaway::start(Choice::Auto).await.context("start a PostgreSQL for the tests")?;
            let tests = cargo().args(["test", "--package", &config.service.package, "--quiet"]);
            let tests = tests
                .secret("TEST_DATABASE_URL", &database.server().url("postgres"))
                .env("TEST_PICTURES_DIR", PICTURES);
            counted(&tests.args(["--", "--show-output"]), report).await
        }
        Suite::Toolkit => {
            counted(&cargo().args(["test", "--package", "xtask", "--quiet", "--", "--show-output"]), report).await
        }
        Suite::StandIn => {
            counted(&cargo().args(["test", "--package", "standin", "--quiet", "--", "--show-output"]), report).await
        }
        Suite::Tofu => counted(&alone("tofu"), report).await,
        Suite::Image => {
            let database = Throwaway::start(Choice::Auto).await.context("start a PostgreSQL for the tests")?;
            counted(&alone("image").secret("TEST_DATABASE_URL", &database.server().url("postgres")), report).await
        }
        Suite::Journey => counted(&alone("journey"), report).await,
    }
}

/// A command of the toolkit's own.
fn ended(result: Result<(), Failure>, report: &Report) -> Count {
    match result {
        Ok(()) => Count { passed: 1, ..Count::default() },
        Err(failure) => {
            report.detail(&format!("{:#}", failure.into_error()));
            Count { failed: 1, ..Count::default() }
        }
    }
}

/// A program that passes or fails as a whole.
async fn as_one(command: &Cmd, report: &Report) -> Result<Count> {
    match command.run_lines(|line| report.detail(line)).await {
        Ok(()) => Ok(Count { passed: 1, ..Count::default() }),
        Err(_) => Ok(Count { failed: 1, ..Count::default() }),
    }
}

/// `cargo test`, whose closing lines are added up. A run that fails and names no failed test did not compile.
async fn counted(command: &Cmd, report: &Report) -> Result<Count> {
    let count = RefCell::new(Count::default());
    let ended = command
        .run_lines(|line| {
            count.borrow_mut().read(line);
            report.detail(line);
        })
        .await;
    let mut count = count.into_inner();
    if ended.is_err() && count.failed == 0 {
        count.failed = 1;
    }
    Ok(count)
}

impl Count {
    /// `test result: ok. 12 passed; 0 failed; 1 ignored; …` and `SKIPPED name: why`.
    fn read(&mut self, line: &str) {
        if let Some(skipped) = line.trim_start().strip_prefix("SKIPPED ") {
            self.skipped.push(skipped.to_owned());
        }
        let Some((_, counts)) = line.split_once("test result: ").and_then(|(_, rest)| rest.split_once(". ")) else {
            return;
        };
        for part in counts.split("; ") {
            match part.split_once(' ') {
                Some((number, "passed")) => self.passed += number.parse::<u64>().unwrap_or_default(),
                Some((number, "failed")) => self.failed += number.parse::<u64>().unwrap_or_default(),
                Some((number, "ignored")) if number != "0" => self.skipped.push(format!("{number} ignored tests")),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_lines_of_a_test_run_are_added_up() {
        let mut count = Count::default();
        for line in [
            "running 14 tests",
            "test result: FAILED. 12 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s",
            "SKIPPED as_an_ordinary_user: takes root",
        ] {
            count.read(line);
        }
        assert_eq!((count.passed, count.failed), (15, 2));
        assert_eq!(count.skipped, ["1 ignored tests", "as_an_ordinary_user: takes root"]);
    }
}
