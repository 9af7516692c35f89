//! What an image costs, measured on the clone's own Dockerfile, in this machine's Docker engine.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use camino::Utf8Path;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::scratch::Scratch;
use super::table::{Goal, Row, said};
use super::turns::Turns;
use xtask::report::Report;
use xtask::tools::cmd::Cmd;
use xtask::tools::{git, platform};

/// A Dockerfile as one writes it first: everything is compiled in one step after everything is copied.
const PLAIN: &str = "ARG RUST_IMAGE
ARG RUNTIME_IMAGE
FROM ${RUST_IMAGE} AS tools
RUN apt-get update && apt-get install --yes --no-install-recommends cmake nasm
FROM tools AS build
WORKDIR /build
COPY . .
RUN --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \\
    for member in xtask xtask/checks xtask/cutover xtask/devservers xtask/rehearsal xtask/standin xtask/testkit; do mkdir -p $member/src && touch $member/src/lib.rs; done && \\
    SQLX_OFFLINE=true cargo build --release --package app
FROM ${RUNTIME_IMAGE}
COPY --from=build /build/target/release/app /usr/local/bin/app
";

/// How many files a large context has, and bytes in each.
const FILES: (usize, usize) = (5000, 40_000);

/// `image build` of a changed source line, against a build of such a change by a plain Dockerfile.
pub async fn rebuild(scratch: &Scratch, report: &Report) -> Result<Row> {
    let plain = scratch.root().join("target.Dockerfile");
    fs_err::write(&plain, PLAIN)?;
    let what = "`image build` of a changed source line, against another by a Dockerfile that copies all and compiles";
    against(scratch, report, &plain, 1, what, 0.5).await
}

/// `image build` of a changed source line, against `docker build` of the same Dockerfile with another.
pub async fn same_file(scratch: &Scratch, report: &Report) -> Result<Row> {
    let what = "`image build` of a changed source line, against `docker build` of the same Dockerfile with another";
    against(scratch, report, &scratch.root().join("Dockerfile"), 3, what, 1.05).await
}

/// `image build` of an image that exists, against `docker image inspect`.
pub async fn no_op(scratch: &Scratch, report: &Report) -> Result<Row> {
    let docker = client().await?;
    scratch.change_source().await?;
    scratch.commit().await?;
    let name = scratch.toolkit().args(["image", "build"]).capture().await?;
    let ours = async || {
        let began = Instant::now();
        let said = scratch.toolkit().args(["image", "build"]).capture().await?;
        ensure!(said == name, "another image was built of the same");
        Ok(began.elapsed())
    };
    let look = Cmd::new(&docker).args(["image", "inspect", &name]);
    let theirs = async || {
        let began = Instant::now();
        look.capture().await?;
        Ok(began.elapsed())
    };
    let turns = Turns::take(9, ours, theirs, said(report)).await?;
    let what = "`image build` of an image that exists, against `docker image inspect`";
    Ok(Row { what: what.to_owned(), turns, goals: vec![Goal::Within(Duration::from_millis(300))], notes: Vec::new() })
}

