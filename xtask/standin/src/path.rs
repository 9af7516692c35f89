//! Paths to the attributes and blocks of a resource.

use std::fmt;

use crate::protocol::AttributePath;
use crate::protocol::attribute_path::{Step as ProtocolStep, step::Selector};
use crate::schema::{Field, Kind, Nesting, Object};
use crate::value::{Map, Value};

/// A path to an attribute or block. `Display` formats it as HCL, such as `rule[0].days`.
#[derive(Clone, Debug, Default)]
pub struct Path {
    steps: Vec<Step>,
    /// How many steps lead to the outermost set. The protocol cannot address the elements of a set.
    set: Option<usize>,
}

#[derive(Clone, Debug)]
enum Step {
    Field(String),
    Index(i64),
    Key(String),
}

impl Path {
    pub fn field(&self, name: &str) -> Self {
        self.step(Step::Field(name.to_owned()))
    }

    /// The path as rules write it: the names of the fields joined by dots, without indexes and keys.
    pub fn rule(&self) -> String {
        let names =
            self.steps.iter().filter_map(|step| if let Step::Field(name) = step { Some(name.as_str()) } else { None });
        names.collect::<Vec<_>>().join(".")
    }

    /// Converts the path to the protocol's message. A path into a set becomes the path of the set.
    pub fn to_protocol(&self) -> AttributePath {
        let steps = self.steps[..self.set.unwrap_or(self.steps.len())].iter().map(|step| {
            let selector = match step {
                Step::Field(name) => Selector::AttributeName(name.clone()),
                Step::Index(index) => Selector::ElementKeyInt(*index),
                Step::Key(key) => Selector::ElementKeyString(key.clone()),
            };
            ProtocolStep { selector: Some(selector) }
        });
        AttributePath { steps: steps.collect() }
    }

    /// The objects of a nested block or attribute, each with its path.
    pub fn objects<'a>(&self, nesting: Nesting, value: &'a Value) -> Vec<(Self, &'a Map)> {
        match nesting {
            Nesting::Single | Nesting::Group => value.map().map(|map| (self.clone(), map)).into_iter().collect(),
            Nesting::List => {
                let items = (0..).zip(value.list());
                items.filter_map(|(index, item)| Some((self.step(Step::Index(index)), item.map()?))).collect()
            }
            Nesting::Set => {
                let in_set = Self { steps: self.steps.clone(), set: self.set.or(Some(self.steps.len())) };
                value.list().iter().filter_map(|item| Some((in_set.clone(), item.map()?))).collect()
            }
            Nesting::Map => {
                let entries = value.map().into_iter().flatten();
                entries.filter_map(|(key, item)| Some((self.step(Step::Key(key.clone())), item.map()?))).collect()
            }
        }
    }

    fn step(&self, step: Step) -> Self {
        let mut steps = self.steps.clone();
        steps.push(step);
        Self { steps, set: self.set }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.steps.iter().enumerate() {
            match step {
                Step::Field(name) if index == 0 => write!(out, "{name}")?,
                Step::Field(name) => write!(out, ".{name}")?,
                Step::Index(index) => write!(out, "[{index}]")?,
                Step::Key(key) => write!(out, "[{key:?}]")?,
            }
        }
        Ok(())
    }
}

/// Calls `visit` for each field of an object and of its nested objects.
pub fn walk<'a>(object: &'a Object, values: &'a Map, visit: &mut impl FnMut(&Path, &'a Field, &'a Value)) {
    walk_at(object, values, &Path::default(), visit);
}

/// The paths of all fields of an object, as rules write them.
#[cfg(test)]
pub fn paths(object: &Object) -> std::collections::BTreeSet<String> {
    fn add(object: &Object, at: &Path, found: &mut std::collections::BTreeSet<String>) {
        for (name, field) in &object.fields {
            let path = at.field(name);
            if let Kind::Nested(_, of) = &field.kind {
                add(of, &path, found);
            }
            found.insert(path.rule());
        }
    }
    let mut found = std::collections::BTreeSet::new();
    add(object, &Path::default(), &mut found);
    found
}

fn walk_at<'a>(object: &'a Object, values: &'a Map, path: &Path, visit: &mut impl FnMut(&Path, &'a Field, &'a Value)) {
    for (name, field) in &object.fields {
        let (path, value) = (path.field(name), values.get(name).unwrap_or(&Value::Null));
        visit(&path, field, value);
        if let Kind::Nested(nesting, of) = &field.kind {
            for (path, values) in path.objects(*nesting, value) {
                walk_at(of, values, &path, visit);
            }
        }
    }
}
