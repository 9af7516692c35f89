//! The name under which a browser saves a file.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Bytes that RFC 8187 requires to be percent-encoded, and some more.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'~');

/// The extensions of each media type. The first is the usual one.
const EXTENSIONS: &[(&str, &[&str])] = &[
    ("image/jpeg", &["jpg", "jpeg", "jpe", "jfif"]),
    ("image/png", &["png"]),
    ("image/webp", &["webp"]),
    ("image/gif", &["gif"]),
    ("image/avif", &["avif"]),
    ("image/heic", &["heic"]),
    ("image/heif", &["heif", "heic"]),
    ("video/mp4", &["mp4", "m4v"]),
    ("video/quicktime", &["mov", "qt"]),
    ("video/webm", &["webm"]),
    ("video/x-matroska", &["mkv"]),
];

/// The value of `Content-Disposition` by RFC 6266: an ASCII name for old clients, then the exact one.
pub(super) fn inline(name: &str, mime_type: &str) -> String {
    let name = file_name(name, mime_type);
    let ascii: String = name
        .chars()
        .map(|c| if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%') || c == ' ' { c } else { '_' })
        .collect();
    let exact = utf8_percent_encode(&name, ENCODED);
    format!("inline; filename=\"{ascii}\"; filename*=UTF-8''{exact}")
}

/// The name with an extension of the real type, so that nothing is saved as what it is not. The extension of another media
/// type is replaced.
fn file_name(name: &str, mime_type: &str) -> String {
    let cleaned: String = name.chars().filter(|c| !is_invisible(*c)).collect();
    let cleaned = cleaned.replace(['/', '\\'], "_");
    let cleaned = cleaned.trim().trim_start_matches('.');
    let name = if cleaned.is_empty() { "untitled" } else { cleaned };
    let extensions = EXTENSIONS.iter().find(|(of, _)| *of == mime_type).map_or(&[][..], |(_, extensions)| extensions);
    let Some(usual) = extensions.first() else { return name.to_owned() };
    let is_one_of = |known: &[&str], extension: &str| known.iter().any(|known| known.eq_ignore_ascii_case(extension));
    match name.rsplit_once('.') {
        Some((_, extension)) if is_one_of(extensions, extension) => name.to_owned(),
        Some((stem, extension)) if EXTENSIONS.iter().any(|(_, known)| is_one_of(known, extension)) => {
            format!("{stem}.{usual}")
        }
        _ => format!("{name}.{usual}"),
    }
}

/// Characters that show nothing, or change the direction of those around them: `gpj.exe` can look like `exe.jpg`.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::{file_name, inline};

    #[test]
    fn quotes_in_a_name_are_escaped() {
        assert_eq!(
            inline("a\"; x=\"Ä.jpg", "image/jpeg"),
            "inline; filename=\"a_; x=__.jpg\"; filename*=UTF-8''a%22%3B%20x%3D%22%C3%84.jpg"
        );
    }

    #[test]
    fn a_name_shows_all_of_it_and_ends_with_the_real_type() {
        for (name, mime_type, expected) in [
            ("a.jpg", "image/jpeg", "a.jpg"),
            ("a.JPEG", "image/jpeg", "a.JPEG"),
            ("a.png", "image/jpeg", "a.jpg"),
            ("a.jpg", "image/webp", "a.webp"),
            ("a.html", "image/jpeg", "a.html.jpg"),
            ("12.5.2024", "image/png", "12.5.2024.png"),
            ("a", "video/mp4", "a.mp4"),
            ("evil\u{202e}gpj.exe", "image/jpeg", "evilgpj.exe.jpg"),
            ("a\u{200b}\u{feff}.jpg", "image/jpeg", "a.jpg"),
            ("\u{200b}", "image/gif", "untitled.gif"),
            ("../../.bashrc", "image/gif", "_.._.bashrc.gif"),
            ("a\r\nb.gif", "image/gif", "ab.gif"),
        ] {
            assert_eq!(file_name(name, mime_type), expected, "{name:?}");
        }
    }
}
