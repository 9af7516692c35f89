//! `toolkit` of deploy.yaml: the versions of the toolkit that the file is for.

use semver::{Comparator, Op, Prerelease, Version, VersionReq};

use super::document::Document;
use super::problem::Problem;

/// The problem of a file that is for other versions than this one. It comes before all others: what another version reads, this one
/// may not know.
pub(super) fn refused(document: &Document) -> Option<Problem> {
    let (_, value) = document.find(&["toolkit"])?;
    let wanted = VersionReq::parse(value.text()?).ok()?;
    // Cargo has read it, too.
    let this = Version::parse(env!("CARGO_PKG_VERSION")).ok()?;
    if wanted.matches(&this) {
        return None;
    }
    let message = format!("this toolkit is {this}, and the project takes {wanted}");
    let hint = format!("install one that fits: {}", install(&this, &wanted));
    Some(document.problem(Some(value), "toolkit", message, hint))
}

/// The oldest version that the file takes; `None` where it names none.
pub(super) fn oldest(document: &Document) -> Option<Version> {
    let (_, value) = document.find(&["toolkit"])?;
    let wanted = VersionReq::parse(value.text()?).ok()?;
    let least = |it: &Comparator| Version::new(it.major, it.minor.unwrap_or_default(), it.patch.unwrap_or_default());
    let from = wanted.comparators.iter().filter(|it| !matches!(it.op, Op::Less | Op::LessEq));
    from.map(least).max()
}

/// What installs a version that is wanted: the newest, where this one is too old for it.
fn install(this: &Version, wanted: &VersionReq) -> String {
    let newest = format!("cargo install --git {} cutover", env!("CARGO_PKG_REPOSITORY"));
    let Some(first) = wanted.comparators.first() else { return newest };
    let named = Version {
        pre: Prerelease::clone(&first.pre),
        ..Version::new(first.major, first.minor.unwrap_or_default(), first.patch.unwrap_or_default())
    };
    match wanted.matches(&named) {
        _ if named > *this => newest,
        true => format!("{newest} --tag v{named}"),
        false => format!("{newest} --tag v… (one before {named})"),
    }
}

/// Whether a text names versions.
pub(super) fn is_requirement(text: &str) -> bool {
    VersionReq::parse(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_to_install_is_one_that_fits() {
        let hint = |wanted: &str| install(&Version::new(0, 2, 0), &VersionReq::parse(wanted).unwrap());
        assert!(hint(">=99").ends_with("meemi cutover"), "{}", hint(">=99"));
        for (wanted, end) in [("0.1", "--tag v0.1.0"), ("=0.1.3", "--tag v0.1.3"), ("<0.2", "(one before 0.2.0)")] {
            assert!(hint(wanted).ends_with(end), "{}", hint(wanted));
        }
    }
}
