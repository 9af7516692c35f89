//! Adapts values to a schema, as of a state that an older schema version wrote.

use super::{Kind, Nesting, Object};
use crate::value::{Map, Value};

impl Object {
    /// Removes the fields that the schema lacks and sets the missing ones to null, or to an empty list for blocks.
    pub fn conform(&self, mut values: Map) -> Map {
        values.retain(|name, _| self.fields.contains_key(name));
        for (name, field) in &self.fields {
            let value = values.remove(name).unwrap_or(Value::Null);
            let value = match (&field.kind, value) {
                (Kind::Nested(Nesting::Map, of), Value::Map(entries)) => {
                    Value::Map(entries.into_iter().map(|(key, value)| (key, of.conform_value(value))).collect())
                }
                (Kind::Nested(_, of), Value::List(items)) => {
                    Value::List(items.into_iter().map(|item| of.conform_value(item)).collect())
                }
                (Kind::Nested(_, of), value) => of.conform_value(value),
                (Kind::Plain(_), value) => value,
            };
            let is_block_list =
                field.block.is_some() && matches!(field.kind, Kind::Nested(Nesting::List | Nesting::Set, _));
            let value = if is_block_list && value.is_null() { Value::List(Vec::new()) } else { value };
            values.insert(name.clone(), value);
        }
        values
    }

    fn conform_value(&self, value: Value) -> Value {
        if let Value::Map(map) = value { Value::Map(self.conform(map)) } else { value }
    }
}
