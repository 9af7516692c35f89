//! One job of a run: what it runs, and what that came to.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use xtask::commands::Context;
use xtask::config::{Environment, Target};
use xtask::failure::Failure;
use xtask::render::{self, Rendered, render};
use xtask::report::Step;
use xtask::sqlx::{self, Schema};
use xtask::state::history;
use xtask::tools::cmd::Cmd;

use super::build::{self, Built};
use super::machine::Takes;
use super::outcome::{Outcome, Reading};
use super::suite::Suite;
use super::timings::Watch;
use crate::processor;

/// How many tests of a program may fail and are run again. More than a few are no accident.
const RUN_AGAIN: usize = 3;

/// A job.
pub struct Job {
    /// What people know it by.
    pub name: String,
    /// What it takes of the machine.
    pub takes: Takes,
    work: Work,
}

/// What a job runs.
pub enum Work {
    /// Compiles the test programs of these suites.
    Build(Vec<Suite>),
    /// Programs that pass or fail as a whole, one after another.
    Whole(Vec<Cmd>),
    /// A program of tests, and how many of them it runs at a time.
    Tests(Cmd, usize),
    /// Something that tests need. Those that do not get it say so.
    Install(Cmd),
    /// Passes without warnings of the compiler and of clippy.
    Warnings(BTreeSet<String>),
    /// Compares the rendered files with what they should be, as this program of the service says.
    Render(Option<Utf8PathBuf>),
    /// Compares the query cache with what a database says. The folder has what was compiled for the tests.
    Queries(Option<Utf8PathBuf>),
    /// Compares the dependencies with deny.toml.
    Dependencies,
}

/// A job that has ended.
pub struct Done {
    /// What people know it by.
    pub name: String,
    /// What it came to.
    pub outcome: Outcome,
    /// What it said, without the words of tests that passed.
    pub lines: Vec<String>,
    /// How long it took.
    pub wall: Duration,
    /// The processor time of its processes; that of servers which outlive them is not in it.
    pub processor: Duration,
    /// How long each of its tests took.
    pub tests: Vec<(String, Duration)>,
}

impl Job {
    /// One that takes nothing but a place among those that run.
    pub fn new(name: &str, work: Work) -> Self {
        Self { name: name.to_owned(), takes: Takes::default(), work }
    }

    /// The same, which takes more.
    pub fn taking(self, takes: Takes) -> Self {
        Self { takes, ..self }
    }

    /// Runs it to its end. A build has a result of its own.
    pub async fn run(self, context: &Context<'_>) -> (Done, Option<Built>) {
        let began = Instant::now();
        let mut done = Done {
            name: self.name,
            outcome: Outcome::default(),
            lines: Vec::new(),
            wall: Duration::ZERO,
            processor: Duration::ZERO,
            tests: Vec::new(),
        };
        let mut built = None;
        match self.work {
            Work::Build(suites) => built = done.build(context, &suites).await,
            Work::Whole(commands) => {
                for command in commands {
                    let ended = done.follow(command).await;
                    done.pass(ended);
                }
            }
            Work::Tests(command, threads) => done.test(command, threads).await,
            Work::Install(command) => {
                if let Err(error) = done.follow(command).await {
                    context.report.warn(&format!("{}: {error:#}", done.name));
                }
            }
            Work::Warnings(warnings) => done.outcome.add(if warnings.is_empty() {
                Outcome::passed()
            } else {
                Outcome::failed(&done.name, warnings.iter().flat_map(|warning| warning.lines()).map(str::to_owned))
            }),
            Work::Render(program) => {
                let rendered = is_rendered(context, program.as_deref()).await;
                done.pass(rendered);
            }
            Work::Queries(compiled) => {
                // Another system's `cp` makes no links.
                if let Some(compiled) = compiled.filter(|_| cfg!(target_os = "linux"))
                    && let Err(error) = lend(&compiled).await
                {
                    context.report.warn(&format!("{}: all is compiled anew: {error:#}", done.name));
                }
                let checked = Box::pin(check_queries(context)).await;
                done.pass(checked);
            }
            Work::Dependencies => done.check_dependencies(context).await,
        }
        done.wall = began.elapsed();
        (done, built)
    }
}

impl Done {
    async fn build(&mut self, context: &Context<'_>, suites: &[Suite]) -> Option<Built> {
        let (built, processor) = build::build(context.config, suites, |line| self.lines.push(line.to_owned())).await;
        self.processor = processor;
        built.map_err(|error| self.outcome.add(Outcome::failed(&self.name, lines(&error)))).ok()
    }

    /// In CI, a few tests that failed are run once more by themselves: nobody is there to do it.
    async fn test(&mut self, command: Cmd, threads: usize) {
        let mut watch = Watch::start(threads);
        self.outcome = self.read(command.clone(), |line| watch.line(line)).await;
        self.tests = watch.tests();
        let failed = self.outcome.failed_tests();
        if is_ci() && (1..=RUN_AGAIN).contains(&failed.len()) {
            let second = self.read(command.arg("--exact").args(failed), |_| {}).await;
            self.outcome.again(second);
        }
    }

