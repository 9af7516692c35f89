//! What a schema does not contain, read from the files of `--rules`: the provider's checks and defaults, and templates
//! for its computed values.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::backend::Backend;
use crate::check::{Check, Proportion};

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
    /// The allowed values of a string. Read into `checks`.
    one_of_values: BTreeMap<String, Vec<String>>,
    /// What the provider checks of a configuration, so `tofu validate` fails.
    pub checks: BTreeMap<String, Check>,
    /// What the platform's API checks and the provider does not, so an apply fails.
    pub api_checks: BTreeMap<String, Check>,
    /// Pairs of numbers of which the API checks the quotient.
    pub api_proportions: Vec<Proportion>,
    /// Fields that the provider validates, by its sources. A test demands a check for each of them.
    pub validated: BTreeSet<String>,
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
    /// Whether the provider's Read does nothing, so that a plan shows no drift.
    pub reads_nothing: bool,
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

impl Rules {
    /// Reads the files. The rules of all files for a type are merged.
    pub fn read(files: &[impl AsRef<Path>]) -> Result<Self> {
        let mut rules = Self::default();
        for file in files.iter().map(AsRef::as_ref) {
            let text = fs_err::read_to_string(file)?;
            let read: BTreeMap<String, TypeRules> =
                serde_json::from_str(&text).with_context(|| format!("{} is not a file of rules", file.display()))?;
            rules.0.extend(read.into_iter().map(|(name, rules)| (name, rules.normalized())));
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
        keep(&mut self.checks, &more.checks);
        keep(&mut self.api_checks, &more.api_checks);
        self.api_proportions.extend(more.api_proportions.iter().cloned());
        self.validated.extend(more.validated.iter().cloned());
        self.id.extend(more.id.iter().cloned());
        keep(&mut self.computed, &more.computed);
        self.computed_at_plan.extend(more.computed_at_plan.iter().cloned());
        keep(&mut self.provider_defaults, &more.provider_defaults);
        keep(&mut self.attributes, &more.attributes);
        self.backend = self.backend.take().or_else(|| more.backend.clone());
        self.reader = self.reader.or(more.reader);
        self.reads_nothing |= more.reads_nothing;
    }

    /// Removes the indexes from all paths, so `rule.0.days` becomes `rule.days`, and makes checks of the allowed values.
    fn normalized(mut self) -> Self {
        let paths = |paths: Vec<String>| paths.iter().map(|path| remove_indexes(path)).collect::<Vec<_>>();
        self.force_new = self.force_new.iter().map(|path| remove_indexes(path)).collect();
        self.exactly_one_of = self.exactly_one_of.into_iter().map(paths).collect();
        self.conflicts =
            self.conflicts.into_iter().map(|(path, others)| (remove_indexes(&path), paths(others))).collect();
        self.required_with =
            self.required_with.into_iter().map(|(path, others)| (remove_indexes(&path), paths(others))).collect();
        for (path, values) in std::mem::take(&mut self.one_of_values) {
            self.checks.entry(path).or_insert_with(|| Check::one_of(values));
        }
        self
    }
}

fn remove_indexes(path: &str) -> String {
    path.split('.').filter(|part| part.parse::<u32>().is_err()).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::paths;
    use crate::schema::Provider;

    /// The rules and the schema of each provider in `schemas`.
    fn providers() -> Vec<(Rules, Provider)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
        let read = |name: &str| {
            let files = ["rules", "standin"].map(|kind| folder.join(format!("{name}.{kind}.json")));
            let files: Vec<_> = files.into_iter().filter(|file| file.is_file()).collect();
            let rules = Rules::read(&files).unwrap();
            let mut provider = Provider::read(&folder.join(format!("{name}.json"))).unwrap();
            let names: Vec<_> = provider.resources.keys().cloned().collect();
            for name in names {
                provider.add_attributes(&name, rules.for_type(&name).attributes).unwrap();
            }
            (rules, provider)
        };
        ["scaleway", "aws", "cloudflare", "supabase"].map(read).into()
    }

    #[test]
    fn every_field_that_a_provider_validates_has_a_check() {
        for (rules, provider) in providers() {
            for name in provider.resources.keys() {
                let rules = rules.for_type(name);
                let missing: Vec<_> = rules.validated.iter().filter(|path| !rules.checks.contains_key(*path)).collect();
                assert!(missing.is_empty(), "{name}: no check of {missing:?}");
            }
        }
    }

    #[test]
    fn every_check_is_of_a_field_that_exists() {
        for (rules, provider) in providers() {
            for (name, own) in rules.0.iter().filter(|(name, _)| !name.contains('*') && !name.starts_with("data.")) {
                let known = paths(&provider.resources[name].object);
                let pairs = own.api_proportions.iter().flat_map(|pair| [&pair.of, &pair.to]);
                let used = own.checks.keys().chain(own.api_checks.keys()).chain(pairs);
                let unknown: Vec<_> = used.filter(|path| !known.contains(*path)).collect();
                assert!(unknown.is_empty(), "{name} has no {unknown:?}");
            }
        }
    }
}
