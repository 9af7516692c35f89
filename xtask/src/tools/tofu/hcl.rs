//! Strings in HCL and in JSON, whose syntax is nearly the same: how the value of a variable is written that is a map or a
//! list.

use std::fmt::Write as _;

use secrecy::SecretString;

/// A map of strings as an HCL expression on one line.
pub fn map<'a>(values: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let pair = |(name, value): (&str, &str)| format!("{}:{}", string(name), string(value));
    let pairs: Vec<String> = values.into_iter().map(pair).collect();
    format!("{{{}}}", pairs.join(","))
}

/// A string literal, valid in HCL and in JSON, on one line. `$` and `%` are escaped, so HCL finds no template in it.
pub fn string(value: &str) -> String {
    let mut text = String::from('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '\n' => text.push_str("\\n"),
            c if c.is_control() || matches!(c, '$' | '%') => {
                write!(text, "\\u{:04x}", u32::from(c)).expect("writing to a String cannot fail");
            }
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

/// The values of a map or list that are strings, each with and without escapes. Nothing for other expressions.
pub fn texts(expression: &str) -> Vec<SecretString> {
    let mut found = Vec::new();
    let mut rest = if expression.trim_start().starts_with(['{', '[']) { expression } else { "" };
    while let Some((_, after)) = rest.split_once('"') {
        let Some(length) = length(after) else { break };
        let literal = &after[..length];
        rest = &after[length + 1..];
        let is_key = rest.trim_start().starts_with(['=', ':']);
        if !is_key && !literal.is_empty() {
            found.push(SecretString::from(unescape(literal)));
            found.push(SecretString::from(literal));
        }
    }
    found
}

/// The number of bytes before the closing quote.
fn length(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| match c {
        '"' if !escaped => Some(at),
        _ => {
            escaped = c == '\\' && !escaped;
            None
        }
    })
}

/// A literal without its escapes (OpenTofu's documentation of strings).
fn unescape(literal: &str) -> String {
    let mut text = String::with_capacity(literal.len());
    let mut characters = literal.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        text.extend(match characters.next() {
            Some('n') => Some('\n'),
            Some('r') => Some('\r'),
            Some('t') => Some('\t'),
            Some('u') => code_point(characters.by_ref().take(4)),
            Some('U') => code_point(characters.by_ref().take(8)),
            other => other,
        });
    }
    text.replace("$${", "${").replace("%%{", "%{")
}

fn code_point(digits: impl Iterator<Item = char>) -> Option<char> {
    char::from_u32(u32::from_str_radix(&digits.collect::<String>(), 16).ok()?)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn all(expression: &str) -> Vec<String> {
        texts(expression).iter().map(|text| text.expose_secret().to_owned()).collect()
    }

    #[test]
    fn a_string_is_the_same_in_json_and_has_no_template() {
        for value in ["", "a \"b\" \\ c", "${x} %{if} $${ $$${ %%{", "two\nlines\r\ttab \u{8}\u{c}\u{85}", "ä 東 🦀"]
        {
            let literal = string(value);
            assert_eq!(serde_json::from_str::<String>(&literal).unwrap(), value);
            assert!(!literal.contains(['$', '%', '\n', '\t']), "{literal}");
        }
        assert_eq!(map([("A", "$"), ("B", "2")]), r#"{"A":"\u0024","B":"2"}"#);
    }

    #[test]
    fn strings_are_found_with_and_without_escapes() {
        let literal = r#"a \"b\" $${c} %%{d} \\ \n\u00e4"#;
        let plain = "a \"b\" ${c} %{d} \\ \nä";
        assert_eq!(all(&format!("{{ KEY = \"{literal}\" }}")), [plain, literal]);
        assert_eq!(all(&format!("{{\"KEY\" : \"{literal}\", \"LIST\":[\"x\"]}}")), [plain, literal, "x", "x"]);
    }

    #[test]
    fn other_expressions_have_none() {
        for text in ["plain", "say \"secret\" now", "{ \"b", "{\"\\", "{ \"a\" ="] {
            assert_eq!(all(text), Vec::<String>::new(), "{text}");
        }
        assert_eq!(all(r#"["it\uzzzz now""#), ["it now", r"it\uzzzz now"]);
    }
}
