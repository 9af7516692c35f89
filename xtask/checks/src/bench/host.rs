//! What a deploy to a Docker host costs, in a project made for this: the host is this machine's engine, and the service is busybox. Each
//! reference brings the same change without the toolkit.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use xtask::clients::service::{Answer, Service};
use xtask::report::Report;
use xtask::tools::cmd::{Cmd, Inherited};

use super::built;
use super::deployed::{Deployed, breakdown};
use super::images;
use super::load::{Seen, load};
use super::scratch::{Scratch, free_port};
use super::table::{Goal, Row, said};
use super::turns::Turns;

const ENVIRONMENT: &str = "prod";
/// How many pairs.
const PAIRS: usize = 5;
/// How long a new container may take to be ready, and how often it is asked.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(10);
/// How long the old container has for the requests that the proxy has sent to it: as in a deploy, whose requests none may fail either.
const SETTLE: &str = "1";

const START: &str = r#"#!/bin/busybox sh
b=/bin/busybox
$b mkdir -p /tmp/www
$b printf '{"status":"ready","version":"%s"}' "$SERVICE_VERSION" > /tmp/www/ready
trap 'exit 0' TERM
$b httpd -f -p "$PORT" -h /tmp/www &
wait
"#;

const DOCKERFILE: &str =
    "FROM scratch\nCOPY bin /bin\nCOPY start /start\nCOPY change /change\nENTRYPOINT [\"/start\"]\n";

const SETTINGS: &str = r#"{ "schema": 1, "settings": [
  { "name": "SERVICE_VERSION", "help": "The release", "kind": "text", "default": "none", "required": false, "secret": false, "supplied_by": "version" }
] }"#;

/// A deploy of a changed image under load, against Docker's own commands, and against Docker Compose where that is installed.
pub async fn deploys(scratch: &Scratch, report: &Report) -> Result<Vec<(String, Row)>> {
    let site = Site::make(scratch).await?;
    let measured = async {
        let mut rows = vec![("host-docker".to_owned(), site.against_docker(report).await?)];
        match compose().await? {
            Some(program) => rows.push(("host-compose".to_owned(), site.against_compose(&program, report).await?)),
            None => report.note("host-compose: skipped, Docker Compose is missing: apt-get install docker-compose"),
        }
        Ok(rows)
    };
    let measured = measured.await;
    site.remove().await?;
    measured
}

/// Docker Compose: a part of Docker's client, or its older program.
async fn compose() -> Result<Option<Vec<String>>> {
    for program in [vec!["docker", "compose"], vec!["docker-compose"]] {
        let version = Cmd::new(program[0]).args(program[1..].iter().copied()).arg("version").inherits(Inherited::All);
        if version.succeeds().await.unwrap_or_default() {
            return Ok(Some(program.into_iter().map(str::to_owned).collect()));
        }
    }
    Ok(None)
}

/// The project, and what runs of it in the engine: all names begin with the project's.
struct Site {
    toolkit: Cmd,
    docker: String,
    root: Utf8PathBuf,
    name: String,
    port: u16,
    proxy: String,
    changes: Cell<u32>,
    _folder: tempfile::TempDir,
}

impl Site {
    async fn make(scratch: &Scratch) -> Result<Self> {
        let (docker, proxy) = (images::client().await?, devservers::caddy::image()?);
        let folder = tempfile::tempdir()?;
        let root =
            Utf8Path::from_path(folder.path()).context("the folder for temporary files is not named in UTF-8")?;
        let root = root.join("project");
        let (name, port) = (format!("bench-{}", std::process::id()), free_port()?);
        fs_err::create_dir_all(root.join("bin"))?;
        let busybox = "/bin/busybox";
        ensure!(Utf8Path::new(busybox).exists(), "{busybox} is missing: apt-get install busybox-static");
        fs_err::copy(busybox, root.join("bin/busybox"))?;
        let deploy = format!(
            "project: {name}\nservice: {{ package: bench, settings: settings.json, readiness: /ready }}\nimage: {{}}\nenvironments:\n  \
             {ENVIRONMENT}:\n    target: compose\n    proxy: {proxy}\n    port: {port}\n    \
             service: {{ health: [/bin/busybox, 'true'], memory: 64M }}\n"
        );
        for (path, text) in [
            ("deploy.yaml", deploy.as_str()),
            ("settings.json", SETTINGS),
            ("start", START),
            ("Dockerfile", DOCKERFILE),
            (".dockerignore", "*\n!bin\n!start\n!change\n"),
            (".gitignore", "/.deploy\n/.env.*\n/compose.yml\n"),
        ] {
            fs_err::write(root.join(path), text)?;
        }
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs_err::set_permissions(root.join("start"), executable)?;
        Cmd::new("git").args(["init", "--quiet", "--initial-branch", "main"]).dir(&root).run().await?;
        let toolkit = scratch.toolkit().dir(&root);
        Ok(Self { toolkit, docker, root, name, port, proxy, changes: Cell::new(0), _folder: folder })
    }

