//! Text of others in the output: commit subjects, logs, answers of providers and registries. Its control characters never reach
//! a terminal, and its lines are no commands to GitHub.

use std::fmt::Write as _;

use super::style;

/// Text as it is shown to people: line breaks and tabs stay, control, escape and bidirectional characters are written as
/// `\u{1b}`. Colours are those of [`Paint`](super::Paint) alone.
pub(super) fn printable(text: &str, colour: bool) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\r' if characters.peek() == Some(&'\n') => {}
            '\n' | '\t' => shown.push(character),
            _ => match style::code(character) {
                Some(code) if colour => write!(shown, "\x1b[{code}m").expect("writing to a String cannot fail"),
                Some(_) => {}
                None if deceives(character) => shown.extend(character.escape_default()),
                None => shown.push(character),
            },
        }
    }
    shown
}

/// The same on one line, without colours.
pub(super) fn one_line(text: &str) -> String {
    printable(text, false).replace('\n', " ")
}

/// A line of JSON with the same characters, and GitHub's old commands (`##[error]`), as escapes of JSON. They occur in strings
/// only, so that the values stay the same.
pub(super) fn json(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    for character in line.replace("##[", "#\\u0023[").chars() {
        if deceives(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(shown, "\\u{unit:04x}").expect("writing to a String cannot fail");
            }
        } else {
            shown.push(character);
        }
    }
    shown
}

/// The message of a GitHub workflow command (actions/toolkit, `packages/core/src/command.ts`, `escapeData`).
pub(super) fn annotation(text: &str) -> String {
    printable(text, false).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a GitHub workflow command (`escapeProperty`).
pub(super) fn property(text: &str) -> String {
    annotation(text).replace(':', "%3A").replace(',', "%2C")
}

/// Whether a character changes what a terminal does or how the text beside it reads: controls (C0, DEL, C1), bidirectional
/// controls (Unicode, UAX 9), line separators, invisible tags, and the byte order mark.
fn deceives(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}'
                | '\u{200b}'
                | '\u{200e}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::super::{Audience, Paint, Report};
    use super::*;
    use crate::secrets::Redactor;

    #[test]
    fn what_deceives_is_written_out_and_the_rest_stays() {
        let cases = [
            ("\x1b[2J\x1b]0;title\x07", "\\u{1b}[2J\\u{1b}]0;title\\u{7}"),
            ("\u{9b}31m\u{7f}", "\\u{9b}31m\\u{7f}"),
            ("a\rb", "a\\rb"),
            ("\u{202e}gpj.exe\u{2066}", "\\u{202e}gpj.exe\\u{2066}"),
            ("line\r\nline\tGrüße 👩‍💻 \\ %", "line\nline\tGrüße 👩‍💻 \\ %"),
        ];
        for (text, shown) in cases {
            assert_eq!(printable(text, true), shown, "{text:?}");
        }
    }

    #[test]
    fn colours_are_those_of_the_toolkit() {
        let text = format!("{} \x1b[32mnot green\x1b[0m", Paint::new(true).green("green"));
        assert_eq!(printable(&text, true), "\x1b[32mgreen\x1b[0m \\u{1b}[32mnot green\\u{1b}[0m");
        assert_eq!(printable(&text, false), "green \\u{1b}[32mnot green\\u{1b}[0m");
    }

    /// As the summary of a plan, which GitHub shows: a key of `for_each` may be another person's text.
    #[test]
    fn a_page_has_neither_secrets_nor_what_deceives() {
        let redactor = Redactor::default();
        redactor.learn_value(&SecretString::from("sentinel-of-the-page"));
        let report = Report::new(Audience::GitHub, true, redactor);
        let page = "### plan\n+ create b[\"\u{202e}\x1b[2J sentinel-of-the-page\"]\n";
        assert_eq!(report.shown(page), "### plan\n+ create b[\"\\u{202e}\\u{1b}[2J [redacted]\"]\n");
    }

    #[test]
    fn json_keeps_its_values() {
        let value = serde_json::json!({ "a": "\x1b \u{7f} \u{9b} \u{202e} \u{e0041} ##[error]x ###[ ä" });
        let line = json(&value.to_string());
        assert!(!line.chars().any(deceives) && !line.contains("##["), "{line}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), value);
    }

    #[test]
    fn an_annotation_stays_on_one_line() {
        assert_eq!(annotation("50% of\nit"), "50%25 of%0Ait");
        assert_eq!(property("a,b:c"), "a%2Cb%3Ac");
    }
}
