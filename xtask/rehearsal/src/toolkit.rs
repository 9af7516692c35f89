//! The toolkit's program, run as a user types it, and followed by its events.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use camino::Utf8PathBuf;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{ChildStdout, Command};
use xtask::report::{Report, seconds};

use crate::account::{Outcome, StepTime};

/// How long a command that is asked to end may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Between two lines about a long step.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

/// Variables of this process that would change what the toolkit does. A `*` stands for any end.
const NOT_INHERITED: &[&str] = &[
    "ACTIONS_*",
    "AWS_*",
    "CI",
    "CLOUDFLARE_*",
    "COCKPIT_*",
    "DNS_SERVER",
    "GITHUB_*",
    "REGISTRY_*",
    "SCW_*",
    "SSL_CERT_*",
    "TF_*",
];

/// The toolkit's program in a project.
pub struct Toolkit {
    /// The program.
    pub program: Utf8PathBuf,
    /// The project's root.
    pub project: Utf8PathBuf,
    /// Variables of this process that it does not get: those of the service's settings.
    pub hidden: Vec<String>,
    /// When the rehearsal began.
    pub began: Instant,
    /// Where its steps are shown.
    pub report: Report,
    /// The steps that have ended since they were last taken.
    pub steps: RefCell<Vec<StepTime>>,
    running: RefCell<BTreeSet<u32>>,
    /// When the progress of a step was shown last.
    shown: Cell<Instant>,
}

/// A command that runs. Dropped, it is killed.
pub struct Running<'a> {
    toolkit: &'a Toolkit,
    child: tokio::process::Child,
    pid: u32,
    lines: Lines<BufReader<ChildStdout>>,
    ran: Ran,
}

/// How a command ended, and what it said.
#[derive(Debug)]
pub struct Ran {
    /// What was typed after `cargo xtask`.
    pub command: String,
    /// Its exit code; none if a signal has ended it.
    pub code: Option<i32>,
    /// Its results.
    pub results: Vec<Value>,
    /// Its errors with their causes, and its warnings and notes.
    pub said: Vec<String>,
    /// Its last error.
    pub error: Option<String>,
}

impl Toolkit {
    /// One that has run nothing.
    pub fn new(program: Utf8PathBuf, project: Utf8PathBuf, began: Instant, report: &Report) -> Self {
        Self {
            program,
            project,
            began,
            hidden: Vec::new(),
            report: report.clone(),
            steps: RefCell::default(),
            running: RefCell::default(),
            shown: Cell::new(began),
        }
    }

    /// Starts a command with these variables.
    pub fn start(&self, args: &[&str], variables: &[(String, String)]) -> Result<Running<'_>> {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            let matches = |pattern: &&str| match pattern.strip_suffix('*') {
                Some(begin) => name.starts_with(begin),
                None => name == **pattern,
            };
            if NOT_INHERITED.iter().any(matches) || self.hidden.iter().any(|hidden| *hidden == name) {
                command.env_remove(&*name);
            }
        }
        self.report.detail(&format!("$ cargo xtask {}", args.join(" ")));
        self.shown.set(Instant::now());
        command.args(args).arg("--json").current_dir(&self.project);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        // In a process group of its own: Ctrl-C at a terminal is this process's to pass on.
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("start {}", self.program))?;
        let pid = child.id().context("the toolkit's process has ended at once")?;
        self.running.borrow_mut().insert(pid);
        let lines = BufReader::new(child.stdout.take().context("it has a standard output")?).lines();
        let ran = Ran { command: args.join(" "), code: None, results: Vec::new(), said: Vec::new(), error: None };
        Ok(Running { toolkit: self, child, pid, lines, ran })
    }

    /// Asks every command that runs to end in order.
    pub fn ask_to_end(&self) {
        for pid in self.running.borrow().iter() {
            signal(*pid, Signal::TERM);
        }
    }

    /// How long to wait for that.
    pub fn patience(&self) -> Duration {
        PATIENCE
    }

    fn note(&self, event: &Value) {
        let (Some(name), Some(state)) = (event["step"].as_str(), event["state"].as_str()) else { return };
        let outcome = match state {
            "finished" | "reused" => Outcome::Done,
            "failed" => Outcome::Failed,
            "progress" => return self.note_progress(name, &event["detail"]),
            _ => return,
        };
        let took = event["detail"]["seconds"].as_f64().unwrap_or_default();
        let began = (self.began.elapsed().as_secs_f64() - took).max(0.0);
        let text = event["detail"]["text"].as_str().unwrap_or_default();
        let first = text.lines().next().unwrap_or_default();
        let took_text = seconds(Duration::from_secs_f64(took.max(0.0)));
        self.report.detail(&format!("{name:<9} {took_text:>7}  {first}"));
        self.steps.borrow_mut().push(StepTime { name: name.to_owned(), began, seconds: took, outcome });
    }

    /// Shows how far a long step is.
    fn note_progress(&self, name: &str, detail: &Value) {
        if self.shown.get().elapsed() >= PROGRESS_INTERVAL {
            self.shown.set(Instant::now());
            self.report.detail(&format!("{name:<9}       …  {}", detail["text"].as_str().unwrap_or_default()));
        }
    }
}

