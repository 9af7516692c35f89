//! A plan, read from `show -json` (`internal/command/jsonplan`): addresses, actions and names. Values are dropped, because
//! one that is not marked as sensitive may still contain a secret.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::value::RawValue;

/// A plan.
#[derive(Debug, Default, Deserialize)]
pub struct Plan {
    /// Changes of resources, and the resources that do not change.
    #[serde(default, rename = "resource_changes", deserialize_with = "changes")]
    pub resources: Changes,
    /// Changes that were made outside of OpenTofu since the last apply.
    #[serde(default, rename = "resource_drift", deserialize_with = "changes")]
    pub drift: Changes,
    /// Outputs, by name.
    #[serde(default, rename = "output_changes")]
    pub outputs: BTreeMap<String, Output>,
    /// The names of the variables that the stack declares.
    #[serde(default, deserialize_with = "keys")]
    pub variables: BTreeSet<String>,
    /// Whether planning ended with an error, so that the plan is incomplete.
    #[serde(default)]
    pub errored: bool,
}

impl Plan {
    /// A plan without changes, from the addresses of the resources that were read for it.
    pub fn without_changes(mut read: Vec<String>) -> Self {
        read.sort();
        // A deposed object has the address of the object that replaced it.
        read.dedup();
        Self { resources: Changes { all: Vec::new(), unchanged: read }, ..Self::default() }
    }
}

/// Changes of resources.
#[derive(Debug, Default)]
pub struct Changes {
    /// Every one, in OpenTofu's order.
    pub all: Vec<Change>,
    /// The addresses of resources that do not change.
    pub unchanged: Vec<String>,
}

/// The change of one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Its address.
    pub address: String,
    /// The address that it had before, if that is different.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_address: Option<String>,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The operation.
    pub action: Action,
    /// OpenTofu's reason: `replace_because_tainted`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The names of the attributes that force a replacement.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub because_of: Vec<String>,
    /// The names of the attributes that an update changes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<String>,
    /// Whether it is a deposed object: left by a replacement that failed halfway.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deposed: bool,
    /// Whether an existing resource is imported.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub imported: bool,
}

/// An operation on a resource, the most dangerous first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is deleted.
    Delete,
    /// It is deleted and created again.
    Replace,
    /// It is removed from the state and continues to exist.
    Forget,
    /// It is changed in place.
    Update,
    /// It is created.
    Create,
    /// Its address in the state changes, or it is imported unchanged.
    Move,
    /// A data source is read.
    Read,
    /// No operation.
    #[serde(rename = "no-op")]
    Nothing,
}

/// The change of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// The operation.
    pub action: Action,
}

/// A change as OpenTofu writes it. Its values are compared and dropped.
#[derive(Deserialize)]
struct Written {
    address: String,
    previous_address: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    action_reason: Option<String>,
    deposed: Option<IgnoredAny>,
    change: WrittenChange,
}

#[derive(Deserialize)]
struct WrittenChange {
    actions: Vec<String>,
    before: Option<Box<RawValue>>,
    after: Option<Box<RawValue>>,
    after_unknown: Option<Box<RawValue>>,
    #[serde(default)]
    replace_paths: Vec<Vec<serde_json::Value>>,
    importing: Option<IgnoredAny>,
}

impl Written {
    fn read(self) -> Result<Change, String> {
        let Self { address, previous_address, kind, action_reason, deposed, change } = self;
        let previous_address = previous_address.filter(|previous| *previous != address);
        let action = match action(&change.actions)? {
            Action::Nothing if previous_address.is_some() || change.importing.is_some() => Action::Move,
            action => action,
        };
        let attributes = if action == Action::Update { change.attributes() } else { Vec::new() };
        let mut because_of = Vec::new();
        for path in &change.replace_paths {
            // Only the attribute: the rest of the path may contain the key of a map, which is a value.
            if let Some(serde_json::Value::String(name)) = path.first()
                && !because_of.contains(name)
            {
                because_of.push(name.clone());
            }
        }
        let (deposed, imported) = (deposed.is_some(), change.importing.is_some());
        Ok(Change {
            address,
            previous_address,
            kind,
            action,
            reason: action_reason,
            because_of,
            attributes,
            deposed,
            imported,
        })
    }
}

impl WrittenChange {
    /// The names of the attributes whose values differ or are not known yet.
    fn attributes(&self) -> Vec<String> {
        type Object<'a> = BTreeMap<String, &'a RawValue>;
        fn object(value: Option<&RawValue>) -> Object<'_> {
            value.and_then(|value| serde_json::from_str(value.get()).ok()).unwrap_or_default()
        }
        let (before, after) = (object(self.before.as_deref()), object(self.after.as_deref()));
        let unknown = object(self.after_unknown.as_deref());
        let has_unknown = |name: &str| unknown.get(name).is_some_and(|value| value.get().contains("true"));
        let text = |object: &Object<'_>, name: &str| object.get(name).map(|value| value.get().to_owned());
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).chain(unknown.keys()).collect();
        names
            .into_iter()
            .filter(|name| has_unknown(name) || text(&before, name) != text(&after, name))
            .cloned()
            .collect()
    }
}

