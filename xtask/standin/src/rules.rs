//! What a schema dump does not say, from the files given by `--rules`: what providers check and decide in code, and how
//! what they make up looks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::act::Act;

/// The rules of all files, by type. `data.` stands before a data source's type; a type that ends in `*` is each that
/// begins so.
#[derive(Debug, Default)]
pub struct Rules(Vec<(String, TypeRules)>);

/// The rules of one type. A path is the names of fields, joined by dots; numbers in it are skipped.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TypeRules {
    /// A change of these replaces the resource.
    pub force_new: BTreeSet<String>,
    /// What a field is when nobody sets it: a template.
    pub default: BTreeMap<String, serde_json::Value>,
    /// One of each group must be set, and no more.
    pub exactly_one_of: Vec<Vec<String>>,
    /// With this field set, those must not be.
    pub conflicts: BTreeMap<String, Vec<String>>,
    /// With this field set, those must be.
    pub required_with: BTreeMap<String, Vec<String>>,
    /// The only texts that a field may be.
    pub one_of_values: BTreeMap<String, Vec<String>>,
    /// How many bytes a text, or each text in a map, may have.
    pub max_length: BTreeMap<String, usize>,
    /// What a text must be.
    pub format: BTreeMap<String, Format>,
    /// The resource's id: the first of these templates that names nothing the type lacks.
    pub id: Vec<String>,
    /// What a field that the provider decides becomes: a template.
    pub computed: BTreeMap<String, serde_json::Value>,
    /// Computed fields that the provider decides in the plan, as far as it can.
    pub at_plan: BTreeSet<String>,
    /// The provider's own settings, as far as a stack leaves them out: a template may name them.
    pub settings: BTreeMap<String, serde_json::Value>,
    /// Attributes that a dump lacks and the provider has, as a dump would have them.
    pub attributes: BTreeMap<String, serde_json::Value>,
    /// What is made of the resource.
    pub act: Option<Act>,
    /// What computes a data source's answer.
    pub answer: Option<Answer>,
    /// Fields that the provider checks in some way: nothing follows from it.
    #[serde(rename = "validated")]
    _validated: serde::de::IgnoredAny,
    /// Whether the provider checks across fields: nothing follows from it.
    #[serde(rename = "customize_diff")]
    _customize_diff: serde::de::IgnoredAny,
}

/// What computes a data source's answer, where templates cannot.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// A policy's JSON, of blocks.
    PolicyDocument,
    /// A DNS zone, of the server that has it, if there is one.
    Zone,
}

/// What a text must be.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// As `11111111-1111-4111-8111-111111111111`.
    Uuid,
    /// As `1m30s`.
    Duration,
    /// JSON.
    Json,
}

impl Rules {
    /// Reads files. A later one adds to an earlier one.
    pub fn read(files: &[impl AsRef<Path>]) -> Result<Self> {
        let mut rules = Self::default();
        for file in files.iter().map(AsRef::as_ref) {
            let text = fs_err::read_to_string(file)?;
            let read: BTreeMap<String, TypeRules> =
                serde_json::from_str(&text).with_context(|| format!("{} holds no rules", file.display()))?;
            rules.0.extend(read.into_iter().map(|(name, rules)| (name, rules.normal())));
        }
        // What is said of fewer types comes first.
        rules.0.sort_by_key(|(name, _)| (name.ends_with('*'), std::cmp::Reverse(name.len())));
        Ok(rules)
    }

    /// All that is said of a type.
    pub fn of(&self, name: &str) -> TypeRules {
        let mut all = TypeRules::default();
        for (pattern, rules) in &self.0 {
            let fits = match pattern.strip_suffix('*') {
                Some(start) => name.starts_with(start),
                None => name == pattern,
            };
            if fits {
                all.add(rules);
            }
        }
        all
    }
}

impl TypeRules {
    /// Adds what is said of more types, or in a later file.
    fn add(&mut self, more: &Self) {
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
        self.at_plan.extend(more.at_plan.iter().cloned());
        keep(&mut self.settings, &more.settings);
        keep(&mut self.attributes, &more.attributes);
        self.act = self.act.take().or_else(|| more.act.clone());
        self.answer = self.answer.or(more.answer);
    }

    /// With the paths of fields only: `rule.0.days` is `rule.days`.
    fn normal(mut self) -> Self {
        let paths = |paths: Vec<String>| paths.iter().map(|path| fields(path)).collect::<Vec<_>>();
        self.force_new = self.force_new.iter().map(|path| fields(path)).collect();
        self.exactly_one_of = self.exactly_one_of.into_iter().map(paths).collect();
        self.conflicts = self.conflicts.into_iter().map(|(path, others)| (fields(&path), paths(others))).collect();
        self.required_with =
            self.required_with.into_iter().map(|(path, others)| (fields(&path), paths(others))).collect();
        self
    }
}

fn fields(path: &str) -> String {
    path.split('.').filter(|part| part.parse::<u32>().is_err()).collect::<Vec<_>>().join(".")
}
