//! Where the time of a run went.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use xtask::report::{Report, seconds};

use super::progress::Progress;

/// How many of the slowest tests are shown.
const SLOWEST: usize = 20;

/// Prints how long each job and the slowest tests took.
pub fn print(progress: &Progress, report: &Report) {
    let done = progress.done();
    let mut text = format!("{:<50} {:>10} {:>10} {:>6}\n", "job", "wall", "processor", "tests");
    for job in done.iter() {
        let (wall, processor) = (seconds(job.wall), seconds(job.processor));
        text.push_str(&format!("{:<50} {wall:>10} {processor:>10} {:>6}\n", job.name, job.tests.len()));
    }
    let sum: Duration = done.iter().map(|job| job.processor).sum();
    text.push_str(&format!("{:<50} {:>10} {:>10}\n", "all", seconds(progress.elapsed()), seconds(sum)));
    if let Some(busy) = progress.busy() {
        text.push_str(&format!("{:<50} {:>10} {:>10}\n", "this machine, servers included", "", seconds(busy)));
    }
    let tests = done.iter().flat_map(|job| job.tests.iter().map(|(test, took)| (took, &job.name, test)));
    let mut tests: Vec<_> = tests.collect();
    tests.sort_by_key(|(took, _, _)| Reverse(**took));
    text.push_str("\nthe slowest tests\n");
    for (took, job, test) in tests.into_iter().take(SLOWEST) {
        text.push_str(&format!("{:>10}  {job}: {test}\n", seconds(*took)));
    }
    text.lines().for_each(|line| report.detail(line));
}

/// Tells how long each test of a program takes from the lines that say how they ended: a stable test program says neither
/// when a test begins nor how long it took. But it begins them in the order of their names, each when one ends.
pub struct Watch {
    began: Instant,
    threads: usize,
    ended: Vec<(String, Duration)>,
}

impl Watch {
    /// Of a program that begins now and runs so many tests at a time.
    pub fn start(threads: usize) -> Self {
        Self { began: Instant::now(), threads, ended: Vec::new() }
    }

    /// A line that comes now.
    pub fn line(&mut self, line: &str) {
        let after = self.began.elapsed();
        self.line_after(line, after);
    }

    /// How long each test took.
    pub fn tests(&self) -> Vec<(String, Duration)> {
        let mut names = self.ended.clone();
        names.sort();
        let began = |index: usize| match index.checked_sub(self.threads) {
            Some(before) => self.ended[before].1,
            None => Duration::ZERO,
        };
        names.into_iter().enumerate().map(|(index, (name, end))| (name, end.saturating_sub(began(index)))).collect()
    }

    fn line_after(&mut self, line: &str, after: Duration) {
        // `test module::name ... ok`
        let ended = line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... "));
        if let Some((name, _)) = ended {
            self.ended.push((name.to_owned(), after));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_begins_when_one_before_it_ends() {
        let mut watch = Watch::start(2);
        for (after, line) in [
            (0, "running 4 tests"),
            (3, "test b ... ok"),
            (4, "test c ... FAILED"),
            (5, "test a ... ok"),
            (9, "test d ... ignored"),
            (9, "test result: FAILED. 2 passed"),
        ] {
            watch.line_after(line, Duration::from_secs(after));
        }
        // a and b begin; c begins when b ends, d when c ends.
        let tests = watch.tests().into_iter().map(|(name, took)| (name, took.as_secs())).collect::<Vec<_>>();
        let expected = [("a", 5), ("b", 3), ("c", 1), ("d", 5)].map(|(name, took)| (name.to_owned(), took));
        assert_eq!(tests, expected);
    }
}
