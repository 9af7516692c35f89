//! A namespace of the registry: images are pushed to this machine's and run from there.

use crate::value::Map;

/// The values, with the address in the registry of this machine if there is one.
pub fn named(registry: Option<&str>, mut values: Map) -> Map {
    if let (Some(registry), Some(name)) = (registry, values.get("name").and_then(|name| name.text())) {
        values.insert("endpoint".to_owned(), format!("{registry}/{name}").as_str().into());
    }
    values
}
