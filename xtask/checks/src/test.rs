//! Everything that is tested, in one command: it installs and starts what the tests need, compiles all of them once, runs
//! side by side what can be, and counts.

mod build;
mod install;
mod job;
mod leftovers;
mod machine;
mod outcome;
mod plan;
mod progress;
mod suite;
mod timings;

use std::os::unix::fs::MetadataExt as _;

use anyhow::{Context as _, anyhow};
use camino::Utf8Path;
use clap::Args;
use devservers::MachineEngine;
use futures_util::future::join_all;
use serde_json::json;
use xtask::commands::Context;
use xtask::commands::checks::TEST_EXAMPLES;
use xtask::failure::Failure;
use xtask::tools::cmd::Cmd;
use xtask::tools::platform;
use xtask::tools::postgres::{Choice, Throwaway};

pub use self::install::InstallArgs;

use self::build::Built;
use self::job::{Job, Work};
use self::leftovers::Folder;
use self::machine::Machine;
use self::outcome::{Failed, Outcome};
use self::progress::Progress;
use self::suite::Suite;

/// What all tests take of the disk at most, in bytes, in the folder for temporary files: builds of clones, images, databases.
const TEMPORARY: u64 = 20_000_000_000;
/// And in `target`: builds of this checkout.
const BUILT: u64 = 10_000_000_000;

/// Run all tests
#[derive(Args, Debug)]
#[command(after_help = TEST_EXAMPLES)]
pub struct TestArgs {
    /// Only this suite; may be repeated
    #[arg(long, value_name = "SUITE")]
    only: Vec<Suite>,

    /// Every fault and every case, where otherwise a sample is tested: takes much longer
    #[arg(long)]
    thorough: bool,

    /// Print how long each part took, and the slowest tests
    #[arg(long)]
    timings: bool,
}

impl TestArgs {
    /// Runs the command. It closes with the number of tests that passed, failed and were skipped. What this machine cannot
    /// run is skipped by name; with `CI=true` that is a failure.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let Context { report, stop, .. } = *context;
        let folder = Folder::new()?;
        let progress = Progress::new(report);
        let run = Run { context, args: &self, suites: Suite::chosen(&self.only), folder: &folder, progress: &progress };
        let ended = tokio::select! {
            ended = stop.cancels("everything that the tests had started has ended", Box::pin(run.all())) => ended,
            () = progress.signs_of_life() => Ok(()),
        };
        folder.remove()?;
        if self.timings {
            timings::print(&progress, report);
        }
        ended?;
        conclude(&progress, context)
    }
}

/// One run of the tests.
struct Run<'a> {
    context: &'a Context<'a>,
    args: &'a TestArgs,
    suites: Vec<Suite>,
    folder: &'a Folder,
    progress: &'a Progress,
}

