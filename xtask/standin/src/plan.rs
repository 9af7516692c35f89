//! Plans a resource: its planned state, and whether the change replaces it.

use crate::path::{Path, walk};
use crate::rules::TypeRules;
use crate::schema::{Kind, Nesting, Object};
use crate::template::{Context, names};
use crate::value::{Map, Value};

/// Computed fields whose names contain one of these change with every update.
const VOLATILE: [&str; 4] = ["updated_at", "modified_on", "last_modified", "last_updated"];

pub struct Planner<'a> {
    pub object: &'a Object,
    pub rules: &'a TypeRules,
    pub provider_config: &'a Map,
}

impl Planner<'_> {
    /// Returns the planned state, and the paths whose change replaces the resource.
    ///
    /// `prior` is `None` for a new resource. `proposed` is the configuration in which OpenTofu has set the computed
    /// fields to their prior values.
    pub fn plan(&self, prior: Option<&Map>, proposed: &Map, config: &Map) -> (Map, Vec<Path>) {
        let mut planned = self.plan_object(self.object, &Path::default(), prior, proposed, config);
        self.compute_at_plan(&mut planned, config);
        if let Some(prior) = prior
            && planned != *prior
        {
            self.mark_dependents_unknown(prior, &mut planned, config);
        }
        let replace = prior.map(|prior| self.requires_replace(prior, &planned)).unwrap_or_default();
        (planned, replace)
    }

    fn plan_object(&self, of: &Object, at: &Path, prior: Option<&Map>, proposed: &Map, config: &Map) -> Map {
        let mut planned = Map::new();
        for (name, field) in &of.fields {
            let path = at.field(name);
            let value = proposed.get(name).unwrap_or(&Value::Null);
            let default = if is_unset(config, name) { self.rules.default.get(&path.rule()) } else { None };
            let value = match (&field.kind, default) {
                _ if field.write_only => Value::Null,
                (_, Some(template)) => self.context(config).render(template),
                // In an existing resource, null is the value that the provider computed before.
                _ if value.is_null() && field.computed && prior.is_none() => Value::Unknown,
                (Kind::Nested(nesting, of), None) => {
                    let prior = prior.and_then(|prior| prior.get(name)).unwrap_or(&Value::Null);
                    let config = config.get(name).unwrap_or(&Value::Null);
                    self.plan_nested(*nesting, of, &path, prior, value, config)
                }
                (Kind::Plain(_), None) => value.clone(),
            };
            planned.insert(name.clone(), value);
        }
        planned
    }

    fn plan_nested(
        &self,
        nesting: Nesting,
        of: &Object,
        at: &Path,
        prior: &Value,
        proposed: &Value,
        config: &Value,
    ) -> Value {
        let plan = |prior: Option<&Value>, proposed: &Value, config: Option<&Value>| match proposed.map() {
            Some(map) => {
                let config = config.and_then(Value::map).unwrap_or(map);
                Value::Map(self.plan_object(of, at, prior.and_then(Value::map), map, config))
            }
            None => proposed.clone(),
        };
        match (nesting, proposed) {
            (Nesting::Single | Nesting::Group, value) => plan(Some(prior), value, Some(config)),
            (Nesting::List, Value::List(items)) => {
                let item = |(index, item)| plan(prior.list().get(index), item, config.list().get(index));
                Value::List(items.iter().enumerate().map(item).collect())
            }
            // Elements of a set have no index: an element matches a prior one if all its known values are equal.
            (Nesting::Set, Value::List(items)) => {
                let item = |item: &Value| {
                    let new = plan(None, item, None);
                    let same = prior.list().iter().find(|prior| !item.has_unknown() && matches(&new, prior));
                    same.cloned().unwrap_or(new)
                };
                Value::List(items.iter().map(item).collect())
            }
            (Nesting::Map, Value::Map(entries)) => {
                let get = |value: &Value, key: &str| value.map().and_then(|map| map.get(key).cloned());
                let entry = |(key, item): (&String, &Value)| {
                    (key.clone(), plan(get(prior, key).as_ref(), item, get(config, key).as_ref()))
                };
                Value::Map(entries.iter().map(entry).collect())
            }
            (_, other) => other.clone(),
        }
    }

    /// Sets the computed fields that are known at plan time. One can depend on another.
    fn compute_at_plan(&self, planned: &mut Map, config: &Map) {
        loop {
            let unset = self.rules.computed_at_plan.iter();
            let mut unset = unset.filter(|name| planned.contains_key(*name) && is_unset(config, name));
            let computed = unset.find_map(|name| {
                let value = self.context(planned).render(self.rules.computed.get(name)?);
                // A partly unknown value must not replace the known value of an existing resource.
                let better = !value.has_unknown() || planned[name] == Value::Unknown;
                (better && value != planned[name]).then(|| (name.clone(), value))
            });
            let Some((name, value)) = computed else { return };
            planned.insert(name, value);
        }
    }

    /// Marks the computed fields unknown that depend on a changed field. The id never changes.
    fn mark_dependents_unknown(&self, prior: &Map, planned: &mut Map, config: &Map) {
        loop {
            let changed = |name: &String| planned.get(name) != prior.get(name);
            let dependent = self.object.fields.iter().find(|(name, field)| {
                let computed = field.computed && *name != "id" && is_unset(config, name);
                let known = self.rules.default.contains_key(*name) || self.rules.computed_at_plan.contains(*name);
                let volatile = || VOLATILE.iter().any(|part| name.contains(part));
                let depends =
                    || self.rules.computed.get(*name).is_some_and(|template| names(template).iter().any(changed));
                computed && !known && planned.get(*name) != Some(&Value::Unknown) && (volatile() || depends())
            });
            let Some((name, _)) = dependent else { return };
            planned.insert(name.clone(), Value::Unknown);
        }
    }

    fn requires_replace(&self, prior: &Map, planned: &Map) -> Vec<Path> {
        let (before, after) = (self.force_new_values(prior), self.force_new_values(planned));
        let mut paths = Vec::new();
        for rule in &self.rules.force_new {
            let at_rule = |all: &[(String, Path, Value)]| {
                all.iter()
                    .filter(|(name, ..)| name == rule)
                    .map(|(_, path, value)| (path.clone(), value.clone()))
                    .collect::<Vec<_>>()
            };
            let (before, after) = (at_rule(&before), at_rule(&after));
            if before.len() != after.len() {
                paths.extend(rule.split('.').next().map(|name| Path::default().field(name)));
            }
            let differ = before.iter().zip(&after).find(|((_, before), (_, after))| before != after);
            paths.extend(differ.map(|(_, (path, _))| path.clone()));
        }
        paths
    }

    /// The values whose change replaces the resource, each with its path in rules and its path.
    fn force_new_values(&self, values: &Map) -> Vec<(String, Path, Value)> {
        let mut found = Vec::new();
        walk(self.object, values, &mut |path, _, value| {
            let rule = path.rule();
            if self.rules.force_new.contains(&rule) {
                found.push((rule, path.clone(), value.clone()));
            }
        });
        found
    }

    /// Without a seed: random values are unknown in a plan.
    fn context<'c>(&'c self, fields: &'c Map) -> Context<'c> {
        Context { fields, provider_config: self.provider_config, seed: None }
    }
}

/// Whether two values are equal, where unknown planned values match anything.
fn matches(planned: &Value, prior: &Value) -> bool {
    match (planned, prior) {
        (Value::Unknown, _) => true,
        (Value::List(planned), Value::List(prior)) => {
            planned.len() == prior.len() && planned.iter().zip(prior).all(|(planned, prior)| matches(planned, prior))
        }
        (Value::Map(planned), Value::Map(prior)) => {
            planned.iter().all(|(name, value)| prior.get(name).is_some_and(|prior| matches(value, prior)))
        }
        (planned, prior) => planned == prior,
    }
}

fn is_unset(config: &Map, name: &str) -> bool {
    config.get(name).is_none_or(Value::is_null)
}
