//! A running step: its live line on a terminal, its progress lines elsewhere, its end.

use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use serde_json::json;

use super::escape::one_line;
use super::style::seconds;
use super::{Audience, Ended, Report, State, Step};

/// The interval of progress lines on plain output.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

/// A running step. It ends with [`Ongoing::finish`], [`Ongoing::reuse`] or [`Ongoing::fail`]. A dropped step was interrupted.
pub struct Ongoing {
    report: Report,
    step: Step,
    bar: ProgressBar,
    started: Instant,
    last_shown: Mutex<Instant>,
    /// When the current part began. The live line shows both times.
    part_began: Arc<Mutex<Option<Instant>>>,
    /// On GitHub, for a step that began while another one's group was open: its output, until it ends.
    collected: Option<Mutex<Vec<String>>>,
    open: bool,
}

/// How a part of a step ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Part {
    /// Done, in this time.
    Done(Duration),
    /// Cached.
    Cached,
    /// Failed; the step continues without it.
    Without,
}

impl Ongoing {
    pub(super) fn begin(report: &Report, step: Step) -> Self {
        report.event(Some(step), State::Started, json!({}));
        let mut bar = ProgressBar::hidden();
        let part_began = Arc::<Mutex<Option<Instant>>>::default();
        if report.0.audience == Audience::Terminal {
            bar = report.0.bars.add(bar);
            let style = ProgressStyle::with_template("  {spinner} {prefix:<11} {wide_msg}{part} {elapsed:>8}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            let began = Arc::clone(&part_began);
            let style = style.with_key("part", move |_: &ProgressState, line: &mut dyn Write| {
                let began = *began.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                if let Some(began) = began {
                    write!(line, "  {}", seconds(began.elapsed())).ok();
                }
            });
            bar.set_style(style.tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ "));
            bar.set_prefix(step.to_string());
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        let collected = report.0.audience == Audience::GitHub && !report.open_group(step);
        let collected = collected.then(Mutex::default);
        let now = Instant::now();
        let last_shown = Mutex::new(now);
        Self { report: report.clone(), step, bar, started: now, last_shown, part_began, collected, open: true }
    }

    /// Shows what the step is doing.
    pub fn progress(&self, text: &str) {
        let text = self.report.0.redactor.redact(text);
        self.bar.set_message(one_line(&text));
        let mut last = self.last_shown.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let every = match self.report.0.audience {
            Audience::Events => Duration::from_secs(1),
            _ => PROGRESS_INTERVAL,
        };
        if last.elapsed() < every {
            return;
        }
        *last = Instant::now();
        drop(last);
        self.report.event(Some(self.step), State::Progress, json!({ "text": text, "seconds": self.elapsed() }));
        if self.report.0.audience != Audience::Terminal {
            self.report.say(&self.line("…", &text));
        }
    }

    /// The same for a part of the step that began at this time.
    pub fn progress_since(&self, text: &str, began: Instant) {
        *self.part_began.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(began);
        self.progress(text);
    }

    /// Shows that a part of the step has ended. On a terminal, the live line is enough.
    pub fn part(&self, text: &str, ended: Part) {
        let (mark, how, took) = match ended {
            Part::Done(took) => ("✓", "done", Some(took)),
            Part::Cached => ("↺", "cached", None),
            Part::Without => ("!", "without", None),
        };
        let time = took.map_or_else(|| how.to_owned(), seconds);
        if self.report.0.audience != Audience::Terminal {
            self.report.say(&format!("    {mark} {text:<58} {time:>9}"));
        }
        let mut detail = json!({ "text": text, "seconds": self.elapsed(), "part": how });
        if let Some(took) = took {
            detail["took"] = json!(took.as_secs_f64());
        }
        self.report.event(Some(self.step), State::Progress, detail);
    }

    /// Shows a line of a program's output on GitHub, inside the step's group.
    pub fn output(&self, line: &str) {
        match &self.collected {
            Some(lines) => lines.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(line.to_owned()),
            None if self.report.0.audience == Audience::GitHub => self.report.say_as_it_is(line),
            None => {}
        }
    }

    /// Ends the step successfully.
    pub fn finish(mut self, text: &str) {
        self.end(State::Finished, self.report.0.paint.green("✓"), text);
    }

    /// Ends the step with the result of an earlier run.
    pub fn reuse(mut self, text: &str) {
        self.end(State::Reused, self.report.0.paint.green("↺"), text);
    }

    /// Ends the step as failed. The error is shown when the command ends.
    pub fn fail(mut self, text: &str) {
        self.end(State::Failed, self.report.0.paint.red("✗"), text);
    }

    fn end(&mut self, state: State, mark: String, text: &str) {
        self.open = false;
        self.bar.finish_and_clear();
        self.report.0.bars.remove(&self.bar);
        let took = self.started.elapsed();
        let ended = Ended { step: self.step, began: SystemTime::now() - took, took, state };
        self.report.0.ended.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(ended);
        let line = self.line(&mark, text);
        match self.collected.take() {
            Some(lines) => {
                let lines = lines.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
                self.report.between_groups(self.step, &lines, &line);
            }
            None => {
                self.report.close_group();
                self.report.say(&line);
            }
        }
        self.report.event(Some(self.step), state, json!({ "text": text, "seconds": self.elapsed() }));
    }

    fn line(&self, mark: &str, text: &str) -> String {
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        let time = seconds(self.started.elapsed());
        let mut line = format!("  {mark} {:<11} {first:<47} {time:>9}", self.step.to_string());
        for more in lines {
            line.push_str(&format!("\n    {:<11} {more}", ""));
        }
        line
    }

    fn elapsed(&self) -> f64 {
        (self.started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0
    }
}

impl Drop for Ongoing {
    fn drop(&mut self) {
        if self.open {
            self.end(State::Failed, self.report.0.paint.red("✗"), "interrupted");
        }
    }
}
