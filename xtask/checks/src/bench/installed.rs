//! What it costs to adopt the toolkit: to install the program, to start it, and a deploy with nothing to do of a service that knows
//! nothing of it. The program is compiled as `cargo install` compiles it; how large it is, as the workflow `binaries` does.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use camino::Utf8PathBuf;
use xtask::clients::service::Service;
use xtask::config;
use xtask::report::Report;
use xtask::tools::cmd::{Cmd, Inherited};

use super::deployed::{Deployed, breakdown};
use super::measure::{COLD_REFERENCE, Compiled, timed};
use super::scratch::{Scratch, free_port};
use super::table::{Goal, Row, said};
use super::turns::Turns;

/// The program's package, and its own name.
const PROGRAM: &str = "cutover";
/// The service, in the clone.
const SERVICE: &str = "xtask/tests/foreign";
/// The line of its deploy.yaml that names its port, up to the port.
const PORT: &str = "port: 3999";

/// The first installation, downloads aside, against the compilation of one dependency. Once: it takes minutes.
pub async fn install(scratch: &Scratch, report: &Report) -> Result<Row> {
    let (turns, _, notes) = compiled(scratch, "release", report).await?;
    let what = format!("`cargo install` of {PROGRAM}, downloads aside, against a release build of {COLD_REFERENCE}");
    Ok(Row { what, turns, goals: Vec::new(), notes })
}

/// How large the program is as it is released. Compiled once, which takes longer than an installation.
pub async fn size(scratch: &Scratch, report: &Report) -> Result<Row> {
    let (turns, megabytes, notes) = compiled(scratch, "dist", report).await?;
    let what = format!("{PROGRAM} compiled as it is released, downloads aside, against {COLD_REFERENCE}");
    let goals = vec![Goal::AtMost { what: "MB", most: 25.0, took: megabytes }];
    Ok(Row { what, turns, goals, notes })
}

/// The program compiled by a profile into an empty folder, and its size in MB.
async fn compiled(scratch: &Scratch, profile: &'static str, report: &Report) -> Result<(Turns, f64, Vec<String>)> {
    scratch.cargo().args(["fetch", "--locked"]).run().await?;
    let place = Place::of(scratch, profile).await?;
    let program = Compiled::cold(scratch, PROGRAM, place.install(scratch), report).await?;
    place.finish()?;
    let build = scratch.cargo().args(["build", "--offline", "--profile", profile, "--package", COLD_REFERENCE]);
    let reference = Compiled::cold(scratch, COLD_REFERENCE, build, report).await?;
    let megabytes = fs_err::metadata(place.program())?.len() as f64 / 1e6;
    let notes =
        vec![format!("{megabytes:.1} MB"), format!("{}; {COLD_REFERENCE}: {}", program.summary(), reference.summary())];
    Ok((Turns::once(program.wall, reference.wall), megabytes, notes))
}

/// The installed program's help, against another program that prints a line.
pub async fn help(scratch: &Scratch, report: &Report) -> Result<Row> {
    let help = Cmd::new(installed(scratch, report).await?).inherits(Inherited::All).arg("--help");
    let git = Cmd::new("git").arg("--version");
    let turns = Turns::take(40, async || timed(&help).await, async || timed(&git).await, |_, _| {}).await?;
    let what = format!("`{PROGRAM} --help` as it is installed, against `git --version`");
    Ok(Row { what, turns, goals: vec![Goal::Within(Duration::from_millis(10))], notes: Vec::new() })
}

/// A deploy of what serves already in another repository, against the least that tells that it does.
pub async fn no_op(scratch: &Scratch, report: &Report) -> Result<Row> {
    let site = Site::make(scratch, report).await?;
    let measured = site.measure(report).await;
    let ended = scratch.end_site().await.context("stop the service of another repository");
    let row = measured?;
    ended.map(|()| row)
}

/// Another repository, with the service and a port of its own.
struct Site {
    toolkit: Cmd,
    root: Utf8PathBuf,
    service: Service,
}

