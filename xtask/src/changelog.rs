//! What each version of the toolkit changed, by the changelog that the program brings along.

use semver::Version;

/// The toolkit's, with a heading for each version.
pub const TEXT: &str = include_str!("../CHANGELOG.md");

/// The changes of a version.
#[derive(Debug, PartialEq, Eq)]
pub struct Section {
    /// `None` for what is not released yet.
    pub version: Option<Version>,
    /// A line each, the latest first.
    pub changes: Vec<String>,
}

/// The changes behind a version, the newest version first; all of them without one.
pub fn since(text: &str, version: Option<&Version>) -> Vec<Section> {
    let sections = text.split("\n## ").skip(1).filter_map(|section| {
        let (title, body) = section.split_once('\n')?;
        let of = title.split_whitespace().next().and_then(|word| Version::parse(word).ok());
        let is_known = of.as_ref().zip(version).is_some_and(|(of, version)| of <= version);
        let changes = changes(body);
        (!is_known && !changes.is_empty()).then_some(Section { version: of, changes })
    });
    sections.collect()
}

/// The items, each on one line.
fn changes(body: &str) -> Vec<String> {
    let items = format!("\n{body}");
    let items = items.split("\n- ").skip(1);
    items.map(|item| item.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "# Changelog

## Unreleased

- A new command
  on two lines.
- **Changed**: a key.

## 0.3.0 (2027-01-02)

## 0.2.1

- A fault is gone.

## 0.2.0

- The first.
";

    #[test]
    fn what_is_behind_a_version_is_told() {
        let since = |version: Option<&str>| {
            let version = version.map(|version| Version::parse(version).unwrap());
            let sections = super::since(LOG, version.as_ref());
            let of = |it: &Section| it.version.as_ref().map_or("unreleased".to_owned(), Version::to_string);
            sections.iter().map(|it| format!("{}: {}", of(it), it.changes.join(" | "))).collect::<Vec<_>>()
        };
        let newest = "unreleased: A new command on two lines. | **Changed**: a key.";
        assert_eq!(since(None), [newest, "0.2.1: A fault is gone.", "0.2.0: The first."]);
        assert_eq!(since(Some("0.2.0")), [newest, "0.2.1: A fault is gone."]);
        assert_eq!(since(Some("0.3.0")), [newest]);
    }

    #[test]
    fn the_programs_own_is_read() {
        let sections = super::since(TEXT, None);
        assert!(
            sections.iter().any(|it| it.changes.iter().any(|change| change.starts_with("`upgrade`"))),
            "{sections:?}"
        );
    }
}
