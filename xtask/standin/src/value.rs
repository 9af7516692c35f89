//! A value of OpenTofu's, and its two encodings.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};

use crate::protocol::DynamicValue;

/// The fields of an object, or the entries of a map.
pub type Map = BTreeMap<String, Value>;

/// A value without its type: a schema says that.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Not set.
    Null,
    /// Will be known after apply.
    Unknown,
    /// True or false.
    Bool(bool),
    /// A number as it was written, of any size.
    Number(serde_json::Number),
    /// A text.
    String(String),
    /// A list, set or tuple.
    List(Vec<Value>),
    /// A map or object.
    Map(Map),
}

impl Value {
    /// What a call of the protocol carries. An empty message is null.
    pub fn received(wire: Option<&DynamicValue>) -> Result<Self> {
        match wire {
            Some(wire) if !wire.msgpack.is_empty() => {
                let value = rmpv::decode::read_value(&mut wire.msgpack.as_slice());
                Self::of_msgpack(value.context("OpenTofu sent a value that is no msgpack")?)
            }
            Some(wire) if !wire.json.is_empty() => {
                let json: serde_json::Value =
                    serde_json::from_slice(&wire.json).context("OpenTofu sent a value that is no JSON")?;
                Ok(json.into())
            }
            _ => Ok(Self::Null),
        }
    }

    /// As msgpack, which can say that something is unknown.
    pub fn planned(&self) -> DynamicValue {
        let mut msgpack = Vec::new();
        rmpv::encode::write_value(&mut msgpack, &self.msgpack()).expect("writing into memory does not fail");
        DynamicValue { msgpack, json: Vec::new() }
    }

    /// As JSON. OpenTofu takes it for every answer but a plan, and it needs no types.
    pub fn stated(&self) -> DynamicValue {
        DynamicValue { msgpack: Vec::new(), json: self.json().to_string().into_bytes() }
    }

    /// As JSON; what is unknown is null.
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

    /// Whether any part of it is unknown.
    pub fn has_unknown(&self) -> bool {
        match self {
            Self::Unknown => true,
            Self::List(items) => items.iter().any(Self::has_unknown),
            Self::Map(map) => map.values().any(Self::has_unknown),
            _ => false,
        }
    }

    /// Whether it is not set.
    pub fn is_null(&self) -> bool {
        *self == Self::Null
    }

    /// Its fields; none unless it is a map or object.
    pub fn map(&self) -> Option<&Map> {
        if let Self::Map(map) = self { Some(map) } else { None }
    }

    /// Its items; none unless it is a list or set.
    pub fn list(&self) -> &[Self] {
        if let Self::List(items) = self { items } else { &[] }
    }

    /// A text, or a number or truth value in words; `None` for what is not known or has parts.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::String(text) => Some(text.clone()),
            Self::Number(number) => Some(number.to_string()),
            Self::Bool(yes) => Some(yes.to_string()),
            _ => None,
        }
    }

    fn of_msgpack(value: rmpv::Value) -> Result<Self> {
        Ok(match value {
            rmpv::Value::Nil => Self::Null,
            rmpv::Value::Boolean(yes) => Self::Bool(yes),
            rmpv::Value::Integer(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => Self::Number(number.into()),
                (_, Some(number)) => Self::Number(number.into()),
                _ => bail!("OpenTofu sent a whole number that does not fit 64 bits"),
            },
            rmpv::Value::F32(number) => Self::float(number.into())?,
            rmpv::Value::F64(number) => Self::float(number)?,
            rmpv::Value::String(text) => {
                Self::String(text.into_str().context("OpenTofu sent a text that is no UTF-8")?)
            }
            rmpv::Value::Binary(_) => bail!("OpenTofu sent bytes, which no type of its own has"),
            rmpv::Value::Array(items) => Self::List(items.into_iter().map(Self::of_msgpack).collect::<Result<_>>()?),
            rmpv::Value::Map(entries) => {
                let mut map = Map::new();
                for (name, value) in entries {
                    let name = name.as_str().context("OpenTofu sent a map with a key that is no text")?.to_owned();
                    map.insert(name, Self::of_msgpack(value)?);
                }
                Self::Map(map)
            }
            // Type 0 is unknown; other types narrow down what the unknown may become.
            rmpv::Value::Ext(..) => Self::Unknown,
        })
    }

    fn float(number: f64) -> Result<Self> {
        let number = serde_json::Number::from_f64(number);
        number.map(Self::Number).context("OpenTofu sent a number that is not finite")
    }

    fn msgpack(&self) -> rmpv::Value {
        match self {
            Self::Null => rmpv::Value::Nil,
            Self::Unknown => rmpv::Value::Ext(0, vec![0]),
            Self::Bool(yes) => rmpv::Value::Boolean(*yes),
            Self::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => number.into(),
                (_, Some(number)) => number.into(),
                // Of a text where a number is due, OpenTofu reads the number: nothing is rounded.
                _ => number.to_string().into(),
            },
            Self::String(text) => text.as_str().into(),
            Self::List(items) => rmpv::Value::Array(items.iter().map(Self::msgpack).collect()),
            Self::Map(map) => {
                let entry = |(name, value): (&String, &Self)| (name.as_str().into(), value.msgpack());
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
    fn a_value_comes_back_as_it_was() {
        let json =
            r#"{"a":[null,true,-7,18446744073709551615,0.1,"ä\u0000"],"b":{},"c":123456789012345678901234567890}"#;
        let mut value = Value::from(serde_json::from_str::<serde_json::Value>(json).unwrap());
        assert_eq!(Value::received(Some(&value.stated())).unwrap(), value);
        let Value::Map(map) = &mut value else { unreachable!() };
        assert!(!Value::Map(map.clone()).has_unknown());
        // Sent as a text, of which OpenTofu reads the number.
        map.insert("c".to_owned(), "123456789012345678901234567890".into());
        map.insert("d".to_owned(), Value::List(vec![Value::Unknown]));
        assert!(value.has_unknown());
        let again = Value::received(Some(&value.planned())).unwrap();
        assert_eq!(again.map().unwrap()["d"], Value::List(vec![Value::Unknown]));
        assert_eq!(again.map().unwrap()["c"], value.map().unwrap()["c"]);
    }

    #[test]
    fn whatever_extends_msgpack_is_unknown_and_bytes_are_refused() {
        let value =
            |msgpack: &[u8]| Value::received(Some(&DynamicValue { msgpack: msgpack.to_vec(), json: Vec::new() }));
        assert_eq!(value(&[0xd4, 0, 0]).unwrap(), Value::Unknown);
        assert_eq!(value(&[0xc7, 2, 12, 0x81, 1]).unwrap(), Value::Unknown);
        assert!(value(&[0xc4, 1, 0]).is_err());
        assert!(value(&[0x92, 1]).is_err(), "half a list");
        assert_eq!(Value::received(None).unwrap(), Value::Null);
    }
}
