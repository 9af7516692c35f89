//! Replaces secrets in everything that is printed, logged or recorded.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, RwLock};

use secrecy::{ExposeSecret as _, SecretString};

use super::Secrets;
use super::forms::forms;
use super::search::Search;
use super::views::views;

/// The replacement for a secret.
pub const MASK: &str = "[redacted]";

/// The length in bytes from which values are redacted. Shorter ones would match ordinary words; preflight warns about them.
pub const MIN_REDACTED: usize = 6;

/// Redacts every known secret in a text. Cheap to clone; clones share the known secrets.
#[derive(Clone, Default)]
pub struct Redactor(Arc<RwLock<Known>>);

#[derive(Default)]
struct Known {
    forms: BTreeSet<Vec<u8>>,
    /// Made of the forms when a text is redacted; none if forms were added since.
    search: Option<Arc<Search>>,
}

impl Redactor {
    /// Learns every value of `secrets`.
    pub fn learn(&self, secrets: &Secrets) {
        for (_, value) in secrets.iter() {
            self.learn_value(value);
        }
    }

    /// Learns a value, its lines, and the passwords of URLs in it. Each is redacted as it is, in base64 and hexadecimal digits, and
    /// with the escapes of URLs, forms, JSON, shells and Rust.
    pub fn learn_value(&self, value: &SecretString) {
        let forms = forms(value.expose_secret());
        let mut known = self.0.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        let before = known.forms.len();
        known.forms.extend(forms);
        if known.forms.len() > before {
            known.search = None;
        }
    }

