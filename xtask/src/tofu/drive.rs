//! Runs OpenTofu and reads its events. The first request to stop interrupts OpenTofu, which then finishes the operations
//! that have begun and saves the state. The second request kills it.

use std::collections::VecDeque;
use std::process::ExitStatus;

use anyhow::anyhow;
use rustix::process::Signal;

use super::{PASSPHRASE, Workspace, approval, guard};
use crate::failure::Failure;
use crate::signals::Stop;
use crate::tools::cmd::{Cmd, Followed};
use crate::tools::tofu::diagnostic::{Cause, Diagnostic, Diagnostics, Severity, cause};
use crate::tools::tofu::event::Event;

/// Lines that are not events and are repeated in an error: what a crashing program prints.
const TAIL: usize = 25;

/// The most bytes of such a line that are repeated.
const TAIL_LINE: usize = 2000;

/// The most errors that are kept, and warnings that are shown. Providers report several for a resource.
const MAX_DIAGNOSTICS: usize = 1000;

/// How a run of OpenTofu ended.
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// Its error diagnostics.
    pub errors: Vec<Diagnostic>,
    /// The request that interrupted it.
    pub interrupted: Option<&'static str>,
    /// Whether a second request killed it.
    pub killed: bool,
    /// The state, if OpenTofu could write it neither to its backend nor to a file.
    pub unsaved_state: Option<String>,
    command: String,
    tail: String,
}

/// Runs OpenTofu to its end. Its warnings are reported, its other events go to `on_event`.
pub async fn drive(
    workspace: &Workspace<'_>,
    cmd: &Cmd,
    stop: &Stop,
    on_event: impl FnMut(&Event),
) -> Result<Ended, Failure> {
    follow(workspace, cmd, cmd.follow()?, stop, on_event).await
}

/// The same of a run that was started: of this command.
pub async fn follow(
    workspace: &Workspace<'_>,
    cmd: &Cmd,
    mut running: Followed,
    stop: &Stop,
    mut on_event: impl FnMut(&Event),
) -> Result<Ended, Failure> {
    let report = &workspace.env.report;
    let (mut errors, mut tail) = (Vec::new(), VecDeque::new());
    let (mut interrupted, mut killed, mut unsaved_state) = (None, false, None);
    let mut warnings = 0;
    loop {
        let line = tokio::select! {
            line = running.next() => match line? {
                Some(line) => line,
                None => break,
            },
            signal = stop.requested(), if interrupted.is_none() => {
                running.signal_alone(Signal::INT);
                report.warn(&format!("{signal}: interrupting OpenTofu and waiting until it has stopped; press Ctrl-C again to kill it"));
                interrupted = Some(signal);
                continue;
            }
            _ = stop.repeated(), if !killed => {
                running.signal(Signal::KILL);
                killed = true;
                continue;
            }
        };
        match serde_json::from_str::<Event>(&line) {
            Ok(Event::Diagnostic { diagnostic }) if diagnostic.severity == Severity::Error => {
                if errors.len() < MAX_DIAGNOSTICS {
                    errors.push(diagnostic);
                }
            }
            Ok(Event::Diagnostic { diagnostic }) => {
                warnings += 1;
                if warnings <= MAX_DIAGNOSTICS {
                    report.warn(&diagnostic.text(&workspace.stack.folder));
                }
            }
            Ok(Event::Log { state: Some(state) }) => unsaved_state = Some(state.to_string()),
            Ok(event) => on_event(&event),
            // An event without a type is text for people; a line that is no JSON comes from a program that crashes.
            Err(_) if line.starts_with('{') => {}
            Err(_) => {
                tail.push_back(line[..line.floor_char_boundary(TAIL_LINE)].to_owned());
                if tail.len() > TAIL {
                    tail.pop_front();
                }
            }
        }
    }
    if warnings > MAX_DIAGNOSTICS {
        report.warn(&format!("{} more warnings are not shown", warnings - MAX_DIAGNOSTICS));
    }
    let status = running.wait().await?;
    let tail = tail.into_iter().collect::<Vec<_>>().join("\n");
    Ok(Ended { status, errors, interrupted, killed, unsaved_state, command: cmd.to_string(), tail })
}

