//! A text with its escapes undone, so that a secret is found whichever characters of it are escaped: percent-encoding, the `+` of
//! forms, the backslashes of JSON, of a shell and of Rust's `{:?}`, and the entities of HTML and XML, also one inside of another.

use std::ops::Range;

/// Levels of escapes inside of escapes: a URL in JSON, JSON in a string of JSON.
const DEPTH: usize = 2;

/// A text without some of its escapes.
pub(super) struct View {
    /// What is searched.
    pub(super) bytes: Vec<u8>,
    /// Where each byte, with the rest of its escape, is in the original text.
    origin: Vec<Range<usize>>,
}

impl View {
    /// The place in the original text.
    pub(super) fn original(&self, found: Range<usize>) -> Range<usize> {
        self.origin[found.start].start..self.origin[found.end - 1].end
    }
}

/// What an escape stands for, and how much of the text it takes.
struct Unescaped {
    bytes: [u8; 4],
    count: usize,
    length: usize,
}

/// The escape at the start of a text; none if there is none.
type Escape = fn(&[u8]) -> Option<Unescaped>;

/// Each way to write escapes, with the bytes that they begin with.
const ESCAPES: [(&[u8], Escape); 4] = [(b"%", percent), (b"+%", form), (b"\\", backslash), (b"&", entity)];

/// The entities that XML has, and that every escaping of HTML writes. Others have numbers.
const ENTITIES: [(&[u8], u8); 5] =
    [(b"&amp;", b'&'), (b"&lt;", b'<'), (b"&gt;", b'>'), (b"&quot;", b'"'), (b"&apos;", b'\'')];

/// The longest number of one, `&#x10ffff;`, with zeros before it.
const LONGEST_ENTITY: usize = 16;

/// Every view of a text that differs from it.
pub(super) fn views(text: &[u8]) -> Vec<View> {
    let mut views = Vec::new();
    let mut last = unescape_each(text, |place| place);
    for level in 1..=DEPTH {
        let deeper = match level {
            DEPTH => Vec::new(),
            _ => last.iter().flat_map(|view| unescape_each(&view.bytes, |place| view.original(place))).collect(),
        };
        views.append(&mut last);
        last = deeper;
    }
    views
}

fn unescape_each(text: &[u8], original: impl Fn(Range<usize>) -> Range<usize>) -> Vec<View> {
    let there = ESCAPES.iter().filter(|(signs, _)| text.contains(&signs[0]));
    there.filter_map(|(signs, escape)| unescape(text, signs, *escape, &original)).collect()
}

/// None if the text has none of these escapes.
fn unescape(
    text: &[u8],
    signs: &[u8],
    escape: Escape,
    original: &impl Fn(Range<usize>) -> Range<usize>,
) -> Option<View> {
    let mut view = View { bytes: Vec::with_capacity(text.len()), origin: Vec::with_capacity(text.len()) };
    let (mut at, mut has_any) = (0, false);
    while at < text.len() {
        let unescaped = signs.contains(&text[at]).then(|| escape(&text[at..])).flatten();
        has_any |= unescaped.is_some();
        let (bytes, length) = match &unescaped {
            Some(it) => (&it.bytes[..it.count], it.length),
            None => (&text[at..=at], 1),
        };
        let place = original(at..at + length);
        view.bytes.extend_from_slice(bytes);
        view.origin.resize(view.bytes.len(), place);
        at += length;
    }
    has_any.then_some(view)
}

fn percent(text: &[u8]) -> Option<Unescaped> {
    byte(hexadecimal(text.get(1..)?, 2)?.try_into().ok()?, 3)
}

fn form(text: &[u8]) -> Option<Unescaped> {
    if text[0] == b'+' { byte(b' ', 1) } else { percent(text) }
}

/// The escapes of JSON (RFC 8259), of Rust (`\u{e4}`) and of C (`\xe4`); every other character behind a backslash is itself.
fn backslash(text: &[u8]) -> Option<Unescaped> {
    let [_, kind, rest @ ..] = text else { return None };
    match kind {
        b'n' => byte(b'\n', 2),
        b'r' => byte(b'\r', 2),
        b't' => byte(b'\t', 2),
        b'b' => byte(8, 2),
        b'f' => byte(12, 2),
        b'x' => byte(hexadecimal(rest, 2)?.try_into().ok()?, 4),
        b'u' if rest.first() == Some(&b'{') => {
            let length = rest.iter().position(|&byte| byte == b'}')?.checked_sub(1).filter(|length| *length <= 6)?;
            character(hexadecimal(&rest[1..], length)?, length + 4)
        }
        b'u' => {
            let first = hexadecimal(rest, 4)?;
            if let (0xd800..0xdc00, Some([b'\\', b'u'])) = (first, rest.get(4..6))
                && let Some(second @ 0xdc00..0xe000) = hexadecimal(&rest[6..], 4)
            {
                return character(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00), 12);
            }
            character(first, 6)
        }
        &other => byte(other, 2),
    }
}

fn entity(text: &[u8]) -> Option<Unescaped> {
    if let Some((name, plain)) = ENTITIES.iter().find(|(name, _)| text.starts_with(name)) {
        return byte(*plain, name.len());
    }
    let end = text.iter().take(LONGEST_ENTITY).position(|&byte| byte == b';')?;
    let number = str::from_utf8(text[..end].strip_prefix(b"&#")?).ok()?;
    let code = match number.strip_prefix(['x', 'X']) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => number.parse(),
    };
    character(code.ok()?, end + 1)
}

fn byte(byte: u8, length: usize) -> Option<Unescaped> {
    Some(Unescaped { bytes: [byte, 0, 0, 0], count: 1, length })
}

fn character(code: u32, length: usize) -> Option<Unescaped> {
    let (mut bytes, character) = ([0; 4], char::from_u32(code)?);
    let count = character.encode_utf8(&mut bytes).len();
    Some(Unescaped { bytes, count, length })
}

/// The number that this many digits at the start of a text make.
fn hexadecimal(text: &[u8], digits: usize) -> Option<u32> {
    let text = text.get(..digits).filter(|text| text.iter().all(u8::is_ascii_hexdigit))?;
    u32::from_str_radix(str::from_utf8(text).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_also_inside_of_others() {
        let cases = [
            ("a%2Fb%2fc%zz", "a/b/c%zz"),
            ("a%2Bb+c", "a+b c"),
            (r"\u0026\/\u00e4\ud83e\udd80\u{1f980}\xe4x", "&/ä🦀🦀\u{fffd}x"),
            (r#"\\\"it\'s\ \$x\n"#, "\\\"it's $x\n"),
            (r#"{\"a\":\"\\\"quoted\\\"\"}"#, r#"{"a":""quoted""}"#),
            (r"a%2Fb\u002f%252f", "a/b/%2f"),
            (
                "&lt;a href=&quot;b&quot;&gt; &amp;&#39;&#x27;&#X1F980; &nbsp;&#zz;&#",
                "<a href=\"b\"> &''🦀 &nbsp;&#zz;&#",
            ),
            ("&amp;quot;%26amp;", "\"%26amp;"),
            (r"\u{}\u{1234567}\ud800\", ""),
        ];
        for (text, shown) in cases {
            let views = views(text.as_bytes());
            let all: Vec<_> = views.iter().map(|view| String::from_utf8_lossy(&view.bytes)).collect();
            assert!(shown.is_empty() || all.iter().any(|view| view == shown), "{text}: {all:?}");
            for view in &views {
                assert_eq!(view.original(0..view.bytes.len()), 0..text.len());
            }
        }
        assert!(views(b"100 % plain").is_empty());
    }
}
