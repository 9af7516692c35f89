//! What a value may look like. Names that become arguments of other programs are checked so that none of them can be
//! taken for an option.

use camino::{Utf8Component, Utf8Path};

/// A label of a host name (RFC 1123) that begins with a letter, in lower case.
pub(super) fn is_label(text: &str) -> bool {
    text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// The name of a cargo package or of a binary in it.
pub(super) fn is_cargo_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

/// The name of a Debian package (Debian policy 5.6.1).
pub(super) fn is_debian_package(text: &str) -> bool {
    text.len() >= 2
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '+' | '-' | '.'))
}

/// The name of a command that is looked for in `PATH`.
pub(super) fn is_command(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_'))
}

/// An argument of the service's own binary.
pub(super) fn is_argument(text: &str) -> bool {
    !text.is_empty() && !text.contains('\0')
}

/// The name of a branch, as far as git-check-ref-format(1) forbids what matters here.
pub(super) fn is_branch(text: &str) -> bool {
    let allowed =
        |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, '~' | '^' | ':' | '?' | '*' | '[' | '\\');
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    !text.starts_with('-')
        && !text.ends_with('.')
        && !text.contains("..")
        && !text.contains("@{")
        && text.chars().all(allowed)
        && text.split('/').all(part)
}

/// The path of a URL, without query and fragment.
pub(super) fn is_url_path(text: &str) -> bool {
    text.starts_with('/')
        && !text.starts_with("//")
        && text.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '\\'))
}

/// A relative path that does not leave the folder it is relative to.
pub(super) fn is_inside(text: &str) -> bool {
    let inside = |part| matches!(part, Utf8Component::Normal(_) | Utf8Component::CurDir);
    !text.is_empty() && !text.contains(['\0', '\\']) && Utf8Path::new(text).components().all(inside)
}

/// The name of an environment variable as services name theirs.
pub(super) fn is_variable(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}
