//! The table: one row for each measurement.

use std::time::Duration;

use serde_json::{Value, json};

use super::turns::{Samples, Turns};
use xtask::report::Report;

/// One measurement.
pub struct Row {
    /// What was measured, against what.
    pub what: String,
    /// The measurement and its reference.
    pub turns: Turns,
    /// What it should come to; no goal is a figure to watch.
    pub goals: Vec<Goal>,
    /// What else was seen: where the time goes.
    pub notes: Vec<String>,
}

/// What a measurement should come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// At most this long.
    Within(Duration),
    /// At most this many times as long as the reference.
    Times(f64),
    /// At most this much longer than the reference.
    Beside(Duration),
    /// At most this much memory, in bytes, and how much it took.
    Memory {
        /// The goal.
        most: u64,
        /// What it took.
        took: u64,
    },
    /// A figure of this name that should be at most so much.
    AtMost { what: &'static str, most: f64, took: f64 },
    /// A figure of this name that should be at least so much.
    AtLeast { what: &'static str, least: f64, took: f64 },
}

/// Prints the rows, each with its name on the command line: a table for people, an event each for programs.
pub fn print(rows: &[(String, Row)], report: &Report) {
    let head = line("", ["measured", "min – max", "reference", "ratio", "goal"], "");
    for (index, (name, row)) in rows.iter().enumerate() {
        let text = row.text(name, |met| if met { report.paint().green("✓") } else { report.paint().red("✗") });
        let text = if index == 0 { format!("{head}\n{text}") } else { text };
        report.result(row.json(name), &text);
    }
}

impl Row {
    fn met(&self) -> Option<bool> {
        (!self.goals.is_empty()).then(|| self.goals.iter().all(|goal| goal.is_met(&self.turns)))
    }

    fn text(&self, name: &str, mark: impl Fn(bool) -> String) -> String {
        let Turns { measured, reference } = &self.turns;
        let (shortest, longest) = measured.range();
        let range =
            if measured.count() > 1 { format!("{} – {}", text(shortest), text(longest)) } else { "once".to_owned() };
        let goals: Vec<String> = self.goals.iter().map(ToString::to_string).collect();
        let cells = [
            &text(measured.median()),
            &range,
            &text(reference.median()),
            &times(self.turns.ratio()),
            &goals.join(", "),
        ];
        let mut lines = line(name, cells.map(String::as_str), &self.met().map(mark).unwrap_or_default());
        let runs = if measured.count() > 1 { format!("{} pairs", measured.count()) } else { "one run each".to_owned() };
        for more in std::iter::once(&format!("{}; {runs}", self.what)).chain(&self.notes) {
            lines.push_str(&format!("\n    {more}"));
        }
        lines
    }

    fn json(&self, name: &str) -> Value {
        let seconds = |samples: &Samples| {
            let (shortest, longest) = samples.range();
            json!({ "median": samples.median().as_secs_f64(), "min": shortest.as_secs_f64(), "max": longest.as_secs_f64() })
        };
        json!({
            "measurement": name,
            "what": self.what,
            "runs": self.turns.measured.count(),
            "seconds": seconds(&self.turns.measured),
            "reference_seconds": seconds(&self.turns.reference),
            "ratio": self.turns.ratio(),
            "goals": self.goals.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "met": self.met(),
            "notes": self.notes,
        })
    }
}

impl Goal {
    fn is_met(self, turns: &Turns) -> bool {
        match self {
            Self::Within(most) => turns.measured.median() <= most,
            Self::Times(most) => turns.ratio() <= most,
            Self::Beside(most) => turns.measured.median() <= turns.reference.median() + most,
            Self::Memory { most, took } => took <= most,
            Self::AtMost { most, took, .. } => took <= most,
            Self::AtLeast { least, took, .. } => took >= least,
        }
    }
}

impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Within(most) => write!(f, "≤ {}", text(*most)),
            Self::Times(most) => write!(f, "≤ {}", times(*most)),
            Self::Beside(most) => write!(f, "≤ + {}", text(*most)),
            Self::Memory { most, .. } => write!(f, "≤ {} MB", most / 1_000_000),
            Self::AtMost { what, most, .. } => write!(f, "{what} ≤ {most}"),
            Self::AtLeast { what, least, .. } => write!(f, "{what} ≥ {least}"),
        }
    }
}

/// Tells of each pair of measurements while they are taken.
pub fn said(report: &Report) -> impl Fn(Duration, Duration) {
    |measured, reference| report.detail(&format!("{} against {}", text(measured), text(reference)))
}

/// `4.13 ms`, `1.25 s`, `104 s`: three digits that count, as far as there are.
pub fn text(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    let (value, unit) = if seconds < 1.0 { (seconds * 1000.0, "ms") } else { (seconds, "s") };
    match value {
        value if value == value.trunc() => format!("{value} {unit}"),
        value if value < 9.995 => format!("{value:.2} {unit}"),
        value if value < 99.95 => format!("{value:.1} {unit}"),
        value => format!("{value:.0} {unit}"),
    }
}

fn times(ratio: f64) -> String {
    if ratio == ratio.trunc() { format!("{ratio} ×") } else { format!("{ratio:.2} ×") }
}

fn line(name: &str, [measured, range, reference, ratio, goal]: [&str; 5], mark: &str) -> String {
    format!("  {name:<13} {measured:>9}  {range:>19} {reference:>10} {ratio:>8}  {goal:<15} {mark}")
        .trim_end()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits() {
        let cases = [
            (0.00413, "4.13 ms"),
            (0.01, "10 ms"),
            (0.0547, "54.7 ms"),
            (1.0, "1 s"),
            (41.33, "41.3 s"),
            (104.4, "104 s"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(text(Duration::from_secs_f64(seconds)), expected);
        }
    }

    #[test]
    fn a_row_says_what_was_measured_and_whether_every_goal_is_met() {
        let turns = Turns::once(Duration::from_millis(900), Duration::from_millis(200));
        let goals = vec![Goal::Within(Duration::from_secs(1)), Goal::Times(3.0)];
        let row = Row { what: "a deploy, against git".to_owned(), turns, goals, notes: Vec::new() };
        let said = row.text("no-op", |met| met.to_string());
        assert!(said.contains("900 ms") && said.contains("4.50 ×") && said.contains("≤ 1 s, ≤ 3 ×"), "{said}");
        assert!(said.contains("false") && said.ends_with("a deploy, against git; one run each"), "{said}");
        assert_eq!(row.json("no-op")["met"], false);
    }
}
