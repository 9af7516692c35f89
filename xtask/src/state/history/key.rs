//! The keys of records: `records/<digits>-<id>.json`. The digits are what is left of 99999999 without the lease's token, so a list,
//! which every store gives in the order of its keys, begins with the newest record.
//!
//! Earlier toolkits wrote the token itself, or none. Tokens count deploys, so those keys are below [`NEWEST`] and newer ones
//! above.

use anyhow::{Result, ensure};

pub const FOLDER: &str = "records/";

/// All keys of this layout come after it, all keys of earlier ones before it.
pub const NEWEST: &str = "records/5";

const DIGITS: usize = 8;
const MOST: u64 = 99_999_999;
const MIDDLE: u64 = 50_000_000;

/// What a record's key says.
#[derive(Debug, PartialEq, Eq)]
pub struct Key<'a> {
    /// The lease's token; none in the keys of the first toolkits.
    pub token: Option<u64>,
    /// The record's id.
    pub id: &'a str,
}

impl<'a> Key<'a> {
    /// The key of a record.
    pub fn of(token: u64, id: &str) -> Result<String> {
        ensure!(token < MIDDLE, "the lease's token {token} is not below {MIDDLE}, so no record can be named by it");
        Ok(format!("{FOLDER}{:0DIGITS$}-{id}.json", MOST - token))
    }

    /// Reads a key of any toolkit.
    pub fn parse(key: &'a str) -> Self {
        let name = key.strip_prefix(FOLDER).unwrap_or(key);
        let name = name.strip_suffix(".json").unwrap_or(name);
        // An id itself begins with a date and a `T`, which is no number.
        let numbered = name.split_once('-').filter(|(digits, _)| digits.len() == DIGITS);
        match numbered.and_then(|(digits, id)| Some((digits.parse::<u64>().ok()?, id))) {
            Some((digits, id)) if digits < MIDDLE => Self { token: Some(digits), id },
            Some((digits, id)) => Self { token: Some(MOST - digits), id },
            None => Self { token: None, id: name },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_newest_first_and_after_those_of_earlier_toolkits() {
        let keys = [3, 2, 1, 0].map(|token| Key::of(token, "20261121T104423Z-1f2e3d").unwrap());
        assert!(keys.is_sorted() && keys.iter().all(|key| key.as_str() > NEWEST), "{keys:?}");
        assert_eq!(Key::parse(&keys[1]), Key { token: Some(2), id: "20261121T104423Z-1f2e3d" });
        for (earlier, token) in
            [("records/00000007-20261121T104423Z-1f2e3d.json", Some(7)), ("records/20261121T104423Z-1f2e3d.json", None)]
        {
            assert!(earlier < NEWEST);
            assert_eq!(Key::parse(earlier), Key { token, id: "20261121T104423Z-1f2e3d" });
        }
        assert!(Key::of(MIDDLE, "x").is_err());
    }
}
