//! What a stack costs: plans of a project with one, made for this, whose state is on an S3 server of this machine.

use std::io::{BufReader, BufWriter, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use secrecy::SecretString;

use super::scratch::{Scratch, free_port};
use super::table::{Goal, Row, said};
use super::turns::Turns;
use xtask::config::{Provider, StackProgram, State};
use xtask::report::Report;
use xtask::tofu::summary::PlanSummary;
use xtask::tools::cmd::Cmd;
use xtask::tools::platform;
use xtask::tools::tofu::plan::Plan;
use xtask::tools::tofu::{self, Tofu, backend};

/// How many resources the stack has, and how many of them change.
const RESOURCES: (usize, usize) = (25, 5);
/// The exit code of the toolkit for a plan with changes in it.
const PENDING: i32 = 10;
/// The same of OpenTofu.
const CHANGES: i32 = 2;
/// How many changes a large plan has, and attributes each.
const LARGE: (usize, usize) = (10_000, 20);
/// Bytes that the summary of such a plan may take.
const MEMORY: u64 = 200_000_000;

const KEY: &str = "bench-storage-key";
const REGION: &str = "us-east-1";
const PATIENCE: Duration = Duration::from_secs(20);

/// A plan with changes in it, against OpenTofu's.
pub async fn plan(scratch: &Scratch, report: &Report) -> Result<Row> {
    let what = format!("`tofu plan` of {} resources, {} of which change, against OpenTofu's", RESOURCES.0, RESOURCES.1);
    planned(scratch, what, "2", report).await
}

/// A plan of nothing, against OpenTofu's.
pub async fn no_op(scratch: &Scratch, report: &Report) -> Result<Row> {
    let what = format!("`tofu plan` of {} resources, none of which changes, against OpenTofu's", RESOURCES.0);
    planned(scratch, what, "1", report).await
}

/// The drift of a stack that has none, against OpenTofu's plan that only reads.
pub async fn drift(scratch: &Scratch, report: &Report) -> Result<Row> {
    let what = format!("`drift` of {} resources, against `tofu plan -refresh-only`", RESOURCES.0);
    let site = Site::open().await?;
    let toolkit = site.toolkit(scratch, &["drift", "production"]).env("TF_VAR_size", "1");
    // With the key of the state, as a person has it, which is the one for writing.
    let alone = site.tofu.clone().env("TF_VAR_size", "1").refresh_only(Some(&site.root.join("by-hand.tfplan")));
    let turns = Turns::take(9, async || timed(&toolkit, 0).await, async || timed(&alone, 0).await, said(report));
    Ok(Row { what, turns: turns.await?, goals: vec![Goal::Times(1.1)], notes: Vec::new() })
}

/// A large plan read and summarised, against a look at its syntax.
pub async fn summary(report: &Report) -> Result<Row> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("plan.json");
    let bytes = write_large(&path)?;
    let open = || Ok::<_, anyhow::Error>(BufReader::with_capacity(1 << 16, fs_err::File::open(&path)?));
    let before = peak_memory(true);
    let ours = async || {
        let began = Instant::now();
        let plan: Plan = serde_json::from_reader(open()?)?;
        let (protected, refusals) = (["t.protected".to_owned()].into(), Vec::new());
        let summary = PlanSummary { environment: "bench", plan: &plan, protected: &protected, refusals: &refusals };
        let said = [summary.text(), summary.markdown(None), summary.json().to_string()].concat();
        ensure!(
            plan.resources.all.len() == LARGE.0 && said.contains(&LARGE.0.to_string()),
            "it lost some of the changes"
        );
        Ok(began.elapsed())
    };
    let theirs = async || {
        let began = Instant::now();
        let _: serde::de::IgnoredAny = serde_json::from_reader(open()?)?;
        Ok(began.elapsed())
    };
    let turns = Turns::take(3, ours, theirs, said(report)).await?;
    let mut notes = vec![format!("{} changes, {} MB of JSON", LARGE.0, bytes / 1_000_000)];
    let mut goals = Vec::new();
    if cfg!(debug_assertions) {
        notes.push("the goal of 1 s is an optimised toolkit's: cargo run --release -p xtask -- bench".to_owned());
    } else {
        goals.push(Goal::Within(Duration::from_secs(1)));
    }
    if let (Some(before), Some(peak)) = (before, peak_memory(false)) {
        goals.push(Goal::Memory { most: MEMORY, took: peak - before.min(peak) });
        notes.push(format!("memory at its peak: {} MB more than before", (peak - before.min(peak)) / 1_000_000));
    }
    let what = format!("a plan read and summarised{}, against a parser that only looks at its syntax", super::built());
    Ok(Row { what, turns, goals, notes })
}

