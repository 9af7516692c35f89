//! The toolkit's output: live lines on a terminal, plain lines elsewhere, groups and annotations on GitHub, and with
//! `--json` one event per line on standard output (`xtask/schema/event.json`).
//!
//! Human output goes to standard error, results to standard output, and both go through the redactor.

mod event;
mod ongoing;
mod style;

use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressDrawTarget};
use serde_json::{Value, json};

pub use self::event::State;
pub use self::ongoing::{Ongoing, Part};
pub use self::style::{Paint, seconds};
use crate::failure::{Failure, Located};
use crate::secrets::Redactor;

/// The steps of commands, in the order of a deploy. The output, events, the journal and records use the same names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// All checks that are possible before anything changes.
    Preflight,
    /// Determine the version: a commit, or a commit and the hash of uncommitted changes.
    Source,
    /// Check the queries against the schema, and new migrations against the released schema.
    Sqlx,
    /// Compile the service and its web UI.
    Build,
    /// Put the artifact where the target reads it. Determines the digest.
    Publish,
    /// Prepare OpenTofu's working folder: backend and providers.
    Init,
    /// Create what the service needs at runtime: database, settings, secrets.
    #[serde(alias = "ground")]
    Provision,
    /// Find out what would change.
    Plan,
    /// Start the new release beside the one that serves.
    Apply,
    /// Wait until the release reports that it is ready, in the expected version.
    Gate,
    /// Route requests to the new release and drain the old one.
    Switch,
    /// Route requests to the previous release again.
    Restore,
    /// Write the immutable record and delete old releases.
    Record,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Preflight => "preflight",
            Self::Source => "source",
            Self::Sqlx => "sqlx",
            Self::Build => "build",
            Self::Publish => "publish",
            Self::Init => "init",
            Self::Provision => "provision",
            Self::Plan => "plan",
            Self::Apply => "apply",
            Self::Gate => "gate",
            Self::Switch => "switch",
            Self::Restore => "restore",
            Self::Record => "record",
        })
    }
}

/// The result of a step, for its line in the output.
pub trait Summary {
    /// One line, or several.
    fn summary(&self) -> String;

    /// Whether the result is that of an earlier run.
    fn is_reused(&self) -> bool {
        false
    }
}

impl Summary for () {
    fn summary(&self) -> String {
        String::new()
    }
}

/// A message of an operation beside its result. The caller shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Information.
    Note(String),
    /// May become a problem.
    Warning(String),
}

/// The form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// A terminal: live lines.
    Terminal,
    /// A file or a pipe: one line per finished step, and regular progress lines during long ones.
    Plain,
    /// GitHub Actions: a group per step, annotations for errors.
    GitHub,
    /// A program: events on standard output, and errors also on standard error.
    Events,
}

impl Audience {
    /// Depends on `--json`, on `CI` and `GITHUB_ACTIONS`, and on whether standard error is a terminal.
    pub fn detect(json: bool, ci: bool, github: bool) -> Self {
        use std::io::IsTerminal as _;
        if json {
            Self::Events
        } else if github {
            Self::GitHub
        } else if !ci && std::io::stderr().is_terminal() {
            Self::Terminal
        } else {
            Self::Plain
        }
    }
}

/// The writer of all output. Cheap to clone.
#[derive(Clone)]
pub struct Report(Arc<Inner>);

struct Inner {
    audience: Audience,
    paint: Paint,
    redactor: Redactor,
    bars: MultiProgress,
    finished: Mutex<Vec<(Step, Duration, bool)>>,
    began: Instant,
}

impl Report {
    /// `colour` only matters on terminals.
    pub fn new(audience: Audience, colour: bool, redactor: Redactor) -> Self {
        let target = match audience {
            Audience::Terminal => ProgressDrawTarget::stderr(),
            Audience::Plain | Audience::GitHub | Audience::Events => ProgressDrawTarget::hidden(),
        };
        let bars = MultiProgress::with_draw_target(target);
        let paint = Paint::new(colour && audience == Audience::Terminal);
        Self(Arc::new(Inner { audience, paint, redactor, bars, finished: Mutex::default(), began: Instant::now() }))
    }

    pub fn audience(&self) -> Audience {
        self.0.audience
    }

    /// The redactor of all output.
    pub fn redactor(&self) -> &Redactor {
        &self.0.redactor
    }

    pub fn paint(&self) -> Paint {
        self.0.paint
    }

    /// The first line of a command: what is deployed to which environment.
    pub fn headline(&self, text: &str) {
        self.event(None, State::Started, json!({ "text": text }));
        self.say(&format!("{text}\n"));
    }

    pub fn begin(&self, step: Step) -> Ongoing {
        Ongoing::begin(self, step)
    }

