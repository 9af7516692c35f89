//! Where is measured: a clone of the checked-out commit with a port of its own, `target/bench/clone`, compiled into
//! `target/bench/cargo`. Always at the same path, so cargo compiles only the first time, and what a killed run left behind
//! is found and stopped by the next.

use std::cell::Cell;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;
use serde_yaml::Value;

use super::deployed::Deployed;
use xtask::config::{self, Config};
use xtask::env::Env;
use xtask::failure::Failure;
use xtask::report::Report;
use xtask::signals::Stop;
use xtask::tools::cargo::cargo;
use xtask::tools::cmd::{Cmd, Inherited};
use xtask::tools::git::{self, Filters};

/// The environment that is deployed to.
const ENVIRONMENT: &str = "local";

/// The folder of another repository, beside the clone.
const SITE: &str = "site";

/// What begins the line that changes.
const CHANGE: &str = "\n\n/// Changes from build to build.\n";

/// How long a deploy that was cut short may take to be gone.
const PATIENCE: Duration = Duration::from_secs(20);

/// A clone to measure on. [`Scratch::remove`] ends what runs in it.
pub struct Scratch {
    /// The clone's deploy.yaml.
    pub config: Config,
    folder: Utf8PathBuf,
    toolkit: String,
    source: Utf8PathBuf,
    changes: Cell<u64>,
    report: Report,
    stop: Stop,
    /// Held: two at a time would measure each other, in one clone.
    _turn: fs_err::File,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
    src_path: Utf8PathBuf,
}

impl Scratch {
    /// Clones the commit that is checked out. What is in no commit is not measured.
    pub async fn make(config: &Config, report: &Report, stop: &Stop) -> Result<Self> {
        let toolkit = toolkit(&config.root).await?;
        let folder = config.root.join("target/bench");
        fs_err::create_dir_all(&folder)?;
        let turn = fs_err::File::create(folder.join(".lock"))?;
        turn.try_lock().with_context(|| format!("lock {folder}; another `cargo xtask bench` measures there"))?;
        let root = folder.join("clone");
        for left in [&root, &folder.join(SITE)] {
            end(&toolkit, left).await.with_context(|| format!("stop what an earlier run left in {left}"))?;
        }
        if !git::source(&config.root, Filters::Run).await?.is_clean() {
            report.warn(
                "the tree has uncommitted changes; the commit without them is measured, by the toolkit that runs",
            );
        }
        Cmd::new("git").args(["clone", "--quiet", "--no-tags", config.root.as_str(), root.as_str()]).run().await?;
        move_to(&root, free_port()?)?;
        commit(&root, "Move to a port of its own").await?;
        let config = Config::load(&root)?;
        let source = source(&config).await?;
        Ok(Self {
            config,
            folder,
            toolkit,
            source,
            changes: Cell::new(0),
            report: report.clone(),
            stop: stop.clone(),
            _turn: turn,
        })
    }

    /// The clone.
    pub fn root(&self) -> &Utf8Path {
        &self.config.root
    }

    /// A folder for this build that is empty.
    pub fn empty_target(&self) -> Result<Utf8PathBuf> {
        let target = self.folder.join("cold");
        if target.exists() {
            fs_err::remove_dir_all(&target)?;
        }
        Ok(target)
    }

    /// The folder where the program `cutover` is installed, kept for the next time.
    pub fn installed(&self) -> Utf8PathBuf {
        self.folder.join("installed")
    }

    /// The environment that is deployed to.
    pub fn env(&self) -> Result<Env<'_>> {
        self.env_of(&self.config, ENVIRONMENT)
    }

    /// An environment of another project.
    pub fn env_of<'a>(&'a self, config: &'a Config, name: &str) -> Result<Env<'a>> {
        Env::find(config, name, &self.report, &self.stop).map_err(Failure::into_error)
    }

    /// This toolkit, on the clone.
    pub fn toolkit(&self) -> Cmd {
        Cmd::new(&self.toolkit)
            .inherits(Inherited::All)
            .dir(self.root())
            .env("CARGO_TARGET_DIR", self.target().as_os_str())
    }

    /// The toolkit on the project itself, for a rehearsal: that makes a clone of its own.
    pub fn toolkit_of_the_project(&self) -> Cmd {
        Cmd::new(&self.toolkit).inherits(Inherited::All)
    }

    /// Deploys what is there.
    pub async fn deploy(&self) -> Result<Deployed> {
        Deployed::run(&self.toolkit().args(["deploy", ENVIRONMENT, "--json"]), &self.report).await
    }

    /// cargo, on the clone.
    pub fn cargo(&self) -> Cmd {
        cargo(self.root()).env("CARGO_TARGET_DIR", self.target().as_os_str())
    }

    /// The service's program, as cargo left it.
    pub fn program(&self) -> Utf8PathBuf {
        self.target().join("release").join(&self.config.service.binary)
    }

    /// Changes a line of the service's source to one that it never was.
    pub async fn change_source(&self) -> Result<()> {
        let change = self.next_change();
        let text = fs_err::read_to_string(self.root().join(&self.source))?;
        let text = text.split(CHANGE).next().unwrap_or_default();
        let text = format!("{text}{CHANGE}pub const MEASURED: u64 = {change};\n");
        Ok(fs_err::write(self.root().join(&self.source), text)?)
    }

    /// Commits what was changed.
    pub async fn commit(&self) -> Result<()> {
        commit(self.root(), "A change").await
    }

    /// Changes the version and nothing that is compiled.
    pub fn change_version(&self) -> Result<()> {
        Ok(fs_err::write(self.root().join("measured.txt"), self.next_change().to_string())?)
    }

    /// The folder of another repository, which is not there before and after its measurement.
    pub fn site(&self) -> Utf8PathBuf {
        self.folder.join(SITE)
    }

    /// Stops what runs in the other repository, and removes it.
    pub async fn end_site(&self) -> Result<()> {
        end(&self.toolkit, &self.site()).await
    }

    /// Stops what runs, and removes all but what was compiled for the next time. The first error.
    pub async fn remove(self) -> Result<()> {
        let (site, clone) = (self.end_site().await, end(&self.toolkit, self.root()).await);
        clone.and(site).and(self.empty_target().map(drop))
    }

    fn target(&self) -> Utf8PathBuf {
        self.folder.join("cargo")
    }

    fn next_change(&self) -> u64 {
        self.changes.replace(self.changes.get() + 1)
    }
}

