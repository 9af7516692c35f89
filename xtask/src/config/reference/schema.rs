//! The JSON Schema of deploy.yaml, for editors: draft 7, which all of them know.

use serde_json::{Map, Value, json};

use super::super::field::NAME;
use super::{Entry, Reference, Shape, TARGETS};

/// Where an environment is in the file. Its keys depend on its target.
const ENVIRONMENT: &str = "environments.NAME";

impl Reference {
    /// The schema. It says which keys there are, where they belong and of which kind their values are; that a deploy.yaml is valid by it
    /// does not say that the toolkit takes it.
    pub fn schema(&self) -> Value {
        let mut schema = self.table("", None);
        schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
        schema["title"] = json!("deploy.yaml");
        schema
    }

    /// The same as a file.
    pub fn schema_text(&self) -> String {
        format!("{:#}\n", self.schema())
    }

    /// That of the value at a path, in an environment of this target.
    pub(super) fn value(&self, path: &str, target: Option<&str>) -> Value {
        let of_path = self.entries.iter().filter(|entry| entry.path == path && is_of(entry, target));
        let mut shapes: Vec<&Shape> = Vec::new();
        for shape in of_path.flat_map(|entry| &entry.shapes) {
            if !shapes.contains(&shape) {
                shapes.push(shape);
            }
        }
        let mut all: Vec<Value> = shapes.into_iter().map(|shape| self.shape(path, shape, target)).collect();
        match all.len() {
            1 => all.remove(0),
            _ => json!({ "anyOf": all }),
        }
    }

    fn shape(&self, path: &str, shape: &Shape, target: Option<&str>) -> Value {
        match shape {
            Shape::Nothing => json!({ "type": "null" }),
            Shape::Flag => json!({ "type": "boolean" }),
            Shape::Text(_) => json!({ "type": "string" }),
            Shape::TextOrNumber(_) => json!({ "type": ["string", "number"] }),
            Shape::Number { whole: true, .. } => json!({ "type": "integer" }),
            Shape::Number { whole: false, .. } => json!({ "type": "number" }),
            Shape::Scalar => json!({ "type": ["string", "number", "boolean"] }),
            Shape::Words(words) => json!({ "enum": words }),
            Shape::List => json!({ "type": "array", "items": self.value(&format!("{path}[]"), target) }),
            Shape::Map => {
                let values = self.value(&format!("{path}.{NAME}"), target);
                json!({ "type": "object", "additionalProperties": values })
            }
            Shape::Table if path == ENVIRONMENT && target.is_none() => self.environment(),
            Shape::Table => self.table(path, target),
            Shape::Any => json!({ "type": "object" }),
        }
    }

    /// The target first, then its keys.
    fn environment(&self) -> Value {
        let of = |target: &str| {
            json!({
                "if": { "properties": { "target": { "const": target } }, "required": ["target"] },
                "then": self.table(ENVIRONMENT, Some(target)),
            })
        };
        let target = self.described("environments.NAME.target", None);
        json!({
            "type": "object",
            "properties": { "target": target },
            "required": ["target"],
            "allOf": TARGETS.map(of),
        })
    }

    fn table(&self, path: &str, target: Option<&str>) -> Value {
        let folder = if path.is_empty() { String::new() } else { format!("{path}.") };
        let (mut properties, mut required, mut with) = (Map::new(), Vec::new(), Map::new());
        for key in self.keys().filter(|entry| is_of(entry, target)) {
            let Some(name) = key.path.strip_prefix(&folder).filter(|name| !name.contains(['.', '['])) else { continue };
            properties.insert(name.to_owned(), self.described(&key.path, target));
            match key.with {
                Some(other) => with
                    .entry(other)
                    .or_insert_with(|| json!([]))
                    .as_array_mut()
                    .into_iter()
                    .for_each(|with| with.push(json!(name))),
                // Of several declarations the other one may not require it.
                None if key.required && !self.is_optional(&key.path, target) => required.push(name),
                None => {}
            }
        }
        let mut table = json!({ "type": "object", "properties": properties, "additionalProperties": false });
        if !required.is_empty() {
            required.dedup();
            table["required"] = json!(required);
        }
        if !with.is_empty() {
            table["dependencies"] = Value::Object(with);
        }
        table
    }

    /// With what people read of it.
    fn described(&self, path: &str, target: Option<&str>) -> Value {
        let mut value = self.value(path, target);
        let Some(entry) = self.keys().find(|entry| entry.path == path && is_of(entry, target)) else { return value };
        let otherwise = entry.otherwise.map(|otherwise| format!(" Default: {otherwise}.")).unwrap_or_default();
        value["description"] = json!(format!("{}{otherwise}", entry.meaning.unwrap_or_default()));
        value
    }

    fn is_optional(&self, path: &str, target: Option<&str>) -> bool {
        self.keys().any(|entry| entry.path == path && is_of(entry, target) && !entry.required)
    }
}

fn is_of(entry: &Entry, target: Option<&str>) -> bool {
    target.is_none_or(|target| entry.targets.contains(&target))
}
