//! What a suite came to: counted from what `cargo test` says, with the words of what failed.

use std::collections::VecDeque;

/// How much of what a test or a program said is repeated at the end.
const LINES: usize = 40;

/// What a suite came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How many passed.
    pub passed: u64,
    /// What failed.
    pub failed: Vec<Failed>,
    /// What failed beside other tests, and passed when it was run again by itself.
    pub flaky: Vec<Failed>,
    /// What this machine cannot run, each with why.
    pub skipped: Vec<String>,
}

/// Something that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// The test, or the suite if it failed as a whole.
    pub name: String,
    is_whole: bool,
    said: VecDeque<String>,
}

/// Reads what `cargo test -- --show-output` says, line by line.
#[derive(Debug, Default)]
pub struct Reading {
    outcome: Outcome,
    section: Section,
    last: VecDeque<String>,
}

/// Where in the output of a test program the reading is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Section {
    #[default]
    Run,
    Successes,
    Failures,
    Names,
}

impl Outcome {
    /// Something that passes as a whole.
    pub fn passed() -> Self {
        Self { passed: 1, ..Self::default() }
    }

    /// Something that fails as a whole.
    pub fn failed(name: &str, said: impl IntoIterator<Item = String>) -> Self {
        let mut failed = Failed { is_whole: true, ..Failed::new(name) };
        said.into_iter().for_each(|line| keep(&mut failed.said, line));
        Self { failed: vec![failed], ..Self::default() }
    }

    /// The names of the tests that failed. A program that broke off has failed as a whole and names none.
    pub fn failed_tests(&self) -> Vec<String> {
        let tests = self.failed.iter().filter(|failed| !failed.is_whole);
        tests.map(|failed| failed.name.clone()).collect()
    }

    /// Takes the outcome of a second run of the tests that failed.
    pub fn again(&mut self, second: Self) {
        if second.failed.iter().any(|failed| failed.is_whole) {
            return;
        }
        self.passed += second.passed;
        let (failed, flaky) = std::mem::take(&mut self.failed)
            .into_iter()
            .partition(|first| second.failed.iter().any(|failed| failed.name == first.name));
        (self.failed, self.flaky) = (failed, flaky);
    }

    /// Both.
    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
        self.flaky.extend(other.flaky);
        self.skipped.extend(other.skipped);
    }
}

impl Failed {
    /// The last that it said.
    pub fn said(&self) -> String {
        self.said.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), is_whole: false, said: VecDeque::new() }
    }
}

impl Reading {
    /// Takes a line. Whether it is worth reading as it comes: what tests that passed have said is not.
    pub fn line(&mut self, line: &str) -> bool {
        if let Some(skipped) = line.trim_start().strip_prefix("SKIPPED ") {
            self.outcome.skipped.push(skipped.to_owned());
        }
        if let Some(counts) = line.split_once("test result: ").and_then(|(_, rest)| rest.split_once(". ")) {
            self.section = Section::Run;
            self.count(counts.1);
            return true;
        }
        match (self.section, line) {
            (_, "successes:") => self.section = Section::Successes,
            (Section::Failures, "failures:") => self.section = Section::Names,
            (_, "failures:") => self.section = Section::Failures,
            (Section::Failures, line) => self.failure(line),
            (Section::Names, name) => self.name(name.trim()),
            (Section::Run, line) => keep(&mut self.last, line.to_owned()),
            (Section::Successes, _) => {}
        }
        self.section != Section::Successes
    }

    /// What all of it came to. A run that ended badly and names no test did not compile, or broke off.
    pub fn end(self, suite: &str, well: bool) -> Outcome {
        let mut outcome = self.outcome;
        if !well && outcome.failed.is_empty() {
            outcome.add(Outcome::failed(suite, self.last));
        }
        outcome
    }

    /// `12 passed; 0 failed; 1 ignored; …`
    fn count(&mut self, counts: &str) {
        for part in counts.split("; ") {
            match part.split_once(' ') {
                Some((number, "passed")) => self.outcome.passed += number.parse::<u64>().unwrap_or_default(),
                Some((number, "ignored")) if number != "0" => {
                    self.outcome.skipped.push(format!("{number} ignored tests"));
                }
                _ => {}
            }
        }
    }

