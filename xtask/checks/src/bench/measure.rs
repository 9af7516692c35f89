//! The measurements.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::deployed::{Deployed, breakdown};
use super::load::{CLIENTS, Seen, load};
use super::scratch::Scratch;
use super::table::{Goal, Row, said, text};
use super::turns::{Turns, median};
use super::{built, by_hand};
use crate::processor;
use xtask::failure::Failure;
use xtask::report::{Report, Step};
use xtask::targets::{Serving, Target};
use xtask::tools::cmd::Cmd;

/// A dependency of the toolkit, large and of the same kind as the rest: what its cold build is compared with.
pub const COLD_REFERENCE: &str = "reqwest";

/// The toolkit's help, against another program that prints a line.
pub async fn help(scratch: &Scratch) -> Result<Row> {
    let (help, git) = (scratch.toolkit().arg("--help"), Cmd::new("git").arg("--version"));
    let turns = Turns::take(20, async || timed(&help).await, async || timed(&git).await, |_, _| {}).await?;
    let what = format!("`--help` of the toolkit{}, against `git --version`", built());
    Ok(Row { what, turns, goals: vec![Goal::Within(Duration::from_millis(10))], notes: Vec::new() })
}

/// The rendered files compared with the tree, against git's look at the same tree.
pub async fn render_check(scratch: &Scratch) -> Result<Row> {
    let check = scratch.toolkit().args(["render", "--check"]);
    let git = Cmd::new("git").args(["status", "--porcelain"]).dir(scratch.root());
    let turns = Turns::take(20, async || timed(&check).await, async || timed(&git).await, |_, _| {}).await?;
    let what = format!("`render --check`{}, against `git status`", built());
    Ok(Row { what, turns, goals: vec![Goal::Within(Duration::from_millis(100))], notes: Vec::new() })
}

/// A deploy of what serves already, against the least that tells that it does.
pub async fn no_op(scratch: &Scratch, report: &Report) -> Result<Row> {
    let service = live(scratch, report).await?.service;
    let deploys = RefCell::new(Vec::new());
    let deploy = async || {
        let deployed = scratch.deploy().await?;
        ensure!(deployed.unchanged, "a deploy of what serves already did something");
        let wall = deployed.wall;
        deploys.borrow_mut().push(deployed);
        Ok(wall)
    };
    let turns = Turns::take(9, deploy, async || by_hand::look(scratch, &service).await, said(report)).await?;
    let what = "a deploy with nothing to do, against `git rev-parse` + `cargo metadata` + a question to the service";
    let goals = vec![Goal::Within(Duration::from_secs(1)), Goal::Times(3.0)];
    Ok(Row { what: what.to_owned(), turns, goals, notes: vec![breakdown(&deploys.borrow()[1..])] })
}

/// A deploy of a changed line of source, against cargo's build of such a change and a start of what it built.
pub async fn change(scratch: &Scratch, report: &Report) -> Result<Row> {
    drop(live(scratch, report).await?);
    let settings = by_hand::settings(scratch, report).await?;
    let (deploys, starts) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
    let deploy = async || {
        scratch.change_source().await?;
        let deployed = scratch.deploy().await?;
        let wall = deployed.wall;
        deploys.borrow_mut().push(deployed);
        Ok(wall)
    };
    let by_hand = async || {
        scratch.change_source().await?;
        let built = by_hand::build(scratch).await?;
        let started = by_hand::start(scratch, &settings).await?;
        starts.borrow_mut().push(started);
        Ok(built + started)
    };
    let turns = Turns::take(3, deploy, by_hand, said(report)).await?;
    let what = "a deploy of a changed source line, against `cargo build --release` of another and the service's start";
    let own = own_cost(&deploys.borrow()[1..], &starts.borrow()[1..], turns.reference.median());
    let notes = vec![breakdown(&deploys.borrow()[1..]), own];
    Ok(Row { what: what.to_owned(), turns, goals: vec![Goal::Times(1.03)], notes })
}

