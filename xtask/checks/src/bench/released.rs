//! What a release at GitHub costs, in a project made for this. GitHub is the stand-in, and each of its answers takes as long as
//! GitHub's own; the registry is a real one.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use devservers::GitHub;
use devservers::github::Handle;
use devservers::http::ask;
use devservers::registry::{DockerRegistry, Image, Login};
use secrecy::ExposeSecret as _;

use super::scratch::Scratch;
use super::table::{Goal, Row, said};
use super::turns::Turns;
use xtask::config::Config;
use xtask::failure::Failure;
use xtask::fs::replace_file;
use xtask::image::ServiceImage;
use xtask::image::inputs::Inputs;
use xtask::image::signature::sign;
use xtask::report::Report;
use xtask::tools::cmd::Cmd;
use xtask::tools::git::{self, Filters};

/// How long GitHub takes for an answer.
const ANSWER: Duration = Duration::from_millis(40);

const ENVIRONMENT: &str = "production";

/// The pre-release of a new commit, against as many answers of GitHub, one after another.
pub async fn create(scratch: &Scratch, report: &Report) -> Result<Row> {
    let shop = Shop::open(scratch).await?;
    shop.github.delay(ANSWER);
    let toolkit = scratch.toolkit().dir(&shop.root).env("GITHUB_API_URL", shop.github.url());
    let toolkit = toolkit.args(["release", "create", ENVIRONMENT]);
    let (answers, calls) = (Cell::new(0), RefCell::new(Vec::new()));
    let ours = async || {
        shop.commit("A change").await?;
        let before = shop.github.calls().len();
        let began = Instant::now();
        toolkit.run().await?;
        let took = began.elapsed();
        calls.replace(shop.github.calls().split_off(before));
        answers.set(calls.borrow().len());
        Ok(took)
    };
    let theirs = async || {
        let began = Instant::now();
        for _ in 0..answers.get() {
            shop.ask()?;
        }
        Ok(began.elapsed())
    };
    let turns = Turns::take(9, ours, theirs, said(report)).await?;
    let released = shop.repository.releases().len();
    ensure!(released == turns.measured.count() + 1, "each commit has a release, and there are {released}");
    let what = "`release create`, GitHub taking 40 ms for an answer, against as many answers one after another";
    let notes = vec![format!("{} requests to GitHub: {}", answers.get(), summary(&calls.borrow()))];
    Ok(Row { what: what.to_owned(), turns, goals: vec![Goal::Within(Duration::from_millis(1500))], notes })
}

/// A project whose image is in a registry, and whose repository is at GitHub.
struct Shop {
    root: Utf8PathBuf,
    github: GitHub,
    repository: Handle,
    token: String,
    registry: DockerRegistry,
    _folder: tempfile::TempDir,
}

impl Shop {
    async fn open(scratch: &Scratch) -> Result<Self> {
        let registry = DockerRegistry::start(Login::Open)?;
        let github = GitHub::start();
        let token = github.personal_token(&["contents:write"]);
        let repository = github.repository("owner", "bench");
        let folder = tempfile::tempdir()?;
        let root =
            Utf8Path::from_path(folder.path()).context("the folder for temporary files is not named in UTF-8")?;
        let root = root.join("project");
        write_project(&root, &registry.address, &token)?;
        Cmd::new("git").args(["init", "--quiet", "--initial-branch", "main"]).dir(&root).run().await?;
        let shop = Self { root, github, repository, token, registry, _folder: folder };
        shop.commit("A project").await?;
        shop.push(scratch).await?;
        Ok(shop)
    }

    /// Commits what is there, if only by another message, and pushes it.
    async fn commit(&self, message: &str) -> Result<()> {
        let git = |args: &[&str]| Cmd::new("git").args(args.iter().copied()).dir(&self.root);
        git(&["add", "."]).run().await?;
        let who = ["-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgsign=false"];
        git(&[&who[..], &["commit", "--quiet", "--allow-empty", "--message", message]].concat()).run().await?;
        self.repository.read(self.root.as_std_path())
    }

    /// Puts an image into the registry and signs it, as `image push` does with the one that it has built. All commits have the
    /// same files, and so the same image.
    async fn push(&self, scratch: &Scratch) -> Result<()> {
        let config = Config::load(&self.root)?;
        let env = scratch.env_of(&config, ENVIRONMENT)?;
        let image = ServiceImage::find(&env).map_err(Failure::into_error)?;
        let source = git::source(&self.root, Filters::Run).await?;
        let inputs = Inputs::of(&image, &source).await?;
        let (tag, repository) = (inputs.tag(), image.repository().await.map_err(Failure::into_error)?);
        let pushed =
            Image { tags: &[&tag], created: "2026-01-01T00:00:00Z", version: inputs.version(), layer: 1 << 20 };
        let digest = self.registry.push(repository.name(), &pushed);
        let manifest = repository.manifest(&digest).await.context("read the image that was pushed")?;
        sign(&image, inputs.subject(), &manifest).await
    }

    /// One question to GitHub.
    fn ask(&self) -> Result<()> {
        let authorization = format!("Bearer {}", self.token);
        let headers = [("User-Agent", "bench"), ("Authorization", authorization.as_str())];
        let answer = ask(&self.github.url(), "GET", "/repos/owner/bench/releases/latest", &headers, "")?;
        ensure!(matches!(answer.status, 200 | 404), "GitHub answers {}", answer.status);
        Ok(())
    }
}

fn write_project(root: &Utf8Path, registry: &str, token: &str) -> Result<()> {
    fs_err::create_dir_all(root.join("stack"))?;
    let deploy = format!(
        "project: bench\nservice: {{ package: app, settings: settings.json, readiness: /ready }}\nimage: {{}}\n\
         github: {{ repository: owner/bench }}\nenvironments:\n  {ENVIRONMENT}:\n    target: scaleway\n    \
         registry: {registry}/bench\n    stack: stack\n    \
         state: {{ bucket: states, region: us-east-1, provider: other, endpoint: 'http://127.0.0.1:1' }}\n"
    );
    fs_err::write(root.join("deploy.yaml"), deploy)?;
    fs_err::write(root.join(".gitignore"), "/.deploy\n/.env.*\n")?;
    fs_err::write(root.join("settings.json"), "{}\n")?;
    fs_err::write(root.join("Dockerfile"), "FROM scratch\nCOPY Dockerfile /\n")?;
    let passphrase = xtask::secrets::generate()?;
    let secrets = format!("TF_STATE_PASSPHRASE={}\nGH_TOKEN={token}\n", passphrase.expose_secret());
    replace_file(&root.join(format!(".env.{ENVIRONMENT}")), secrets.as_bytes())
}

/// `GET 2, POST 3, PATCH 1`, of requests as `POST /repos/owner/bench/releases 201`.
fn summary(calls: &[String]) -> String {
    let mut counts = std::collections::BTreeMap::new();
    for call in calls {
        *counts.entry(call.split(' ').next().unwrap_or_default()).or_insert(0) += 1;
    }
    counts.iter().map(|(method, count)| format!("{count} {method}")).collect::<Vec<_>>().join(", ")
}
