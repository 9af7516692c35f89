//! How a value that a provider makes up looks. A template is JSON; in its texts stand fields of the resource and random
//! parts:
//!
//! - `{name}`: a field, or a setting of the provider; alone in a text it is the field itself, whatever its type
//! - `{name|last}`: what follows the last `/` of it
//! - `{uuid}`, `{now}`, and `{hex8}`, `{letters8}`, `{upper8}`, `{digits8}` with any number
//! - `{"each": ["name", …], "of": …}`: one of `of` for each text in those fields, as `{each}`
//! - `{"merge": ["name", …]}`: the maps in those fields, the later before the earlier; `block.name` is a field of a block

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use crate::value::{Map, Value};

/// Renders templates for one resource.
pub struct Template<'a> {
    /// The fields it may name.
    pub fields: &'a Map,
    /// And the provider's settings.
    pub settings: &'a Map,
    /// The same seed gives the same random parts; without one they are unknown.
    pub seed: Option<&'a str>,
}

impl Template<'_> {
    /// The value. What depends on something unknown is unknown.
    pub fn render(&self, template: &serde_json::Value) -> Value {
        self.value(template, None)
    }

    fn value(&self, template: &serde_json::Value, each: Option<&str>) -> Value {
        match template {
            serde_json::Value::String(text) => self.text(text, each),
            serde_json::Value::Array(items) => Value::List(items.iter().map(|item| self.value(item, each)).collect()),
            serde_json::Value::Object(map) => match (map.get("each"), map.get("of")) {
                (Some(names), Some(of)) => self.each(names, of),
                _ if map.contains_key("merge") => self.merge(&map["merge"]),
                _ => Value::Map(map.iter().map(|(name, item)| (name.clone(), self.value(item, each))).collect()),
            },
            plain => plain.clone().into(),
        }
    }

    fn each(&self, names: &serde_json::Value, of: &serde_json::Value) -> Value {
        let mut texts = BTreeSet::new();
        for name in names.as_array().into_iter().flatten().filter_map(serde_json::Value::as_str) {
            match self.named(name) {
                value if value.has_unknown() => return Value::Unknown,
                Value::List(items) => texts.extend(items.iter().filter_map(Value::text)),
                value => texts.extend(value.text()),
            }
        }
        Value::List(texts.iter().map(|text| self.value(of, Some(text))).collect())
    }

    fn merge(&self, names: &serde_json::Value) -> Value {
        let mut all = Map::new();
        for name in names.as_array().into_iter().flatten().filter_map(serde_json::Value::as_str) {
            match name.split_once('.').map_or_else(|| self.named(name), |(block, name)| self.within(block, name)) {
                Value::Unknown => return Value::Unknown,
                Value::Map(map) => all.extend(map),
                _ => {}
            }
        }
        Value::Map(all)
    }

    fn within(&self, block: &str, name: &str) -> Value {
        match self.named(block) {
            Value::List(items) => items.first().and_then(|item| item.map()?.get(name).cloned()).unwrap_or(Value::Null),
            // A setting that is not set.
            _ => Value::Null,
        }
    }

    fn text(&self, text: &str, each: Option<&str>) -> Value {
        if let Some(name) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'))
            && !name.contains(['{', '|'])
            && Random::read(name).is_none()
            && name != "each"
        {
            return self.named(name);
        }
        let mut out = String::new();
        for (nth, part) in parts(text).into_iter().enumerate() {
            let written = match part {
                Part::Literal(literal) => Some(literal.to_owned()),
                Part::Name("each") => each.map(str::to_owned),
                Part::Name(name) => match Random::read(name) {
                    Some(random) => self.seed.map(|seed| random.write(&format!("{seed} {text} {each:?} {nth}"))),
                    None => match name.split_once('|') {
                        Some((name, _last)) => self.named(name).text().map(|text| last(&text).to_owned()),
                        None => match self.named(name) {
                            Value::Null => Some(String::new()),
                            value => value.text(),
                        },
                    },
                },
            };
            let Some(written) = written else { return Value::Unknown };
            out.push_str(&written);
        }
        Value::String(out)
    }

    fn named(&self, name: &str) -> Value {
        match (self.fields.get(name), self.settings.get(name)) {
            (None | Some(Value::Null), Some(set)) => set.clone(),
            (Some(value), _) => value.clone(),
            (None, None) => Value::Unknown,
        }
    }
}

