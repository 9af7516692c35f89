//! The format of output: colours and durations.

use std::time::Duration;

/// What a colour begins with in a text, in the order of [`CODES`]. Unicode keeps these characters for a program's own use, so the
/// toolkit's own texts have no escape sequence of a terminal: one that is there comes from another program.
const MARKS: [char; 5] = ['\u{fdd0}', '\u{fdd1}', '\u{fdd2}', '\u{fdd3}', '\u{fdd4}'];

/// The parameters of the terminal's escape sequences (ECMA-48, SGR): none, green, red, yellow, bold.
const CODES: [&str; 5] = ["0", "32", "31", "33", "1"];

/// Marks colours, or does not: with `NO_COLOR`, or without a terminal.
#[derive(Clone, Copy)]
pub struct Paint {
    on: bool,
}

impl Paint {
    /// Colours the text if `on`.
    pub fn new(on: bool) -> Self {
        Self { on }
    }

    /// Good.
    pub fn green(self, text: &str) -> String {
        self.wrap(1, text)
    }

    /// Bad.
    pub fn red(self, text: &str) -> String {
        self.wrap(2, text)
    }

    /// Doubtful.
    pub fn yellow(self, text: &str) -> String {
        self.wrap(3, text)
    }

    /// Emphasis.
    pub fn bold(self, text: &str) -> String {
        self.wrap(4, text)
    }

    fn wrap(self, colour: usize, text: &str) -> String {
        if self.on { format!("{}{text}{}", MARKS[colour], MARKS[0]) } else { text.to_owned() }
    }
}

/// The parameter of the escape sequence that a mark stands for.
pub(super) fn code(mark: char) -> Option<&'static str> {
    let index = MARKS.iter().position(|known| *known == mark)?;
    Some(CODES[index])
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        let cases = [(0, "0.0 s"), (240, "0.2 s"), (41_300, "41.3 s"), (99_960, "1 min 39 s"), (123_000, "2 min 03 s")];
        for (milliseconds, text) in cases {
            assert_eq!(seconds(Duration::from_millis(milliseconds)), text);
        }
    }
}