async fn planned(scratch: &Scratch, what: String, size: &str, report: &Report) -> Result<Row> {
    let site = Site::open().await?;
    let toolkit = site.toolkit(scratch, &["tofu", "plan", "production"]).env("TF_VAR_size", size);
    let expected = if size == "1" { (0, 0) } else { (PENDING, CHANGES) };
    let file = site.root.join("by-hand.tfplan");
    let alone = site.tofu.clone().env("TF_VAR_size", size).plan(&file, false);
    let turns = Turns::take(
        9,
        async || timed(&toolkit, expected.0).await,
        async || timed(&alone, expected.1).await,
        said(report),
    );
    Ok(Row { what, turns: turns.await?, goals: vec![Goal::Times(1.05)], notes: Vec::new() })
}

async fn timed(command: &Cmd, code: i32) -> Result<Duration> {
    let began = Instant::now();
    let (status, _, stderr) = command.output().await?;
    ensure!(status.code() == Some(code), "`{command}` ended with {status}: {stderr}");
    Ok(began.elapsed())
}

/// A project whose stack is applied, and the program that it was applied with.
struct Site {
    root: Utf8PathBuf,
    tofu: Tofu,
    passphrase: SecretString,
    _storage: Storage,
    _folder: tempfile::TempDir,
}

impl Site {
    /// The toolkit in this project, with the keys of its state.
    fn toolkit(&self, scratch: &Scratch, args: &[&str]) -> Cmd {
        let toolkit = scratch.toolkit().dir(&self.root).args(args.iter().copied()).env("AWS_ACCESS_KEY_ID", "bench");
        toolkit.secret("AWS_SECRET_ACCESS_KEY", &KEY.into()).secret("TF_STATE_PASSPHRASE", &self.passphrase)
    }

    async fn open() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let root =
            Utf8Path::from_path(folder.path()).context("the folder for temporary files is not named in UTF-8")?;
        let root = root.join("project");
        let storage = Storage::start(&root.with_file_name("storage"))?;
        let passphrase = xtask::secrets::generate()?;
        write_project(&root, &storage.endpoint)?;
        let git = |args: &[&str]| Cmd::new("git").args(args.iter().copied()).dir(&root);
        git(&["init", "--quiet"]).run().await?;
        git(&["add", "."]).run().await?;
        let who = ["-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgsign=false"];
        git(&[&who[..], &["commit", "--quiet", "--message", "A stack"]].concat()).run().await?;

        let state = State {
            bucket: "states".to_owned(),
            region: REGION.to_owned(),
            provider: Provider::Other,
            endpoint: Some(storage.endpoint.clone()),
            key: None,
            encrypted: true,
        };
        let settings = root.with_file_name("by-hand.tfbackend");
        fs_err::write(&settings, backend::settings(&state, "bench/production.tfstate"))?;
        let program =
            tofu::find(StackProgram::Tofu).await.context("find OpenTofu; to install it: cargo xtask setup")?;
        let tofu = Tofu::new(program.program, root.join("stack"))
            .env("TF_DATA_DIR", root.with_file_name("by-hand").as_str())
            .env("AWS_ACCESS_KEY_ID", "bench")
            .secret("AWS_SECRET_ACCESS_KEY", SecretString::from(KEY))
            .encrypted(passphrase.clone());
        tofu.init(Some(&settings), false).run().await?;
        let (first, file) = (tofu.clone().env("TF_VAR_size", "1"), root.with_file_name("first.tfplan"));
        timed(&first.plan(&file, false), CHANGES).await?;
        first.apply(&file).run().await?;
        Ok(Self { root, tofu, passphrase, _storage: storage, _folder: folder })
    }
}

fn write_project(root: &Utf8Path, endpoint: &str) -> Result<()> {
    fs_err::create_dir_all(root.join("stack"))?;
    let deploy = format!(
        "project: bench\nservice: {{ package: app, settings: settings.json, readiness: /ready }}\nenvironments:\n  \
         production:\n    target: scaleway\n    registry: registry.example.com/bench\n    stack: stack\n    \
         state: {{ bucket: states, region: {REGION}, provider: other, endpoint: '{endpoint}' }}\n"
    );
    fs_err::write(root.join("deploy.yaml"), deploy)?;
    fs_err::write(root.join(".gitignore"), "/.deploy\n*.tfplan\n")?;
    let (all, changing) = RESOURCES;
    let stack = format!(
        "terraform {{\n  backend \"s3\" {{}}\n}}\n\nvariable \"size\" {{\n  type = number\n}}\n\n\
         resource \"terraform_data\" \"changing\" {{\n  count = {changing}\n  input = var.size + count.index\n}}\n\n\
         resource \"terraform_data\" \"same\" {{\n  count = {}\n  input = count.index\n}}\n",
        all - changing
    );
    fs_err::write(root.join("stack/main.tf"), stack)?;
    Ok(())
}

