//! `toolkit` of deploy.yaml: the versions of the toolkit that the file is for.

use semver::{Version, VersionReq};

use super::document::Document;
use super::problem::Problem;

/// The problem of a file that is for other versions than this one. It comes before all others: what another version reads, this one
/// may not know.
pub(super) fn refused(document: &Document) -> Option<Problem> {
    let (_, value) = document.find(&["toolkit"])?;
    let wanted = VersionReq::parse(value.text()?).ok()?;
    let this = env!("CARGO_PKG_VERSION");
    // Cargo has read it, too.
    if Version::parse(this).is_ok_and(|this| wanted.matches(&this)) {
        return None;
    }
    let message = format!("this toolkit is {this}, and the project takes {wanted}");
    let hint = format!("install one that fits: cargo install --git {} cutover", env!("CARGO_PKG_REPOSITORY"));
    Some(document.problem(Some(value), "toolkit", message, hint))
}

/// Whether a text names versions.
pub(super) fn is_requirement(text: &str) -> bool {
    VersionReq::parse(text).is_ok()
}