/// The operation for OpenTofu's list of actions. Fails on an unknown action, because its effect is unknown.
fn action(written: &[String]) -> Result<Action, String> {
    let known = ["no-op", "create", "read", "update", "delete", "forget"];
    if let Some(unknown) = written.iter().find(|action| !known.contains(&action.as_str())) {
        return Err(format!("the plan has an action that this version of the toolkit does not know: {unknown}"));
    }
    let has = |action: &str| written.iter().any(|word| word == action);
    Ok(match (has("create"), has("delete")) {
        _ if has("forget") => Action::Forget,
        (true, true) => Action::Replace,
        (false, true) => Action::Delete,
        (true, false) => Action::Create,
        (false, false) if has("update") => Action::Update,
        (false, false) if has("read") => Action::Read,
        (false, false) => Action::Nothing,
    })
}

/// Reads changes one by one, so that the values that are dropped never take memory at the same time.
fn changes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Changes, D::Error> {
    struct Each;
    impl<'de> Visitor<'de> for Each {
        type Value = Changes;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a list of changes")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut written: A) -> Result<Changes, A::Error> {
            let mut changes = Changes::default();
            while let Some(written) = written.next_element::<Written>()? {
                let change = written.read().map_err(de::Error::custom)?;
                match change.action {
                    Action::Nothing => changes.unchanged.push(change.address),
                    _ => changes.all.push(change),
                }
            }
            Ok(changes)
        }
    }
    deserializer.deserialize_seq(Each)
}

fn keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<String>, D::Error> {
    Ok(BTreeMap::<String, IgnoredAny>::deserialize(deserializer)?.into_keys().collect())
}

impl<'de> Deserialize<'de> for Output {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Written {
            actions: Vec<String>,
        }
        let written = Written::deserialize(deserializer)?;
        Ok(Self { action: action(&written.actions).map_err(de::Error::custom)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(changes: &str) -> Plan {
        serde_json::from_str(&format!("{{\"planned_values\":{{\"a\":[1,{{}}]}},\"resource_changes\":[{changes}]}}"))
            .unwrap()
    }

    #[test]
    fn names_are_kept_and_values_are_dropped() {
        let plan = read(
            r#"{"address":"t.a","mode":"managed","type":"t","name":"a","change":{"actions":["update"],"before":{"same":{"x":1},"input":"sentinel-1","list":[1]},
               "after":{"same":{"x":1},"input":"sentinel-2","list":[1,2]},"after_unknown":{"output":true,"list":[false,false]}}},
               {"address":"t.b","type":"t","action_reason":"replace_because_cannot_update","change":{"actions":["delete","create"],"before":{"a":"sentinel-3"},"after":{},
               "replace_paths":[["versioning",0,"enabled"],["tags","sentinel-4"],["tags","b"]]}},
               {"address":"t.c","type":"t","change":{"actions":["no-op"],"before":{},"after":{}}}"#,
        );
        let [update, replace] = &plan.resources.all[..] else { panic!("{plan:?}") };
        assert_eq!((update.action, update.attributes.join(" ")), (Action::Update, "input list output".to_owned()));
        assert_eq!((replace.action, replace.because_of.join(" ")), (Action::Replace, "versioning tags".to_owned()));
        assert_eq!(plan.resources.unchanged, ["t.c"]);
        assert!(!format!("{plan:?}").contains("sentinel"), "{plan:?}");
    }

    #[test]
    fn actions_are_told_apart() {
        let of = |actions: &[&str]| action(&actions.iter().map(|&action| action.to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["create", "delete"]), Ok(Action::Replace));
        assert_eq!(of(&["delete", "create"]), Ok(Action::Replace));
        assert_eq!(of(&["forget"]), Ok(Action::Forget));
        assert_eq!(of(&["forget", "create"]), Ok(Action::Forget));
        assert_eq!(of(&["read"]), Ok(Action::Read));
        assert!(of(&["explode"]).unwrap_err().contains("explode"));
    }

    #[test]
    fn a_resource_that_only_moves_or_is_imported_is_a_change() {
        let plan = read(
            r#"{"address":"t.new","previous_address":"t.old","type":"t","change":{"actions":["no-op"]}},
               {"address":"t.same","previous_address":"t.same","type":"t","change":{"actions":["no-op"]}},
               {"address":"t.in","type":"t","change":{"actions":["no-op"],"importing":{"id":"x"}}},
               {"address":"t.left","type":"t","deposed":"abc","change":{"actions":["delete"]}}"#,
        );
        let told: Vec<_> =
            plan.resources.all.iter().map(|change| (change.address.as_str(), change.action, change.deposed)).collect();
        assert_eq!(
            told,
            [("t.new", Action::Move, false), ("t.in", Action::Move, false), ("t.left", Action::Delete, true)]
        );
    }
}