/// The toolkit's first build, against that of one of its dependencies. Once: it takes minutes.
pub async fn cold_build(scratch: &Scratch, report: &Report) -> Result<Row> {
    scratch.cargo().args(["fetch", "--locked"]).run().await?;
    let build = |package: &str| scratch.cargo().args(["build", "--offline", "--package", package]);
    let toolkit = Compiled::cold(scratch, xtask::PACKAGE, build(xtask::PACKAGE), report).await?;
    let reference = Compiled::cold(scratch, COLD_REFERENCE, build(COLD_REFERENCE), report).await?;
    let what = format!("the first debug build of the toolkit, downloads aside, against {COLD_REFERENCE}'s");
    let notes = vec![format!("{}; {COLD_REFERENCE}: {}", toolkit.summary(), reference.summary())];
    Ok(Row { what, turns: Turns::once(toolkit.wall, reference.wall), goals: Vec::new(), notes })
}

/// The longest that a client waits for an answer while a release takes over, against one of a service left in peace.
pub async fn switch(scratch: &Scratch, report: &Report) -> Result<Row> {
    let service = live(scratch, report).await?.service;
    let (lasted, all, peace) =
        (Cell::new(Duration::ZERO), RefCell::new(Seen::default()), RefCell::new(Seen::default()));
    let switch = async || {
        scratch.change_version()?;
        let (deployed, seen) = load(&service, scratch.deploy()).await?;
        lasted.set(deployed.wall);
        all.borrow_mut().add(&seen);
        Ok(seen.gap)
    };
    let in_peace = async || {
        let rest = async {
            tokio::time::sleep(lasted.get()).await;
            Ok(())
        };
        let ((), seen) = load(&service, rest).await?;
        peace.borrow_mut().add(&seen);
        Ok(seen.gap)
    };
    let turns = Turns::take(5, switch, in_peace, said(report)).await?;
    let what = format!(
        "the longest wait of {CLIENTS} clients for an answer while one release takes over from another, against as long a \
         time without a deploy"
    );
    let notes =
        vec![format!("questions without a good answer: {} in deploys, {} without", all.borrow(), peace.borrow())];
    Ok(Row { what, turns, goals: Vec::new(), notes })
}

/// A cold build.
pub struct Compiled {
    /// From the start of cargo to its end.
    pub wall: Duration,
    processor: Duration,
    crates: u32,
}

impl Compiled {
    /// Has cargo build a package into an empty folder.
    pub async fn cold(scratch: &Scratch, package: &str, build: Cmd, report: &Report) -> Result<Self> {
        let target = scratch.empty_target()?;
        let build = build.env("CARGO_TARGET_DIR", target.as_os_str()).env("CARGO_TERM_COLOR", "never");
        let mut crates = 0;
        let began = Instant::now();
        let (ended, processor) = processor::run(build, |line| {
            if line.trim_start().starts_with("Compiling ") {
                crates += 1;
                if crates % 50 == 0 {
                    report.detail(&format!("{package}: {crates} crates begun"));
                }
            }
            true
        })
        .await;
        ended?;
        let wall = began.elapsed();
        scratch.empty_target()?;
        Ok(Self { wall, processor, crates })
    }

    /// Crates, time and processor time.
    pub fn summary(&self) -> String {
        let each = self.processor.checked_div(self.crates).unwrap_or_default();
        let (wall, processor) = (text(self.wall), text(self.processor));
        format!("{} crates in {wall}, {processor} of processor time, {} a crate", self.crates, text(each))
    }
}

/// The release that serves in the clone. The first time, everything is compiled for it.
async fn live(scratch: &Scratch, report: &Report) -> Result<Serving> {
    report.detail("deploying the commit; the first time, that compiles all of the service");
    scratch.deploy().await?;
    let env = scratch.env()?;
    let serving = Target::of(&env).serving().await.map_err(Failure::into_error)?;
    serving.context("nothing serves after a deploy")
}

/// How long a command takes.
pub async fn timed(command: &Cmd) -> Result<Duration> {
    let began = Instant::now();
    command.capture().await?;
    Ok(began.elapsed())
}

/// What the toolkit adds, free of the noise of two builds: what a deploy takes beside its build, less a start by hand.
fn own_cost(deploys: &[Deployed], starts: &[Duration], reference: Duration) -> String {
    let beside = median(deploys.iter().map(|deploy| deploy.without(&[Step::Build]).as_secs_f64()).collect());
    let start = median(starts.iter().map(Duration::as_secs_f64).collect());
    let share = (beside - start) / reference.as_secs_f64() * 100.0;
    let duration = |seconds| text(Duration::from_secs_f64(seconds));
    format!(
        "beside its build a deploy takes {}, a start by hand {}: {share:+.1} % of the reference",
        duration(beside),
        duration(start)
    )
}
