//! The jobs of a run: what each suite runs, and what that takes.

use std::cmp::Reverse;
use std::num::NonZero;

use camino::Utf8Path;
use secrecy::SecretString;
use xtask::config::Config;
use xtask::tools::cmd::{Cmd, Inherited};

use super::build::{Built, Program, cargo};
use super::job::{Job, Work};
use super::leftovers::Folder;
use super::suite::Suite;

/// Debian's place for backgrounds: real photographs of many sizes.
const PICTURES: &str = "/usr/share/backgrounds";

/// The folder of the service's web UI.
const WEB: &str = "app/web";

/// What the test programs are run with.
pub struct Setting<'a> {
    /// For temporary files.
    pub folder: &'a Folder,
    /// All cases, where otherwise a sample is tested.
    pub thorough: bool,
    /// What chooses the samples.
    pub seed: String,
    /// The PostgreSQL server of those that take one.
    pub database: Option<&'a SecretString>,
}

/// How many jobs run at a time: one more than there are processors, as most of them wait at times.
pub fn places() -> usize {
    processors() + 1
}

/// The jobs that take nothing that is compiled for the tests.
pub fn before_the_build(config: &Config, suites: &[Suite]) -> Vec<Job> {
    let format = cargo(config).args(["fmt", "--all", "--check"]);
    let format = Job::new(&Suite::Format.to_string(), Work::Whole(vec![format]));
    if suites.contains(&Suite::Format) { vec![format] } else { Vec::new() }
}

/// All others. Those that wait most and take longest begin. The last are those that run many tests side by side, so that all
/// processors compute until the end.
pub fn after_the_build(config: &Config, suites: &[Suite], built: &Built, setting: &Setting<'_>) -> Vec<Job> {
    let programs = built.programs.iter().map(|program| (Suite::of(program, &config.service.package), program));
    let mut programs: Vec<_> = programs.filter(|(suite, _)| suites.contains(suite)).collect();
    programs.sort_by_key(|(suite, program)| (Reverse(*suite), program.is_unit));
    let (last, first): (Vec<_>, Vec<_>) =
        programs.into_iter().partition(|(suite, _)| matches!(suite, Suite::Toolkit | Suite::Service));
    let job = |(suite, program): (Suite, &Program)| tests(suite, program, built, setting);
    let mut jobs: Vec<Job> = first.into_iter().map(job).collect();
    if suites.contains(&Suite::Queries) {
        let compiled = built.binaries.values().next().and_then(|program| program.parent());
        jobs.push(Job::new(&Suite::Queries.to_string(), Work::Queries(compiled.map(Utf8Path::to_owned))));
    }
    if suites.contains(&Suite::Web) {
        jobs.push(Job::new(&Suite::Web.to_string(), Work::Whole(web(config, built, setting))));
    }
    if suites.contains(&Suite::Lint) {
        // What did not compile has failed already.
        if !built.programs.is_empty() {
            jobs.push(Job::new(&Suite::Lint.to_string(), Work::Warnings(built.warnings.clone())));
        }
        jobs.push(Job::new("lint: dependencies", Work::Dependencies));
    }
    if suites.contains(&Suite::Render) {
        let program = built.binaries.get(&config.service.binary).cloned();
        jobs.push(Job::new(&Suite::Render.to_string(), Work::Render(program)));
    }
    jobs.extend(last.into_iter().map(job));
    jobs
}

fn tests(suite: Suite, program: &Program, built: &Built, setting: &Setting<'_>) -> Job {
    let (takes, threads) = suite.takes();
    let threads = threads.unwrap_or_else(processors);
    let mut command = Cmd::new(program.executable.as_str())
        .inherits(Inherited::All)
        .args(["--show-output".to_owned(), format!("--test-threads={threads}")])
        .dir(&program.folder)
        .without_env(xtask::tools::cargo::inherited())
        .env("CARGO", xtask::tools::cargo::program())
        .env("CARGO_MANIFEST_DIR", program.folder.as_os_str())
        .env("CARGO_TERM_COLOR", "never")
        // A panic tells its place without; with it every error would take its time to walk the stack.
        .env("RUST_BACKTRACE", "0")
        .env("TMPDIR", setting.folder.path().as_os_str())
        .env("TEST_SEED", &setting.seed)
        .env("TEST_PICTURES_DIR", PICTURES);
    if setting.thorough {
        command = command.env("TEST_THOROUGH", "1");
    }
    for (name, program) in &built.binaries {
        command = command.env(format!("CARGO_BIN_EXE_{name}"), program.as_os_str());
    }
    if let Some(url) = setting.database.filter(|_| suite.takes_database()) {
        command = command.secret("TEST_DATABASE_URL", url);
    }
    let kind = if program.is_unit { "units of " } else { "" };
    let name = if suite.to_string() == program.target {
        suite.to_string()
    } else {
        format!("{suite}: {kind}{}", program.target)
    };
    Job::new(&name, Work::Tests(command, threads)).taking(takes)
}

/// The packages, what needs no browser, the build, and journeys of people in a browser, with the program of the service.
fn web(config: &Config, built: &Built, setting: &Setting<'_>) -> Vec<Cmd> {
    let folder = config.root.join(WEB);
    let npm = |args: &[&str]| Cmd::new("npm").inherits(Inherited::All).args(args.iter().copied()).dir(&folder);
    let mut commands = vec![npm(&["ci", "--no-progress"])];
    commands.extend(["check", "lint", "test", "build"].map(|script| npm(&["run", script])));
    let mut browser = npm(&["run", "test:browser"]).env("TMPDIR", setting.folder.path().as_os_str());
    if let Some(program) = built.binaries.get(&config.service.binary) {
        browser = browser.env("APP_BINARY", program.as_os_str());
    }
    if let Some(url) = setting.database {
        browser = browser.secret("TEST_DATABASE_URL", url);
    }
    // Installed by now. Without it, what takes it is skipped by name, or fails with `CI=true`.
    if let Ok(server) = devservers::versitygw::install() {
        browser = browser.env("VERSITYGW", server.as_os_str());
    }
    commands.push(browser);
    commands
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}