    /// The text with [`MASK`] in place of every known secret. Text that arrives in parts is redacted line by line: a piece of a
    /// secret that a line break or [`shortened`](super::shortened) has cut is found, one that another cut has is not.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let Some(search) = self.search() else { return Cow::Borrowed(text) };
        let mut places = Vec::new();
        search.find(text.as_bytes(), |place| places.push(place));
        for view in views(text.as_bytes()) {
            search.find(&view.bytes, |place| places.push(view.original(place)));
        }
        if places.is_empty() {
            return Cow::Borrowed(text);
        }
        places.sort_by_key(|place| (place.start, place.end));
        let (mut redacted, mut shown) = (String::with_capacity(text.len()), 0);
        for place in places {
            // A view can end within a character that it has not decoded.
            let (start, end) = (text.floor_char_boundary(place.start), text.ceil_char_boundary(place.end));
            if start >= shown {
                redacted.push_str(&text[shown..start]);
                redacted.push_str(MASK);
            }
            shown = shown.max(end);
        }
        redacted.push_str(&text[shown..]);
        Cow::Owned(redacted)
    }

    /// None if nothing is known.
    fn search(&self) -> Option<Arc<Search>> {
        let known = self.0.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        if known.forms.is_empty() || known.search.is_some() {
            return known.search.clone();
        }
        drop(known);
        let mut known = self.0.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        let search = Arc::new(Search::new(&known.forms));
        known.search = Some(Arc::clone(&search));
        Some(search)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::shortened;

    const SECRET: &str = "p%4 +s\"&/'\\$ö🦀~\nsecond line";

    fn knows(secret: &str) -> Redactor {
        let redactor = Redactor::default();
        redactor.learn_value(&SecretString::from(secret));
        redactor
    }

    #[test]
    fn a_secret_is_redacted_in_every_form() {
        let redactor = knows(SECRET);
        let json = serde_json::to_string(SECRET).unwrap();
        let ascii: String = json
            .encode_utf16()
            .map(|unit| match u8::try_from(unit).ok().filter(u8::is_ascii).map(char::from) {
                Some('&') => "\\u0026".to_owned(),
                Some('/') => "\\/".to_owned(),
                Some(character) => character.to_string(),
                None => format!("\\u{unit:04x}"),
            })
            .collect();
        let percent = |lower: bool| -> String {
            let digits = |byte: u8| if lower { format!("%{byte:02x}") } else { format!("%{byte:02X}") };
            let plain = |byte: &u8| byte.is_ascii_alphanumeric();
            SECRET.bytes().map(|byte| if plain(&byte) { char::from(byte).to_string() } else { digits(byte) }).collect()
        };
        let (upper, lower, form) = (percent(false), percent(true), percent(false).replace("%20", "+"));
        let shell = SECRET.replace('\'', "'\\''");
        let debug = format!("{SECRET:?}");
        let twice = serde_json::to_string(&json).unwrap();
        let (hex, hex_upper) = (hex::encode(SECRET), hex::encode_upper(SECRET));
        let texts = [SECRET, &json, &ascii, &upper, &lower, &form, &shell, &debug, &twice, &hex, &hex_upper];
        for text in texts {
            let redacted = redactor.redact(text).into_owned();
            assert_eq!(redacted.replace(['"', '\\'], ""), MASK, "{text}");
            let said = format!("before {text} after");
            let redacted = redactor.redact(&said);
            assert!(redacted.starts_with("before ") && redacted.ends_with(" after"), "{redacted}");
        }
        // A line alone.
        assert_eq!(redactor.redact("the second line."), format!("the {MASK}."));
        assert_eq!(redactor.redact("nothing % + \\ is secret"), "nothing % + \\ is secret");
    }

    #[test]
    fn the_password_of_a_url_is_redacted_without_its_url() {
        let redactor = knows("postgres://shop:p%40ss%2Fword@db.example/shop");
        for (text, redacted) in [
            ("password p@ss/word refused", "password [redacted] refused"),
            ("postgres://shop:p%40ss%2Fword@other", "postgres://shop:[redacted]@other"),
            (
                r#"{"url":"postgres:\/\/shop:p%40ss%2fword@db.example\/shop"}"#,
                r#"{"url":"postgres:\/\/shop:[redacted]@db.example\/shop"}"#,
            ),
            ("u=postgres%3A%2F%2Fshop%3Ap%2540ss%252Fword%40db.example%2Fshop&x", "u=[redacted]&x"),
            ("user shop at db.example", "user shop at db.example"),
        ] {
            assert_eq!(redactor.redact(text), redacted);
        }
    }

    #[test]
    fn a_secret_that_a_line_break_has_cut_is_redacted() {
        let redactor = knows("0123456789abcdef0123456789ABCDEF");
        for (text, redacted) in [
            ("key: 0123456789abcdef\n   0123456789ABCDEF!", "key: [redacted]\n   [redacted]!"),
            ("6789abcdef0123456\r\n789ABCDEF", "[redacted]\r\n789ABCDEF"),
            ("key 0123456789abcdef and more", "key 0123456789abcdef and more"),
            ("6789abcdef012 3456789", "6789abcdef012 3456789"),
        ] {
            assert_eq!(redactor.redact(text), redacted);
        }
        let long = ["a long secret"; 9].join(", ");
        let (wrapped, digits) = (knows(&long), hex::encode(&long));
        for line in digits.as_bytes().chunks(60) {
            assert_eq!(wrapped.redact(str::from_utf8(line).unwrap()), MASK);
        }
    }

    #[test]
    fn a_secret_is_redacted_in_a_page_and_so_is_the_key_of_a_document() {
        let redactor = knows("a\"b<c>d&'e-f");
        for text in ["a&quot;b&lt;c&gt;d&amp;&#39;e-f", "a&#34;b&#x3c;c&#x3E;d&#38;&apos;e-f"] {
            assert_eq!(redactor.redact(&format!("<p>{text}</p>")), format!("<p>{MASK}</p>"));
        }
        let document =
            r#"{"type":"service_account","client":{"private_key":"-----BEGIN-----\nMIIEvgIBADANBg\n"},"id":"shop-1"}"#;
        let redactor = knows(document);
        assert_eq!(redactor.redact("key MIIEvgIBADANBg of shop-1"), format!("key {MASK} of shop-1"));
        assert_eq!(redactor.redact("type service_account"), "type service_account");
        let settings = r#"{"key_provider":{"pbkdf2":{"passphrase":"a long one","hash_function":"sha512"}}}"#;
        assert_eq!(knows(settings).redact("a long one, sha512"), format!("{MASK}, sha512"));
    }

    #[test]
    fn a_secret_that_a_shortened_text_has_in_part_is_redacted() {
        let redactor = knows("0123456789abcdef0123456789ABCDEF");
        for length in [25, 40, 48] {
            let text = shortened("RUN login 0123456789abcdef0123456789ABCDEF and more", length);
            assert!(redactor.redact(&text).starts_with("RUN login [redacted]"), "{text}");
        }
        let quoted = format!("{:?} is it", shortened("0123456789abcdef0123456789ABCDEF", 20));
        assert_eq!(redactor.redact(&quoted), format!("\"{MASK} …\" is it"));
        assert_eq!(shortened("short", 5), "short");
        assert_eq!(shortened("longer", 5), "longe …");
    }

    #[test]
    fn the_longer_of_two_nested_secrets_is_redacted_as_a_whole() {
        let redactor = knows("abcdef");
        redactor.learn_value(&SecretString::from("abcdefghij"));
        assert_eq!(redactor.redact("abcdefghij abcdef"), format!("{MASK} {MASK}"));
        assert_eq!(Redactor::default().redact("abcdef"), "abcdef");
    }
}