impl Run<'_> {
    async fn all(&self) -> Result<(), Failure> {
        let Context { config, report, .. } = *self.context;
        let machine = Machine::new(plan::places());
        self.look_at_the_disk();
        install::for_the_compiler(self.context).await;
        // The compiler needs none of what the tests need.
        let (built, (), ()) = tokio::join!(
            self.build(),
            install::for_the_tests(self.context, &self.suites, self.progress),
            self.jobs(plan::before_the_build(config, &self.suites), &machine)
        );
        // Its images go with the folder: those of one run after another fill a disk.
        let images = self.folder.path().join("docker");
        let _engine = MachineEngine::start_if_none(Some(images.as_std_path())).unwrap_or_else(|error| {
            report.warn(&format!("{error:#}"));
            None
        });
        self.after_the_build(built, &machine).await
    }

    /// On a full disk tests fail one after another, each for a reason of its own.
    fn look_at_the_disk(&self) {
        if !self.args.only.is_empty() {
            return;
        }
        let (temporary, target) = (self.folder.path(), &self.context.config.root.join("target"));
        for (folder, takes) in taken(temporary, target) {
            let free = platform::free_bytes(folder).unwrap_or(takes);
            if free < takes {
                let fix = if folder == temporary { "; set TMPDIR to a folder on a larger disk" } else { "" };
                let (free, takes) = (free / 1_000_000_000, takes / 1_000_000_000);
                let text = format!("{free} GB are free at {folder}, and all tests take up to {takes} GB there{fix}");
                self.context.report.warn(&text);
            }
        }
    }

    async fn build(&self) -> Built {
        if !self.suites.iter().any(|suite| suite.has_programs()) {
            return Built::default();
        }
        let work = Work::Build(self.suites.clone());
        self.job(Job::new("compile", work)).await.unwrap_or_default()
    }

    async fn after_the_build(&self, built: Built, machine: &Machine) -> Result<(), Failure> {
        let mut database = None;
        if self.suites.iter().any(|suite| suite.takes_database()) {
            database = Some(Throwaway::start(Choice::Auto).await.context("start a PostgreSQL for the tests")?);
        }
        let url = database.as_ref().map(|database| database.server().url("postgres"));
        let config = self.context.config;
        let commit = Cmd::new("git").args(["rev-parse", "HEAD"]).dir(&config.root).capture().await?;
        let setting = plan::Setting {
            folder: self.folder,
            thorough: self.args.thorough,
            seed: commit.chars().take(12).collect(),
            database: url.as_ref(),
        };
        self.jobs(plan::after_the_build(config, &self.suites, &built, &setting), machine).await;
        Ok(())
    }

    /// Runs jobs side by side, as far as the machine has what they take.
    async fn jobs(&self, jobs: Vec<Job>, machine: &Machine) {
        join_all(jobs.into_iter().map(async |job| {
            let _held = machine.hold(job.takes).await;
            self.job(job).await;
        }))
        .await;
    }

    async fn job(&self, job: Job) -> Option<Built> {
        self.progress.begins(&job.name);
        let (done, built) = job.run(self.context).await;
        self.progress.ends(done);
        built
    }
}

/// What all tests take of each file system, at a folder on it.
fn taken<'a>(temporary: &'a Utf8Path, target: &'a Utf8Path) -> Vec<(&'a Utf8Path, u64)> {
    let device = |path: &Utf8Path| {
        let existing = path.ancestors().find_map(|path| fs_err::metadata(path).ok())?;
        Some(existing.dev())
    };
    match device(temporary) == device(target) {
        true => vec![(temporary, TEMPORARY + BUILT)],
        false => vec![(temporary, TEMPORARY), (target, BUILT)],
    }
}

/// Shows once more and all together what failed, and the sum.
fn conclude(progress: &Progress, context: &Context<'_>) -> Result<(), Failure> {
    let report = context.report;
    let mut sum = Outcome::default();
    progress.done().iter().for_each(|done| sum.add(done.outcome.clone()));
    for skipped in &sum.skipped {
        report.warn(&format!("skipped: {skipped}"));
    }
    for flaky in &sum.flaky {
        report.warn(&format!("flaky: {} failed, and passed when it was run again:\n{}", flaky.name, flaky.said()));
    }
    for failed in &sum.failed {
        report.error(&anyhow!(failed.said()).context(format!("{} failed", failed.name)));
    }
    let names = |failed: &[Failed]| failed.iter().map(|failed| failed.name.clone()).collect::<Vec<_>>();
    let (failed, flaky) = (names(&sum.failed), names(&sum.flaky));
    let text = format!("{} passed, {} failed, {} skipped", sum.passed, failed.len(), sum.skipped.len());
    let seconds = progress.elapsed().as_secs();
    let detail = json!({
        "passed": sum.passed, "failed": failed, "flaky": flaky, "skipped": sum.skipped, "seconds": seconds
    });
    report.result(detail, &text);
    if !failed.is_empty() {
        return Err(anyhow!("{} tests failed", failed.len()).into());
    }
    if !sum.skipped.is_empty() && job::is_ci() {
        return Err(anyhow!("{} tests were skipped, and CI=true allows none", sum.skipped.len()).into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_on_one_file_system_share_its_room() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(folder.path()).unwrap();
        let below = folder.join("not/yet/there");
        assert_eq!(taken(folder, &below), [(folder, 30_000_000_000)]);
        let other = Utf8Path::new("/dev");
        assert_eq!(taken(folder, other), [(folder, 20_000_000_000), (other, 10_000_000_000)]);
    }
}
