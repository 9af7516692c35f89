//! The toolkit's output: live lines on a terminal, plain lines elsewhere, groups and annotations on GitHub, and with `--json`
//! one event a line on standard output (`xtask/schema/event.json`).
//!
//! Human output goes to standard error, results go to standard output. The redactor redacts both, then what deceives a reader is
//! escaped. A stream that cannot be written fails no run.

mod audience;
mod escape;
mod event;
mod github;
mod ongoing;
mod outcome;
mod step;
mod stream;
mod style;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use indicatif::{MultiProgress, ProgressDrawTarget};
use serde_json::{Value, json};

pub use self::audience::Audience;
use self::escape::{annotation, printable, property};
pub use self::event::State;
use self::github::{Commands, Stream};
pub use self::ongoing::{Ongoing, Part};
pub use self::outcome::{Ended, Notice, Summary};
pub use self::step::Step;
use self::stream::{Results, Screen};
pub use self::style::{Paint, seconds};
use crate::failure::{Failure, Located};
use crate::secrets::Redactor;
use crate::typed::as_typed;

/// What a person sees as movement.
const REDRAWS_PER_SECOND: u8 = 20;

/// The keys of an event's detail whose texts are the toolkit's own. Those of all others are data.
const OWN_TEXTS: [&str; 4] = ["text", "causes", "found", "fix"];

/// Shows the output. Cheap to clone.
#[derive(Clone)]
pub struct Report(Arc<Inner>);

struct Inner {
    audience: Audience,
    paint: Paint,
    colour: bool,
    redactor: Redactor,
    screen: Screen,
    results: Results,
    /// On GitHub.
    commands: Option<Commands>,
    /// On GitHub, which has one group at a time: the step whose group is open.
    group: Mutex<Option<Step>>,
    bars: MultiProgress,
    ended: Mutex<Vec<Ended>>,
    began: Instant,
}

impl Report {
    /// A report for this audience. `colour` affects terminals only.
    pub fn new(audience: Audience, colour: bool, redactor: Redactor) -> Self {
        let screen = Screen::new();
        // A terminal without cursor movement is hidden, too.
        let live = audience == Audience::Terminal && !ProgressDrawTarget::stderr().is_hidden();
        let target = match live {
            true => ProgressDrawTarget::term_like_with_hz(Box::new(screen.clone()), REDRAWS_PER_SECOND),
            false => ProgressDrawTarget::hidden(),
        };
        let colour = colour && audience == Audience::Terminal;
        Self(Arc::new(Inner {
            audience,
            paint: Paint::new(colour),
            colour,
            redactor,
            screen,
            results: Results::new(),
            commands: (audience == Audience::GitHub).then(Commands::new),
            group: Mutex::default(),
            bars: MultiProgress::with_draw_target(target),
            ended: Mutex::default(),
            began: Instant::now(),
        }))
    }

    /// Who reads the output.
    pub fn audience(&self) -> Audience {
        self.0.audience
    }

    /// The redactor of all output.
    pub fn redactor(&self) -> &Redactor {
        &self.0.redactor
    }

    /// The colours for this audience.
    pub fn paint(&self) -> Paint {
        self.0.paint
    }

    /// The first line of a command: what it does.
    pub fn headline(&self, text: &str) {
        self.event(None, State::Started, json!({ "text": text }));
        self.say(&format!("{text}\n"));
    }

    /// The same with words behind it that are not the toolkit's, such as the subject of a commit.
    pub fn headline_about(&self, text: &str, subject: &str) {
        let text = format!("{}{}", self.own(text), self.redact(subject));
        match self.0.audience {
            Audience::Events => self.write_event(None, State::Started, &json!({ "text": text })),
            _ => self.write_redacted(&format!("{text}\n")),
        }
    }

    /// Begins a step.
    pub fn begin(&self, step: Step) -> Ongoing {
        Ongoing::begin(self, step)
    }

