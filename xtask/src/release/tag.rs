//! The tags of releases at GitHub.

use jiff::Timestamp;

/// What the tags of releases begin with.
const PREFIX: &str = "build-";
/// The pattern of these tags, for rules at GitHub.
pub const TAGS: &str = "build-*";

/// The tag of a commit's release: `build-20261129-0123456789ab`, of the day on which the commit was made. GitHub refuses tags that are
/// a commit's whole 40 digits.
pub fn tag(commit: &str, made: Timestamp) -> String {
    format!("{PREFIX}{}-{}", made.strftime("%Y%m%d"), &commit[..12])
}

/// Whether a tag is one that [`tag`] makes.
pub fn is_tag(tag: &str) -> bool {
    let Some((day, commit)) = tag.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-')) else { return false };
    let is_hex =
        commit.len() == 12 && commit.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    is_hex && day.len() == 8 && day.bytes().all(|byte| byte.is_ascii_digit())
}

/// The first twelve digits of the commit that a release's tag names.
pub fn short_commit_of(tag: &str) -> &str {
    tag.rsplit('-').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_a_day_and_a_commit() {
        let tag = tag("0123456789abcdef0123456789abcdef01234567", "2026-11-29T23:59:59Z".parse().unwrap());
        assert_eq!(tag, "build-20261129-0123456789ab");
        assert!(is_tag(&tag));
        for other in
            ["v1.0.0", "build-2026-0123456789ab", "build-20261129-0123456789AB", "build-20261129-../../x", "build-"]
        {
            assert!(!is_tag(other), "{other}");
        }
    }
}
