//! OpenTofu's values and their two encodings, msgpack and JSON.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};

use crate::protocol::DynamicValue;

/// The attributes of an object, or the entries of a map.
pub type Map = BTreeMap<String, Value>;

/// A value without its type, which only the schema has.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    /// Known after apply.
    Unknown,
    Bool(bool),
    /// A number of any precision.
    Number(serde_json::Number),
    String(String),
    /// A list, set or tuple.
    List(Vec<Value>),
    /// A map or object.
    Map(Map),
}

impl Value {
    /// Decodes a value of the protocol. An empty message is null.
    pub fn decode(message: Option<&DynamicValue>) -> Result<Self> {
        match message {
            Some(message) if !message.msgpack.is_empty() => {
                let value = rmpv::decode::read_value(&mut message.msgpack.as_slice());
                Self::from_msgpack(value.context("OpenTofu sent a value that is not msgpack")?)
            }
            Some(message) if !message.json.is_empty() => {
                let json: serde_json::Value =
                    serde_json::from_slice(&message.json).context("OpenTofu sent a value that is not JSON")?;
                Ok(json.into())
            }
            _ => Ok(Self::Null),
        }
    }

    /// Encodes the value as msgpack, which supports unknown values. For plans.
    pub fn encode_msgpack(&self) -> DynamicValue {
        let mut msgpack = Vec::new();
        rmpv::encode::write_value(&mut msgpack, &self.to_msgpack()).expect("writing to memory does not fail");
        DynamicValue { msgpack, json: Vec::new() }
    }

    /// Encodes the value as JSON, which needs no types. OpenTofu accepts it in every response except a plan's.
    pub fn encode_json(&self) -> DynamicValue {
        DynamicValue { msgpack: Vec::new(), json: self.json().to_string().into_bytes() }
    }

    /// Converts the value to JSON. Unknown values become null.
    pub fn json(&self) -> serde_json::Value {
        match self {
            Self::Null | Self::Unknown => serde_json::Value::Null,
            Self::Bool(yes) => (*yes).into(),
            Self::Number(number) => serde_json::Value::Number(number.clone()),
            Self::String(text) => text.as_str().into(),
            Self::List(items) => items.iter().map(Self::json).collect(),
            Self::Map(map) => map.iter().map(|(name, value)| (name.clone(), value.json())).collect(),
        }
    }

    /// Whether the value or any value in it is unknown.
    pub fn has_unknown(&self) -> bool {
        match self {
            Self::Unknown => true,
            Self::List(items) => items.iter().any(Self::has_unknown),
            Self::Map(map) => map.values().any(Self::has_unknown),
            _ => false,
        }
    }

    pub fn is_null(&self) -> bool {
        *self == Self::Null
    }

    pub fn map(&self) -> Option<&Map> {
        if let Self::Map(map) = self { Some(map) } else { None }
    }

    /// The elements of a list, set or tuple; empty for any other value.
    pub fn list(&self) -> &[Self] {
        if let Self::List(items) = self { items } else { &[] }
    }

