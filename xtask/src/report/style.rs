//! Formatting: colours, durations, GitHub's escapes.

use std::time::Duration;

/// ANSI colours; off with `NO_COLOR` and without a terminal.
#[derive(Clone, Copy)]
pub struct Paint {
    on: bool,
}

impl Paint {
    pub fn new(on: bool) -> Self {
        Self { on }
    }

    /// Success.
    pub fn green(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// Failure.
    pub fn red(self, text: &str) -> String {
        self.wrap("31", text)
    }

    /// Warning.
    pub fn yellow(self, text: &str) -> String {
        self.wrap("33", text)
    }

    pub fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// `0.2 s`, `41.3 s`, `2 min 03 s`.
pub fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 99.95 {
        format!("{seconds:.1} s")
    } else {
        let whole = duration.as_secs();
        format!("{} min {:02} s", whole / 60, whole % 60)
    }
}

/// Escapes the message of a GitHub workflow command
/// (actions/toolkit, `packages/core/src/command.ts`, `escapeData`).
pub(super) fn annotation(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_formatted() {
        let cases = [(0, "0.0 s"), (240, "0.2 s"), (41_300, "41.3 s"), (99_960, "1 min 39 s"), (123_000, "2 min 03 s")];
        for (milliseconds, text) in cases {
            assert_eq!(seconds(Duration::from_millis(milliseconds)), text);
        }
    }

    #[test]
    fn an_annotation_stays_on_one_line() {
        assert_eq!(annotation("50% of\nit"), "50%25 of%0Ait");
    }
}