/// The toolkit's program that is measured, with all its commands: cargo puts it beside this one.
async fn toolkit(root: &Utf8Path) -> Result<String> {
    let build = cargo(root).args(["build", "--quiet", "--package", xtask::PACKAGE, "--features", "cloud"]);
    let build = if cfg!(debug_assertions) { build } else { build.arg("--release") };
    build.run().await.context("build the toolkit")?;
    let program = std::env::current_exe().context("find this program")?.with_file_name("xtask");
    ensure!(program.exists(), "there is no toolkit at {}", program.display());
    Ok(program.to_str().context("the path of this program is not UTF-8")?.to_owned())
}

async fn commit(root: &Utf8Path, message: &str) -> Result<()> {
    let who = ["-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgsign=false"];
    Cmd::new("git").args(who).args(["commit", "--quiet", "--all", "--message", message]).dir(root).run().await
}

/// A port that nobody listens on at this moment.
pub fn free_port() -> Result<u16> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).context("find a free port")?;
    Ok(listener.local_addr().context("find a free port")?.port())
}

/// Stops the environment of a repository that was made for the measurements, if there is one, and removes it.
async fn end(toolkit: &str, root: &Utf8Path) -> Result<()> {
    if !root.exists() {
        return Ok(());
    }
    // One that was just being made has nothing to stop.
    if root.join(config::FILE).exists() {
        let stop = Cmd::new(toolkit).inherits(Inherited::All).args(["stop", ENVIRONMENT]).dir(root);
        until_patience_ends(async || stop.run().await).await?;
    }
    until_patience_ends(async || Ok(fs_err::remove_dir_all(root)?)).await
}

/// Tries again: a deploy that is just being ended may hold the environment, or write into it, for a moment.
async fn until_patience_ends(attempt: impl AsyncFn() -> Result<()>) -> Result<()> {
    let began = Instant::now();
    loop {
        match attempt().await {
            Err(_) if began.elapsed() < PATIENCE => tokio::time::sleep(Duration::from_millis(500)).await,
            done => return done,
        }
    }
}

/// Lets the clone listen on a port of its own.
fn move_to(root: &Utf8Path, port: u16) -> Result<()> {
    let path = root.join(config::FILE);
    let mut document: Value =
        serde_yaml::from_str(&fs_err::read_to_string(&path)?).with_context(|| format!("read {path}"))?;
    let environment =
        document.get_mut("environments").and_then(|all| all.get_mut(ENVIRONMENT)).and_then(Value::as_mapping_mut);
    let environment =
        environment.with_context(|| format!("{} has no environment {ENVIRONMENT} to measure", config::FILE))?;
    environment.insert("port".into(), port.into());
    Ok(fs_err::write(&path, serde_yaml::to_string(&document)?)?)
}

/// The file that stands for the service's source: its library, else its program. Relative to the root.
async fn source(config: &Config) -> Result<Utf8PathBuf> {
    let metadata = cargo(&config.root).args(["metadata", "--no-deps", "--format-version", "1"]).capture().await?;
    let metadata: Metadata = serde_json::from_str(&metadata).context("read what `cargo metadata` said")?;
    let name = &config.service.package;
    let package = metadata.packages.into_iter().find(|package| &package.name == name);
    let targets = package.with_context(|| format!("there is no package {name}"))?.targets;
    let of_kind = |wanted: &str| targets.iter().find(|target| target.kind.iter().any(|kind| kind == wanted));
    let target = of_kind("lib").or_else(|| of_kind("bin")).with_context(|| format!("{name} has no program"))?;
    let path = target
        .src_path
        .strip_prefix(config.root.canonicalize_utf8()?)
        .or_else(|_| target.src_path.strip_prefix(&config.root));
    Ok(path.with_context(|| format!("{} is outside of {}", target.src_path, config.root))?.to_owned())
}
