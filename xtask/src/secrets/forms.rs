//! The forms in which output may repeat a secret. Escapes are not among them: [`super::views`] undoes those.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::{MIN_REDACTED, is_secret_name};

/// The longest text, in bytes, whose base64 and hexadecimal digits are looked for: longer than a private key with its
/// certificates. Each of these forms is in memory as a whole.
const LONGEST_ENCODED: usize = 16 << 10;

/// What an empty password and this one say: the user's name is the token.
const NO_PASSWORD: [&str; 2] = ["", "x-oauth-basic"];

/// Every form of a secret, none shorter than [`MIN_REDACTED`]: itself and each of its lines, and of itself and of each password in
/// it (see [`passwords`] and [`fields`]) what a shell's quoting, base64 and hexadecimal digits make of it.
pub(super) fn forms(secret: &str) -> BTreeSet<Vec<u8>> {
    let mut forms = BTreeSet::new();
    for text in std::iter::once(secret.to_owned()).chain(passwords(secret)).chain(fields(secret)) {
        forms.extend(text.split(['\n', '\r']).map(|line| line.trim().as_bytes().to_vec()));
        let trimmed = text.trim();
        forms.extend([text.as_bytes().to_vec(), trimmed.replace('\'', r"'\''").into_bytes()]);
        // Fails for a zero byte, which no variable has.
        forms.extend(shlex::try_quote(trimmed).map(|quoted| quoted.trim_matches(['\'', '"']).as_bytes().to_vec()));
        if (MIN_REDACTED..=LONGEST_ENCODED).contains(&trimmed.len()) {
            forms.extend([hex::encode(trimmed), hex::encode_upper(trimmed)].map(String::into_bytes));
            forms.extend(
                [STANDARD_NO_PAD, URL_SAFE_NO_PAD].iter().flat_map(|engine| base64(trimmed.as_bytes(), engine)),
            );
        }
    }
    forms.retain(|form| form.len() >= MIN_REDACTED);
    forms
}

/// The passwords of the URLs in a text, and of `password=…` in a URL's query or a connection string: as they are written, and
/// percent-decoded. One that is too short to be looked for comes with the user's name before it and the `@` behind it.
fn passwords(text: &str) -> Vec<String> {
    let mut found: Vec<&str> = Vec::new();
    for (at, _) in text.match_indices("://") {
        let scheme = text[..at].rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        let Some(userinfo) = userinfo(&text[at + 3..]) else { continue };
        match userinfo.split_once(':') {
            Some((_, password)) if password.len() >= MIN_REDACTED && !NO_PASSWORD.contains(&password) => {
                found.push(password);
            }
            Some((user, password)) if NO_PASSWORD.contains(&password) => found.push(user),
            // Together with the `@` behind it.
            Some(_) => found.push(&text[at + 3..][..=userinfo.len()]),
            None if scheme.starts_with("http") => found.push(userinfo),
            // `ssh://git@…`: a user, and no password.
            None => {}
        }
    }
    for (at, key) in text.match_indices("password=") {
        let value = text[at + key.len()..].trim_start_matches(['\'', '"']);
        found.extend(value.split(['&', ';', ' ', '\n', '\'', '"']).next());
    }
    let decoded = |text: &&str| percent_decode_str(text).decode_utf8().ok().map(String::from);
    found.iter().filter_map(decoded).chain(found.iter().map(|&text| text.to_owned())).collect()
}

/// The texts of a JSON document whose names say that they are secret: `private_key` of a service account. A library that reads the
/// document shows them without it.
fn fields(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if text.trim_start().starts_with(['{', '[']) {
        // What is no JSON has none.
        collect(&serde_json::from_str(text).unwrap_or_default(), false, &mut found);
    }
    found
}