impl Site {
    async fn make(scratch: &Scratch, report: &Report) -> Result<Self> {
        let program = installed(scratch, report).await?;
        // Always the same: what a run that was interrupted left there is found and stopped.
        let root = scratch.site();
        let from = scratch.root().join(SERVICE);
        Cmd::new("cp").args(["-R", from.as_str(), root.as_str()]).run().await?;
        let (path, port) = (root.join(config::FILE), free_port()?);
        let text = fs_err::read_to_string(&path)?;
        ensure!(text.contains(PORT), "{SERVICE}/{} has no `{PORT}`", config::FILE);
        fs_err::write(&path, text.replace(PORT, &format!("port: {port}")))?;
        fs_err::write(root.join(".gitignore"), "/.deploy\n/target\n")?;
        let git = async |args: &[&str]| {
            let who = ["-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgsign=false"];
            Cmd::new("git").args(who).args(args.iter().copied()).dir(&root).run().await
        };
        git(&["init", "--quiet"]).await?;
        git(&["add", "."]).await?;
        git(&["commit", "--quiet", "--message", "First"]).await?;
        let toolkit = Cmd::new(program).inherits(Inherited::All).dir(&root);
        let service = Service::new(format!("http://127.0.0.1:{port}/health"))?;
        Ok(Self { toolkit, root, service })
    }

    async fn measure(&self, report: &Report) -> Result<Row> {
        let command = self.toolkit.clone().args(["deploy", "--json"]);
        Deployed::run(&command, report).await?;
        let deploys = RefCell::new(Vec::new());
        let deploy = async || {
            let deployed = Deployed::run(&command, report).await?;
            ensure!(deployed.unchanged, "a deploy of what serves already did something");
            let wall = deployed.wall;
            deploys.borrow_mut().push(deployed);
            Ok(wall)
        };
        let turns = Turns::take(20, deploy, async || self.look().await, said(report)).await?;
        let what = "a deploy with nothing to do in another repository, by the installed program, against `git rev-parse` + a \
                    question to the service";
        let goals = vec![Goal::Within(Duration::from_millis(100))];
        Ok(Row { what: what.to_owned(), turns, goals, notes: vec![breakdown(&deploys.borrow()[1..])] })
    }

    async fn look(&self) -> Result<Duration> {
        let began = Instant::now();
        Cmd::new("git").args(["rev-parse", "HEAD"]).dir(&self.root).capture().await?;
        match self.service.ask().await {
            answer if answer.is_success() => Ok(began.elapsed()),
            other => bail!("the service that was deployed is not ready: {}", other.describe()),
        }
    }
}

/// The installed program. It is kept for the next measurement, and compiled again only if its sources are others.
async fn installed(scratch: &Scratch, report: &Report) -> Result<String> {
    let place = Place::of(scratch, "release").await?;
    if !place.is_fresh() {
        report.detail(&format!("installing {PROGRAM}, which compiles all of it"));
        place.install(scratch).run().await?;
        place.finish()?;
    }
    Ok(place.program().into_string())
}

/// Where the program is installed.
struct Place {
    folder: Utf8PathBuf,
    profile: &'static str,
    /// What it is compiled from, as git names it.
    sources: String,
}

impl Place {
    async fn of(scratch: &Scratch, profile: &'static str) -> Result<Self> {
        let parts = ["HEAD:xtask", "HEAD:Cargo.lock", "HEAD:Cargo.toml"];
        let sources = Cmd::new("git").arg("rev-parse").args(parts).dir(scratch.root()).capture().await?;
        Ok(Self { folder: scratch.installed().join(profile), profile, sources })
    }

    fn install(&self, scratch: &Scratch) -> Cmd {
        let package = scratch.root().join("xtask").join(PROGRAM);
        let args =
            ["install", "--locked", "--offline", "--force", "--profile", self.profile, "--path", package.as_str()];
        scratch.cargo().args(args).args(["--root", self.folder.as_str()])
    }

    fn finish(&self) -> Result<()> {
        Ok(fs_err::write(self.stamp(), &self.sources)?)
    }

    fn is_fresh(&self) -> bool {
        self.program().exists() && fs_err::read_to_string(self.stamp()).is_ok_and(|sources| sources == self.sources)
    }

    fn program(&self) -> Utf8PathBuf {
        self.folder.join("bin").join(PROGRAM)
    }

    fn stamp(&self) -> Utf8PathBuf {
        self.folder.join("sources")
    }
}
