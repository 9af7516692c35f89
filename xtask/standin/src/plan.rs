//! What a change would make of a resource, and whether it takes a new one.

use crate::path::{Path, walk};
use crate::rules::TypeRules;
use crate::schema::{Kind, Nesting, Object};
use crate::template::{Template, names};
use crate::value::{Map, Value};

/// Computed fields with these in their names change with every update.
const VOLATILE: [&str; 4] = ["updated_at", "modified_on", "last_modified", "last_updated"];

/// What plans a resource of one type.
pub struct Planner<'a> {
    /// The type's fields.
    pub object: &'a Object,
    /// The type's rules.
    pub rules: &'a TypeRules,
    /// The provider's settings.
    pub settings: &'a Map,
}

impl Planner<'_> {
    /// The planned state, and the places whose change replaces the resource.
    ///
    /// `prior` is `None` for a new resource. `proposed` is the configuration with the prior state where that leaves
    /// something to the provider, as OpenTofu merges them.
    pub fn plan(&self, prior: Option<&Map>, proposed: &Map, config: &Map) -> (Map, Vec<Path>) {
        let mut planned = self.fields(self.object, &Path::default(), prior, proposed, config);
        self.decide_now(&mut planned, config);
        if let Some(prior) = prior
            && planned != *prior
        {
            self.follow(prior, &mut planned, config);
        }
        let replace = prior.map(|prior| self.replacing(prior, &planned)).unwrap_or_default();
        (planned, replace)
    }

    fn fields(&self, of: &Object, at: &Path, prior: Option<&Map>, proposed: &Map, config: &Map) -> Map {
        let mut planned = Map::new();
        for (name, field) in &of.fields {
            let path = at.field(name);
            let value = proposed.get(name).unwrap_or(&Value::Null);
            let default = if unset(config, name) { self.rules.default.get(&path.rule()) } else { None };
            let value = match (&field.kind, default) {
                _ if field.write_only => Value::Null,
                (_, Some(template)) => {
                    Template { fields: config, settings: self.settings, seed: None }.render(template)
                }
                // New, so nobody has decided it yet; of what exists, a null is what the provider once decided.
                _ if value.is_null() && field.computed && prior.is_none() => Value::Unknown,
                (Kind::Nested(nesting, of), None) => {
                    let prior = prior.and_then(|prior| prior.get(name)).unwrap_or(&Value::Null);
                    let config = config.get(name).unwrap_or(&Value::Null);
                    self.nested(*nesting, of, &path, prior, value, config)
                }
                (Kind::Plain(_), None) => value.clone(),
            };
            planned.insert(name.clone(), value);
        }
        planned
    }

    fn nested(
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
                Value::Map(self.fields(of, at, prior.and_then(Value::map), map, config))
            }
            None => proposed.clone(),
        };
        match (nesting, proposed) {
            (Nesting::Single | Nesting::Group, value) => plan(Some(prior), value, Some(config)),
            (Nesting::List, Value::List(items)) => {
                let item = |(index, item)| plan(prior.list().get(index), item, config.list().get(index));
                Value::List(items.iter().enumerate().map(item).collect())
            }
            // Elements of a set have no place: one that was there is one that differs in nothing that a stack or a
            // default says.
            (Nesting::Set, Value::List(items)) => {
                let item = |item: &Value| {
                    let new = plan(None, item, None);
                    let there = prior.list().iter().find(|there| !item.has_unknown() && fits(&new, there));
                    there.cloned().unwrap_or(new)
                };
                Value::List(items.iter().map(item).collect())
            }
            (Nesting::Map, Value::Map(entries)) => {
                let of_key = |value: &Value, key: &str| value.map().and_then(|map| map.get(key).cloned());
                let entry = |(key, item): (&String, &Value)| {
                    (key.clone(), plan(of_key(prior, key).as_ref(), item, of_key(config, key).as_ref()))
                };
                Value::Map(entries.iter().map(entry).collect())
            }
            (_, other) => other.clone(),
        }
    }

    /// What the provider decides in the plan. One may follow from another.
    fn decide_now(&self, planned: &mut Map, config: &Map) {
        loop {
            let decided =
                self.rules.at_plan.iter().filter(|name| planned.contains_key(*name) && unset(config, name)).find_map(
                    |name| {
                        let template = self.rules.computed.get(name)?;
                        let value = Template { fields: planned, settings: self.settings, seed: None }.render(template);
                        // Of what exists, the parts that are not known yet have been decided.
                        let better = !value.has_unknown() || planned[name] == Value::Unknown;
                        (better && value != planned[name]).then(|| (name.clone(), value))
                    },
                );
            let Some((name, value)) = decided else { return };
            planned.insert(name, value);
        }
    }

    /// What the provider decides anew because something else changes. An id stays what it is.
    fn follow(&self, prior: &Map, planned: &mut Map, config: &Map) {
        loop {
            let changed = |name: &String| planned.get(name) != prior.get(name);
            let follows = self.object.fields.iter().find(|(name, field)| {
                let free = field.computed && *name != "id" && unset(config, name);
                let decided = self.rules.default.contains_key(*name) || self.rules.at_plan.contains(*name);
                let volatile = || VOLATILE.iter().any(|part| name.contains(part));
                let named =
                    || self.rules.computed.get(*name).is_some_and(|template| names(template).iter().any(changed));
                free && !decided && planned.get(*name) != Some(&Value::Unknown) && (volatile() || named())
            });
            let Some((name, _)) = follows else { return };
            planned.insert(name.clone(), Value::Unknown);
        }
    }

    fn replacing(&self, prior: &Map, planned: &Map) -> Vec<Path> {
        let (before, after) = (self.decisive(prior), self.decisive(planned));
        let mut places = Vec::new();
        for rule in &self.rules.force_new {
            let of = |all: &[(String, Path, Value)]| {
                all.iter()
                    .filter(|(name, ..)| name == rule)
                    .map(|(_, path, value)| (path.clone(), value.clone()))
                    .collect::<Vec<_>>()
            };
            let (before, after) = (of(&before), of(&after));
            if before.len() != after.len() {
                places.extend(rule.split('.').next().map(|name| Path::default().field(name)));
            }
            let differ = before.iter().zip(&after).find(|((_, before), (_, after))| before != after);
            places.extend(differ.map(|(_, (path, _))| path.clone()));
        }
        places
    }

    /// The fields whose change replaces the resource.
    fn decisive(&self, values: &Map) -> Vec<(String, Path, Value)> {
        let mut found = Vec::new();
        walk(self.object, values, &mut |path, _, value| {
            let rule = path.rule();
            if self.rules.force_new.contains(&rule) {
                found.push((rule, path.clone(), value.clone()));
            }
        });
        found
    }
}

/// Whether something is all that is known of a plan.
fn fits(planned: &Value, there: &Value) -> bool {
    match (planned, there) {
        (Value::Unknown, _) => true,
        (Value::List(planned), Value::List(there)) => {
            planned.len() == there.len() && planned.iter().zip(there).all(|(planned, there)| fits(planned, there))
        }
        (Value::Map(planned), Value::Map(there)) => {
            planned.iter().all(|(name, value)| there.get(name).is_some_and(|there| fits(value, there)))
        }
        (planned, there) => planned == there,
    }
}

fn unset(config: &Map, name: &str) -> bool {
    config.get(name).is_none_or(Value::is_null)
}
