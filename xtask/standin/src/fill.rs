//! What a provider decides: the values of all that a plan leaves unknown.

use crate::rules::TypeRules;
use crate::schema::{Field, Kind, Nesting, Object, Type};
use crate::template::{Template, names};
use crate::value::{Map, Value};

/// What a text is by its name, where no rule says it: the first ending that fits.
const BY_NAME: [(&str, &str); 22] = [
    ("_at", "{now}"),
    ("_on", "{now}"),
    ("_date", "{now}"),
    ("_time", "{now}"),
    ("status", "ready"),
    ("state", "ready"),
    ("arn", "arn:aws:standin:eu-north-1:{digits12}:{hex16}"),
    ("endpoint", "https://{letters12}.standin.test"),
    ("url", "https://{letters12}.standin.test"),
    ("uri", "https://{letters12}.standin.test"),
    ("domain", "{letters12}.standin.test"),
    ("domain_name", "{letters12}.standin.test"),
    ("host", "{letters12}.standin.test"),
    ("access_key", "SCW{upper17}"),
    ("secret_key", "{uuid}"),
    ("key", "{hex40}"),
    ("secret", "{hex40}"),
    ("token", "{hex40}"),
    ("password", "{hex40}"),
    ("etag", "{hex32}"),
    ("_id", "{uuid}"),
    ("name", "tf-{letters8}"),
];

/// What is to be decided of one resource.
pub struct Filler<'a> {
    object: &'a Object,
    rules: &'a TypeRules,
    settings: &'a Map,
    values: Map,
    /// The same resource gets the same random parts again.
    seed: String,
    /// What is being decided, and must not wait for itself.
    open: Vec<String>,
}

/// Decides every unknown field of a resource or data source of this type. `fresh` seeds the id of a new one.
pub fn fill(name: &str, object: &Object, rules: &TypeRules, settings: &Map, planned: Map, fresh: &str) -> Map {
    let mut filler =
        Filler { object, rules, settings, values: planned, seed: format!("{name} {fresh}"), open: Vec::new() };
    if let Value::String(id) = filler.decided("id") {
        filler.seed = format!("{name} {id}");
    }
    for field in object.fields.keys() {
        filler.decided(field);
    }
    conformed(object, filler.values)
}

/// With every field of the schema and no other, and null for those that are not there.
pub fn conformed(object: &Object, mut values: Map) -> Map {
    values.retain(|name, _| object.fields.contains_key(name));
    for (name, field) in &object.fields {
        let value = values.remove(name).unwrap_or(Value::Null);
        let value = match (&field.kind, value) {
            (Kind::Nested(Nesting::Map, of), Value::Map(entries)) => {
                Value::Map(entries.into_iter().map(|(key, value)| (key, conformed_value(of, value))).collect())
            }
            (Kind::Nested(_, of), Value::List(items)) => {
                Value::List(items.into_iter().map(|item| conformed_value(of, item)).collect())
            }
            (Kind::Nested(_, of), value) => conformed_value(of, value),
            (Kind::Plain(_), value) => value,
        };
        // No block is an empty list of them.
        let none = matches!(field.kind, Kind::Nested(Nesting::List | Nesting::Set, _)) && field.block.is_some();
        values.insert(name.clone(), if none && value.is_null() { Value::List(Vec::new()) } else { value });
    }
    values
}

fn conformed_value(of: &Object, value: Value) -> Value {
    if let Value::Map(map) = value { Value::Map(conformed(of, map)) } else { value }
}

