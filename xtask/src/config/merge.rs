//! YAML's merge keys: `<<: *common` stands for the keys of another mapping, `<<: [*one, *two]` for those of several. What the
//! mapping has itself comes first, then the earlier one of several (YAML 1.1, "Merge Key Language-Independent Type").

use std::collections::BTreeSet;

use super::document::{Node, Value};

const KEY: &str = "<<";

/// A merge key that cannot be read.
pub(super) struct Wrong {
    /// The node of the key or of the value.
    pub(super) node: usize,
    pub(super) message: &'static str,
    pub(super) hint: &'static str,
}

/// The tree with the keys that merge keys stand for in their places.
pub(super) fn merge(node: Node) -> Result<Node, Wrong> {
    let Node { id, value } = node;
    let value = match value {
        Value::List(items) => Value::List(items.into_iter().map(merge).collect::<Result<_, _>>()?),
        Value::Map(entries) => Value::Map(merge_entries(entries)?),
        other => other,
    };
    Ok(Node { id, value })
}

fn merge_entries(entries: Vec<(Node, Node)>) -> Result<Vec<(Node, Node)>, Wrong> {
    let (mut own, mut merged) = (Vec::new(), None);
    for (key, value) in entries {
        let value = merge(value)?;
        if key.text() != Some(KEY) {
            own.push((key, value));
        } else if merged.is_some() {
            let message = "`<<` occurs twice in a mapping";
            return Err(Wrong { node: key.id, message, hint: "write both into one list: `<<: [*one, *two]`" });
        } else {
            merged = Some(sources(value)?);
        }
    }
    let Some(merged) = merged else { return Ok(own) };
    let mut known: BTreeSet<String> = own.iter().filter_map(|(key, _)| key.text().map(str::to_owned)).collect();
    for (key, value) in merged {
        // A key that is no text is refused later.
        if key.text().is_none_or(|key| known.insert(key.to_owned())) {
            own.push((key, value));
        }
    }
    Ok(own)
}

/// The entries of a mapping, or of a list of mappings.
fn sources(value: Node) -> Result<Vec<(Node, Node)>, Wrong> {
    let wrong = |node| Wrong {
        node,
        message: "`<<` takes a mapping or a list of mappings",
        hint: "name one that is defined above with `&common`: `<<: *common`",
    };
    match value.value {
        Value::Map(entries) => Ok(entries),
        Value::List(items) => items.into_iter().try_fold(Vec::new(), |mut all, item| {
            let Value::Map(entries) = item.value else { return Err(wrong(item.id)) };
            all.extend(entries);
            Ok(all)
        }),
        _ => Err(wrong(value.id)),
    }
}
