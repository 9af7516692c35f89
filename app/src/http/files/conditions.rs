//! Conditional requests and ranges, by RFC 9110 (sections 13 and 14).

use std::{
    ops::Range,
    time::{Duration, SystemTime},
};

use axum::http::{
    HeaderMap, HeaderName, Method,
    header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE},
};

/// What a URL stands for now.
pub(super) struct Representation {
    /// A strong entity tag, with quotes.
    pub(super) tag: String,
    pub(super) modified: SystemTime,
    /// In bytes.
    pub(super) size: u64,
}

/// What to answer with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Whole,
    /// These bytes.
    Part(Range<u64>),
    NotModified,
    /// A condition of the request does not hold.
    Failed,
    /// No byte of the requested range exists.
    Unsatisfiable,
}

/// Evaluates the conditions in the order of section 13.2.2. What is malformed is ignored, as if it were not there.
pub(super) fn evaluate(method: &Method, headers: &HeaderMap, now: &Representation) -> Answer {
    if headers.contains_key(IF_MATCH) {
        if !has_tag(headers, IF_MATCH, |tag| tag == now.tag) {
            return Answer::Failed;
        }
    } else if date(headers, IF_UNMODIFIED_SINCE).is_some_and(|date| seconds(now.modified) > seconds(date)) {
        return Answer::Failed;
    }
    if headers.contains_key(IF_NONE_MATCH) {
        if is_known(headers, &now.tag) {
            return Answer::NotModified;
        }
    } else if date(headers, IF_MODIFIED_SINCE).is_some_and(|date| seconds(now.modified) <= seconds(date)) {
        return Answer::NotModified;
    }
    if method != Method::GET || !holds_if_range(headers, now) {
        return Answer::Whole;
    }
    lines(headers, RANGE).map_or(Answer::Whole, |range| self::range(&range, now.size))
}

/// Whether the client has what has this tag, by `If-None-Match`, which compares weakly.
pub fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    has_tag(headers, IF_NONE_MATCH, |known| known.strip_prefix("W/").unwrap_or(known) == tag)
}

/// Whether the list of tags has one that is equal to the current one. A tag may contain a comma; then its pieces lack a quote,
/// and are equal to no tag.
fn has_tag(headers: &HeaderMap, name: HeaderName, is_current: impl Fn(&str) -> bool) -> bool {
    let Some(tags) = lines(headers, name) else { return false };
    tags.split(',').map(str::trim).any(|tag| tag == "*" || is_current(tag))
}

/// Only a strong validator may guard a range: a weak tag does not, nor a time within the second of the answer.
fn holds_if_range(headers: &HeaderMap, now: &Representation) -> bool {
    let Some(validator) = lines(headers, IF_RANGE) else { return !headers.contains_key(IF_RANGE) };
    let is_settled = now.modified.elapsed().is_ok_and(|age| age > Duration::from_secs(1));
    validator == now.tag || (is_settled && validator == httpdate::fmt_http_date(now.modified))
}

/// A list of ranges of which several exist is ignored: the whole file has them all.
fn range(text: &str, size: u64) -> Answer {
    let Some((unit, set)) = text.split_once('=') else { return Answer::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Answer::Whole;
    }
    let (mut asked, mut found) = (0, Vec::new());
    for spec in set.split(',').map(str::trim).filter(|spec| !spec.is_empty()) {
        let Some(range) = byte_range(spec, size) else { return Answer::Whole };
        asked += 1;
        if range.start < range.end {
            found.push(range);
        }
    }
    match (asked, found.len()) {
        (1.., 0) => Answer::Unsatisfiable,
        (_, 1) => Answer::Part(found.remove(0)),
        _ => Answer::Whole,
    }
}

/// The bytes of one range that exist; empty if none does. `None` if it is malformed.
fn byte_range(spec: &str, size: u64) -> Option<Range<u64>> {
    match spec.split_once('-')? {
        ("", last) => Some(size.saturating_sub(number(last)?)..size),
        (first, "") => Some(number(first)?.min(size)..size),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then(|| first.min(size)..last.saturating_add(1).min(size))
        }
    }
}

/// A number with more digits than fit is beyond the end of every file.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// The lines of a header as one; `None` if there is none, or it is not text.
fn lines(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let lines: Result<Vec<_>, _> = headers.get_all(name).iter().map(|line| line.to_str()).collect();
    lines.ok().filter(|lines| !lines.is_empty()).map(|lines| lines.join(", ").trim().to_owned())
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(&lines(headers, name)?).ok()
}

