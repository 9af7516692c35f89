//! The notes of a release: the commits since the one before.

use std::fmt::Write as _;

use crate::tools::git::log::Change;

/// The most commits that are listed.
pub const MOST: usize = 200;

/// The sections, in their order, by the types of Conventional Commits 1.0.0. The last one is of every other commit.
const SECTIONS: [(&str, &[&str]); 4] =
    [("Features", &["feat"]), ("Fixes", &["fix"]), ("Performance", &["perf"]), ("Other changes", &[])];

/// The notes in Markdown. `before` is the tag of the release before; without one, there is none to compare with.
pub fn notes(image: &str, before: Option<&str>, changes: &[Change]) -> String {
    let mut text = format!("Image: `{image}`\n");
    match before {
        Some(before) => writeln!(text, "\nChanges since {before}:"),
        None => writeln!(text, "\nChanges:"),
    }
    .expect(CANNOT_FAIL);
    let changes: Vec<Parsed<'_>> = changes.iter().map(Parsed::of).collect();
    if changes.is_empty() {
        text.push_str("\nNone.\n");
    }
    let mut section = |title: &str, changes: &[&Parsed<'_>]| {
        if changes.is_empty() {
            return;
        }
        writeln!(text, "\n### {title}\n").expect(CANNOT_FAIL);
        for change in changes {
            let scope = change.scope.map(|scope| format!("**{}**: ", escaped(scope))).unwrap_or_default();
            writeln!(text, "- {scope}{} ({})", escaped(change.text), &change.commit[..12]).expect(CANNOT_FAIL);
        }
    };
    let (breaking, other): (Vec<_>, Vec<_>) = changes.iter().partition(|change| change.breaking);
    section("Breaking changes", &breaking);
    // Without conventional commits there is one list, and it needs no title of its own.
    for (title, kinds) in SECTIONS {
        let of = |change: &&&Parsed<'_>| match SECTIONS.iter().find(|(_, kinds)| kinds.contains(&change.kind)) {
            Some((own, _)) => *own == title,
            None => kinds.is_empty(),
        };
        section(title, &other.iter().filter(of).copied().collect::<Vec<_>>());
    }
    if changes.len() == MOST {
        writeln!(text, "\nOnly the newest {MOST} are listed.").expect(CANNOT_FAIL);
    }
    text
}

const CANNOT_FAIL: &str = "writing to a String cannot fail";

/// A commit's first line: `kind(scope)!: text`, or any text.
struct Parsed<'a> {
    commit: &'a str,
    kind: &'a str,
    scope: Option<&'a str>,
    breaking: bool,
    text: &'a str,
}

impl<'a> Parsed<'a> {
    fn of(change: &'a Change) -> Self {
        let breaking_footer = change
            .body
            .lines()
            .any(|line| line.starts_with("BREAKING CHANGE: ") || line.starts_with("BREAKING-CHANGE: "));
        let plain =
            Self { commit: &change.commit, kind: "", scope: None, breaking: breaking_footer, text: &change.subject };
        let Some((head, text)) = change.subject.split_once(": ") else { return plain };
        let (head, bang) = head.strip_suffix('!').map_or((head, false), |head| (head, true));
        let (kind, scope) = match head.split_once('(') {
            Some((kind, scope)) => match scope.strip_suffix(')') {
                Some(scope) => (kind, Some(scope)),
                None => return plain,
            },
            None => (head, None),
        };
        let is_kind = !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_lowercase());
        if !is_kind {
            return plain;
        }
        Self { kind, scope, breaking: bang || breaking_footer, text, ..plain }
    }
}

/// Text of a commit, as text of Markdown: no link, picture or tag, and no mention that would notify a person.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '&' => escaped.push_str("&amp;"),
            // GitHub finds a mention in what is left of an entity or a backslash, too.
            '@' => escaped.push_str("@\u{200b}"),
            '[' | ']' | '*' | '\\' | '!' => escaped.extend(['\\', character]),
            _ if character.is_control() => escaped.push(' '),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(subject: &str, body: &str) -> Change {
        Change {
            commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
            subject: subject.into(),
            body: body.into(),
        }
    }

    #[test]
    fn conventional_commits_are_sorted_and_others_are_listed() {
        let changes = [
            change("feat(upload): take clips", ""),
            change("fix: keep the order", ""),
            change("perf!: drop the old index", ""),
            change("chore: update", "BREAKING CHANGE: needs PostgreSQL 17"),
            change("Say what is missing", ""),
            change("docs(readme): note: twice", ""),
        ];
        insta::assert_snapshot!(notes("registry/app@sha256:00", Some("build-20261128-aaaaaaaaaaaa"), &changes));
        insta::assert_snapshot!(notes("registry/app@sha256:00", None, &[]));
    }

    #[test]
    fn a_commit_cannot_mention_link_or_draw() {
        let said = notes("i", None, &[change("@team ![x](http://e.org) <img src=x> [a](b) \\@you\u{7}", "")]);
        assert!(!said.contains("@team") && !said.contains("@you"), "{said}");
        assert!(!said.contains("<img"), "{said}");
        for (at, _) in said.match_indices(['[', ']', '!']) {
            assert_eq!(said[..at].chars().last(), Some('\\'), "{said}");
        }
    }
}
