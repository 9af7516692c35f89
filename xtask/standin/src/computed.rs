//! Computed values: sets the fields that are unknown in a plan.

use crate::rules::TypeRules;
use crate::schema::{Field, Kind, Nesting, Object, Type};
use crate::template::{Context, names};
use crate::value::{Map, Value};

/// Templates for strings without a rule, by the end of the field's name. The first match applies.
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

/// Sets every unknown field of a resource or data source. The random values of a resource depend on its id, and those of
/// the id on `id_seed`.
pub fn set_unknown(
    name: &str,
    object: &Object,
    rules: &TypeRules,
    provider_config: &Map,
    planned: Map,
    id_seed: &str,
) -> Map {
    let seed = format!("{name} {id_seed}");
    let mut resolver = Resolver { object, rules, provider_config, values: planned, seed, pending: Vec::new() };
    if let Value::String(id) = resolver.resolve("id") {
        resolver.seed = format!("{name} {id}");
    }
    for field in object.fields.keys() {
        resolver.resolve(field);
    }
    object.conform(resolver.values)
}

struct Resolver<'a> {
    object: &'a Object,
    rules: &'a TypeRules,
    provider_config: &'a Map,
    values: Map,
    seed: String,
    /// The fields whose templates are being resolved. Stops a template that depends on itself.
    pending: Vec<String>,
}

impl Resolver<'_> {
    /// Returns a field of the resource, and sets it if it is unknown.
    fn resolve(&mut self, name: &str) -> Value {
        let Some(field) = self.object.fields.get(name) else { return Value::Null };
        let value = self.values.get(name).cloned().unwrap_or(Value::Null);
        if !value.has_unknown() {
            return value;
        }
        let value = match (self.apply_template(name), &field.kind) {
            (Some(value), _) => value,
            (None, Kind::Nested(nesting, of)) if value != Value::Unknown => self.set_nested(*nesting, of, name, value),
            (None, _) => match self.provider_config.get(name) {
                Some(set) if !set.is_null() => set.clone(),
                _ => self.sample(name, field, name),
            },
        };
        self.values.insert(name.to_owned(), value.clone());
        value
    }

    fn apply_template(&mut self, name: &str) -> Option<Value> {
        if self.pending.iter().any(|pending| pending == name) {
            return None;
        }
        let ids = self.rules.id.iter().map(|text| serde_json::Value::String(text.clone()));
        let templates =
            if name == "id" { ids.collect() } else { Vec::from_iter(self.rules.computed.get(name).cloned()) };
        let has = |name: &String| self.object.fields.contains_key(name) || self.provider_config.contains_key(name);
        let template = templates.into_iter().find(|template| names(template).iter().all(has))?;
        self.pending.push(name.to_owned());
        for name in names(&template) {
            self.resolve(&name);
        }
        self.pending.pop();
        let value = self.render(&template, name);
        (!value.has_unknown()).then_some(value)
    }

    /// Sets the unknown fields of nested objects.
    fn set_nested(&self, nesting: Nesting, of: &Object, at: &str, value: Value) -> Value {
        let set = |(index, value): (usize, Value)| self.set_object(of, at, &format!("{at} {index}"), value);
        match value {
            Value::List(items) => Value::List(items.into_iter().enumerate().map(set).collect()),
            Value::Map(entries) if nesting == Nesting::Map => Value::Map(
                entries.into_iter().map(|(key, value)| (key.clone(), self.set_object(of, at, &key, value))).collect(),
            ),
            value => set((0, value)),
        }
    }

    fn set_object(&self, of: &Object, at: &str, salt: &str, value: Value) -> Value {
        let Value::Map(mut map) = value else { return value };
        for (name, field) in &of.fields {
            let Some(value) = map.get(name).filter(|value| value.has_unknown()).cloned() else { continue };
            let (path, salt) = (format!("{at}.{name}"), format!("{salt} {name}"));
            let value = match (self.rules.computed.get(&path), &field.kind) {
                (Some(template), _) => self.render(template, &salt),
                (None, Kind::Nested(nesting, of)) if value != Value::Unknown => {
                    self.set_nested(*nesting, of, &path, value)
                }
                (None, _) => self.sample(name, field, &salt),
            };
            map.insert(name.clone(), value);
        }
        Value::Map(map)
    }

    fn sample(&self, name: &str, field: &Field, salt: &str) -> Value {
        match &field.kind {
            // A string that the configuration could set is empty; a read-only one has a value that fits its name.
            Kind::Plain(Type::String) if !field.is_read_only() && !["id", "name"].contains(&name) => "".into(),
            Kind::Plain(of) => self.sample_of_type(name, of, salt),
            Kind::Nested(..) if field.optional => Value::Null,
            Kind::Nested(Nesting::List | Nesting::Set, _) => Value::List(Vec::new()),
            Kind::Nested(Nesting::Map, _) => Value::Map(Map::new()),
            Kind::Nested(Nesting::Single | Nesting::Group, of) => {
                let set = |(name, field): (&String, &Field)| {
                    (name.clone(), self.sample(name, field, &format!("{salt} {name}")))
                };
                Value::Map(of.fields.iter().map(set).collect())
            }
        }
    }

    fn sample_of_type(&self, name: &str, of: &Type, salt: &str) -> Value {
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
                let set = |(name, of): (&String, &Type)| {
                    (name.clone(), self.sample_of_type(name, of, &format!("{salt} {name}")))
                };
                Value::Map(fields.iter().map(set).collect())
            }
        }
    }

    fn render(&self, template: &serde_json::Value, salt: &str) -> Value {
        let seed = format!("{} {salt}", self.seed);
        Context { fields: &self.values, provider_config: self.provider_config, seed: Some(&seed) }.render(template)
    }
}