/// Dates in headers have no fractions of a second.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(method: &Method, lines: &[(HeaderName, &str)]) -> Answer {
        let headers = lines.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        let modified = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_500);
        evaluate(method, &headers, &Representation { tag: "\"now\"".into(), modified, size: 100 })
    }

    const MODIFIED: &str = "Tue, 14 Nov 2023 22:13:20 GMT";
    const BEFORE: &str = "Tue, 14 Nov 2023 22:13:19 GMT";

    #[test]
    fn ranges() {
        for (range, expected) in [
            ("bytes=0-0", Answer::Part(0..1)),
            ("bytes=10-19", Answer::Part(10..20)),
            ("BYTES=10-19", Answer::Part(10..20)),
            ("bytes=90-", Answer::Part(90..100)),
            ("bytes=90-1000", Answer::Part(90..100)),
            ("bytes=90-99999999999999999999999", Answer::Part(90..100)),
            ("bytes=-10", Answer::Part(90..100)),
            ("bytes=-1000", Answer::Part(0..100)),
            ("bytes=500-, 5-9", Answer::Part(5..10)),
            ("bytes= , 5-9", Answer::Part(5..10)),
            ("bytes=0-1, 5-9", Answer::Whole),
            ("bytes=100-", Answer::Unsatisfiable),
            ("bytes=99999999999999999999999-", Answer::Unsatisfiable),
            ("bytes=-0", Answer::Unsatisfiable),
            ("bytes=100-, 200-300", Answer::Unsatisfiable),
            ("bytes=9-5", Answer::Whole),
            ("bytes=", Answer::Whole),
            ("bytes=-", Answer::Whole),
            ("bytes=a-b", Answer::Whole),
            ("bytes=+1-5", Answer::Whole),
            ("bytes=1-5-9", Answer::Whole),
            ("bytes", Answer::Whole),
            ("lines=1-5", Answer::Whole),
        ] {
            assert_eq!(answer(&Method::GET, &[(RANGE, range)]), expected, "{range}");
            assert_eq!(answer(&Method::HEAD, &[(RANGE, range)]), Answer::Whole, "HEAD {range}");
        }
        assert_eq!(answer(&Method::GET, &[(RANGE, "bytes=0-1"), (RANGE, "bytes=5-9")]), Answer::Whole);
    }

    #[test]
    fn conditions() {
        let part = (RANGE, "bytes=0-9");
        for (lines, expected) in [
            (vec![(IF_NONE_MATCH, "\"now\"")], Answer::NotModified),
            (vec![(IF_NONE_MATCH, "\"old\", W/\"now\"")], Answer::NotModified),
            (vec![(IF_NONE_MATCH, "\"old\""), (IF_NONE_MATCH, "\"now\"")], Answer::NotModified),
            (vec![(IF_NONE_MATCH, "*")], Answer::NotModified),
            (vec![(IF_NONE_MATCH, "now")], Answer::Whole),
            (vec![(IF_NONE_MATCH, "\"now\""), part.clone()], Answer::NotModified),
            (vec![(IF_NONE_MATCH, "\"old\""), (IF_MODIFIED_SINCE, MODIFIED)], Answer::Whole),
            (vec![(IF_MODIFIED_SINCE, MODIFIED)], Answer::NotModified),
            (vec![(IF_MODIFIED_SINCE, BEFORE)], Answer::Whole),
            (vec![(IF_MODIFIED_SINCE, "yesterday")], Answer::Whole),
            (vec![(IF_MATCH, "\"now\"")], Answer::Whole),
            (vec![(IF_MATCH, "*")], Answer::Whole),
            (vec![(IF_MATCH, "W/\"now\"")], Answer::Failed),
            (vec![(IF_MATCH, "\"old\"")], Answer::Failed),
            (vec![(IF_MATCH, "\"now\""), (IF_UNMODIFIED_SINCE, BEFORE)], Answer::Whole),
            (vec![(IF_UNMODIFIED_SINCE, BEFORE)], Answer::Failed),
            (vec![(IF_UNMODIFIED_SINCE, MODIFIED)], Answer::Whole),
            (vec![(IF_RANGE, "\"now\""), part.clone()], Answer::Part(0..10)),
            (vec![(IF_RANGE, "W/\"now\""), part.clone()], Answer::Whole),
            (vec![(IF_RANGE, "\"old\""), part.clone()], Answer::Whole),
            (vec![(IF_RANGE, MODIFIED), part.clone()], Answer::Part(0..10)),
            (vec![(IF_RANGE, BEFORE), part.clone()], Answer::Whole),
            (vec![(IF_RANGE, "\"old\""), (RANGE, "bytes=900-")], Answer::Whole),
        ] {
            assert_eq!(answer(&Method::GET, &lines), expected, "{lines:?}");
        }
    }
}
