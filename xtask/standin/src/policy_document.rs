//! The data source `aws_iam_policy_document`, which renders blocks as the JSON of an IAM policy.

use anyhow::{Context as _, Result};
use serde_json::{Map as Object, Value as Json, json};

use crate::fields::{blocks, non_empty_text, text, texts};
use crate::value::{Map, Value};

/// Returns the values of `json` and `minified_json`. Fails if a source or override document is not JSON.
pub fn render(config: &Map) -> Result<[(&'static str, Value); 2]> {
    let mut statements = documents(config, "source_policy_documents")?;
    statements.extend(blocks(config, "statement").filter_map(statement));
    for override_statement in documents(config, "override_policy_documents")? {
        let same = |it: &&mut Json| it["Sid"].is_string() && it["Sid"] == override_statement["Sid"];
        match statements.iter_mut().find(same) {
            Some(existing) => *existing = override_statement,
            None => statements.push(override_statement),
        }
    }
    let mut policy = Object::new();
    policy.insert(
        "Version".to_owned(),
        non_empty_text(config, "version").unwrap_or_else(|| "2012-10-17".to_owned()).into(),
    );
    policy.extend(non_empty_text(config, "policy_id").map(|id| ("Id".to_owned(), id.into())));
    policy.insert("Statement".to_owned(), statements.into());
    let policy = Json::Object(policy);
    let pretty = serde_json::to_string_pretty(&policy).expect("a policy is JSON");
    Ok([("json", Value::String(pretty)), ("minified_json", Value::String(policy.to_string()))])
}

/// The statements of the policies in a list of JSON documents.
fn documents(config: &Map, name: &str) -> Result<Vec<Json>> {
    let mut statements = Vec::new();
    for text in texts(config, name) {
        let policy: Json =
            serde_json::from_str(&text).with_context(|| format!("{name} contains a document that is not JSON"))?;
        match &policy["Statement"] {
            Json::Array(more) => statements.extend(more.iter().cloned()),
            one => statements.push(one.clone()),
        }
    }
    Ok(statements)
}

fn statement(block: &Map) -> Option<Json> {
    let mut statement = Object::new();
    statement.extend(non_empty_text(block, "sid").map(|sid| ("Sid".to_owned(), sid.into())));
    statement.insert("Effect".to_owned(), non_empty_text(block, "effect").unwrap_or_else(|| "Allow".to_owned()).into());
    for (name, key) in [("principals", "Principal"), ("not_principals", "NotPrincipal")] {
        let mut all = Object::new();
        for it in blocks(block, name) {
            all.insert(text(it, "type")?, one_or_list(it.get("identifiers")?));
        }
        // `"*"` and `{"*": "*"}` both mean everyone, signed in or not.
        let everyone = all.len() == 1 && all.get("*") == Some(&json!("*"));
        if !all.is_empty() {
            statement.insert(key.to_owned(), if everyone { json!("*") } else { Json::Object(all) });
        }
    }
    for (name, key) in [
        ("actions", "Action"),
        ("not_actions", "NotAction"),
        ("resources", "Resource"),
        ("not_resources", "NotResource"),
    ] {
        let set = block.get(name).filter(|value| !value.list().is_empty());
        statement.extend(set.map(|set| (key.to_owned(), one_or_list(set))));
    }
    let mut conditions = Object::new();
    for it in blocks(block, "condition") {
        let test = conditions.entry(text(it, "test")?).or_insert_with(|| json!({}));
        test[text(it, "variable")?] = one_or_list(it.get("values")?);
    }
    if !conditions.is_empty() {
        statement.insert("Condition".to_owned(), Json::Object(conditions));
    }
    Some(Json::Object(statement))
}

/// A list of one string is rendered as the string.
fn one_or_list(texts: &Value) -> Json {
    match texts.list() {
        [one] => one.json(),
        more => more.iter().map(Value::json).collect(),
    }
}