    async fn read(&mut self, command: Cmd, mut on_line: impl FnMut(&str)) -> Outcome {
        let mut reading = Reading::default();
        let (ended, processor) = processor::run(command, |line| {
            on_line(line);
            let is_shown = reading.line(line);
            if is_shown {
                self.lines.push(line.to_owned());
            }
            is_shown
        })
        .await;
        self.processor += processor;
        reading.end(&self.name, ended.is_ok())
    }

    async fn follow(&mut self, command: Cmd) -> Result<()> {
        let (ended, processor) = processor::run(command, |line| {
            self.lines.push(line.to_owned());
            true
        })
        .await;
        self.processor += processor;
        ended
    }

    /// Licences, sources and what is banned are known from the packages. The advisories are in a repository of their own: where
    /// it cannot be reached, they are those of an earlier run.
    async fn check_dependencies(&mut self, context: &Context<'_>) {
        let program = match devservers::cargo_deny::install() {
            Ok(program) => program.display().to_string(),
            Err(error) => return self.outcome.skipped.push(format!("{}: {error:#}", self.name)),
        };
        let deny = |args: &[&str]| {
            Cmd::new(&program)
                .args(["--locked", "--color", "never"])
                .args(args.iter().copied())
                .dir(&context.config.root)
        };
        let checked = self.follow(deny(&["check", "licenses", "sources", "bans"])).await;
        self.pass(checked);
        if let Err(error) = self.follow(deny(&["fetch", "db"])).await {
            if !has_advisories() {
                context
                    .report
                    .warn("the advisories on the dependencies were not checked: their repository cannot be reached");
                return;
            }
            context.report.warn(&format!("the advisories are those of an earlier run: {error:#}"));
        }
        let checked = self.follow(deny(&["--offline", "check", "advisories"])).await;
        self.pass(checked);
    }

    /// Something that passes or fails as a whole.
    fn pass(&mut self, ended: Result<()>) {
        self.outcome.add(match ended {
            Ok(()) => Outcome::passed(),
            Err(error) => Outcome::failed(&self.name, lines(&error)),
        });
    }
}

async fn is_rendered(context: &Context<'_>, program: Option<&Utf8Path>) -> Result<()> {
    let files = render(context.config, program.map_or(render::Schema::Build, render::Schema::Program)).await?.files;
    let stale: Vec<String> = files.iter().filter(|file| !file.is_fresh()).map(Rendered::diff).collect();
    anyhow::ensure!(stale.is_empty(), "not up to date; type: cargo xtask render\n{}", stale.join("\n"));
    Ok(())
}

/// Copies what was compiled for the tests to where the queries are compiled, unless something is there. What cargo runs while it compiles is
/// the same for both: it is nearly a half of the processor time.
async fn lend(compiled: &Utf8Path) -> Result<()> {
    let target = compiled.parent().context("it is in a target folder")?;
    let to = target.join("sqlx/debug");
    if to.exists() {
        return Ok(());
    }
    fs_err::create_dir_all(target.join("sqlx"))?;
    let copy = tempfile::Builder::new().prefix("lent-").tempdir_in(target).context("make a folder for a copy")?;
    let begun = Utf8Path::from_path(copy.path()).context("the path of the target folder is not UTF-8")?;
    // cargo writes into files of the first two in place. They are copied first: what is compiled meanwhile is newer than they say.
    for (folder, how) in [(".fingerprint", "-a"), ("build", "-a"), ("deps", "-al")] {
        Cmd::new("cp").args([how, compiled.join(folder).as_str(), begun.as_str()]).run().await?;
    }
    match fs_err::rename(begun, &to) {
        // Another run was faster.
        Err(_) if to.exists() => Ok(()),
        renamed => renamed.context("put the copy into its place"),
    }
}

/// In the environment of this machine.
async fn check_queries(context: &Context<'_>) -> Result<()> {
    let is_local = |environment: &&Environment| matches!(environment.target, Target::Local(_));
    let local = context.config.environments.values().find(is_local);
    let name = &local.context("deploy.yaml has no environment with `target: local`, where tests run")?.name;
    let env = context.env(name).map_err(Failure::into_error)?;
    let schema = Schema::find(&env)?.context("the service has no migrations, or does not use sqlx")?;
    let live = history::live_records(&history::read_all(env.store().map_err(Failure::into_error)?).await?);
    let base = schema.base(live).await?;
    let checked = context.report.step(Step::Sqlx, async |step| Ok(sqlx::check(&schema, base, step).await?));
    let checked = checked.await.map_err(Failure::into_error)?;
    context.report.notices(&checked.notices);
    Ok(())
}

/// Whether this runs in CI.
pub fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|ci| ci == "true")
}

/// Whether cargo-deny has fetched the advisories before.
fn has_advisories() -> bool {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let databases = home.and_then(|home| fs_err::read_dir(home.join("advisory-dbs")).ok());
    databases.is_some_and(|mut databases| databases.any(|entry| entry.is_ok_and(|entry| entry.path().is_dir())))
}

fn lines(error: &anyhow::Error) -> Vec<String> {
    format!("{error:#}").lines().map(str::to_owned).collect()
}
