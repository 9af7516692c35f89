//! What an import tells: a line for each file, or a bar on a terminal, or JSON; the failures again at its end.

use std::{
    io::{IsTerminal as _, Write as _},
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde_json::json;

use super::files::{NotSent, shown};

/// How often the bar is drawn.
const REDRAW: Duration = Duration::from_millis(100);

const BAR: usize = 24;

/// What became of a file. An id is `None` in a dry run.
#[derive(Debug)]
pub enum Outcome {
    Added(Option<String>),
    /// The gallery had its bytes already, or another file of this run has them.
    Duplicate(Option<String>),
    NotSent(NotSent),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Lines,
    /// A bar on standard error; lines only for what is not sent.
    Bar,
}

/// Tells of the files of a run.
pub struct Report {
    form: Form,
    dry_run: bool,
    total: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    added: usize,
    duplicates: usize,
    skipped: usize,
    failures: Vec<(String, String)>,
    drawn: Option<Instant>,
}

impl Report {
    pub fn new(json: bool, dry_run: bool, total: usize) -> Self {
        let form = match json {
            true => Form::Json,
            false if std::io::stderr().is_terminal() => Form::Bar,
            false => Form::Lines,
        };
        Self { form, dry_run, total, state: Mutex::default() }
    }

    /// Tells what became of a file.
    pub fn file(&self, path: &Path, outcome: &Outcome) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let file = shown(path);
        let (word, media, reason) = match outcome {
            Outcome::Added(media) => (if self.dry_run { "new" } else { "added" }, media.as_deref(), None),
            Outcome::Duplicate(media) => ("duplicate", media.as_deref(), None),
            Outcome::NotSent(NotSent::Skipped(reason)) => ("skipped", None, Some(reason)),
            Outcome::NotSent(NotSent::Failed(reason)) => ("failed", None, Some(reason)),
        };
        match outcome {
            Outcome::Added(_) => state.added += 1,
            Outcome::Duplicate(_) => state.duplicates += 1,
            Outcome::NotSent(NotSent::Skipped(_)) => state.skipped += 1,
            Outcome::NotSent(NotSent::Failed(reason)) => state.failures.push((file.clone(), reason.clone())),
        }
        match (self.form, reason) {
            (Form::Json, _) => {
                say(&json!({ "file": file, "outcome": word, "media": media, "reason": reason }).to_string());
            }
            (Form::Bar, None) => {}
            (Form::Bar | Form::Lines, Some(reason)) => {
                self.erase();
                say(&format!("{word:<9} {file}: {reason}"));
            }
            (Form::Lines, None) => say(&format!("{word:<9} {file}")),
        }
        self.draw(&mut state);
    }

    /// Tells something that concerns no file.
    pub fn note(&self, text: &str) {
        self.erase();
        eprintln!("app: {text}");
    }

    /// Tells the sums, and the failures again. Returns how many files failed.
    pub fn end(&self) -> usize {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { added, duplicates, skipped, failures, .. } = &*state;
        let failed = failures.len();
        let left = self.total - added - duplicates - skipped - failed;
        self.erase();
        if self.form == Form::Json {
            let sums = json!({
                "added": added, "duplicates": duplicates, "skipped": skipped, "failed": failed, "left": left,
            });
            say(&json!({ "summary": sums }).to_string());
            return failed;
        }
        let word = if self.dry_run { "new" } else { "added" };
        let left = if left == 0 { String::new() } else { format!(", {left} left") };
        say(&format!("{added} {word}, {duplicates} duplicates, {skipped} skipped, {failed} failed{left}"));
        if !failures.is_empty() {
            say("failed:");
        }
        for (file, reason) in failures {
            say(&format!("  {file}: {reason}"));
        }
        failed
    }

    fn draw(&self, state: &mut State) {
        if self.form != Form::Bar || state.drawn.is_some_and(|drawn| drawn.elapsed() < REDRAW) {
            return;
        }
        state.drawn = Some(Instant::now());
        let failed = state.failures.len();
        let done = state.added + state.duplicates + state.skipped + failed;
        let full = BAR * done / self.total.max(1);
        let bar = format!("{}{}", "#".repeat(full), ".".repeat(BAR - full));
        eprint!("\r\x1b[K[{bar}] {done} of {}, {} duplicates, {failed} failed", self.total, state.duplicates);
    }

    fn erase(&self) {
        if self.form == Form::Bar {
            eprint!("\r\x1b[K");
        }
    }
}

/// A reader that has gone away ends nothing: what is sent is sent.
fn say(line: &str) {
    writeln!(std::io::stdout().lock(), "{line}").ok();
}
