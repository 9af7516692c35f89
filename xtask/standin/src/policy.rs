//! The one data source that computes: `aws_iam_policy_document` writes a policy of blocks.

use anyhow::{Context as _, Result};
use serde_json::{Map as Object, Value as Json, json};

use crate::value::{Map, Value};

/// The policy's JSON, in lines and in one. Fails where a document that it builds on is no policy.
pub fn written(asked: &Map) -> Result<[(&'static str, Value); 2]> {
    let mut statements = documents(asked, "source_policy_documents")?;
    statements.extend(
        asked.get("statement").map(Value::list).unwrap_or_default().iter().filter_map(|it| statement(it.map()?)),
    );
    for over in documents(asked, "override_policy_documents")? {
        let same = |it: &&mut Json| it["Sid"].is_string() && it["Sid"] == over["Sid"];
        match statements.iter_mut().find(same) {
            Some(there) => *there = over,
            None => statements.push(over),
        }
    }
    let mut policy = Object::new();
    let text = |name: &str| asked.get(name).and_then(Value::text).filter(|text| !text.is_empty());
    policy.insert("Version".to_owned(), text("version").unwrap_or_else(|| "2012-10-17".to_owned()).into());
    policy.extend(text("policy_id").map(|id| ("Id".to_owned(), id.into())));
    policy.insert("Statement".to_owned(), statements.into());
    let policy = Json::Object(policy);
    let pretty = serde_json::to_string_pretty(&policy).expect("it is JSON");
    Ok([("json", Value::String(pretty)), ("minified_json", Value::String(policy.to_string()))])
}

/// The statements of other policies.
fn documents(asked: &Map, name: &str) -> Result<Vec<Json>> {
    let mut statements = Vec::new();
    for text in asked.get(name).map(Value::list).unwrap_or_default().iter().filter_map(Value::text) {
        let policy: Json = serde_json::from_str(&text).with_context(|| format!("{name} holds what is no JSON"))?;
        match &policy["Statement"] {
            Json::Array(more) => statements.extend(more.iter().cloned()),
            one => statements.push(one.clone()),
        }
    }
    Ok(statements)
}

fn statement(block: &Map) -> Option<Json> {
    let mut statement = Object::new();
    let text = |name: &str| block.get(name).and_then(Value::text).filter(|text| !text.is_empty());
    statement.extend(text("sid").map(|sid| ("Sid".to_owned(), sid.into())));
    statement.insert("Effect".to_owned(), text("effect").unwrap_or_else(|| "Allow".to_owned()).into());
    for (name, key) in [("principals", "Principal"), ("not_principals", "NotPrincipal")] {
        let mut all = Object::new();
        for it in block.get(name)?.list().iter().filter_map(Value::map) {
            all.insert(it.get("type")?.text()?, few(it.get("identifiers")?));
        }
        // Anybody, signed in or not.
        let anybody = all.len() == 1 && all.get("*") == Some(&json!("*"));
        if !all.is_empty() {
            statement.insert(key.to_owned(), if anybody { json!("*") } else { Json::Object(all) });
        }
    }
    for (name, key) in [
        ("actions", "Action"),
        ("not_actions", "NotAction"),
        ("resources", "Resource"),
        ("not_resources", "NotResource"),
    ] {
        let set = block.get(name).filter(|value| !value.list().is_empty());
        statement.extend(set.map(|set| (key.to_owned(), few(set))));
    }
    let mut conditions = Object::new();
    for it in block.get("condition")?.list().iter().filter_map(Value::map) {
        let test = conditions.entry(it.get("test")?.text()?).or_insert_with(|| json!({}));
        test[it.get("variable")?.text()?] = few(it.get("values")?);
    }
    if !conditions.is_empty() {
        statement.insert("Condition".to_owned(), Json::Object(conditions));
    }
    Some(Json::Object(statement))
}

/// One text stands alone.
fn few(texts: &Value) -> Json {
    match texts.list() {
        [one] => one.json(),
        more => more.iter().map(Value::json).collect(),
    }
}
