//! Names in deploy.yaml: labels, and environment variables.

use super::check;
use super::field::Field;
use super::problem::quoted;

/// What a label is, in words.
pub(super) const LABEL: &str = "a name of lower-case letters, digits and `-`";

/// Refuses a name that is none of a variable. `what` has its article.
pub(super) fn refuse_variable<T>(name: &str, field: &Field<'_>, what: &str) -> Option<T> {
    let upper = name.to_uppercase();
    let hint = if check::is_variable(&upper) { format!("write `{upper}`") } else { "remove it".to_owned() };
    field.refuse_key(format!("not the name of {what}: expected A–Z, 0–9 and `_`"), hint)
}

pub(super) fn label(field: &Field<'_>) -> Option<String> {
    let text = field.text(LABEL, |_| true)?;
    match label_hint(&text) {
        None => Some(text),
        Some(hint) => field.refuse(format!("found the text {}, expected {LABEL}", quoted(&text)), hint),
    }
}

/// The hint for a name that is not a label.
pub(super) fn label_hint(name: &str) -> Option<String> {
    let likely = name.to_lowercase().replace(['_', ' ', '.'], "-");
    if check::is_label(name) {
        None
    } else if check::is_label(&likely) {
        Some(format!("write `{likely}`"))
    } else {
        Some("begin with a letter, end with a letter or digit, at most 63 characters".to_owned())
    }
}