/// All of a large commit as a build's context, of which a tenth is left out, against `git archive` of all of it.
pub async fn context(report: &Report) -> Result<Row> {
    let folder = tempfile::tempdir()?;
    let root = Utf8Path::from_path(folder.path()).context("the folder for temporary files is not named in UTF-8")?;
    let (files, bytes) = FILES;
    let mut text = vec![0; bytes];
    for number in 0..files {
        getrandom::fill(&mut text).context("random bytes for a file")?;
        let path = root.join(format!("folder-{}/{number}", number % 50));
        fs_err::create_dir_all(path.parent().unwrap_or(root))?;
        fs_err::write(path, &text)?;
    }
    let run = |args: &[&str]| Cmd::new("git").args(args.iter().copied()).dir(root);
    run(&["init", "--quiet"]).run().await?;
    // Stored as they are: random bytes do not compress, and the time of unpacking is git's own.
    run(&["-c", "core.compression=0", "add", "."]).run().await?;
    let who = ["-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgsign=false"];
    run(&[&who[..], &["commit", "--quiet", "--message", "Files"]].concat()).run().await?;
    let ours = async || {
        let began = Instant::now();
        let context = git::Context::of(root, "HEAD", |path| !path.starts_with(b"folder-1/")).await?;
        drained(context.archive()?).await?;
        Ok(began.elapsed())
    };
    let theirs = async || {
        let began = Instant::now();
        drained(run(&["archive", "--format=tar", "HEAD"]).stream()?).await?;
        Ok(began.elapsed())
    };
    let turns = Turns::take(5, ours, theirs, said(report)).await?;
    let speed = files as f64 * bytes as f64 / 1e6 / turns.measured.median().as_secs_f64();
    let notes = vec![format!("{files} files of {bytes} bytes: {speed:.0} MB/s")];
    let what = "the context of a commit, filtered and read to its end, against `git archive`";
    Ok(Row { what: what.to_owned(), turns, goals: vec![Goal::Times(1.2)], notes })
}

/// The toolkit's builds against Docker's by this file, so many of each.
async fn against(
    scratch: &Scratch,
    report: &Report,
    dockerfile: &Utf8Path,
    count: usize,
    what: &str,
    goal: f64,
) -> Result<Row> {
    let docker = client().await?;
    let theirs = async || build_with(scratch, &docker, dockerfile).await;
    let turns = Turns::take(count, async || build(scratch).await, theirs, said(report)).await?;
    Ok(Row { what: what.to_owned(), turns, goals: vec![Goal::Times(goal)], notes: Vec::new() })
}

/// The toolkit's build of one more change.
async fn build(scratch: &Scratch) -> Result<Duration> {
    scratch.change_source().await?;
    scratch.commit().await?;
    let began = Instant::now();
    scratch.toolkit().args(["image", "build"]).run().await?;
    Ok(began.elapsed())
}

/// The build of one more change by Docker's own client.
async fn build_with(scratch: &Scratch, docker: &str, dockerfile: &Utf8Path) -> Result<Duration> {
    scratch.change_source().await?;
    scratch.commit().await?;
    let image = scratch.config.image.as_ref().context("deploy.yaml has no image to measure")?;
    let mut command = Cmd::new(docker).args(["build", "--quiet", "--file", dockerfile.as_str()]);
    for (name, base) in &image.bases {
        command = command.arg("--build-arg").arg(format!("{name}={base}"));
    }
    if let Ok(certificates) = std::env::var("SSL_CERT_FILE") {
        command = command.arg("--secret").arg(format!("id=ca,src={certificates}"));
    }
    let command = command.arg(".").dir(scratch.root()).env("DOCKER_BUILDKIT", "1");
    let began = Instant::now();
    command.run().await?;
    Ok(began.elapsed())
}

/// A client of Docker that can build with BuildKit: since version 23 that takes a component of its own, `buildx`.
pub async fn client() -> Result<String> {
    for folder in platform::path_folders() {
        let program = folder.join("docker").into_string();
        if !platform::is_executable(Utf8Path::new(&program)) {
            continue;
        }
        let version = Cmd::new(&program).args(["version", "--format", "{{.Client.Version}}"]).capture().await?;
        let major: Option<u32> = version.split('.').next().and_then(|major| major.parse().ok());
        let has_buildx = Cmd::new(&program).args(["buildx", "version"]).succeeds().await?;
        if has_buildx || major.is_some_and(|major| major < 23) {
            return Ok(program);
        }
    }
    anyhow::bail!(
        "there is no Docker client here that builds with BuildKit, to compare with: apt-get install docker.io"
    )
}

async fn drained(mut from: impl AsyncRead + Unpin) -> Result<()> {
    let mut piece = vec![0; 1 << 20];
    while from.read(&mut piece).await.context("read an archive")? > 0 {}
    Ok(())
}
