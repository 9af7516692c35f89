//! What a release and its platform have answered, for the record of a deploy that failed.

use std::cell::{Cell, RefCell};

use jiff::Timestamp;

use crate::report::Report;
use crate::targets::condition::Condition;

/// How many distinct answers are kept: the last ones.
const KEPT: usize = 10;
/// The longest answer, in characters.
const LONGEST: usize = 500;

/// The last answers of a release.
pub struct Asked<'r> {
    report: &'r Report,
    answers: RefCell<Vec<Answered>>,
    /// The platform's silence was said.
    warned: Cell<bool>,
}

/// An answer, and when it was given.
struct Answered {
    what: String,
    first: Timestamp,
    last: Timestamp,
    times: u32,
}

impl<'r> Asked<'r> {
    /// Nothing was asked yet.
    pub fn new(report: &'r Report) -> Self {
        Self { report, answers: RefCell::default(), warned: Cell::new(false) }
    }

    /// Keeps an answer. One that is known is only counted.
    pub fn note(&self, what: &str) {
        // Redacted before it is cut: a part of a secret is not found any more.
        let what: String = self.report.redactor().redact(what).chars().take(LONGEST).collect();
        let (now, mut answers) = (Timestamp::now(), self.answers.borrow_mut());
        let known = answers.iter().position(|known| known.what == what).map(|index| answers.remove(index));
        let answered = known.unwrap_or(Answered { what, first: now, last: now, times: 0 });
        answers.push(Answered { last: now, times: answered.times + 1, ..answered });
        if answers.len() > KEPT {
            answers.remove(0);
        }
    }

    /// Keeps what the platform says, and warns once if it cannot be asked.
    pub fn note_condition(&self, condition: &Condition) {
        match condition {
            Condition::NotAsked(why) => {
                self.note(&format!("{}: {why}", condition.describe()));
                if !self.warned.replace(true) {
                    self.report
                        .warn(&format!("the platform could not be asked, so the service's own answers decide: {why}"));
                }
            }
            _ => self.note(&condition.describe()),
        }
    }

    /// A line each, the one that was given last at the end.
    pub fn lines(&self) -> Vec<String> {
        let time = |time: &Timestamp| time.strftime("%H:%M:%SZ").to_string();
        let line = |Answered { what, first, last, times }: &Answered| match times {
            1 => format!("{}  {what}", time(first)),
            more => format!("{} to {}, {more} times  {what}", time(first), time(last)),
        };
        self.answers.borrow().iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Audience;
    use crate::secrets::Redactor;

    #[test]
    fn the_last_distinct_answers_are_kept_without_secrets() {
        let redactor = Redactor::default();
        redactor.learn_value(&"sentinel-of-a-secret".into());
        let report = Report::new(Audience::Plain, false, redactor);
        let asked = Asked::new(&report);
        for number in 0..12 {
            asked.note(&format!("answer {number}"));
        }
        asked.note("answer 3");
        asked.note(&format!("{}sentinel-of-a-secret", "x".repeat(LONGEST - 5)));
        let lines = asked.lines();
        assert_eq!(lines.len(), KEPT);
        assert!(lines[0].ends_with("Z  answer 4") && lines[8].contains(", 2 times  answer 3"), "{lines:?}");
        assert!(!lines[9].contains("senti") && lines[9].chars().count() < LONGEST + 40, "{lines:?}");
    }
}
