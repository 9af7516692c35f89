//! The grammar of `.env.<environment>`. It is that of Docker Compose's env files, except that nothing is interpolated: what
//! Compose would replace is refused.
//!
//! - `NAME=value`, also with `export ` before it. Blanks around name and value do not count. `#` at the start of a line begins a
//!   comment. Each name is set once.
//! - Without quotes, the value ends with the line, or before a blank and `#`, which begin a comment.
//! - In single quotes everything stands for itself, except `\'`.
//! - In double quotes `\n`, `\r`, `\t`, `\"`, `\\` and `\$` are escapes.
//! - A quoted value may have several lines. Behind the closing quote only a comment may follow.
//!
//! A byte order mark at the start is skipped, and `\r\n` is a line break. No error repeats any text: it may be a secret.

use std::collections::BTreeMap;

/// What is wrong, and how to write it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// From 1.
    pub(super) line: usize,
    pub(super) what: String,
}

/// The assignments of a file.
pub(super) fn parse(text: &str) -> Result<BTreeMap<String, String>, Wrong> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n");
    let mut reader = Reader { rest: &text, line: 1 };
    let mut values = BTreeMap::new();
    while !reader.rest.is_empty() {
        let line = reader.line;
        if let Some((name, value)) = reader.assignment()?
            && values.insert(name.clone(), value).is_some()
        {
            return Err(Wrong { line, what: format!("{name} is set twice; remove one of the lines") });
        }
    }
    Ok(values)
}

/// The text with these values, where the file has them or at its end. Without a value, the assignment is removed. Everything else
/// stays as it is written.
pub(super) fn edit(text: &str, changes: &[(&str, Option<&str>)]) -> Result<String, Wrong> {
    let text = text.replace("\r\n", "\n");
    let mut reader = Reader { rest: text.strip_prefix('\u{feff}').unwrap_or(&text), line: 1 };
    let (mut edited, mut changes) = (String::new(), changes.to_vec());
    let assignment =
        |name: &str, value: Option<&str>| value.map(|value| format!("{name}={}\n", quote(value))).unwrap_or_default();
    while !reader.rest.is_empty() {
        let rest = reader.rest;
        let assigned = reader.assignment()?;
        let change = assigned.and_then(|(name, _)| changes.iter().position(|change| change.0 == name));
        match change.map(|at| changes.remove(at)) {
            Some((name, value)) => edited.push_str(&assignment(name, value)),
            None => edited.push_str(&rest[..rest.len() - reader.rest.len()]),
        }
    }
    if !edited.is_empty() && !edited.ends_with('\n') {
        edited.push('\n');
    }
    edited.extend(changes.into_iter().map(|(name, value)| assignment(name, value)));
    Ok(edited)
}

/// A value as a file has it.
pub(super) fn quote(value: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || "-_./:@?=&+%".contains(c);
    if !value.is_empty() && value.chars().all(bare) {
        return value.to_owned();
    }
    let escapes = [("\\", "\\\\"), ("\"", "\\\""), ("$", "\\$"), ("\n", "\\n"), ("\r", "\\r")];
    let escaped = escapes.iter().fold(value.to_owned(), |text, (plain, escape)| text.replace(plain, escape));
    format!("\"{escaped}\"")
}

struct Reader<'t> {
    rest: &'t str,
    line: usize,
}

