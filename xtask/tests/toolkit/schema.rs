//! The part of JSON Schema that `schema/event.json` uses. Any other keyword fails the test.

use serde_json::Value;

/// The first mismatch between a value and the schema.
pub fn check(schema: &Value, value: &Value) -> Result<(), String> {
    let wrong = |what: &str, rule: &Value| Err(format!("{value} is not {what} {rule}"));
    for (keyword, rule) in schema.as_object().unwrap() {
        match keyword.as_str() {
            "$schema" | "title" | "description" | "then" => {}
            "type" if !is_of_type(value, rule.as_str().unwrap()) => return wrong("of type", rule),
            "const" if value != rule => return wrong("the constant", rule),
            "enum" if !rule.as_array().unwrap().contains(value) => return wrong("one of", rule),
            "minimum" if value.as_f64() < rule.as_f64() => return wrong("at least", rule),
            "type" | "const" | "enum" | "minimum" => {}
            // The only pattern is that of a time. Parsing it is stricter.
            "pattern" => {
                let text = value.as_str().unwrap();
                text.parse::<jiff::Timestamp>().map_err(|error| format!("{text}: {error}"))?;
                if !text.ends_with('Z') {
                    return wrong("in UTC:", rule);
                }
            }
            "required" => {
                if let Some(missing) = names(rule).find(|name| value.get(name).is_none()) {
                    return Err(format!("{value} has no {missing}"));
                }
            }
            "properties" => {
                for (name, schema) in rule.as_object().unwrap() {
                    value.get(name).map_or(Ok(()), |value| check(schema, value))?;
                }
            }
            "additionalProperties" => {
                assert_eq!(rule, &Value::Bool(false));
                let known = &schema["properties"];
                let keys = value.as_object().into_iter().flat_map(|object| object.keys());
                if let Some(other) = keys.into_iter().find(|name| known.get(name).is_none()) {
                    return Err(format!("{value} has the unknown key {other}"));
                }
            }
            "items" => value.as_array().into_iter().flatten().try_for_each(|item| check(rule, item))?,
            "allOf" => rule.as_array().unwrap().iter().try_for_each(|schema| check(schema, value))?,
            "if" if check(rule, value).is_ok() => check(&schema["then"], value)?,
            "if" => {}
            other => panic!("the keyword {other} is not known here"),
        }
    }
    Ok(())
}

fn names(rule: &Value) -> impl Iterator<Item = &str> {
    rule.as_array().unwrap().iter().map(|name| name.as_str().unwrap())
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        other => panic!("the type {other} is not known here"),
    }
}

#[test]
fn invalid_events_are_found() {
    let schema: Value = serde_json::from_str(include_str!("../../schema/event.json")).unwrap();
    let good = r#"{"schema":1,"time":"2026-01-02T03:04:05.6Z","step":null,"state":"note","detail":{"text":"x"}}"#;
    check(&schema, &serde_json::from_str(good).unwrap()).unwrap();
    for (from, to) in [
        ("\"schema\":1", "\"schema\":2"),
        ("\"text\"", "\"test\""),
        ("null", "\"build\""),
        ("note", "finished"),
        ("\"x\"", "1"),
        ("05.6Z", "05.6"),
        ("{\"text\":\"x\"}", "[]"),
        ("\"step\":null,", ""),
        ("\"step\"", "\"more\":1,\"step\""),
    ] {
        let bad: Value = serde_json::from_str(&good.replace(from, to)).unwrap();
        assert!(check(&schema, &bad).is_err(), "{bad}");
    }
}