/// An S3 server of this machine, in a folder of its own. It ends with this value.
struct Storage {
    endpoint: String,
    process: Child,
}

impl Storage {
    /// Starts the one that the tests of stacks use.
    fn start(folder: &Utf8Path) -> Result<Self> {
        fs_err::create_dir_all(folder.join("states"))?;
        let port = free_port()?;
        let program = storage_program()?;
        let mut command = Command::new(&program);
        command.args(["--quiet", "--region", REGION, "--port", &format!("127.0.0.1:{port}"), "posix", folder.as_str()]);
        command.env("ROOT_ACCESS_KEY", "bench").env("ROOT_SECRET_KEY", KEY);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = process.with_context(|| format!("start {program}"))?;
        let storage = Self { endpoint: format!("http://127.0.0.1:{port}"), process };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            ensure!(began.elapsed() < PATIENCE, "{program} does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(storage)
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn storage_program() -> Result<Utf8PathBuf> {
    if let Some(found) = platform::find_program("versitygw") {
        return Ok(found);
    }
    let cache = platform::cache_folder()?;
    let mut there = cache.read_dir_utf8().into_iter().flatten().flatten().map(|entry| entry.into_path());
    there
        .find(|path| {
            path.file_name().is_some_and(|name| name.starts_with("versitygw-")) && platform::is_executable(path)
        })
        .context("takes an S3 server, versitygw, which the tests of stacks build: cargo xtask test --only tofu")
}

/// A plan as OpenTofu writes it, with what it has beside the changes: the values before and after all of them.
fn write_large(path: &std::path::Path) -> Result<u64> {
    let (changes, attributes) = LARGE;
    let values = |number: usize, after: &str| {
        let values: Vec<String> = (0..attributes)
            .map(|n| format!("\"attribute_{n}\":\"value {number} of {n}{}\"", if n == 3 { after } else { "" }))
            .collect();
        format!(
            "{{{},\"tags\":{{\"project\":\"bench\"}},\"rules\":[{{\"days\":30,\"enabled\":true}}]}}",
            values.join(",")
        )
    };
    let mut file = BufWriter::new(fs_err::File::create(path)?);
    let resource = |n: usize| {
        format!(
            "{{\"address\":\"t.a[{n}]\",\"mode\":\"managed\",\"type\":\"t\",\"name\":\"a\",\"index\":{n},\"values\":{}}}",
            values(n, "")
        )
    };
    write!(file, "{{\"format_version\":\"1.2\",\"planned_values\":{{\"root_module\":{{\"resources\":[")?;
    for n in 0..changes {
        write!(file, "{}{}", if n == 0 { "" } else { "," }, resource(n))?;
    }
    write!(file, "]}}}},\"resource_changes\":[")?;
    for n in 0..changes {
        let comma = if n == 0 { "" } else { "," };
        let (before, after) = (values(n, ""), values(n, " now"));
        write!(
            file,
            "{comma}{{\"address\":\"t.a[{n}]\",\"mode\":\"managed\",\"type\":\"t\",\"name\":\"a\",\"index\":{n},\"change\":{{\
             \"actions\":[\"update\"],\"before\":{before},\"after\":{after},\"after_unknown\":{{\"rules\":[{{}}],\"tags\":{{}}}},\
             \"before_sensitive\":{{}},\"after_sensitive\":{{}}}}}}"
        )?;
    }
    write!(file, "],\"prior_state\":{{\"values\":{{\"root_module\":{{\"resources\":[")?;
    for n in 0..changes {
        write!(file, "{}{}", if n == 0 { "" } else { "," }, resource(n))?;
    }
    write!(file, "]}}}}}},\"errored\":false}}")?;
    file.flush()?;
    Ok(fs_err::metadata(path)?.len())
}

/// The most memory that this process ever had, in bytes, as Linux tells it; from now on, if it is to forget. None elsewhere.
fn peak_memory(forget: bool) -> Option<u64> {
    if forget {
        // proc(5): 5 resets the peak.
        fs_err::write("/proc/self/clear_refs", "5").ok()?;
    }
    let status = fs_err::read_to_string("/proc/self/status").ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(peak.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
}