impl Running<'_> {
    /// Waits for the event that a step is in this state. Fails if the command ends without it.
    pub async fn reaches(&mut self, step: &str, state: &str) -> Result<()> {
        while let Some(event) = self.next().await? {
            if event["step"] == step && event["state"] == state {
                return Ok(());
            }
        }
        let said = self.ran.said.join("; ");
        bail!("`{}` ended before its step {step} {state}: {said}", self.ran.command)
    }

    /// Sends a signal to the command alone.
    pub fn signal(&self, what: Signal) {
        signal(self.pid, what);
    }

    /// Kills it (SIGKILL), with the programs that it runs, as a machine that loses its power does.
    pub async fn kill(mut self) -> Result<()> {
        let children = children_of(self.pid);
        self.signal(Signal::KILL);
        for child in children {
            if let Some(group) = Pid::from_raw(child.cast_signed()) {
                kill_process_group(group, Signal::KILL).or_else(|_| kill_process(group, Signal::KILL)).ok();
            }
        }
        self.child.wait().await.context("wait for its end")?;
        Ok(())
    }

    /// Waits for its end.
    pub async fn end(mut self) -> Result<Ran> {
        while self.next().await?.is_some() {}
        self.ran.code = self.child.wait().await.context("wait for the toolkit's end")?.code();
        let empty = Ran { command: String::new(), code: None, results: Vec::new(), said: Vec::new(), error: None };
        Ok(std::mem::replace(&mut self.ran, empty))
    }

    async fn next(&mut self) -> Result<Option<Value>> {
        let Some(line) = self.lines.next_line().await.context("read the toolkit's events")? else { return Ok(None) };
        let event: Value = serde_json::from_str(&line).with_context(|| format!("this is no event: {line}"))?;
        self.toolkit.note(&event);
        let detail = &event["detail"];
        let text = |detail: &Value| detail["text"].as_str().unwrap_or_default().to_owned();
        match event["state"].as_str() {
            Some("result") => self.ran.results.push(detail.clone()),
            Some("note" | "warning") => self.ran.said.push(text(detail)),
            Some("error") => {
                let causes = detail["causes"].as_array().cloned().unwrap_or_default();
                let causes = causes.iter().filter_map(Value::as_str).map(str::to_owned);
                let all: Vec<String> = std::iter::once(text(detail)).chain(causes).collect();
                self.ran.error = Some(all.join(": "));
                self.ran.said.push(all.join(": "));
            }
            _ => {}
        }
        Ok(Some(event))
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.toolkit.running.borrow_mut().remove(&self.pid);
    }
}

fn changes(counts: &Value) -> String {
    let counts = counts.as_object().into_iter().flatten();
    let counts: Vec<String> = counts.map(|(what, number)| format!("{number} to {what}")).collect();
    if counts.is_empty() { "nothing to change".to_owned() } else { counts.join(", ") }
}

impl Ran {
    /// What a plan that it made changes: `13 to create, 1 to update`.
    pub fn changes(&self) -> Result<String> {
        Ok(changes(self.result("counts")?))
    }

    /// The same of the stack of the media.
    pub fn media_changes(&self) -> Result<String> {
        Ok(changes(&self.result("media")?["counts"]))
    }

    /// It must have ended with one of these codes.
    pub fn expect(self, codes: &[i32]) -> Result<Self> {
        let is_expected = self.code.is_some_and(|code| codes.contains(&code));
        let code = self.code.map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"));
        let expected: Vec<String> = codes.iter().map(ToString::to_string).collect();
        ensure!(
            is_expected,
            "`cargo xtask {}` ended with {code}, and {} was expected: {}",
            self.command,
            expected.join(" or "),
            self.error.as_deref().unwrap_or("it reported no error")
        );
        Ok(self)
    }

    /// The value of its last result that has this key.
    pub fn result(&self, key: &str) -> Result<&Value> {
        let found = self.results.iter().rev().find_map(|result| result.get(key));
        found.with_context(|| format!("`cargo xtask {}` did not answer with {key}", self.command))
    }

    /// The same as text.
    pub fn text(&self, key: &str) -> Result<&str> {
        let value = self.result(key)?;
        value.as_str().with_context(|| format!("`cargo xtask {}` answered with {key}: {value}", self.command))
    }

    /// The command that its error says to type, without `cargo xtask`.
    pub fn typed(&self) -> Result<Vec<String>> {
        let error = self.error.as_deref().unwrap_or_default();
        let typed = error.rsplit_once("type: cargo xtask ").and_then(|(_, rest)| rest.lines().next());
        let typed =
            typed.with_context(|| format!("the error of `cargo xtask {}` names no command: {error}", self.command))?;
        Ok(typed.split_whitespace().map(str::to_owned).collect())
    }

    /// The first line of its error, which is the reason that it gives.
    pub fn reason(&self) -> String {
        let error = self.error.as_deref().unwrap_or("it reported no error");
        error.lines().next().unwrap_or_default().to_owned()
    }
}

fn signal(pid: u32, what: Signal) {
    if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
        kill_process(pid, what).ok();
    }
}

/// The processes that this one has started.
fn children_of(pid: u32) -> Vec<u32> {
    let Ok(processes) = fs_err::read_dir("/proc") else { return Vec::new() };
    let numbers = processes.flatten().filter_map(|process| process.file_name().to_str()?.parse::<u32>().ok());
    let parent = |pid: u32| {
        let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse::<u32>().ok()
    };
    numbers.filter(|child| parent(*child) == Some(pid)).collect()
}
