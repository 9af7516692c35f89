//! Texts inside of a map or list, in HCL or in JSON, which is nearly the same: how a variable is given that is one.

use secrecy::SecretString;

/// The texts that are values and not keys, as they are meant and as they are written. None of what is neither map nor list.
pub fn texts(expression: &str) -> Vec<SecretString> {
    let mut found = Vec::new();
    let mut rest = if expression.trim_start().starts_with(['{', '[']) { expression } else { "" };
    while let Some((_, after)) = rest.split_once('"') {
        let Some(length) = length(after) else { break };
        let written = &after[..length];
        rest = &after[length + 1..];
        let is_key = rest.trim_start().starts_with(['=', ':']);
        if !is_key && !written.is_empty() {
            found.push(SecretString::from(meant(written)));
            found.push(SecretString::from(written));
        }
    }
    found
}

/// How many bytes there are before the quote that ends a text.
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

/// A text without its escapes (OpenTofu's documentation of strings).
fn meant(written: &str) -> String {
    let mut text = String::with_capacity(written.len());
    let mut characters = written.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        text.extend(match characters.next() {
            Some('n') => Some('\n'),
            Some('r') => Some('\r'),
            Some('t') => Some('\t'),
            Some('u') => numbered(characters.by_ref().take(4)),
            Some('U') => numbered(characters.by_ref().take(8)),
            other => other,
        });
    }
    text.replace("$${", "${").replace("%%{", "%{")
}

fn numbered(digits: impl Iterator<Item = char>) -> Option<char> {
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
    fn texts_are_found_as_they_are_meant_and_as_they_are_written() {
        let written = r#"a \"b\" $${c} %%{d} \\ \n\u00e4"#;
        let meant = "a \"b\" ${c} %{d} \\ \nä";
        assert_eq!(all(&format!("{{ KEY = \"{written}\" }}")), [meant, written]);
        assert_eq!(all(&format!("{{\"KEY\" : \"{written}\", \"LIST\":[\"x\"]}}")), [meant, written, "x", "x"]);
    }

    #[test]
    fn what_is_neither_map_nor_list_has_none() {
        for text in ["plain", "say \"secret\" now", "{ \"b", "{\"\\", "{ \"a\" ="] {
            assert_eq!(all(text), Vec::<String>::new(), "{text}");
        }
        assert_eq!(all(r#"["it\uzzzz now""#), ["it now", r"it\uzzzz now"]);
    }
}