    /// Against the commands that a shell script would run: build, run, wait, switch by the same proxy, stop.
    async fn against_docker(&self, report: &Report) -> Result<Row> {
        let (deploys, seen, idle) = (RefCell::default(), RefCell::default(), RefCell::default());
        let old = RefCell::new(None);
        let ours = async || self.deploy(&deploys, &seen, report).await;
        let theirs = async || {
            let script = async {
                self.change().await?;
                let began = Instant::now();
                let before = old.take();
                old.replace(Some(self.switch_by_hand(before.as_deref()).await?));
                Ok(began.elapsed())
            };
            // The same load, on the release that serves.
            self.under_load(script, &idle).await
        };
        // The first deploy starts the proxy, and nothing answers before.
        self.change().await?;
        self.deploy_command().run().await?;
        let turns = Turns::take(PAIRS, ours, theirs, said(report)).await?;
        let what = format!(
            "a deploy of a changed image to a Docker host{}, against docker build, run, wait, switch and stop as a script does it",
            built()
        );
        Ok(row(what, turns, 1.1, &deploys.into_inner(), &seen.into_inner(), None))
    }

    /// Against `up --detach --build`, which stops the old container before it starts the new one.
    async fn against_compose(&self, program: &[String], report: &Report) -> Result<Row> {
        let (deploys, ours_seen, seen) = (RefCell::default(), RefCell::default(), RefCell::new(Seen::default()));
        let port = free_port()?;
        let file = format!(
            "version: '3.8'\nservices:\n  app:\n    build: .\n    read_only: true\n    tmpfs: [/tmp]\n    mem_limit: 64M\n    \
             environment: {{ PORT: 8080, SERVICE_VERSION: by-compose }}\n    ports: ['127.0.0.1:{port}:8080']\n"
        );
        fs_err::write(self.root.join("compose.yml"), file)?;
        let compose = |args: &[&str]| {
            let own = ["--project-name", &self.name, "--file", "compose.yml"];
            Cmd::new(&program[0])
                .inherits(Inherited::All)
                .args(&program[1..])
                .args(own)
                .args(args.iter().copied())
                .dir(&self.root)
        };
        let service = Service::new(format!("http://127.0.0.1:{port}/ready"))?;
        let up = async || {
            let began = Instant::now();
            compose(&["up", "--detach", "--build"]).run().await?;
            until_ready(&service).await?;
            Ok(began.elapsed())
        };
        up().await?;
        let ours = async || self.deploy(&deploys, &ours_seen, report).await;
        let theirs = async || {
            self.change().await?;
            let (took, saw) = load(&service, up()).await?;
            seen.borrow_mut().add(&saw);
            Ok(took)
        };
        let turns = Turns::take(PAIRS, ours, theirs, said(report)).await;
        compose(&["down"]).run().await?;
        let version = compose(&["version", "--short"]).capture().await?;
        let what = format!(
            "a deploy of a changed image to a Docker host{}, against `up --detach --build` of Docker Compose {version} until it is ready",
            built()
        );
        Ok(row(what, turns?, 1.2, &deploys.into_inner(), &ours_seen.into_inner(), Some(&seen.into_inner())))
    }

    fn deploy_command(&self) -> Cmd {
        self.toolkit.clone().args(["deploy", ENVIRONMENT])
    }

    /// A deploy of one more change, under load.
    async fn deploy(
        &self,
        deploys: &RefCell<Vec<Deployed>>,
        seen: &RefCell<Seen>,
        report: &Report,
    ) -> Result<Duration> {
        self.change().await?;
        let deploy = self.deploy_command().arg("--json");
        let deployed = self.under_load(Deployed::run(&deploy, report), seen).await?;
        let took = deployed.wall;
        deploys.borrow_mut().push(deployed);
        Ok(took)
    }

    async fn under_load<T>(&self, work: impl Future<Output = Result<T>>, seen: &RefCell<Seen>) -> Result<T> {
        let service = Service::new(format!("http://127.0.0.1:{}/ready", self.port))?;
        let (done, saw) = load(&service, work).await?;
        seen.borrow_mut().add(&saw);
        Ok(done)
    }

