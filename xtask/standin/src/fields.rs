//! Accessors for the attributes and blocks of a [`Map`].

use crate::value::{Map, Value};

/// A string, or a number or bool as a string. `None` if it is null, unknown or a collection.
pub fn text(map: &Map, name: &str) -> Option<String> {
    map.get(name).and_then(Value::text)
}

/// As [`text`], without the empty string.
pub fn non_empty_text(map: &Map, name: &str) -> Option<String> {
    text(map, name).filter(|text| !text.is_empty())
}

pub fn is_true(map: &Map, name: &str) -> bool {
    map.get(name) == Some(&Value::Bool(true))
}

/// The objects of a nested block or list attribute.
pub fn blocks<'a>(map: &'a Map, name: &str) -> impl Iterator<Item = &'a Map> {
    map.get(name).map(Value::list).unwrap_or_default().iter().filter_map(Value::map)
}

/// The only object of a nested block: the value itself if it is an object, or its first element.
pub fn block<'a>(map: &'a Map, name: &str) -> Option<&'a Map> {
    map.get(name)?.map().or_else(|| blocks(map, name).next())
}

/// The strings in a list or set.
pub fn texts(map: &Map, name: &str) -> Vec<String> {
    map.get(name).map(Value::list).unwrap_or_default().iter().filter_map(Value::text).collect()
}