fn collect(value: &Value, is_secret: bool, found: &mut Vec<String>) {
    match value {
        Value::String(text) if is_secret => found.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| collect(value, is_secret, found)),
        Value::Object(values) => {
            // Not of the name above: what is below `key_provider` has names of its own, and is not all secret.
            values.iter().for_each(|(name, value)| collect(value, is_secret_name(name), found));
        }
        _ => {}
    }
}

/// Whether a text has a URL with a password.
pub fn has_password(text: &str) -> bool {
    let mut behind_schemes = text.match_indices("://").map(|(at, _)| &text[at + 3..]);
    behind_schemes.any(|url| {
        let userinfo = authority(url).rsplit_once('@').and_then(|(userinfo, _)| userinfo.split_once(':'));
        userinfo.is_some_and(|(_, password)| !password.is_empty())
    })
}

/// What stands before the host, without the `@`. A password should have no `/`, `?` or `#`, and some have.
fn userinfo(behind_scheme: &str) -> Option<&str> {
    if let Some((userinfo, _)) = authority(behind_scheme).rsplit_once('@') {
        return Some(userinfo);
    }
    let url = behind_scheme.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>')).next()?;
    url.rsplit_once('@').map(|(userinfo, _)| userinfo).filter(|userinfo| userinfo.contains(':'))
}

fn authority(url: &str) -> &str {
    url.split(|c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'')).next().unwrap_or(url)
}

/// The digits of bytes in base64, alone and anywhere inside of other bytes: there, each three bytes give four digits, so there are
/// three ways to begin. Digits that depend on the bytes around are left out.
fn base64(bytes: &[u8], engine: &GeneralPurpose) -> Vec<Vec<u8>> {
    let inside = (0..3).map(|before| {
        let digits = engine.encode([&[0; 2][..before], bytes].concat()).into_bytes();
        digits[(before * 8).div_ceil(6)..(before + bytes.len()) * 8 / 6].to_vec()
    });
    inside.chain([engine.encode(bytes).into_bytes()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_of_urls_are_found() {
        let cases: [(&str, &[&str]); 10] = [
            ("postgres://shop:hunter22@db/shop", &["hunter22"]),
            ("postgres://shop:p%40ss%2fword@db:5432/shop", &["p@ss/word", "p%40ss%2fword"]),
            ("amqp://u:p/w?d#x@host", &["p/w?d#x"]),
            ("redis://:only-password@host", &["only-password"]),
            ("postgres://shop:shop@db", &["shop:shop@"]),
            ("postgres://db/shop?user=a&password=in-the-query&x=y", &["in-the-query"]),
            ("host=db password='key word' user=a", &["key"]),
            (
                "https://gh-token-1@git.example/a https://gh-token-2:x-oauth-basic@git.example/a",
                &["gh-token-1", "gh-token-2"],
            ),
            ("ssh://git@git.example/a postgres://postgres@db/a https://example.org:8080/?mail=a@b", &["8080/?mail=a"]),
            ("no URL at all: a@b", &[]),
        ];
        for (text, expected) in cases {
            let found: BTreeSet<String> = passwords(text).into_iter().collect();
            assert_eq!(found, expected.iter().map(|&text| text.to_owned()).collect(), "{text}");
        }
        assert!(
            has_password("x postgres://a:b@c/d")
                && !has_password("https://a@b.example:80/c")
                && !has_password("a:b@c")
                && !has_password("https://b.example:80/?mail=a@b")
        );
    }

    #[test]
    fn base64_is_found_at_every_place_inside_of_other_bytes() {
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            for before in 0..4 {
                for after in 0..4 {
                    let text =
                        engine.encode([&b"....."[..before], "s3cr\u{7ff}t?>~".as_bytes(), &b"....."[..after]].concat());
                    let forms = base64("s3cr\u{7ff}t?>~".as_bytes(), &engine);
                    let has = |form: &Vec<u8>| text.contains(str::from_utf8(form).unwrap());
                    assert!(forms.iter().any(has), "{before} {after} {text}");
                }
            }
        }
    }
}
