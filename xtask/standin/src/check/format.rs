//! The formats of strings that providers check.

use std::net::IpAddr;

use serde::Deserialize;

use super::cron;

/// The format of a string.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    Uuid,
    /// A UUID that may have a region or zone before it: `fr-par/…`.
    LocalUuid,
    /// A Go duration such as `1m30s`.
    Duration,
    Json,
    /// A time such as `2026-01-31T12:00:00Z`.
    Rfc3339,
    /// A day such as `2026-01-31`.
    Date,
    /// A schedule of five fields, or a descriptor such as `@daily`.
    Cron,
    Ip,
    Cidr,
    HttpUrl,
    /// The absolute path of a file.
    AbsolutePath,
    LowerCase,
}

impl Format {
    /// Describes the format if the string does not have it.
    pub fn mismatch(self, text: &str) -> Option<&'static str> {
        let (matches, expected) = match self {
            Self::Uuid => (is_uuid(text), "a UUID"),
            Self::LocalUuid => {
                (is_uuid(text.split_once('/').map_or(text, |(_, id)| id)), "a UUID, or a region and a UUID")
            }
            Self::Duration => (is_duration(text), "a duration such as 1m30s"),
            Self::Json => (serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(), "JSON"),
            Self::Rfc3339 => {
                // The parser accepts a blank for the T, too.
                let is_time = text.as_bytes().get(10) == Some(&b'T') && text.parse::<jiff::Timestamp>().is_ok();
                (is_time, "a time of RFC 3339 such as 2026-01-31T12:00:00Z")
            }
            Self::Date => (text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok(), "a date such as 2026-01-31"),
            Self::Cron => (cron::is_schedule(text), "a cron schedule such as 5 4 * * *"),
            Self::Ip => (text.parse::<IpAddr>().is_ok(), "an IP address"),
            Self::Cidr => (is_cidr(text), "a network such as 192.0.2.0/24"),
            Self::HttpUrl => {
                let rest = ["http://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme));
                (rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/')), "an http or https URL")
            }
            Self::AbsolutePath => {
                let mut parts = text.split('/');
                let is_path = parts.next() == Some("") && text.len() > 1 && parts.all(|part| !part.is_empty());
                (is_path, "the absolute path of a file")
            }
            Self::LowerCase => (text.to_lowercase() == text, "in lower case"),
        };
        (!matches).then_some(expected)
    }
}

fn is_uuid(text: &str) -> bool {
    let lengths: Vec<_> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
}

pub(super) fn is_duration(text: &str) -> bool {
    let unit = |part: &str| {
        let number = part.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        number.parse::<f64>().is_ok() && ["h", "m", "s"].contains(&&part[number.len()..])
    };
    // A rest without a unit is the last part, and fails the check.
    !text.is_empty() && text.replace("ms", "s").split_inclusive(['h', 'm', 's']).all(unit)
}

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let most = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    length.parse::<u8>().is_ok_and(|length| length <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_accepts_its_strings_and_no_others() {
        let uuid = "11111111-2222-4333-8444-555555555555";
        let local = format!("fr-par/{uuid}");
        let table: &[(Format, &[&str], &[&str])] = &[
            (Format::Uuid, &[uuid], &["", "media", &local, "11111111-2222-4333-8444-55555555555g"]),
            (Format::LocalUuid, &[uuid, &local], &["fr-par/", "fr-par/media", "n"]),
            (Format::Duration, &["1m30s", "500ms", "1.5h"], &["", "5", "soon", "5 s"]),
            (Format::Json, &["{}", "[1]"], &["", "{Version=1}"]),
            (
                Format::Rfc3339,
                &["2026-01-31T12:00:00Z", "2026-01-31T12:00:00+02:00"],
                &["2026-01-31", "2026-01-31 12:00:00Z", "tomorrow", "2026-02-31T12:00:00Z"],
            ),
            (Format::Date, &["2026-01-31"], &["2026-02-31", "31.1.2026", "2026-01-31T12:00:00Z"]),
            (Format::Ip, &["192.0.2.1", "::1"], &["192.0.2", "localhost"]),
            (Format::Cidr, &["192.0.2.0/24", "2001:db8::/32"], &["192.0.2.0", "192.0.2.0/33", "net/8"]),
            (Format::HttpUrl, &["https://a.example/x"], &["ftp://a", "https://", "a.example"]),
            (Format::AbsolutePath, &["/run/secret"], &["", "/", "run", "/run//x", "/run/"]),
            (Format::LowerCase, &["a-b"], &["A"]),
        ];
        for (format, good, bad) in table {
            for text in *good {
                assert_eq!(format.mismatch(text), None, "{text}");
            }
            for text in *bad {
                assert!(format.mismatch(text).is_some(), "{format:?}: {text}");
            }
        }
    }
}
