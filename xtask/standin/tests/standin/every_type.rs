//! Every resource type of every schema, with the fewest fields that the schema allows.

use serde_json::{Map, Value, json};

use devservers::standin::schema;

use super::harness::TestProvider;

#[test]
fn every_type_is_created_and_has_no_changes_afterwards() {
    let Some(provider) = TestProvider::new() else { return };
    let mut resources = Map::new();
    for provider in ["scaleway", "aws", "cloudflare", "supabase"] {
        let (dump, rules) = (read(&format!("{provider}.json")), read("scaleway.rules.json"));
        let schemas = dump["provider_schemas"].as_object().unwrap().values().next().unwrap();
        for (name, schema) in schemas["resource_schemas"].as_object().unwrap() {
            let mut fields = required_fields(&schema["block"]);
            let group = |group: &Value| group[0].as_str().unwrap().to_owned();
            for one in rules[name]["exactly_one_of"].as_array().into_iter().flatten().map(group) {
                fields.insert(one.clone(), sample(&one, &schema["block"]["attributes"][&one]["type"]));
            }
            resources.insert(name.clone(), json!({ "it": fields }));
        }
    }
    let count = resources.len();
    assert!(count >= 98, "{count}");
    let stack = provider.stack_without_init("");
    fs_err::write(stack.path().join("all.tf.json"), json!({ "resource": resources }).to_string()).unwrap();
    stack.ok(&["init", "-input=false"]);
    let result = stack.apply();
    assert!(result.output.contains(&format!("{count} added, 0 changed, 0 destroyed")), "{}", result.output);
    assert_eq!(stack.changes(), []);
    stack.ok(&["destroy", "-auto-approve", "-input=false"]);
}

/// The required fields of a block or nested type.
fn required_fields(block: &Value) -> Map<String, Value> {
    let mut set = Map::new();
    for (name, attribute) in block["attributes"].as_object().into_iter().flatten() {
        if attribute["required"] == true {
            let value = match &attribute["nested_type"] {
                Value::Null => sample(name, &attribute["type"]),
                nested if nested["nesting_mode"] == "single" => Value::Object(required_fields(nested)),
                nested => json!([required_fields(nested)]),
            };
            set.insert(name.clone(), value);
        }
    }
    for (name, nested) in block["block_types"].as_object().into_iter().flatten() {
        if nested["min_items"].as_i64() > Some(0) {
            set.insert(name.clone(), json!([required_fields(&nested["block"])]));
        }
    }
    set
}

fn sample(name: &str, of: &Value) -> Value {
    match of.as_str() {
        Some("number") => json!(1),
        Some("bool") => json!(true),
        Some(_) if name.contains("policy") => json!("{}"),
        Some(_) => json!(format!("some-{}", name.replace('_', "-"))),
        None if of[0] == "map" => json!({ "a": sample(name, &of[1]) }),
        None if of[0] == "object" => {
            of[1].as_object().unwrap().iter().map(|(name, of)| (name.clone(), sample(name, of))).collect()
        }
        None => json!([sample(name, &of[1])]),
    }
}

fn read(name: &str) -> Value {
    serde_json::from_slice(&fs_err::read(schema(name)).unwrap()).unwrap()
}