    /// A change that makes another image, committed.
    async fn change(&self) -> Result<()> {
        fs_err::write(self.root.join("change"), self.changes.replace(self.changes.get() + 1).to_string())?;
        let git = |args: &[&str]| Cmd::new("git").args(args.iter().copied()).dir(&self.root);
        git(&["add", "."]).run().await?;
        let who = ["-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgsign=false"];
        git(&[&who[..], &["commit", "--quiet", "--message", "A change"]].concat()).run().await
    }

    /// Brings what was changed up beside the container of the last change, and ends that. The name of its container.
    async fn switch_by_hand(&self, old: Option<&str>) -> Result<String> {
        let number = self.changes.get();
        let (image, network) = (format!("{}-by-hand", self.name), format!("{}-{ENVIRONMENT}", self.name));
        let new = format!("{image}-{number}");
        self.docker(&["build", "--quiet", "--tag", &image, self.root.as_str()])
            .env("DOCKER_BUILDKIT", "1")
            .run()
            .await?;
        let run =
            ["run", "--detach", "--name", &new, "--network", &network, "--network-alias", "by-hand", "--read-only"];
        let limits = ["--tmpfs", "/tmp", "--memory", "64m", "--cpus", "1", "--cap-drop", "ALL"];
        let more = ["--publish", "127.0.0.1::8080", "--env", "PORT=8080", "--env", "SERVICE_VERSION=by-hand", &image];
        self.docker(&[&run[..], &limits, &more].concat()).run().await?;
        let published = self.docker(&["port", &new, "8080"]).capture().await?;
        let address = published.lines().next().context("the container publishes a port")?;
        until_ready(&Service::new(format!("http://{address}/ready"))?).await?;
        let proxy = self.docker(&["ps", "--quiet", "--filter", &format!("name={network}-proxy")]).capture().await?;
        // What a release's slot is to the proxy: a file. This one it does not know, so the release goes on.
        self.docker(&["exec", &proxy, "touch", "/config/by-hand"]).run().await?;
        self.docker(&["exec", &proxy, "rm", "-f", "/config/by-hand-before"]).run().await?;
        Cmd::new("sleep").arg(SETTLE).run().await?;
        if let Some(old) = old {
            self.docker(&["stop", old]).run().await?;
            self.docker(&["rm", old]).run().await?;
        }
        Ok(new)
    }

    fn docker(&self, args: &[&str]) -> Cmd {
        Cmd::new(&self.docker).args(args.iter().copied()).inherits(Inherited::All)
    }

    /// Removes all of it from the engine.
    async fn remove(&self) -> Result<()> {
        // Docker looks for it anywhere in a name.
        let name = format!("name=^/?{}[-_]", self.name);
        for [list, more, remove, force] in
            [["ps", "--all", "rm", "--force"], ["volume", "ls", "volume", "rm"], ["network", "ls", "network", "rm"]]
        {
            let found = self.docker(&[list, more, "--quiet", "--filter", &name]).capture().await?;
            for id in found.split_whitespace() {
                self.docker(&[remove, force, id]).run().await?;
            }
        }
        let images = self.docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"]).capture().await?;
        let of_ours =
            |image: &&str| image.strip_prefix(&self.name).is_some_and(|rest| rest.starts_with(['-', '_', ':']));
        let images = images.lines().filter(of_ours);
        for image in images.chain([self.proxy.as_str()]) {
            self.docker(&["rmi", "--force", image]).run().await?;
        }
        Ok(())
    }
}

/// `theirs` is what clients of the reference saw, if it had any.
fn row(what: String, turns: Turns, most: f64, deploys: &[Deployed], ours: &Seen, theirs: Option<&Seen>) -> Row {
    let failed = Goal::AtMost { what: "requests failed", most: 0.0, took: ours.failures as f64 };
    let theirs = theirs.map(|seen| format!(", and {seen} of the reference")).unwrap_or_default();
    // The first one does not count.
    let counted = deploys.get(1..).unwrap_or_default();
    let notes = vec![format!("requests failed: {ours}{theirs}"), breakdown(counted)];
    Row { what, turns, goals: vec![Goal::Times(most), failed], notes }
}

async fn until_ready(service: &Service) -> Result<()> {
    let began = Instant::now();
    loop {
        match service.ask().await {
            Answer::Ready(_) => return Ok(()),
            other if began.elapsed() >= PATIENCE => bail!("it is not ready after {PATIENCE:?}: {}", other.describe()),
            _ => tokio::time::sleep(PAUSE).await,
        }
    }
}
