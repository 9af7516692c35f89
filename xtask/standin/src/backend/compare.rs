//! Compares values of a configuration with those that a server returns.

use crate::value::{Map, Value};

/// Whether two values mean the same to a server.
pub fn equivalent(one: &Value, other: &Value) -> bool {
    normalize(one) == normalize(other)
}

/// Removes empty, false and zero values, sorts lists and parses JSON in strings. Returns null if nothing is left.
pub fn normalize(value: &Value) -> Value {
    match value {
        Value::Map(map) => {
            let fields = map.iter().map(|(name, value)| (name.clone(), normalize(value)));
            let fields: Map = fields.filter(|(_, value)| !value.is_null()).collect();
            if fields.is_empty() { Value::Null } else { Value::Map(fields) }
        }
        Value::List(items) => {
            let mut items: Vec<_> = items.iter().map(normalize).filter(|item| !item.is_null()).collect();
            items.sort_by_key(|item| item.json().to_string());
            if items.is_empty() { Value::Null } else { Value::List(items) }
        }
        Value::String(text) if text.is_empty() => Value::Null,
        Value::String(text) if text.starts_with('{') => match serde_json::from_str::<serde_json::Value>(text) {
            Ok(json) => normalize(&json.into()),
            Err(_) => value.clone(),
        },
        Value::Bool(false) | Value::Unknown => Value::Null,
        Value::Number(number) if number.to_string() == "0" => Value::Null,
        plain => plain.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    #[test]
    fn values_with_the_same_meaning_are_equivalent() {
        let same = |one: Json, other: Json| equivalent(&one.into(), &other.into());
        assert!(same(json!([{ "enabled": false, "id": "" }]), json!(null)));
        assert!(same(json!({ "methods": ["GET", "PUT"], "age": 1 }), json!({ "age": 1, "methods": ["PUT", "GET"] })));
        assert!(same(json!("{\"a\": [1, 2]}"), json!("{\"a\":[1,2]}")));
        assert!(!same(json!(["GET"]), json!(["PUT"])));
        assert!(!same(json!([{ "enabled": true }]), json!([])));
    }
}
