//! The processor time that programs take.

use std::time::Duration;

use anyhow::Result;
use xtask::tools::cmd::Cmd;

/// Only a shell tells the processor time of the processes that it started, and of those that they have waited for.
const SCRIPT: &str = r#""$@"; code=$?; times; exit "$code""#;

/// Runs a program to its end, as [`Cmd::run_lines_if`] does: how that was, and the processor time that it took.
pub async fn run(command: Cmd, mut on_line: impl FnMut(&str) -> bool) -> (Result<()>, Duration) {
    let mut took = Duration::ZERO;
    let command = command.by("sh", &["-c", SCRIPT, "sh"]);
    let ended = command.run_lines_if(|line| match times(line) {
        // The last line is that of the shell's children.
        Some(time) => {
            took = time;
            false
        }
        None => on_line(line),
    });
    (ended.await, took)
}

/// How busy the processors of this machine were since it was started, where the system tells.
pub fn busy() -> Option<Duration> {
    /// Per second, on every Linux of today.
    const TICKS: f64 = 100.0;
    let stat = fs_err::read_to_string("/proc/stat").ok()?;
    let mut numbers = stat.lines().next()?.split_whitespace().skip(1).map(|number| number.parse::<f64>().ok());
    let mut next = || numbers.next().flatten();
    let (user, nice, system) = (next()?, next()?, next()?);
    Some(Duration::from_secs_f64((user + nice + system) / TICKS))
}

/// A line of the shell's `times`: `1m2.345s 0m6.789s`, user and system.
fn times(line: &str) -> Option<Duration> {
    let parts = line.split_whitespace().map(|part| {
        let (minutes, seconds) = part.strip_suffix('s')?.split_once('m')?;
        Some(minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?)
    });
    let seconds: Option<Vec<f64>> = parts.collect();
    seconds.filter(|seconds| seconds.len() == 2).map(|seconds| Duration::from_secs_f64(seconds.iter().sum()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shells_times_are_read() {
        assert_eq!(times("1m2.5s 0m7.25s"), Some(Duration::from_millis(69_750)));
        assert_eq!(times("    Finished `dev` profile [unoptimized + debuginfo] target(s) in 0.23s"), None);
    }

    #[tokio::test]
    async fn the_output_and_the_end_of_a_program_are_its_own() {
        let mut lines = Vec::new();
        let shell = Cmd::new("sh").args(["-c", "echo one; echo two >&2; exit 3"]);
        let (ended, _) = run(shell, |line| {
            lines.push(line.to_owned());
            true
        })
        .await;
        lines.sort();
        assert_eq!(lines, ["one", "two"]);
        assert!(
            ended
                .unwrap_err()
                .to_string()
                .starts_with("`sh -c 'echo one; echo two >&2; exit 3'` failed: exit status: 3")
        );
    }
}