impl Filler<'_> {
    /// A field of the resource, decided now if it has not been.
    fn decided(&mut self, name: &str) -> Value {
        let Some(field) = self.object.fields.get(name) else { return Value::Null };
        let value = self.values.get(name).cloned().unwrap_or(Value::Null);
        if !value.has_unknown() {
            return value;
        }
        let value = match (self.templated(name), &field.kind) {
            (Some(value), _) => value,
            (None, Kind::Nested(nesting, of)) if value != Value::Unknown => self.nested(*nesting, of, name, value),
            (None, _) => match self.settings.get(name) {
                Some(set) if !set.is_null() => set.clone(),
                _ => self.plausible(name, field, name),
            },
        };
        self.values.insert(name.to_owned(), value.clone());
        value
    }

    fn templated(&mut self, name: &str) -> Option<Value> {
        if self.open.iter().any(|open| open == name) {
            return None;
        }
        let ids = self.rules.id.iter().map(|text| serde_json::Value::String(text.clone()));
        let named = if name == "id" { ids.collect() } else { Vec::from_iter(self.rules.computed.get(name).cloned()) };
        let has = |name: &String| self.object.fields.contains_key(name) || self.settings.contains_key(name);
        let template = named.into_iter().find(|template| names(template).iter().all(has))?;
        self.open.push(name.to_owned());
        for name in names(&template) {
            self.decided(&name);
        }
        self.open.pop();
        let value = self.render(&template, name);
        (!value.has_unknown()).then_some(value)
    }

    /// A field of objects that are there, each with unknown fields of its own.
    fn nested(&self, nesting: Nesting, of: &Object, at: &str, value: Value) -> Value {
        let each = |(nth, value): (usize, Value)| self.within(of, at, &format!("{at} {nth}"), value);
        match value {
            Value::List(items) => Value::List(items.into_iter().enumerate().map(each).collect()),
            Value::Map(entries) if nesting == Nesting::Map => Value::Map(
                entries.into_iter().map(|(key, value)| (key.clone(), self.within(of, at, &key, value))).collect(),
            ),
            value => each((0, value)),
        }
    }

    fn within(&self, of: &Object, at: &str, salt: &str, value: Value) -> Value {
        let Value::Map(mut map) = value else { return value };
        for (name, field) in &of.fields {
            let Some(value) = map.get(name).filter(|value| value.has_unknown()).cloned() else { continue };
            let (path, salt) = (format!("{at}.{name}"), format!("{salt} {name}"));
            let value = match (self.rules.computed.get(&path), &field.kind) {
                (Some(template), _) => self.render(template, &salt),
                (None, Kind::Nested(nesting, of)) if value != Value::Unknown => self.nested(*nesting, of, &path, value),
                (None, _) => self.plausible(name, field, &salt),
            };
            map.insert(name.clone(), value);
        }
        Value::Map(map)
    }

    fn plausible(&self, name: &str, field: &Field, salt: &str) -> Value {
        match &field.kind {
            // What a stack may set and did not is empty; what only the provider knows looks like what its name says.
            Kind::Plain(Type::String) if !field.only_computed() && !["id", "name"].contains(&name) => "".into(),
            Kind::Plain(of) => self.of_type(name, of, salt),
            Kind::Nested(..) if field.optional => Value::Null,
            Kind::Nested(Nesting::List | Nesting::Set, _) => Value::List(Vec::new()),
            Kind::Nested(Nesting::Map, _) => Value::Map(Map::new()),
            Kind::Nested(Nesting::Single | Nesting::Group, of) => {
                let decide = |(name, field): (&String, &Field)| {
                    (name.clone(), self.plausible(name, field, &format!("{salt} {name}")))
                };
                Value::Map(of.fields.iter().map(decide).collect())
            }
        }
    }

    fn of_type(&self, name: &str, of: &Type, salt: &str) -> Value {
        match of {
            Type::String if name == "id" => self.render(&"{uuid}".into(), salt),
            Type::String => {
                let template = BY_NAME.iter().find(|(end, _)| name.ends_with(end)).map_or("", |(_, template)| template);
                self.render(&template.into(), salt)
            }
            Type::Number => Value::Number(0.into()),
            Type::Bool => Value::Bool(false),
            Type::List(_) | Type::Set(_) => Value::List(Vec::new()),
            Type::Map(_) => Value::Map(Map::new()),
            Type::Object(fields) => {
                let decide =
                    |(name, of): (&String, &Type)| (name.clone(), self.of_type(name, of, &format!("{salt} {name}")));
                Value::Map(fields.iter().map(decide).collect())
            }
        }
    }

    fn render(&self, template: &serde_json::Value, salt: &str) -> Value {
        let seed = format!("{} {salt}", self.seed);
        Template { fields: &self.values, settings: self.settings, seed: Some(&seed) }.render(template)
    }
}