    /// Runs a step and shows how it ended. The error itself is shown once, when the command ends.
    pub async fn step<T: Summary>(
        &self,
        step: Step,
        work: impl AsyncFnOnce(&Ongoing) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let ongoing = self.begin(step);
        match work(&ongoing).await {
            Ok(result) if result.is_reused() => {
                ongoing.reuse(&result.summary());
                Ok(result)
            }
            Ok(result) => {
                ongoing.finish(&result.summary());
                Ok(result)
            }
            Err(failure) => {
                ongoing.fail(if matches!(failure, Failure::Aborted(_)) { "interrupted" } else { "failed" });
                Err(failure)
            }
        }
    }

    /// The steps that succeeded so far: duration, and whether the result was reused.
    pub fn finished(&self) -> Vec<(Step, Duration, bool)> {
        self.0.finished.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    /// Time since the command began, formatted.
    pub fn elapsed(&self) -> String {
        seconds(self.0.began.elapsed())
    }

    /// Shows information.
    pub fn note(&self, text: &str) {
        self.event(None, State::Note, json!({ "text": text }));
        self.say(&format!("  · {text}"));
    }

    /// Shows a line of another program's output. Creates no event.
    pub fn detail(&self, text: &str) {
        self.say(&format!("    {text}"));
    }

    /// Shows a warning.
    pub fn warn(&self, text: &str) {
        self.event(None, State::Warning, json!({ "text": text }));
        match self.0.audience {
            Audience::GitHub => self.say(&format!("::warning::{}", style::annotation(text))),
            _ => self.say(&format!("  {} {text}", self.0.paint.yellow("!"))),
        }
    }

    pub fn notices(&self, notices: &[Notice]) {
        for notice in notices {
            match notice {
                Notice::Note(text) => self.note(text),
                Notice::Warning(text) => self.warn(text),
            }
        }
    }

    /// Shows an error with all causes. GitHub shows it at the line that a [`Located`] error names.
    pub fn error(&self, error: &anyhow::Error) {
        let causes: Vec<String> = error.chain().skip(1).map(ToString::to_string).collect();
        self.event(None, State::Error, json!({ "text": error.to_string(), "causes": causes }));
        let mut text = format!("{} {error}", self.0.paint.red("error:"));
        for cause in &causes {
            text.push_str("\n  because ");
            text.push_str(&cause.replace('\n', "\n  "));
        }
        let text = self.0.redactor.redact(&text).into_owned();
        if self.0.audience == Audience::GitHub {
            let at = error.downcast_ref::<Located>();
            let at = at.map(|Located { file, line, column, .. }| format!(" file={file},line={line},col={column}"));
            self.say(&format!("::error{}::{}", at.unwrap_or_default(), style::annotation(&format!("{error:#}"))));
        }
        // Also with `--json`: the user at the terminal needs the error too.
        self.write_error(&text);
    }

    /// The last lines of a command: labels and values.
    pub fn summary(&self, rows: &[(&str, String)]) {
        let detail: serde_json::Map<String, Value> =
            rows.iter().map(|(label, value)| ((*label).to_owned(), Value::from(value.as_str()))).collect();
        self.event(None, State::Result, Value::Object(detail));
        let width = rows.iter().map(|(label, _)| label.chars().count()).max().unwrap_or_default();
        let mut text = String::from("\n");
        for (label, value) in rows {
            text.push_str(&format!("  {}  {value}\n", self.0.paint.bold(&format!("{label:<width$}"))));
        }
        self.say(&text);
    }

    /// A command's result: `human` on standard output, or `detail` as an event.
    pub fn result(&self, detail: Value, human: &str) {
        if self.0.audience == Audience::Events {
            self.event(None, State::Result, detail);
        } else if !human.is_empty() {
            // A closed pipe (`| head`) is not an error.
            drop(writeln!(std::io::stdout(), "{}", self.0.redactor.redact(human)));
        }
    }

    fn event(&self, step: Option<Step>, state: State, detail: Value) {
        if self.0.audience == Audience::Events {
            let line = event::line(step, state, &self.redact_json(detail));
            drop(writeln!(std::io::stdout(), "{line}"));
        }
    }

    fn redact_json(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.0.redactor.redact(&text).into_owned()),
            Value::Array(items) => items.into_iter().map(|item| self.redact_json(item)).collect(),
            Value::Object(map) => map.into_iter().map(|(key, value)| (key, self.redact_json(value))).collect(),
            plain => plain,
        }
    }

    fn say(&self, text: &str) {
        if self.0.audience != Audience::Events {
            self.write_error(text);
        }
    }

    fn write_error(&self, text: &str) {
        let text = self.0.redactor.redact(text);
        // The bars are redrawn around it. A closed standard error is not an error.
        self.0.bars.suspend(|| drop(writeln!(std::io::stderr(), "{text}")));
    }
}