    /// A string, or a number or bool as a string. `None` for null, unknown values and collections.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::String(text) => Some(text.clone()),
            Self::Number(number) => Some(number.to_string()),
            Self::Bool(yes) => Some(yes.to_string()),
            _ => None,
        }
    }

    fn from_msgpack(value: rmpv::Value) -> Result<Self> {
        Ok(match value {
            rmpv::Value::Nil => Self::Null,
            rmpv::Value::Boolean(yes) => Self::Bool(yes),
            rmpv::Value::Integer(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => Self::Number(number.into()),
                (_, Some(number)) => Self::Number(number.into()),
                _ => bail!("OpenTofu sent an integer of more than 64 bits"),
            },
            rmpv::Value::F32(number) => Self::float(number.into())?,
            rmpv::Value::F64(number) => Self::float(number)?,
            rmpv::Value::String(text) => {
                Self::String(text.into_str().context("OpenTofu sent a string that is not UTF-8")?)
            }
            rmpv::Value::Binary(_) => bail!("OpenTofu sent bytes, which no OpenTofu type allows"),
            rmpv::Value::Array(items) => Self::List(items.into_iter().map(Self::from_msgpack).collect::<Result<_>>()?),
            rmpv::Value::Map(entries) => {
                let mut map = Map::new();
                for (name, value) in entries {
                    let name = name.as_str().context("OpenTofu sent a map whose key is not a string")?.to_owned();
                    map.insert(name, Self::from_msgpack(value)?);
                }
                Self::Map(map)
            }
            // Extension type 0 is an unknown value; other types are unknown values with refinements.
            rmpv::Value::Ext(..) => Self::Unknown,
        })
    }

    fn float(number: f64) -> Result<Self> {
        let number = serde_json::Number::from_f64(number);
        number.map(Self::Number).context("OpenTofu sent a number that is not finite")
    }

    fn to_msgpack(&self) -> rmpv::Value {
        match self {
            Self::Null => rmpv::Value::Nil,
            Self::Unknown => rmpv::Value::Ext(0, vec![0]),
            Self::Bool(yes) => rmpv::Value::Boolean(*yes),
            Self::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => number.into(),
                (_, Some(number)) => number.into(),
                // OpenTofu parses a string in place of a number, without loss of precision.
                _ => number.to_string().into(),
            },
            Self::String(text) => text.as_str().into(),
            Self::List(items) => rmpv::Value::Array(items.iter().map(Self::to_msgpack).collect()),
            Self::Map(map) => {
                let entry = |(name, value): (&String, &Self)| (name.as_str().into(), value.to_msgpack());
                rmpv::Value::Map(map.iter().map(entry).collect())
            }
        }
    }
}

impl From<serde_json::Value> for Value {
    fn from(json: serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(yes) => Self::Bool(yes),
            serde_json::Value::Number(number) => Self::Number(number),
            serde_json::Value::String(text) => Self::String(text),
            serde_json::Value::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            serde_json::Value::Object(map) => {
                Self::Map(map.into_iter().map(|(name, value)| (name, value.into())).collect())
            }
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_and_decoding_round_trips() {
        let json =
            r#"{"a":[null,true,-7,18446744073709551615,0.1,"ä\u0000"],"b":{},"c":123456789012345678901234567890}"#;
        let mut value = Value::from(serde_json::from_str::<serde_json::Value>(json).unwrap());
        assert_eq!(Value::decode(Some(&value.encode_json())).unwrap(), value);
        let Value::Map(map) = &mut value else { unreachable!() };
        assert!(!Value::Map(map.clone()).has_unknown());
        // Encoded as a string, from which OpenTofu parses the number.
        map.insert("c".to_owned(), "123456789012345678901234567890".into());
        map.insert("d".to_owned(), Value::List(vec![Value::Unknown]));
        assert!(value.has_unknown());
        let again = Value::decode(Some(&value.encode_msgpack())).unwrap();
        assert_eq!(again.map().unwrap()["d"], Value::List(vec![Value::Unknown]));
        assert_eq!(again.map().unwrap()["c"], value.map().unwrap()["c"]);
    }

    #[test]
    fn msgpack_extensions_decode_to_unknown_and_bytes_are_an_error() {
        let value = |msgpack: &[u8]| Value::decode(Some(&DynamicValue { msgpack: msgpack.to_vec(), json: Vec::new() }));
        assert_eq!(value(&[0xd4, 0, 0]).unwrap(), Value::Unknown);
        assert_eq!(value(&[0xc7, 2, 12, 0x81, 1]).unwrap(), Value::Unknown);
        assert!(value(&[0xc4, 1, 0]).is_err());
        assert!(value(&[0x92, 1]).is_err(), "half a list");
        assert_eq!(Value::decode(None).unwrap(), Value::Null);
    }
}
