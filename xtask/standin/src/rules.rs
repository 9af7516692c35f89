//! What a schema does not contain, read from the files of `--rules`: the provider's checks and defaults, and templates
//! for its computed values.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::backend::Backend;

/// The rules of all files with the type that they apply to. The types of data sources start with `data.`; a `*` at the
/// end matches any rest.
#[derive(Debug, Default)]
pub struct Rules(Vec<(String, TypeRules)>);

/// The rules of one type. Paths are field names joined by dots; indexes in them are ignored.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TypeRules {
    /// Paths whose change replaces the resource.
    pub force_new: BTreeSet<String>,
    /// Templates for fields that a configuration leaves out.
    pub default: BTreeMap<String, serde_json::Value>,
    /// Groups of paths of which exactly one must be set.
    pub exactly_one_of: Vec<Vec<String>>,
    /// Paths that cannot be set together with the key.
    pub conflicts: BTreeMap<String, Vec<String>>,
    /// Paths that must be set together with the key.
    pub required_with: BTreeMap<String, Vec<String>>,
    /// The allowed values of a string.
    pub one_of_values: BTreeMap<String, Vec<String>>,
    /// The maximum length in bytes of a string, or of each string in a map.
    pub max_length: BTreeMap<String, usize>,
    pub format: BTreeMap<String, Format>,
    /// Templates for the id. The first one that uses only fields of the type applies.
    pub id: Vec<String>,
    /// Templates for computed fields.
    pub computed: BTreeMap<String, serde_json::Value>,
    /// Computed fields that are known in the plan if all that their template uses is known.
    pub computed_at_plan: BTreeSet<String>,
    /// Defaults of the provider's configuration. Templates can use them.
    pub provider_defaults: BTreeMap<String, serde_json::Value>,
    /// Attributes that the dump lacks, in the format of a dump.
    pub attributes: BTreeMap<String, serde_json::Value>,
    pub backend: Option<Backend>,
    pub reader: Option<Reader>,
    /// Fields that the provider validates. Not used.
    #[serde(rename = "validated")]
    _validated: serde::de::IgnoredAny,
    /// Whether the provider has a `CustomizeDiff` function. Not used.
    #[serde(rename = "customize_diff")]
    _customize_diff: serde::de::IgnoredAny,
}

/// How a data source is read if templates are not enough.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reader {
    /// The JSON of an IAM policy, from its blocks.
    PolicyDocument,
    /// A hosted zone of the Route 53 server.
    Zone,
}

/// The format of a string.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    Uuid,
    /// A Go duration such as `1m30s`.
    Duration,
    Json,
}

impl Rules {
    /// Reads the files. The rules of all files for a type are merged.
    pub fn read(files: &[impl AsRef<Path>]) -> Result<Self> {
        let mut rules = Self::default();
        for file in files.iter().map(AsRef::as_ref) {
            let text = fs_err::read_to_string(file)?;
            let read: BTreeMap<String, TypeRules> =
                serde_json::from_str(&text).with_context(|| format!("{} is not a file of rules", file.display()))?;
            rules.0.extend(read.into_iter().map(|(name, rules)| (name, rules.without_indexes())));
        }
        // More specific types take precedence.
        rules.0.sort_by_key(|(name, _)| (name.ends_with('*'), std::cmp::Reverse(name.len())));
        Ok(rules)
    }

    /// Merges all rules that apply to a type.
    pub fn for_type(&self, name: &str) -> TypeRules {
        let mut all = TypeRules::default();
        for (pattern, rules) in &self.0 {
            let matches = match pattern.strip_suffix('*') {
                Some(start) => name.starts_with(start),
                None => name == pattern,
            };
            if matches {
                all.merge(rules);
            }
        }
        all
    }
}

impl TypeRules {
    /// Adds rules of lower precedence.
    fn merge(&mut self, more: &Self) {
        fn keep<T: Clone>(mine: &mut BTreeMap<String, T>, more: &BTreeMap<String, T>) {
            for (name, value) in more {
                mine.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        self.force_new.extend(more.force_new.iter().cloned());
        keep(&mut self.default, &more.default);
        self.exactly_one_of.extend(more.exactly_one_of.iter().cloned());
        keep(&mut self.conflicts, &more.conflicts);
        keep(&mut self.required_with, &more.required_with);
        keep(&mut self.one_of_values, &more.one_of_values);
        keep(&mut self.max_length, &more.max_length);
        keep(&mut self.format, &more.format);
        self.id.extend(more.id.iter().cloned());
        keep(&mut self.computed, &more.computed);
        self.computed_at_plan.extend(more.computed_at_plan.iter().cloned());
        keep(&mut self.provider_defaults, &more.provider_defaults);
        keep(&mut self.attributes, &more.attributes);
        self.backend = self.backend.take().or_else(|| more.backend.clone());
        self.reader = self.reader.or(more.reader);
    }

    /// Removes the indexes from all paths: `rule.0.days` becomes `rule.days`.
    fn without_indexes(mut self) -> Self {
        let paths = |paths: Vec<String>| paths.iter().map(|path| remove_indexes(path)).collect::<Vec<_>>();
        self.force_new = self.force_new.iter().map(|path| remove_indexes(path)).collect();
        self.exactly_one_of = self.exactly_one_of.into_iter().map(paths).collect();
        self.conflicts =
            self.conflicts.into_iter().map(|(path, others)| (remove_indexes(&path), paths(others))).collect();
        self.required_with =
            self.required_with.into_iter().map(|(path, others)| (remove_indexes(&path), paths(others))).collect();
        self
    }
}

fn remove_indexes(path: &str) -> String {
    path.split('.').filter(|part| part.parse::<u32>().is_err()).collect::<Vec<_>>().join(".")
}
