//! Every type of every dump, with as little as its schema lets it be made with.

use serde_json::{Map, Value, json};

use super::world::World;
use devservers::standin::schema;

#[test]
fn every_type_is_made_once_and_planned_empty() {
    let Some(world) = World::new() else { return };
    let mut resources = Map::new();
    for provider in ["scaleway", "aws", "cloudflare", "supabase"] {
        let (dump, rules) = (read(&format!("{provider}.json")), read("scaleway.rules.json"));
        let schemas = dump["provider_schemas"].as_object().unwrap().values().next().unwrap();
        for (name, schema) in schemas["resource_schemas"].as_object().unwrap() {
            let mut least = least(&schema["block"]);
            let group = |group: &Value| group[0].as_str().unwrap().to_owned();
            for one in rules[name]["exactly_one_of"].as_array().into_iter().flatten().map(group) {
                least.insert(one.clone(), plausible(&one, &schema["block"]["attributes"][&one]["type"]));
            }
            resources.insert(name.clone(), json!({ "it": least }));
        }
    }
    let count = resources.len();
    assert!(count >= 98, "{count}");
    let stack = world.bare("");
    fs_err::write(stack.path().join("all.tf.json"), json!({ "resource": resources }).to_string()).unwrap();
    stack.ok(&["init", "-input=false"]);
    let ran = stack.apply();
    assert!(ran.said.contains(&format!("{count} added, 0 changed, 0 destroyed")), "{}", ran.said);
    assert_eq!(stack.changes(), []);
    stack.ok(&["destroy", "-auto-approve", "-input=false"]);
}

/// Of a block or nested type: what must be set.
fn least(block: &Value) -> Map<String, Value> {
    let mut set = Map::new();
    for (name, attribute) in block["attributes"].as_object().into_iter().flatten() {
        if attribute["required"] == true {
            let value = match &attribute["nested_type"] {
                Value::Null => plausible(name, &attribute["type"]),
                nested if nested["nesting_mode"] == "single" => Value::Object(least(nested)),
                nested => json!([least(nested)]),
            };
            set.insert(name.clone(), value);
        }
    }
    for (name, nested) in block["block_types"].as_object().into_iter().flatten() {
        if nested["min_items"].as_i64() > Some(0) {
            set.insert(name.clone(), json!([least(&nested["block"])]));
        }
    }
    set
}

fn plausible(name: &str, of: &Value) -> Value {
    match of.as_str() {
        Some("number") => json!(1),
        Some("bool") => json!(true),
        Some(_) if name.contains("policy") => json!("{}"),
        Some(_) => json!(format!("some-{}", name.replace('_', "-"))),
        None if of[0] == "map" => json!({ "a": plausible(name, &of[1]) }),
        None if of[0] == "object" => {
            of[1].as_object().unwrap().iter().map(|(name, of)| (name.clone(), plausible(name, of))).collect()
        }
        None => json!([plausible(name, &of[1])]),
    }
}

fn read(name: &str) -> Value {
    serde_json::from_slice(&fs_err::read(schema(name)).unwrap()).unwrap()
}
