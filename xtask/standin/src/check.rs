//! The check of one field: what its value may be. A check applies to each string of a list, set or map, too.

mod cron;
mod format;

use serde::Deserialize;

use self::format::Format;
use crate::value::{Map, Value};

/// What a value may be. Null and unknown values pass.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Check {
    /// The allowed strings; empty for any.
    one_of: Vec<String>,
    /// Whether `one_of` ignores case.
    ignore_case: bool,
    /// The smallest number.
    min: Option<i64>,
    /// The largest number.
    max: Option<i64>,
    /// Numbers that are not allowed.
    none_of: Vec<i64>,
    /// The shortest string, in bytes.
    min_bytes: Option<usize>,
    /// The longest string, in bytes.
    max_bytes: Option<usize>,
    /// The longest string, in characters.
    max_characters: Option<usize>,
    format: Option<Format>,
    /// The check of each key of a map.
    keys: Option<Box<Self>>,
}

/// Two numbers of a resource whose quotient is limited: `of` must be `min` to `max` times `to`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proportion {
    pub of: String,
    pub to: String,
    min: f64,
    max: f64,
    /// The limit applies where `to` is at least this.
    from: f64,
}

impl Check {
    /// Only these strings are allowed.
    pub fn one_of(values: Vec<String>) -> Self {
        Self { one_of: values, ..Self::default() }
    }

    /// What is wrong with a value at a path. Only short values are repeated: a long one can be a secret.
    pub fn problems(&self, at: &str, value: &Value) -> Vec<String> {
        match value {
            Value::String(text) => self.text_problems(at, text),
            Value::Number(number) => number.as_f64().map(|number| self.number_problems(at, number)).unwrap_or_default(),
            Value::List(items) => {
                let item = |(index, item): (usize, &Value)| self.problems(&format!("{at}[{index}]"), item);
                items.iter().enumerate().flat_map(item).collect()
            }
            Value::Map(map) => {
                let entry = |(key, value): (&String, &Value)| {
                    let keys =
                        self.keys.iter().flat_map(|keys| keys.text_problems(&format!("the key {key:?} of {at}"), key));
                    keys.chain(self.problems(&format!("{at}[{key:?}]"), value)).collect::<Vec<_>>()
                };
                map.iter().flat_map(entry).collect()
            }
            Value::Null | Value::Unknown | Value::Bool(_) => Vec::new(),
        }
    }

    fn text_problems(&self, at: &str, text: &str) -> Vec<String> {
        let mut problems = Vec::new();
        let is = |allowed: &String| if self.ignore_case { allowed.eq_ignore_ascii_case(text) } else { allowed == text };
        if !self.one_of.is_empty() && !self.one_of.iter().any(is) {
            problems.push(format!("expected {at} to be one of {:?}, got {text}", self.one_of));
        }
        let bytes = text.len();
        if let Some(least) = self.min_bytes.filter(|least| bytes < *least) {
            problems.push(format!("{at} has {bytes} bytes, and at least {least} are required"));
        }
        if let Some(most) = self.max_bytes.filter(|most| bytes > *most) {
            problems.push(format!("{at} has {bytes} bytes, and {most} are allowed"));
        }
        let characters = text.chars().count();
        if let Some(most) = self.max_characters.filter(|most| characters > *most) {
            problems.push(format!("{at} has {characters} characters, and {most} are allowed"));
        }
        if let Some(expected) = self.format.and_then(|format| format.mismatch(text)) {
            problems.push(format!("expected {at} to be {expected}"));
        }
        problems
    }

    fn number_problems(&self, at: &str, number: f64) -> Vec<String> {
        let below = self.min.is_some_and(|min| number < min as f64);
        let above = self.max.is_some_and(|max| number > max as f64);
        let expected = match (self.min, self.max) {
            _ if self.none_of.iter().any(|other| number == *other as f64) => format!("none of {:?}", self.none_of),
            _ if !below && !above => return Vec::new(),
            (Some(min), Some(max)) => format!("in the range ({min} - {max})"),
            (Some(min), None) => format!("at least ({min})"),
            (None, max) => format!("at most ({})", max.unwrap_or_default()),
        };
        vec![format!("expected {at} to be {expected}, got {number}")]
    }
}

impl Proportion {
    /// What is wrong with the two numbers. A number that is null or unknown passes.
    pub fn problem(&self, values: &Map) -> Option<String> {
        let number = |name: &str| values.get(name)?.text()?.parse::<f64>().ok();
        let (of, to) = (number(&self.of)?, number(&self.to)?);
        let (least, most) = (self.min * to, self.max * to);
        (to >= self.from && !(least..=most).contains(&of))
            .then(|| format!("{} {to} requires {} from {least} to {most}, got {of}", self.to, self.of))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problems(check: serde_json::Value, value: serde_json::Value) -> Vec<String> {
        serde_json::from_value::<Check>(check).unwrap().problems("x", &value.into())
    }

    #[test]
    fn numbers_are_in_their_range() {
        let range = json!({ "min": 60, "max": 100, "none_of": [80] });
        assert_eq!(problems(range.clone(), json!(60)), Vec::<String>::new());
        assert_eq!(problems(range.clone(), json!(null)), Vec::<String>::new());
        assert_eq!(problems(range.clone(), json!(59.5)), ["expected x to be in the range (60 - 100), got 59.5"]);
        assert_eq!(problems(range, json!(80)), ["expected x to be none of [80], got 80"]);
        assert_eq!(problems(json!({ "min": 1 }), json!(0)), ["expected x to be at least (1), got 0"]);
        assert_eq!(problems(json!({ "max": 1 }), json!(2)), ["expected x to be at most (1), got 2"]);
    }

    #[test]
    fn strings_are_checked_in_lists_and_maps_too() {
        let method = json!({ "one_of": ["GET"], "ignore_case": true });
        assert_eq!(problems(method, json!(["get", "PURGE"])), [r#"expected x[1] to be one of ["GET"], got PURGE"#]);
        let variables = json!({ "max_characters": 2, "keys": { "max_bytes": 1 } });
        let found = problems(variables, json!({ "A": "ää", "B": "äää", "LONG": "" }));
        assert_eq!(
            found,
            ["x[\"B\"] has 3 characters, and 2 are allowed", "the key \"LONG\" of x has 4 bytes, and 1 are allowed"]
        );
        assert_eq!(problems(json!({ "min_bytes": 3 }), json!("ä")), ["x has 2 bytes, and at least 3 are required"]);
    }

    #[test]
    fn a_proportion_applies_from_its_limit_on() {
        let pair = json!({ "of": "memory", "to": "cpu", "min": 1.0, "max": 4.0, "from": 1000.0 });
        let pair: Proportion = serde_json::from_value(pair).unwrap();
        let problem = |cpu: i64, memory: i64| {
            let values = [("cpu", cpu), ("memory", memory)];
            pair.problem(&values.map(|(name, value)| (name.to_owned(), json!(value).into())).into())
        };
        assert_eq!([problem(999, 1), problem(1000, 1000), problem(1000, 4000)], [None, None, None]);
        assert_eq!(problem(2000, 1999).unwrap(), "cpu 2000 requires memory from 2000 to 8000, got 1999");
    }
}
