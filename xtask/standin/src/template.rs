//! Templates for computed values and defaults. A template is JSON whose strings can contain placeholders:
//!
//! - `{name}`: a field of the resource or of the provider's configuration; a string that is only a placeholder takes the
//!   field's type
//! - `{name|last}`: what follows the last `/` in the field
//! - `{uuid}`, `{now}`, and `{hex8}`, `{letters8}`, `{upper8}`, `{digits8}` with any number of characters
//! - `{"for_each": ["name", …], "value": …}`: a list with one `value` for each string in these fields; `{each}` in `value`
//!   is that string
//! - `{"merge": ["name", …]}`: the merged maps of these fields, of which later ones take precedence; `block.name` is a
//!   field of a nested block

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use crate::value::{Map, Value};

/// What the placeholders of a template refer to.
pub struct Context<'a> {
    pub fields: &'a Map,
    pub provider_config: &'a Map,
    /// The same seed gives the same random values. Without a seed, they are unknown.
    pub seed: Option<&'a str>,
}

impl Context<'_> {
    /// Renders a template. A value that depends on an unknown value is unknown.
    pub fn render(&self, template: &serde_json::Value) -> Value {
        self.value(template, None)
    }

    fn value(&self, template: &serde_json::Value, each: Option<&str>) -> Value {
        match template {
            serde_json::Value::String(text) => self.text(text, each),
            serde_json::Value::Array(items) => Value::List(items.iter().map(|item| self.value(item, each)).collect()),
            serde_json::Value::Object(map) => match (map.get("for_each"), map.get("value")) {
                (Some(names), Some(value)) => self.for_each(names, value),
                _ if map.contains_key("merge") => self.merge(&map["merge"]),
                _ => Value::Map(map.iter().map(|(name, item)| (name.clone(), self.value(item, each))).collect()),
            },
            plain => plain.clone().into(),
        }
    }

    fn for_each(&self, names: &serde_json::Value, value: &serde_json::Value) -> Value {
        let mut texts = BTreeSet::new();
        for name in strings(names) {
            match self.field(name) {
                field if field.has_unknown() => return Value::Unknown,
                Value::List(items) => texts.extend(items.iter().filter_map(Value::text)),
                field => texts.extend(field.text()),
            }
        }
        Value::List(texts.iter().map(|text| self.value(value, Some(text))).collect())
    }

    fn merge(&self, names: &serde_json::Value) -> Value {
        let mut all = Map::new();
        for name in strings(names) {
            match name.split_once('.').map_or_else(|| self.field(name), |(block, name)| self.block_field(block, name)) {
                Value::Unknown => return Value::Unknown,
                Value::Map(map) => all.extend(map),
                _ => {}
            }
        }
        Value::Map(all)
    }

    fn block_field(&self, block: &str, name: &str) -> Value {
        match self.field(block) {
            Value::List(items) => items.first().and_then(|item| item.map()?.get(name).cloned()).unwrap_or(Value::Null),
            _ => Value::Null,
        }
    }

    fn text(&self, text: &str, each: Option<&str>) -> Value {
        if let Some(name) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'))
            && !name.contains(['{', '|'])
            && Random::read(name).is_none()
            && name != "each"
        {
            return self.field(name);
        }
        let mut out = String::new();
        for (index, part) in parts(text).into_iter().enumerate() {
            let rendered = match part {
                Part::Literal(literal) => Some(literal.to_owned()),
                Part::Name("each") => each.map(str::to_owned),
                Part::Name(name) => match Random::read(name) {
                    Some(random) => self.seed.map(|seed| random.render(&format!("{seed} {text} {each:?} {index}"))),
                    None => match name.split_once('|') {
                        Some((name, _last)) => self.field(name).text().map(|text| last_segment(&text).to_owned()),
                        None => match self.field(name) {
                            Value::Null => Some(String::new()),
                            value => value.text(),
                        },
                    },
                },
            };
            let Some(rendered) = rendered else { return Value::Unknown };
            out.push_str(&rendered);
        }
        Value::String(out)
    }

    fn field(&self, name: &str) -> Value {
        match (self.fields.get(name), self.provider_config.get(name)) {
            (None | Some(Value::Null), Some(set)) => set.clone(),
            (Some(value), _) => value.clone(),
            (None, None) => Value::Unknown,
        }
    }
}

/// What follows the last `/`, such as the id without its region.
pub fn last_segment(text: &str) -> &str {
    text.rsplit('/').next().unwrap_or(text)
}

/// The names of the fields that a template uses.
pub fn names(template: &serde_json::Value) -> BTreeSet<String> {
    match template {
        serde_json::Value::String(text) => {
            let names =
                parts(text).into_iter().filter_map(|part| if let Part::Name(name) = part { Some(name) } else { None });
            let fields = names.filter(|name| *name != "each" && Random::read(name).is_none());
            fields.map(|name| name.split('|').next().unwrap_or(name).to_owned()).collect()
        }
        serde_json::Value::Array(items) => items.iter().flat_map(names).collect(),
        serde_json::Value::Object(map) => {
            let listed = ["for_each", "merge"].iter().filter_map(|key| map.get(*key)).flat_map(strings);
            let listed = listed.filter(|name| !name.contains('.')).map(str::to_owned);
            map.values().flat_map(names).chain(listed).collect()
        }
        _ => BTreeSet::new(),
    }
}