    /// A line of what a failed test said, or the one that it begins with: `---- name stdout ----`.
    fn failure(&mut self, line: &str) {
        let head = line.strip_prefix("---- ").and_then(|line| line.strip_suffix(" stdout ----"));
        match (head, self.outcome.failed.last_mut()) {
            (Some(name), _) => self.outcome.failed.push(Failed::new(name)),
            (None, Some(failed)) if !line.is_empty() => keep(&mut failed.said, line.to_owned()),
            _ => {}
        }
    }

    /// A failed test that may have said nothing.
    fn name(&mut self, name: &str) {
        if !name.is_empty() && !self.outcome.failed.iter().any(|failed| failed.name == name) {
            self.outcome.failed.push(Failed::new(name));
        }
    }
}

fn keep(lines: &mut VecDeque<String>, line: String) {
    if lines.len() == LINES {
        lines.pop_front();
    }
    lines.push_back(line);
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "running 14 tests
..F.
successes:

---- tests::fine stdout ----
thread 'tests::fine' panicked at src/lib.rs:1:1:
on purpose
SKIPPED as_an_ordinary_user: takes root

successes:
    tests::fine

failures:

---- tests::wrong stdout ----
thread 'tests::wrong' panicked at src/lib.rs:2:2:
left and right

failures:
    tests::silent
    tests::wrong

test result: FAILED. 12 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s
running 4 tests
....
test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s";

    #[test]
    fn a_run_is_counted_and_what_failed_has_its_words() {
        let mut reading = Reading::default();
        let shown: Vec<&str> = SAID.lines().filter(|line| reading.line(line)).collect();
        assert!(!shown.contains(&"on purpose") && shown.contains(&"left and right"), "{shown:?}");
        let outcome = reading.end("toolkit", false);
        assert_eq!(outcome.passed, 15);
        assert_eq!(outcome.skipped, ["as_an_ordinary_user: takes root", "1 ignored tests"]);
        let failed: Vec<_> = outcome.failed.iter().map(|failed| (failed.name.as_str(), failed.said())).collect();
        let said = "thread 'tests::wrong' panicked at src/lib.rs:2:2:\nleft and right".to_owned();
        assert_eq!(failed, [("tests::wrong", said), ("tests::silent", String::new())]);
    }

    #[test]
    fn what_passes_in_a_second_run_is_flaky() {
        let mut first = Outcome { passed: 12, ..Outcome::default() };
        first.failed = vec![Failed::new("tests::silent"), Failed::new("tests::wrong")];
        assert_eq!(first.failed_tests(), ["tests::silent", "tests::wrong"]);
        // A second run that broke off proves nothing.
        let mut broken = first.clone();
        broken.again(Outcome::failed("toolkit", []));
        assert_eq!(broken, first);
        first.again(Outcome { passed: 1, failed: vec![Failed::new("tests::wrong")], ..Outcome::default() });
        let names = |failed: &[Failed]| failed.iter().map(|failed| failed.name.clone()).collect::<Vec<_>>();
        assert_eq!(
            (first.passed, names(&first.failed), names(&first.flaky)),
            (13, vec!["tests::wrong".to_owned()], vec!["tests::silent".to_owned()])
        );
        assert!(Outcome::failed("toolkit", []).failed_tests().is_empty());
    }

    #[test]
    fn a_run_that_breaks_off_is_a_failure_with_its_last_words() {
        let mut reading = Reading::default();
        for line in (0..99).map(|number| format!("line {number}")).chain(["error: could not compile".to_owned()]) {
            reading.line(&line);
        }
        let outcome = reading.end("toolkit", false);
        let said = outcome.failed[0].said();
        assert_eq!((outcome.failed[0].name.as_str(), said.lines().count()), ("toolkit", LINES));
        assert!(said.ends_with("error: could not compile"), "{said}");
        assert_eq!(Reading::default().end("toolkit", true), Outcome::default());
    }
}
