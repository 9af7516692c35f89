//! Every resource type of every schema, with the fewest fields that the schema allows.

use serde_json::{Map, Value, json};

use devservers::standin::schema;

use super::harness::TestProvider;

#[test]
fn every_type_is_created_and_has_no_changes_afterwards() {
    let Some(provider) = TestProvider::new() else { return };
    let mut resources = Map::new();
    for provider in ["scaleway", "aws", "cloudflare", "supabase"] {
        let (dump, own) = (read(&format!("{provider}.json")), read(&format!("{provider}.standin.json")));
        let rules = read("scaleway.rules.json");
        let schemas = dump["provider_schemas"].as_object().unwrap().values().next().unwrap();
        for (name, schema) in schemas["resource_schemas"].as_object().unwrap() {
            let samples = Samples { checks: checks(name, &own, &rules[name]) };
            let mut fields = samples.required_fields("", &schema["block"]);
            let group = |group: &Value| group[0].as_str().unwrap().to_owned();
            for one in rules[name]["exactly_one_of"].as_array().into_iter().flatten().map(group) {
                fields.insert(one.clone(), samples.value(&one, &schema["block"]["attributes"][&one]["type"]));
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

/// The checks of a type by the path of the field: its own, those of patterns, and the allowed values.
fn checks(name: &str, own: &Value, rules: &Value) -> Map<String, Value> {
    let mut checks = Map::new();
    for (path, values) in rules["one_of_values"].as_object().into_iter().flatten() {
        checks.insert(path.clone(), json!({ "one_of": values }));
    }
    for (pattern, rules) in own.as_object().unwrap() {
        let matches = pattern.strip_suffix('*').map_or(pattern == name, |start| name.starts_with(start));
        if matches {
            for kind in ["checks", "api_checks"] {
                checks.extend(rules[kind].as_object().cloned().unwrap_or_default());
            }
        }
    }
    checks
}

/// Values that pass the checks of a type.
struct Samples {
    checks: Map<String, Value>,
}

impl Samples {
    /// The required fields of the block or nested type at a path.
    fn required_fields(&self, at: &str, block: &Value) -> Map<String, Value> {
        let below = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
        let mut set = Map::new();
        for (name, attribute) in block["attributes"].as_object().into_iter().flatten() {
            if attribute["required"] == true {
                let path = below(name);
                let value = match &attribute["nested_type"] {
                    Value::Null => self.value(&path, &attribute["type"]),
                    nested if nested["nesting_mode"] == "single" => Value::Object(self.required_fields(&path, nested)),
                    nested => json!([self.required_fields(&path, nested)]),
                };
                set.insert(name.clone(), value);
            }
        }
        for (name, nested) in block["block_types"].as_object().into_iter().flatten() {
            if nested["min_items"].as_i64() > Some(0) {
                set.insert(name.clone(), json!([self.required_fields(&below(name), &nested["block"])]));
            }
        }
        set
    }

    fn value(&self, path: &str, of: &Value) -> Value {
        match of.as_str() {
            Some("number") => self.checks.get(path).and_then(|check| check.get("min")).cloned().unwrap_or(json!(1)),
            Some("bool") => json!(true),
            Some(_) => json!(self.text(path)),
            None if of[0] == "map" => json!({ "a": self.value(path, &of[1]) }),
            None if of[0] == "object" => {
                of[1].as_object().unwrap().iter().map(|(name, of)| (name.clone(), self.value(name, of))).collect()
            }
            None => json!([self.value(path, &of[1])]),
        }
    }

    fn text(&self, path: &str) -> String {
        let name = path.rsplit('.').next().unwrap_or(path);
        let any = || if name.contains("policy") { "{}".to_owned() } else { format!("some-{}", name.replace('_', "-")) };
        let Some(check) = self.checks.get(path) else { return any() };
        if let Some(first) = check["one_of"][0].as_str() {
            return first.to_owned();
        }
        match check["format"].as_str() {
            Some("uuid" | "local_uuid") => "11111111-2222-4333-8444-555555555555".to_owned(),
            Some("json") => "{}".to_owned(),
            Some("cron") => "5 4 * * *".to_owned(),
            Some("duration") => "10s".to_owned(),
            Some(other) => panic!("no sample of the format {other} for {path}"),
            None => any(),
        }
    }
}

fn read(name: &str) -> Value {
    serde_json::from_slice(&fs_err::read(schema(name)).unwrap()).unwrap()
}
