//! Runs OpenTofu and listens to it. Ctrl-C once asks it to stop, and waits: it ends what it is at and saves the state.
//! Twice, and it is killed.

use std::collections::VecDeque;
use std::process::ExitStatus;

use anyhow::anyhow;
use rustix::process::Signal;

use super::{Infra, PASSPHRASE, guard};
use crate::failure::Failure;
use crate::tools::cmd::Cmd;
use crate::tools::tofu::diagnostic::{Diagnostic, Diagnostics, Severity, Trouble, trouble};
use crate::tools::tofu::event::Event;

/// Lines that are no events and are repeated in an error: what a program says that dies.
const TAIL: usize = 25;

/// How a run ended.
pub struct Ended {
    /// Its status.
    pub status: ExitStatus,
    /// What was wrong.
    pub errors: Vec<Diagnostic>,
    /// The signal that asked it to stop, if one came.
    pub asked: Option<&'static str>,
    /// Whether it was killed.
    pub killed: bool,
    /// A state that it could save nowhere.
    pub state: Option<String>,
    command: String,
    tail: String,
}

/// Runs it to its end, hands out what it tells, and warns of what it warns of.
pub async fn drive(infra: &Infra<'_>, cmd: &Cmd, mut on_event: impl FnMut(&Event)) -> Result<Ended, Failure> {
    let mut running = cmd.follow()?;
    let (mut errors, mut tail) = (Vec::new(), VecDeque::new());
    let (mut asked, mut killed, mut state) = (None, false, None);
    let stop = &infra.env.stop;
    loop {
        let line = tokio::select! {
            line = running.next() => match line? {
                Some(line) => line,
                None => break,
            },
            signal = stop.requested(), if asked.is_none() => {
                running.signal_alone(Signal::INT);
                infra.report.warn(&format!("{signal}: OpenTofu was asked to stop; waiting until it has. A second Ctrl-C kills it"));
                asked = Some(signal);
                continue;
            }
            _ = stop.repeated(), if !killed => {
                running.signal(Signal::KILL);
                killed = true;
                continue;
            }
        };
        match serde_json::from_str::<Event>(&line) {
            Ok(Event::Diagnostic { diagnostic }) if diagnostic.severity == Severity::Error => errors.push(diagnostic),
            Ok(Event::Diagnostic { diagnostic }) => infra.report.warn(&diagnostic.text(&infra.stack.folder)),
            Ok(Event::Log { state: Some(unsaved) }) => state = Some(unsaved.to_string()),
            Ok(event) => on_event(&event),
            // Lines without a type are for people who read along; others come from a program in trouble.
            Err(_) if line.starts_with('{') => {}
            Err(_) => {
                tail.push_back(line);
                if tail.len() > TAIL {
                    tail.pop_front();
                }
            }
        }
    }
    let status = running.wait().await?;
    let tail = tail.into_iter().collect::<Vec<_>>().join("\n");
    Ok(Ended { status, errors, asked, killed, state, command: cmd.to_string(), tail })
}

impl Ended {
    /// It succeeded; fails with all that was wrong, when it did not.
    pub fn good(self, infra: &Infra<'_>, what: &str) -> Result<(), Failure> {
        if self.status.success() {
            return Ok(());
        }
        Err(self.failure(infra, what))
    }

    /// What was wrong with `what`, which could not be done.
    pub fn failure(self, infra: &Infra<'_>, what: &str) -> Failure {
        if let Some(signal) = self.asked {
            let how = if self.killed { "was killed" } else { "has stopped" };
            let left = if self.killed { format!("\n  {}", left_behind(infra)) } else { String::new() };
            return Failure::Aborted(anyhow!("interrupted by {signal}: `{}` {how}{left}", self.command));
        }
        let what = format!("{what} for {}, in {}", infra.name, infra.stack.folder);
        if self.errors.is_empty() {
            let said = if self.tail.is_empty() { "nothing".to_owned() } else { format!("\n{}", self.tail) };
            return anyhow!("`{}` failed: {}; it said: {said}", self.command, self.status).context(what).into();
        }
        let diagnostics = Diagnostics::new(self.errors, &infra.stack.folder);
        let trouble = diagnostics.trouble();
        let failure = failure_of(infra, trouble, diagnostics.into_error(), &what);
        match failure {
            Failure::Failed(error) if !self.tail.is_empty() => {
                Failure::Failed(error.context(format!("it also said:\n{}", self.tail)))
            }
            failure => failure,
        }
    }
}

/// An error of a command that says what is wrong in words for people.
pub fn explain(infra: &Infra<'_>, error: anyhow::Error) -> Failure {
    // What is between the boxes' borders, on one line: it is wrapped to a width.
    let plain = strip(&format!("{error:#}"));
    let trouble = trouble(std::iter::once(plain.as_str()));
    failure_of(infra, trouble, anyhow!(plain), &format!("ask for the state of {}", infra.name))
}

/// What may be left of a run that was killed, and what to type.
pub fn left_behind(infra: &Infra<'_>) -> String {
    format!(
        "what was under way may be half done and missing from the state, and the state's lock may be left behind\n  \
         look at it: cargo xtask tofu plan {}; where the state is locked, that says how to break the lock",
        infra.name
    )
}

fn failure_of(infra: &Infra<'_>, trouble: Trouble, error: anyhow::Error, what: &str) -> Failure {
    let (name, place) = (infra.name, infra.state_place());
    match trouble {
        Trouble::Locked(lock) => {
            let operation = lock.operation.strip_prefix("OperationType").unwrap_or(&lock.operation).to_lowercase();
            Failure::Locked(anyhow!(
                "the state of {name}, {place}, is locked by {} since {}, for {operation}\n  \
                 wait for it, or, if it is certain that nobody works there: cargo xtask tofu unlock {name} --id {}",
                lock.who,
                lock.created,
                lock.id
            ))
        }
        Trouble::Stale => super::approval::again(name, "the state has changed since it was planned"),
        Trouble::Passphrase => error
            .context(format!(
                "{PASSPHRASE} is not the passphrase that the state of {name}, {place}, or its plan was encrypted with\n  \
                 look at .env.{name} and at the environment, which goes before it"
            ))
            .into(),
        Trouble::Kept(addresses) => guard::kept(infra, &addresses),
        Trouble::Other => error.context(format!("{what}; its state is {place}")).into(),
    }
}

/// Text without colours and borders.
fn strip(text: &str) -> String {
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