    /// Runs a step and shows how it ended. The error is shown when the command ends.
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

    /// Every step that has succeeded: its duration, and whether an earlier run's result was reused.
    pub fn finished(&self) -> Vec<(Step, Duration, bool)> {
        let succeeded =
            |ended: Ended| Some((ended.step, ended.took, ended.state == State::Reused)).filter(|_| ended.is_ok());
        self.ended().into_iter().filter_map(succeeded).collect()
    }

    /// Every step that has ended, however it did.
    pub fn ended(&self) -> Vec<Ended> {
        self.0.ended.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    /// The time since the start of the command, for people.
    pub fn elapsed(&self) -> String {
        seconds(self.0.began.elapsed())
    }

    /// Shows information.
    pub fn note(&self, text: &str) {
        self.event(None, State::Note, json!({ "text": text }));
        self.say(&format!("  · {text}"));
    }

    /// Shows a line of a program's output.
    pub fn detail(&self, text: &str) {
        self.say_as_it_is(&format!("    {text}"));
    }

    /// Shows a warning.
    pub fn warn(&self, text: &str) {
        self.event(None, State::Warning, json!({ "text": text }));
        match self.0.audience {
            Audience::GitHub => self.command(&format!("::warning::{}", annotation(&self.own(text)))),
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

    /// Shows an error with its causes. GitHub shows a [`Located`] error at its line.
    pub fn error(&self, error: &anyhow::Error) {
        let redact = |text: String| self.own(&text);
        let causes: Vec<String> = error.chain().skip(1).map(|cause| redact(cause.to_string())).collect();
        self.event(None, State::Error, json!({ "text": error.to_string(), "causes": causes }));
        if self.0.audience == Audience::GitHub {
            let at = error.downcast_ref::<Located>();
            let at = at.map(|Located { file, line, column, .. }| {
                format!(" file={},line={line},col={column}", property(file.as_str()))
            });
            // Redacted before it is escaped: a secret may contain what is escaped.
            let message = annotation(&redact(format!("{error:#}")));
            self.command(&format!("::error{}::{message}", at.unwrap_or_default()));
        }
        let mut text = format!("{} {}", self.0.paint.red("error:"), redact(error.to_string()));
        for cause in &causes {
            text.push_str("\n  because ");
            text.push_str(&cause.replace('\n', "\n  "));
        }
        // Also with events, so that the user of a terminal sees the error.
        self.write_error(&text);
    }

    /// Shows the last lines of a command: labels and values.
    pub fn summary(&self, rows: &[(&str, String)]) {
        let detail: serde_json::Map<String, Value> =
            rows.iter().map(|(label, value)| ((*label).to_owned(), Value::from(self.own(value)))).collect();
        self.event(None, State::Result, Value::Object(detail));
        let width = rows.iter().map(|(label, _)| label.chars().count()).max().unwrap_or_default();
        let mut text = String::from("\n");
        for (label, value) in rows {
            text.push_str(&format!("  {}  {value}\n", self.0.paint.bold(&format!("{label:<width$}"))));
        }
        self.say(&text);
    }

    /// Shows a command's result: `human` on standard output, or an event.
    pub fn result(&self, detail: Value, human: &str) {
        match self.0.audience {
            Audience::Events => self.event(None, State::Result, detail),
            _ => self.write_result(&self.own(human)),
        }
    }

    /// The same for a text that is not the toolkit's, as a line of a log or a part of a file.
    pub fn excerpt(&self, detail: Value, human: &str) {
        match self.0.audience {
            Audience::Events => self.event(None, State::Result, detail),
            _ => self.write_result(&self.redact(human)),
        }
    }

    fn write_result(&self, human: &str) {
        if !human.is_empty() {
            // A script takes a result such as a digest from standard output, without lines around it.
            self.turn_to(github::has_commands(human).then_some(Stream::Output));
            let colour = self.0.colour && self.0.results.terminal;
            self.0.results.write(&format!("{}\n", printable(human, colour)));
        }
    }

    /// Writes data for a program to standard output, as it is: a script reads it. It is neither redacted nor, but on a terminal,
    /// escaped.
    pub fn data(&self, text: &str) {
        self.turn_to(None);
        if self.0.results.terminal {
            self.0.results.write(&printable(text, false));
        } else {
            self.0.results.write(text);
        }
    }

    /// A text as people see it, for a page that is written elsewhere: redacted, and with what deceives a reader escaped.
    pub fn shown(&self, text: &str) -> String {
        printable(&self.0.redactor.redact(text), false)
    }

    /// Shows a text about a command line that is none, as it is.
    pub fn usage(&self, text: &str) {
        self.write_error(text.trim_end());
    }

    /// Asks a question at the terminal; the answer is typed behind it.
    pub fn ask(&self, question: &str) {
        let text = printable(&self.own(question), self.0.colour);
        self.0.bars.suspend(|| self.0.screen.write(&format!("{text} ")));
    }

    /// Whether the reader of the results went away, or cannot take more of them.
    pub fn is_unread(&self) -> bool {
        self.0.results.has_failed()
    }

    /// Ends the output. Fails if results are lost, as on a full disk; not if their reader went away (`| head`).
    pub fn end(&self) -> anyhow::Result<()> {
        self.turn_to(None);
        self.0.results.lost().context("the command has ended, but its results could not be written to standard output")
    }

    fn event(&self, step: Option<Step>, state: State, detail: Value) {
        if self.0.audience == Audience::Events {
            self.write_event(step, state, &self.redact_json(detail, false));
        }
    }

    fn write_event(&self, step: Option<Step>, state: State, detail: &Value) {
        self.0.results.write(&format!("{}\n", event::line(step, state, detail)));
    }

    /// A detail of an event. Its data stay as they are; of the toolkit's own texts, commands have the form that was typed.
    fn redact_json(&self, value: Value, is_own: bool) -> Value {
        match value {
            Value::String(text) if is_own => Value::String(self.own(&text)),
            Value::String(text) => Value::String(self.redact(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.redact_json(item, is_own)).collect(),
            Value::Object(map) => {
                let one = |(key, value): (String, Value)| {
                    let is_own = OWN_TEXTS.contains(&key.as_str());
                    (key, self.redact_json(value, is_own))
                };
                map.into_iter().map(one).collect()
            }
            plain => plain,
        }
    }

    fn redact(&self, text: &str) -> String {
        self.0.redactor.redact(text).into_owned()
    }

    /// A text of the toolkit's: redacted, and with its commands in the form that was typed.
    fn own(&self, text: &str) -> String {
        as_typed(&self.0.redactor.redact(text)).into_owned()
    }

    fn say(&self, text: &str) {
        if self.0.audience != Audience::Events {
            self.write_error(text);
        }
    }

    /// The same for a text that is not the toolkit's.
    fn say_as_it_is(&self, text: &str) {
        if self.0.audience != Audience::Events {
            self.write_redacted(&self.redact(text));
        }
    }

    fn write_error(&self, text: &str) {
        self.write_redacted(&self.own(text));
    }

    fn write_redacted(&self, text: &str) {
        self.turn_to(Some(Stream::Error));
        self.write(&printable(text, self.0.colour));
    }

    /// A workflow command to GitHub. Its texts are redacted and escaped.
    fn command(&self, command: &str) {
        self.turn_to(None);
        self.write(command);
    }

    /// The progress bars are redrawn around the line.
    fn write(&self, line: &str) {
        self.0.bars.suspend(|| self.0.screen.write(&format!("{line}\n")));
    }

    fn turn_to(&self, stream: Option<Stream>) {
        for (stream, line) in self.0.commands.iter().flat_map(|commands| commands.turn_to(stream)) {
            match stream {
                Stream::Error => self.0.screen.write(&line),
                Stream::Output => self.0.results.write(&line),
            }
        }
    }
}