impl Reader<'_> {
    /// Reads the next line, or the lines of a value in quotes. None for a comment or a blank line.
    fn assignment(&mut self) -> Result<Option<(String, String)>, Wrong> {
        let line = self.rest.lines().next().unwrap_or_default();
        if line.trim().is_empty() || line.trim().starts_with('#') {
            self.end_of_line();
            return Ok(None);
        }
        let no_assignment = "expected NAME=value or a comment; a value of several lines stands in quotes";
        let Some((name, _)) = line.split_once('=') else { return Err(self.wrong(no_assignment)) };
        self.skip(name.len() + 1);
        let name = name.trim();
        let name = name.strip_prefix("export ").map_or(name, str::trim_start).to_owned();
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(is_part) {
            return Err(self.wrong(no_assignment));
        }
        self.skip(self.rest.len() - self.rest.trim_start_matches([' ', '\t']).len());
        let value = match self.rest.chars().next() {
            Some(quote @ ('\'' | '"')) => self.quoted(&name, quote)?,
            _ => self.unquoted(&name)?,
        };
        if value.contains('\0') {
            return Err(self.wrong(&format!("{name} has a zero byte, which no variable can have")));
        }
        self.end_of_line();
        Ok(Some((name, value)))
    }

    fn unquoted(&mut self, name: &str) -> Result<String, Wrong> {
        let line = self.rest.split('\n').next().unwrap_or_default();
        if line.starts_with('#') {
            return Err(self.wrong(&format!(
                "it is unclear whether `#` begins the value of {name} or a comment; write {name}='#…', or the comment on a line of its own"
            )));
        }
        let comment = line.match_indices('#').find(|(at, _)| line[..*at].ends_with([' ', '\t']));
        let value = line[..comment.map_or(line.len(), |(at, _)| at)].trim();
        if comment.is_some() && value.contains(['\'', '"']) {
            return Err(self.wrong(&format!(
                "it is unclear whether `#` is in quotes or begins a comment; write the whole value in single quotes: {name}='…'"
            )));
        }
        let value = value.to_owned();
        self.no_reference(&value, name)?;
        Ok(value)
    }

    fn quoted(&mut self, name: &str, quote: char) -> Result<String, Wrong> {
        let opened = self.line;
        let mut value = String::new();
        // What Compose would look for references in: escaped `$` are left out.
        let mut open_text = String::new();
        let mut characters = self.rest.char_indices().skip(1);
        let mut line = self.line;
        let end = loop {
            let Some((at, character)) = characters.next() else {
                let what =
                    format!("the quote that begins here, of {name}, is never closed; inside of it write \\{quote}");
                return Err(Wrong { line: opened, what });
            };
            match character {
                c if c == quote => break at + 1,
                '\\' if quote == '"' => match characters.next().map(|(_, escaped)| escaped) {
                    Some('n') => value.push('\n'),
                    Some('r') => value.push('\r'),
                    Some('t') => value.push('\t'),
                    Some(escaped @ ('"' | '\\' | '$')) => {
                        value.push(escaped);
                        open_text.push(' ');
                        continue;
                    }
                    _ => {
                        let what = format!(
                            "a `\\` in double quotes begins an escape (\\n, \\r, \\t, \\\", \\\\, \\$), and this is none; \
                             write \\\\, or {name}='…'"
                        );
                        return Err(Wrong { line, what });
                    }
                },
                '\\' if self.rest[at + 1..].starts_with('\'') => {
                    characters.next();
                    value.push('\'');
                }
                c => {
                    line += usize::from(c == '\n');
                    value.push(c);
                    open_text.push(c);
                }
            }
        };
        if quote == '"' {
            self.no_reference(&open_text, name)?;
        }
        self.skip(end);
        let behind = self.rest.split('\n').next().unwrap_or_default();
        if !behind.trim().is_empty() && !behind.trim_start().starts_with('#') {
            return Err(self.wrong(&format!(
                "text follows the closing quote of {name}; inside of quotes write \\{quote}, and before a comment #"
            )));
        }
        Ok(value)
    }

    /// Compose would replace `$NAME` and `${NAME}`, and takes `$$` as one `$`.
    fn no_reference(&self, text: &str, name: &str) -> Result<(), Wrong> {
        let begins = |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '{' | '$'));
        if !text.match_indices('$').any(|(at, _)| begins(&text[at + 1..])) {
            return Ok(());
        }
        Err(self.wrong(&format!(
            "`$` in the value of {name} would be a reference in Docker Compose, and is not replaced here; \
             write {name}='…', or \\$ in double quotes"
        )))
    }

    fn wrong(&self, what: &str) -> Wrong {
        Wrong { line: self.line, what: what.to_owned() }
    }

    fn skip(&mut self, length: usize) {
        let (skipped, rest) = self.rest.split_at(length);
        self.line += skipped.matches('\n').count();
        self.rest = rest;
    }

    fn end_of_line(&mut self) {
        let end = self.rest.find('\n').map_or(self.rest.len(), |at| at + 1);
        self.skip(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Docker's documentation of env files, `Env file syntax`, and what is said above.
    #[test]
    fn values_are_those_of_docker_compose() {
        let cases = [
            ("VAR=VAL", "VAL"),
            ("VAR=\"VAL\"", "VAL"),
            ("VAR='VAL'", "VAL"),
            ("VAR=VAL # comment", "VAL"),
            ("VAR=VAL\t# comment", "VAL"),
            ("VAR=VAL# not a comment", "VAL# not a comment"),
            ("VAR=\"VAL # not a comment\"", "VAL # not a comment"),
            ("VAR=\"VAL\" # comment", "VAL"),
            ("VAR='VAL'   # it's a comment", "VAL"),
            ("VAR='$OTHER'", "$OTHER"),
            ("VAR='${OTHER}'", "${OTHER}"),
            ("VAR='Let\\'s go!'", "Let's go!"),
            ("VAR=\"{\\\"hello\\\": \\\"json\\\"}\"", "{\"hello\": \"json\"}"),
            ("VAR=\"some\\tvalue\\\\\\n\\$x\"", "some\tvalue\\\n$x"),
            ("VAR='SOME\nVALUE'", "SOME\nVALUE"),
            ("VAR=\"SOME\nVALUE\"", "SOME\nVALUE"),
            ("VAR='C:\\new'", "C:\\new"),
            ("VAR=C:\\new", "C:\\new"),
            ("VAR=", ""),
            ("VAR=''", ""),
            ("export  VAR = two words ", "two words"),
            ("VAR=a=b==", "a=b=="),
            ("VAR=it's", "it's"),
            ("VAR=5$ and $", "5$ and $"),
            ("\u{feff}VAR=VAL\r", "VAL"),
            ("\u{feff}# comment\r\n\r\nVAR='two\r\nlines'\r\n", "two\nlines"),
        ];
        for (text, value) in cases {
            assert_eq!(parse(text), Ok(BTreeMap::from([("VAR".to_owned(), value.to_owned())])), "{text:?}");
        }
    }

    #[test]
    fn what_is_ambiguous_is_refused_with_its_line_and_the_way_to_write_it() {
        let cases = [
            ("A=1\n\nno assignment", 3, "NAME=value"),
            ("A: 1", 1, "NAME=value"),
            ("2A=1", 1, "NAME=value"),
            ("A=1\nA=2", 2, "A is set twice"),
            ("A=# value or comment", 1, "A='#…'"),
            ("A=x \"y # z\"", 1, "A='…'"),
            ("A=1\nB=a$word", 2, "B='…'"),
            ("A=\"${x}\"", 1, "\\$ in double quotes"),
            ("A=pa$$word", 1, "A='…'"),
            ("A=\"x\" y", 1, "follows the closing quote of A"),
            ("A='x'y'", 1, "write \\'"),
            ("A='one\ntwo' x", 2, "follows the closing quote"),
            ("\n\nA='one\ntwo\nthree", 3, "never closed"),
            ("A=\"one\ntwo \\q\"", 2, "\\\\"),
            ("A=\0", 1, "zero byte"),
        ];
        for (text, line, says) in cases {
            let wrong = parse(text).unwrap_err();
            assert!(wrong.line == line && wrong.what.contains(says), "{text:?}: {wrong:?}");
        }
    }

    #[test]
    fn an_edit_changes_what_it_names_and_nothing_else() {
        let text = "# first\n\nexport A = 'one\ntwo' # of A\nB=b # of B\n  # last\nC=\"c\"";
        let edited = edit(text, &[("A", Some("three\nfour")), ("B", None), ("D", Some("d")), ("E", None)]).unwrap();
        assert_eq!(edited, "# first\n\nA=\"three\\nfour\"\n  # last\nC=\"c\"\nD=d\n");
        assert_eq!(edit(text, &[]).unwrap(), format!("{text}\n"));
        assert_eq!(edit("", &[("A", Some("$x"))]).unwrap(), "A=\"\\$x\"\n");
        assert_eq!(edit("A=1\nno assignment", &[("A", None)]).unwrap_err().line, 2);
    }

    #[test]
    fn a_quoted_value_is_read_back() {
        for value in ["plain", "", " a ", "\"q\" 'q' \\ $x ${y} $$", "two\nlines\r\nä", "# x", "a # b"] {
            let text = format!("A={}\nB=b\n", quote(value));
            assert_eq!(parse(&text).unwrap()["A"], value, "{text}");
        }
    }
}
