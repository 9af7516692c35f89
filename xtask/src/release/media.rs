//! The settings that the stack of an environment's media gives: the present values of its outputs.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};

use crate::report::Summary;

/// Settings by name, with their values. Empty for an environment without such a stack.
#[derive(Clone, Default)]
pub struct MediaSettings(pub BTreeMap<String, MediaValue>);

/// The value of an output.
#[derive(Clone)]
pub struct MediaValue {
    /// As text.
    pub text: SecretString,
    /// Whether the stack declares it as sensitive.
    pub sensitive: bool,
}

impl MediaSettings {
    /// The names of those that have another value in `other`.
    pub fn differing<'s>(&'s self, other: &Self) -> Vec<&'s str> {
        let is_same = |(name, value): &(&String, &MediaValue)| {
            other.0.get(*name).is_some_and(|other| other.text.expose_secret() == value.text.expose_secret())
        };
        self.0.iter().filter(|entry| !is_same(entry)).map(|(name, _)| name.as_str()).collect()
    }
}

impl Summary for MediaSettings {
    fn summary(&self) -> String {
        match self.0.len() {
            1 => "gives 1 setting".to_owned(),
            count => format!("gives {count} settings"),
        }
    }
}
