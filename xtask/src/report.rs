//! Everything the toolkit says: live lines on a terminal, plain lines elsewhere, groups and annotations on GitHub, and
//! with `--json` one event a line on standard output (`xtask/schema/event.json`).
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

/// The steps of the stories, in the order of a deploy. A step's name is its word in the output, in events, in the
/// journal and in records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Every check that can be made before anything changes.
    Preflight,
    /// Pin what is deployed: a commit, or a commit and the hash of what was changed since.
    Source,
    /// The service's queries fit its schema, and what is not released yet of it fits what is.
    Sqlx,
    /// Compile the service and its web UI.
    Build,
    /// Put the artifact where the place takes it from; from here on there is a digest.
    Publish,
    /// OpenTofu's working folder: backend and providers.
    Init,
    /// What the service needs at runtime: database, settings, secrets.
    #[serde(alias = "ground")]
    Provision,
    /// What would change.
    Plan,
    /// Bring the new release up beside the one that serves.
    Apply,
    /// The release itself says that it is ready, in the expected version.
    Gate,
    /// The new release takes over and the old one drains.
    Switch,
    /// The previous release serves again.
    Restore,
    /// The immutable record, and what is no longer kept.
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

/// The result of a step, as the step's line shows it.
pub trait Summary {
    /// One line, and more lines where there is more to say.
    fn summary(&self) -> String;

    /// Whether an earlier run did the work and its result still holds.
    fn is_reused(&self) -> bool {
        false
    }
}

impl Summary for () {
    fn summary(&self) -> String {
        String::new()
    }
}

/// What an operation found out beside its result, for its caller to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Worth knowing.
    Note(String),
    /// May become a problem.
    Warning(String),
}

/// How a person is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// A terminal: lines that move.
    Terminal,
    /// A file or a pipe: one line per finished step, and a sign of life on long ones.
    Plain,
    /// GitHub Actions: a group per step, annotations for errors.
    GitHub,
    /// A program, by events; people see only errors.
    Events,
}

impl Audience {
    /// Chosen from what standard error is and from `CI` and `GITHUB_ACTIONS`.
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

/// Where everything is said. Cheap to clone.
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
    /// A report for this audience. `colour` holds for terminals only.
    pub fn new(audience: Audience, colour: bool, redactor: Redactor) -> Self {
        let target = match audience {
            Audience::Terminal => ProgressDrawTarget::stderr(),
            Audience::Plain | Audience::GitHub | Audience::Events => ProgressDrawTarget::hidden(),
        };
        let bars = MultiProgress::with_draw_target(target);
        let paint = Paint::new(colour && audience == Audience::Terminal);
        Self(Arc::new(Inner { audience, paint, redactor, bars, finished: Mutex::default(), began: Instant::now() }))
    }

    /// How the user is told.
    pub fn audience(&self) -> Audience {
        self.0.audience
    }

    /// The redactor that everything said here goes through.
    pub fn redactor(&self) -> &Redactor {
        &self.0.redactor
    }

    /// The colours of this report's audience.
    pub fn paint(&self) -> Paint {
        self.0.paint
    }

    /// The story's first line: what goes where.
    pub fn headline(&self, text: &str) {
        self.event(None, State::Started, json!({ "text": text }));
        self.say(&format!("{text}\n"));
    }

    /// Begins a step.
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

    /// Every step that ended well so far: how long it took, and whether an earlier run had done it.
    pub fn finished(&self) -> Vec<(Step, Duration, bool)> {
        self.0.finished.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    /// Time since the command began, for people.
    pub fn elapsed(&self) -> String {
        seconds(self.0.began.elapsed())
    }

    /// Something worth knowing that is no problem.
    pub fn note(&self, text: &str) {
        self.event(None, State::Note, json!({ "text": text }));
        self.say(&format!("  · {text}"));
    }

    /// A line of what a program says while a command works: for those who want to read along.
    pub fn detail(&self, text: &str) {
        self.say(&format!("    {text}"));
    }

    /// Something that may become a problem.
    pub fn warn(&self, text: &str) {
        self.event(None, State::Warning, json!({ "text": text }));
        match self.0.audience {
            Audience::GitHub => self.say(&format!("::warning::{}", style::annotation(text))),
            _ => self.say(&format!("  {} {text}", self.0.paint.yellow("!"))),
        }
    }

    /// Shows notices in their order.
    pub fn notices(&self, notices: &[Notice]) {
        for notice in notices {
            match notice {
                Notice::Note(text) => self.note(text),
                Notice::Warning(text) => self.warn(text),
            }
        }
    }

    /// What went wrong, with every cause. GitHub shows it at the line that a [`Located`] error names.
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
        // Also with events: an error that only a program can read helps nobody at a terminal.
        self.write_error(&text);
    }

    /// The last lines of a story: label and value.
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

    /// A command's answer: `human` on standard output, or the event.
    pub fn result(&self, detail: Value, human: &str) {
        if self.0.audience == Audience::Events {
            self.event(None, State::Result, detail);
        } else if !human.is_empty() {
            // A reader that went away (`| head`) is no failure of ours.
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
        // Bars are drawn anew around it; a closed standard error is no failure of ours.
        self.0.bars.suspend(|| drop(writeln!(std::io::stderr(), "{text}")));
    }
}