impl Ended {
    /// Fails with all its errors if the run did not succeed. `what` was attempted: `init`, `plan`, `apply`.
    pub fn success(self, workspace: &Workspace<'_>, what: &str) -> Result<(), Failure> {
        if self.status.success() {
            return Ok(());
        }
        Err(self.failure(workspace, what))
    }

    /// The resources with `prevent_destroy` at which it stopped.
    pub fn prevented_destroys(&self, workspace: &Workspace<'_>) -> Vec<String> {
        match Diagnostics::new(self.errors.clone(), &workspace.stack.folder).cause() {
            Cause::PreventedDestroys(addresses) => addresses,
            _ => Vec::new(),
        }
    }

    /// The failure of a run that did not succeed.
    pub fn failure(self, workspace: &Workspace<'_>, what: &str) -> Failure {
        if let Some(signal) = self.interrupted {
            let how = if self.killed { "was killed" } else { "has stopped" };
            let left = if self.killed { format!("\n  {}", after_kill(workspace.name())) } else { String::new() };
            return Failure::Aborted(anyhow!("interrupted by {signal}: `{}` {how}{left}", self.command));
        }
        let what = format!("{what} for {}, in {}", workspace.name(), workspace.stack.folder);
        if self.errors.is_empty() {
            let output =
                if self.tail.is_empty() { "without output".to_owned() } else { format!("output:\n{}", self.tail) };
            return anyhow!("`{}` failed: {}; {output}", self.command, self.status).context(what).into();
        }
        let diagnostics = Diagnostics::new(self.errors, &workspace.stack.folder);
        let cause = diagnostics.cause();
        match failure(workspace, cause, diagnostics.into_error(), &what) {
            Failure::Failed(error) if !self.tail.is_empty() => {
                Failure::Failed(error.context(format!("OpenTofu also printed:\n{}", self.tail)))
            }
            failure => failure,
        }
    }
}

/// The failure of a command that reports its errors in text for people.
pub fn explain(workspace: &Workspace<'_>, error: anyhow::Error) -> Failure {
    let plain = without_decoration(&format!("{error:#}"));
    let cause = cause(std::iter::once(plain.as_str()));
    failure(workspace, cause, anyhow!(plain), &format!("read the state of {}", workspace.name()))
}

fn failure(workspace: &Workspace<'_>, cause: Cause, error: anyhow::Error, what: &str) -> Failure {
    let name = workspace.name();
    let location = match workspace.env.state_location() {
        Ok(location) => location,
        Err(failure) => return failure,
    };
    match cause {
        Cause::Locked(lock) => {
            let operation = lock.operation.strip_prefix("OperationType").unwrap_or(&lock.operation).to_lowercase();
            Failure::Locked(anyhow!(
                "the state of {name}, {location}, is locked by {} since {}, for {operation}\n  \
                 wait until that has finished; if that process is certainly gone, type: cargo xtask tofu unlock {name} --id {}",
                lock.who,
                lock.created,
                lock.id
            ))
        }
        Cause::Stale => approval::refused(name, "the state has changed since the plan was made"),
        Cause::Passphrase => error
            .context(format!(
                "{PASSPHRASE} is not the passphrase with which the state of {name}, {location}, or its plan was encrypted\n  \
                 check .env.{name}, and the environment, which is used where that file does not set it"
            ))
            .into(),
        Cause::PreventedDestroys(addresses) => {
            Failure::Refused(guard::prevented_destroys(name, &workspace.stack.folder, &addresses))
        }
        Cause::Other => error.context(format!("{what}; its state is {location}")).into(),
    }
}

/// What a killed run may leave, and what to type.
fn after_kill(name: &str) -> String {
    format!(
        "operations that were in progress may be incomplete and missing from the state, and the state may still be locked\n  \
         check it: cargo xtask tofu plan {name}; if the state is locked, that prints the command that unlocks it"
    )
}

/// Text without colours and borders.
fn without_decoration(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            '\u{1b}' => {
                characters.by_ref().find(|c| c.is_ascii_alphabetic());
            }
            '╷' | '│' | '╵' => {}
            c => plain.push(c),
        }
    }
    let lines = plain.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}
