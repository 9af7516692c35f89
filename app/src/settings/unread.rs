//! Variables that are probably misspelt settings. The service ignores them, and runs with defaults that were not meant.

use std::fmt;

use super::{Schema, client};

/// A variable of the process that no program of the service reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// Its name.
    pub name: String,
    /// The setting that was probably meant.
    pub meant: &'static str,
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is set, and the service does not read it: did you mean {}?", self.name, self.meant)
    }
}

/// Those among `names`, sorted. A process has many variables of others, so only a name that is nearly one of the settings counts.
pub(super) fn unread(schema: &Schema, names: impl IntoIterator<Item = String>) -> Vec<Unread> {
    let is_known = |name: &String| {
        client::NAMES.contains(&name.as_str()) || schema.settings.iter().any(|setting| setting.name == *name)
    };
    let near = |name: String| {
        let upper = name.to_ascii_uppercase();
        let settings = schema.settings.iter().map(|setting| (strsim::osa_distance(&upper, setting.name), setting.name));
        // Short names are near to each other by chance.
        let is_near = |(distance, meant): &(usize, &str)| *distance <= if meant.len() < 8 { 1 } else { 2 };
        let (_, meant) = settings.filter(is_near).min()?;
        Some(Unread { name, meant })
    };
    let mut unread: Vec<Unread> = names.into_iter().filter(|name| !is_known(name)).filter_map(near).collect();
    unread.sort_by(|one, other| one.name.cmp(&other.name));
    unread
}