fn strings(json: &serde_json::Value) -> impl Iterator<Item = &str> {
    json.as_array().into_iter().flatten().filter_map(serde_json::Value::as_str)
}

enum Part<'a> {
    Literal(&'a str),
    Name(&'a str),
}

fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, (name, after))) =
        rest.split_once('{').and_then(|(before, after)| Some((before, after.split_once('}')?)))
    {
        parts.extend([Part::Literal(before), Part::Name(name)]);
        rest = after;
    }
    parts.push(Part::Literal(rest));
    parts
}

enum Random {
    Uuid,
    Now,
    /// So many characters of an alphabet.
    Characters(&'static [u8], usize),
}

impl Random {
    fn read(name: &str) -> Option<Self> {
        let (kind, count) = name.split_at(name.find(|c: char| c.is_ascii_digit()).unwrap_or(name.len()));
        match (kind, count.parse().ok()) {
            ("uuid", None) => Some(Self::Uuid),
            ("now", None) => Some(Self::Now),
            ("hex", Some(count)) => Some(Self::Characters(b"0123456789abcdef", count)),
            ("letters", Some(count)) => Some(Self::Characters(b"abcdefghijklmnopqrstuvwxyz", count)),
            ("upper", Some(count)) => Some(Self::Characters(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", count)),
            ("digits", Some(count)) => Some(Self::Characters(b"0123456789", count)),
            _ => None,
        }
    }

    fn render(&self, seed: &str) -> String {
        match self {
            Self::Now => jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            Self::Characters(alphabet, count) => {
                let blocks = (0_u32..).flat_map(|block| Sha256::digest(format!("{seed} {block}")));
                blocks.take(*count).map(|byte| char::from(alphabet[usize::from(byte) % alphabet.len()])).collect()
            }
            Self::Uuid => {
                let hex = Self::Characters(b"0123456789abcdef", 30).render(seed);
                // Version 4, variant 1 of RFC 9562.
                format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[12..15], &hex[15..18], &hex[18..])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn render(template: &serde_json::Value, seed: Option<&str>) -> Value {
        let fields: Map = [
            ("name".to_owned(), "app".into()),
            ("id".to_owned(), "fr-par/1".into()),
            ("tags".to_owned(), Value::List(vec!["a".into(), "b".into()])),
            ("later".to_owned(), Value::Unknown),
            ("unset".to_owned(), Value::Null),
        ]
        .into();
        let provider_config: Map = [("region".to_owned(), "fr-par".into()), ("unset".to_owned(), "set".into())].into();
        Context { fields: &fields, provider_config: &provider_config, seed }.render(template)
    }

    #[test]
    fn placeholders_are_replaced_by_fields_and_provider_configuration() {
        assert_eq!(render(&json!("rg.{region}/{name}/{id|last}"), None), "rg.fr-par/app/1".into());
        assert_eq!(render(&json!("{tags}"), None), Value::List(vec!["a".into(), "b".into()]));
        assert_eq!(render(&json!("{unset}"), None), "set".into());
        assert_eq!(render(&json!({ "n": 1, "list": ["{name}"] }), None), json!({ "n": 1, "list": ["app"] }).into());
        assert_eq!(render(&json!("x{later}"), Some("s")), Value::Unknown);
        assert_eq!(render(&json!("{nothing}"), Some("s")), Value::Unknown);
        assert_eq!(
            names(&json!(["{name}-{uuid}", { "for_each": ["tags"], "value": "{each}{id|last}" }])),
            ["id", "name", "tags"].map(String::from).into()
        );
    }

    #[test]
    fn random_values_depend_on_the_seed_and_are_unknown_without_one() {
        let template = json!("{hex8}-{hex8}.{letters4}{digits300}");
        let Value::String(text) = render(&template, Some("a")) else { panic!() };
        assert_eq!(render(&template, Some("a")), text.as_str().into());
        assert_ne!(render(&template, Some("b")), text.as_str().into());
        assert_ne!(text[..8], text[9..17], "each placeholder has its own value");
        assert_eq!(text.len(), 8 + 1 + 8 + 1 + 4 + 300);
        assert_eq!(render(&template, None), Value::Unknown);
        assert_eq!(render(&json!({ "a": "{uuid}", "b": 1 }), None).map().unwrap()["b"], Value::Number(1.into()));
    }

    #[test]
    fn for_each_renders_one_value_for_each_string() {
        let template = json!({ "for_each": ["name", "tags"], "value": { "name": "{each}", "key": "{hex4}" } });
        let Value::List(items) = render(&template, Some("s")) else { panic!() };
        let names: Vec<_> = items.iter().map(|item| item.map().unwrap()["name"].text().unwrap()).collect();
        assert_eq!(names, ["a", "app", "b"]);
        assert_ne!(items[0].map().unwrap()["key"], items[1].map().unwrap()["key"]);
        assert_eq!(render(&json!({ "for_each": ["later"], "value": "{each}" }), Some("s")), Value::Unknown);
    }
}
