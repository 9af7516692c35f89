//! Ranges of versions as package.json has them.

use semver::{Version, VersionReq};

/// Whether a range has a version. A range of a form that is not known here has all: npm itself decides then.
pub fn admit(range: &str, version: &str) -> bool {
    let Ok(version) = Version::parse(version) else { return true };
    let alternatives: Option<Vec<VersionReq>> = range.split("||").map(requirement).collect();
    alternatives.is_none_or(|alternatives| alternatives.iter().any(|one| one.matches(&version)))
}

/// One alternative: comparators between blanks, which may stand after an operator, too. Without an operator, what a version omits is
/// free, where cargo means `^`.
fn requirement(text: &str) -> Option<VersionReq> {
    let mut comparators: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match comparators.last_mut().filter(|last| last.ends_with(['<', '>', '=', '^', '~'])) {
            Some(operator) => operator.push_str(word),
            None => comparators.push(word.to_owned()),
        }
    }
    let cargo = |comparator: &String| {
        let is_exact = comparator.starts_with(|c: char| c.is_ascii_digit()) && !comparator.contains(['x', 'X', '*']);
        format!("{}{comparator}", if is_exact { "=" } else { "" })
    };
    let text = comparators.iter().map(cargo).collect::<Vec<_>>().join(", ");
    VersionReq::parse(if text.is_empty() { "*" } else { &text }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_npm_are_understood() {
        for (range, inside, outside) in [
            (">=20.19", &["20.19.0", "24.1.0"][..], &["20.18.9", "18.20.4"][..]),
            ("^20.19.0 || >=22.12.0", &["20.20.2", "22.12.0", "25.0.0"], &["21.0.0", "22.11.9"]),
            (">= 20 <23", &["20.0.0", "22.9.9"], &["23.0.0", "19.9.9"]),
            ("20", &["20.0.0", "20.9.1"], &["21.0.0", "19.0.0"]),
            ("20.19", &["20.19.0", "20.19.7"], &["20.20.0"]),
            ("20.x", &["20.1.0"], &["21.0.0"]),
            ("~20.19.1", &["20.19.4"], &["20.20.0", "20.19.0"]),
            ("", &["1.0.0"], &[]),
            ("*", &["1.0.0"], &[]),
            // Not known here.
            ("18 - 20", &["22.0.0"], &[]),
        ] {
            for version in inside {
                assert!(admit(range, version), "{range} {version}");
            }
            for version in outside {
                assert!(!admit(range, version), "{range} {version}");
            }
        }
    }
}