/// What follows the last `/`: an id without its region.
pub fn last(text: &str) -> &str {
    text.rsplit('/').next().unwrap_or(text)
}

/// The fields and settings that a template names.
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
            let listed = ["each", "merge"].iter().filter_map(|key| map.get(*key)?.as_array()).flatten();
            let listed =
                listed.filter_map(serde_json::Value::as_str).filter(|name| !name.contains('.')).map(str::to_owned);
            map.values().flat_map(names).chain(listed).collect()
        }
        _ => BTreeSet::new(),
    }
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
    Of(&'static [u8], usize),
}

impl Random {
    fn read(name: &str) -> Option<Self> {
        let (kind, count) = name.split_at(name.find(|c: char| c.is_ascii_digit()).unwrap_or(name.len()));
        match (kind, count.parse().ok()) {
            ("uuid", None) => Some(Self::Uuid),
            ("now", None) => Some(Self::Now),
            ("hex", Some(count)) => Some(Self::Of(b"0123456789abcdef", count)),
            ("letters", Some(count)) => Some(Self::Of(b"abcdefghijklmnopqrstuvwxyz", count)),
            ("upper", Some(count)) => Some(Self::Of(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", count)),
            ("digits", Some(count)) => Some(Self::Of(b"0123456789", count)),
            _ => None,
        }
    }

    fn write(&self, seed: &str) -> String {
        match self {
            Self::Now => jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            Self::Of(alphabet, count) => {
                let blocks = (0_u32..).flat_map(|block| Sha256::digest(format!("{seed} {block}")));
                blocks.take(*count).map(|byte| char::from(alphabet[usize::from(byte) % alphabet.len()])).collect()
            }
            Self::Uuid => {
                let hex = Self::Of(b"0123456789abcdef", 30).write(seed);
                // Version 4, and the one variant that everybody uses.
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
        let settings: Map = [("region".to_owned(), "fr-par".into()), ("unset".to_owned(), "set".into())].into();
        Template { fields: &fields, settings: &settings, seed }.render(template)
    }

    #[test]
    fn fields_and_settings_are_put_in() {
        assert_eq!(render(&json!("rg.{region}/{name}/{id|last}"), None), "rg.fr-par/app/1".into());
        assert_eq!(render(&json!("{tags}"), None), Value::List(vec!["a".into(), "b".into()]));
        assert_eq!(render(&json!("{unset}"), None), "set".into());
        assert_eq!(render(&json!({ "n": 1, "of": ["{name}"] }), None), json!({ "n": 1, "of": ["app"] }).into());
        assert_eq!(render(&json!("x{later}"), Some("s")), Value::Unknown);
        assert_eq!(render(&json!("{nothing}"), Some("s")), Value::Unknown);
        assert_eq!(
            names(&json!(["{name}-{uuid}", { "each": ["tags"], "of": "{each}{id|last}" }])),
            ["id", "name", "tags"].map(String::from).into()
        );
    }

    #[test]
    fn random_parts_are_of_their_seed_and_unknown_without_one() {
        let template = json!("{hex8}-{hex8}.{letters4}{digits300}");
        let Value::String(text) = render(&template, Some("a")) else { panic!() };
        assert_eq!(render(&template, Some("a")), text.as_str().into());
        assert_ne!(render(&template, Some("b")), text.as_str().into());
        assert_ne!(text[..8], text[9..17], "each part is its own");
        assert_eq!(text.len(), 8 + 1 + 8 + 1 + 4 + 300);
        assert_eq!(render(&template, None), Value::Unknown);
        assert_eq!(render(&json!({ "a": "{uuid}", "b": 1 }), None).map().unwrap()["b"], Value::Number(1.into()));
    }

    #[test]
    fn each_of_some_texts_gives_one() {
        let template = json!({ "each": ["name", "tags"], "of": { "is": "{each}", "key": "{hex4}" } });
        let Value::List(items) = render(&template, Some("s")) else { panic!() };
        let is: Vec<_> = items.iter().map(|item| item.map().unwrap()["is"].text().unwrap()).collect();
        assert_eq!(is, ["a", "app", "b"]);
        assert_ne!(items[0].map().unwrap()["key"], items[1].map().unwrap()["key"]);
        assert_eq!(render(&json!({ "each": ["later"], "of": "{each}" }), Some("s")), Value::Unknown);
    }
}
