//! Values that a real provider's `validate`, or the platform's API, refuses: enumerations, ranges, lengths and formats.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::harness::TestProvider;

const UUID: &str = "11111111-2222-4333-8444-555555555555";

/// A resource type, its arguments, and a part of the error. `;` is a line break. `UUID` is a UUID; the other words in capitals
/// are required arguments.
const WRONG: &[(&str, &str, &str)] = &[
    // UUIDs.
    ("scaleway_object_bucket", r#"name = "x"; project_id = "media""#, "project_id to be a UUID"),
    ("scaleway_iam_policy", r#"application_id = "app"; RULE"#, "application_id to be a UUID"),
    ("scaleway_iam_policy", r#"group_id = "fr-par/UUID"; RULE"#, "group_id to be a UUID"),
    (
        "scaleway_iam_policy",
        r#"no_principal = true; rule {; permission_set_names = ["A"]; project_ids = ["UUID", "media"]; }"#,
        "rule[0].project_ids[1] to be a UUID",
    ),
    ("scaleway_iam_api_key", r#"application_id = "app""#, "application_id to be a UUID"),
    ("scaleway_container_domain", r#"hostname = "a.example.org"; container_id = "app""#, "container_id to be a UUID"),
    (
        "scaleway_object_bucket_acl",
        r#"bucket = "b"; expected_bucket_owner = "me""#,
        "expected_bucket_owner to be a UUID",
    ),
    // Enumerations.
    ("scaleway_object_bucket", r#"name = "x"; acl = "public""#, "acl to be one of"),
    ("scaleway_object_bucket_acl", r#"bucket = "b"; acl = "world""#, "acl to be one of"),
    (
        "scaleway_object_bucket_server_side_encryption_configuration",
        r#"bucket = "b"; rule {; apply_server_side_encryption_by_default {; sse_algorithm = "aws:kms"; }; }"#,
        "sse_algorithm to be one of",
    ),
    (
        "aws_s3_bucket_server_side_encryption_configuration",
        r#"bucket = "b"; rule {; apply_server_side_encryption_by_default {; sse_algorithm = "AES128"; }; }"#,
        "sse_algorithm to be one of",
    ),
    (
        "scaleway_object_bucket",
        r#"name = "x"; lifecycle_rule {; enabled = true; transition {; days = 1; storage_class = "COLD"; }; }"#,
        "storage_class to be one of",
    ),
    ("scaleway_object", r#"bucket = "b"; key = "k"; storage_class = "Standard""#, "storage_class to be one of"),
    (
        "scaleway_object_bucket_lock_configuration",
        r#"bucket = "b"; rule {; default_retention {; mode = "STRICT"; days = 1; }; }"#,
        "mode to be one of",
    ),
    ("scaleway_secret", r#"name = "x"; type = "password""#, "type to be one of"),
    (
        "scaleway_container_trigger",
        r#"container_id = "UUID"; cron {; schedule = "5 4 * * *"; timezone = "UTC"; }; destination_config {; http_method = "GET"; http_path = "/"; }"#,
        "http_method to be one of",
    ),
    ("scaleway_domain_record", r#"dns_zone = "example.org"; data = "a"; type = "WEB""#, "type to be one of"),
    (
        "aws_route53_record",
        r#"zone_id = "Z1"; name = "a"; type = "cname"; ttl = 300; records = ["b"]"#,
        "type to be one of",
    ),
    ("cloudflare_dns_record", r#"zone_id = "z"; name = "a"; type = "WEB"; ttl = 1"#, "type to be one of"),
    ("cloudflare_r2_bucket", r#"account_id = "a"; name = "b"; jurisdiction = "fi""#, "jurisdiction to be one of"),
    ("cloudflare_r2_bucket", r#"account_id = "a"; name = "b"; storage_class = "Cold""#, "storage_class to be one of"),
    (
        "cloudflare_r2_custom_domain",
        r#"account_id = "a"; bucket_name = "b"; domain = "d"; zone_id = "z"; enabled = true; min_tls = "1.4""#,
        "min_tls to be one of",
    ),
    (
        "cloudflare_r2_bucket_cors",
        r#"account_id = "a"; bucket_name = "b"; rules = [{ allowed = { methods = ["GET", "OPTIONS"], origins = ["*"] } }]"#,
        "methods[1] to be one of",
    ),
    (
        "cloudflare_r2_bucket_lifecycle",
        r#"account_id = "a"; bucket_name = "b"; rules = [{ id = "i", enabled = true, conditions = { prefix = "" }, delete_objects_transition = { condition = { type = "Size" } } }]"#,
        "type to be one of",
    ),
    (
        "aws_s3_bucket_versioning",
        r#"bucket = "b"; versioning_configuration {; status = "On"; }"#,
        "status to be one of",
    ),
    // Ranges.
    (
        "scaleway_object_bucket",
        r#"name = "x"; lifecycle_rule {; enabled = true; noncurrent_version_expiration {; noncurrent_days = 0; }; }"#,
        "noncurrent_days to be at least (1)",
    ),
    (
        "scaleway_object_bucket",
        r#"name = "x"; lifecycle_rule {; enabled = true; expiration {; days = 0; }; }"#,
        "days to be at least (1)",
    ),
    (
        "scaleway_domain_record",
        r#"dns_zone = "example.org"; data = "a"; type = "A"; ttl = 59"#,
        "ttl to be in the range (60 - 2592000)",
    ),
    ("scaleway_mnq_sqs_queue", r#"KEYS; message_max_age = 59"#, "message_max_age to be in the range (60 - 1209600)"),
    (
        "scaleway_mnq_sqs_queue",
        r#"KEYS; visibility_timeout_seconds = 43201"#,
        "visibility_timeout_seconds to be in the range",
    ),
    (
        "aws_sqs_queue",
        r#"name = "q"; receive_wait_time_seconds = 21"#,
        "receive_wait_time_seconds to be in the range (0 - 20)",
    ),
    ("scaleway_cockpit_source", r#"retention_days = 366"#, "retention_days to be in the range (1 - 365)"),
    // Times, schedules, durations and other formats.
    (
        "scaleway_iam_api_key",
        r#"application_id = "UUID"; expires_at = "2027-01-01""#,
        "expires_at to be a time of RFC 3339",
    ),
    (
        "scaleway_object_bucket",
        r#"name = "x"; lifecycle_rule {; enabled = true; expiration {; date = "1.1.2027"; }; }"#,
        "date to be a date",
    ),
    (
        "scaleway_container_cron",
        r#"container_id = "UUID"; args = "{}"; schedule = "0 0 * * 7""#,
        "schedule to be a cron schedule",
    ),
    (
        "scaleway_container",
        r#"PLAIN; liveness_probe {; failure_threshold = 3; interval = "10"; timeout = "1s"; tcp = true; }"#,
        "interval to be a duration",
    ),
    (
        "scaleway_secret",
        r#"name = "x"; ephemeral_policy {; action = "delete"; ttl = "a week"; }"#,
        "ttl to be a duration",
    ),
    (
        "scaleway_domain_record",
        r#"dns_zone = "example.org"; data = "a"; type = "A"; view {; subnet = "192.0.2.1"; data = "a"; }"#,
        "subnet to be a network",
    ),
    // Lengths.
    ("scaleway_object", r#"bucket = "b"; key = "k"; sse_customer_key = "short""#, "at least 32 are required"),
    (
        "scaleway_object",
        r#"bucket = "b"; key = "k"; metadata = { Owner = "me" }"#,
        "the key \"Owner\" of metadata to be in lower case",
    ),
    (
        "scaleway_container",
        r#"PLAIN; environment_variables = { (format("K%0100d", 0)) = "" }"#,
        "has 101 bytes, and 100 are allowed",
    ),
];

/// The same fields with values that are allowed.
const RIGHT: &[(&str, &str)] = &[
    (
        "scaleway_object_bucket",
        r#"name = "x"; project_id = "UUID"; acl = "private"; lifecycle_rule {; enabled = true; noncurrent_version_expiration {; noncurrent_days = 1; }; expiration {; date = "2027-01-01"; }; transition {; days = 0; storage_class = "GLACIER"; }; }"#,
    ),
    (
        "scaleway_iam_policy",
        r#"application_id = "UUID"; rule {; permission_set_names = ["A"]; project_ids = ["UUID"]; }"#,
    ),
    ("scaleway_container_domain", r#"hostname = "a.example.org"; container_id = "fr-par/UUID""#),
    ("scaleway_iam_api_key", r#"application_id = "UUID"; expires_at = "2027-01-01T00:00:00Z""#),
    ("scaleway_container_cron", r#"container_id = "UUID"; args = "{}"; schedule = "*/5 0-6 1,15 jan SUN""#),
    ("scaleway_mnq_sqs_queue", r#"KEYS; message_max_age = 60; visibility_timeout_seconds = 43200"#),
    ("scaleway_domain_record", r#"dns_zone = "example.org"; data = "a"; type = "ALIAS"; ttl = 60"#),
    ("cloudflare_r2_bucket", r#"account_id = "a"; name = "b"; jurisdiction = "EU""#),
    (
        "cloudflare_r2_bucket_cors",
        r#"account_id = "a"; bucket_name = "b"; rules = [{ allowed = { methods = ["get"], origins = ["*"] } }]"#,
    ),
    // The provider's limit of the values of a map never runs; the API has another one.
    (
        "scaleway_container",
        r#"PLAIN; environment_variables = { A = format("%01001d", 0) }; secret_environment_variables = { A = format("%03000d", 0) }"#,
    ),
];

/// Arguments of a container that `validate` accepts and an apply does not.
const REFUSED_BY_API: &[(&str, &str)] = &[
    (
        r#"PLAIN; startup_probe {; failure_threshold = 60; interval = "5s"; timeout = "4s"; tcp = true; }"#,
        "startup_probe[0].failure_threshold to be in the range (3 - 50), got 60",
    ),
    (
        r#"PLAIN; startup_probe {; failure_threshold = 3; interval = "5s"; timeout = "4s"; http {; path = format("/%0100d", 0); }; }"#,
        "path has 101 characters, and 100 are allowed",
    ),
    (
        r#"PLAIN; cpu_limit = 6000; memory_limit_bytes = 12884901888"#,
        "memory_limit_bytes to be in the range (128000000 - 12288000000)",
    ),
    (
        r#"PLAIN; cpu_limit = 1000; memory_limit_bytes = 999999999"#,
        "cpu_limit 1000 requires memory_limit_bytes from 1000000000 to 4000000000",
    ),
    (
        r#"PLAIN; cpu_limit = 2000; memory_limit_bytes = 8000000001"#,
        "cpu_limit 2000 requires memory_limit_bytes from 2000000000 to 8000000000",
    ),
    (r#"PLAIN; min_scale = 11"#, "min_scale to be in the range (0 - 10)"),
    (r#"PLAIN; timeout = 9"#, "timeout to be in the range (10 - 3600)"),
    (r#"PLAIN; port = 9090"#, "port to be none of [8008, 8012, 8013, 8022, 9090, 9091]"),
    (
        r#"PLAIN; environment_variables = { A = format("%01001d", 0) }"#,
        "environment_variables[\"A\"] has 1001 characters, and 1000 are allowed",
    ),
    (
        r#"PLAIN; secret_environment_variables = { A = format("%065537d", 0) }"#,
        "has 65537 bytes, and 65536 are allowed",
    ),
];

/// What the API accepts at its limits.
const ACCEPTED_BY_API: &[&str] = &[
    r#"PLAIN; startup_probe {; failure_threshold = 50; interval = "5s"; timeout = "4s"; tcp = true; }"#,
    r#"PLAIN; cpu_limit = 2000; memory_limit_bytes = 8000000000; min_scale = 10; timeout = 10; port = 9092"#,
    r#"PLAIN; environment_variables = { A = join("", [for i in range(1000) : "ä"]) }"#,
    r#"PLAIN; secret_environment_variables = { A = format("%065536d", 0) }"#,
];

#[test]
fn values_that_a_provider_refuses_are_errors_of_validate() {
    let Some(provider) = TestProvider::new() else { return };
    let stack =
        provider.stack_without_init(&configuration(WRONG.iter().map(|(kind, arguments, _)| (*kind, *arguments))));
    let found = errors(&stack.run(&["validate", "-json"]).stdout);
    let missing: Vec<_> = WRONG
        .iter()
        .enumerate()
        .filter(|(number, (kind, _, words))| {
            !found.get(&address(kind, *number)).is_some_and(|said| said.contains(words))
        })
        .map(|(number, (kind, arguments, _))| format!("{kind} {arguments}: {:?}", found.get(&address(kind, number))))
        .collect();
    assert!(WRONG.len() >= 34 && missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn values_within_the_limits_are_valid() {
    let Some(provider) = TestProvider::new() else { return };
    let stack = provider.stack_without_init(&configuration(RIGHT.iter().copied()));
    let result = stack.run(&["validate", "-json"]);
    assert_eq!((errors(&result.stdout), result.code), (BTreeMap::new(), 0));
}

#[test]
fn what_only_the_api_refuses_fails_the_apply_and_creates_nothing() {
    let Some(provider) = TestProvider::new() else { return };
    let containers = REFUSED_BY_API.iter().map(|(arguments, _)| ("scaleway_container", *arguments));
    let stack = provider.stack(&configuration(containers));
    stack.ok(&["validate"]);
    let result = stack.run(&["apply", "-auto-approve", "-input=false", "-json"]);
    let found = errors(&result.stdout);
    for (number, (arguments, words)) in REFUSED_BY_API.iter().enumerate() {
        let said = found.get(&address("scaleway_container", number));
        assert!(said.is_some_and(|said| said.contains(words)), "{arguments}: {said:?}");
    }
    assert_eq!(provider.stored("scaleway_container"), []);

    stack.write(&configuration(ACCEPTED_BY_API.iter().map(|arguments| ("scaleway_container", *arguments))));
    let result = stack.apply();
    assert_eq!(result.code, 0, "{}", result.output);
    // What a configuration leaves out.
    let first = stack.values(&address("scaleway_container", 0));
    assert_eq!((&first["cpu_limit"], &first["memory_limit_bytes"]), (&json!(1000), &json!(2_048_000_000)));
}

fn address(kind: &str, number: usize) -> String {
    format!("{kind}.n{number}")
}

/// A resource for each entry, named after its position.
fn configuration<'a>(resources: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let resource = |(number, (kind, arguments)): (usize, (&str, &str))| {
        let arguments = arguments
            .replace("UUID", UUID)
            .replace("PLAIN", "namespace_id = \"fr-par/UUID\"; image = \"a\"")
            .replace("RULE", "rule {; permission_set_names = [\"A\"]; }")
            .replace("KEYS", "access_key = \"a\"; secret_key = \"b\"")
            .replace(';', "\n");
        format!("resource \"{kind}\" \"n{number}\" {{\n{arguments}\n}}\n")
    };
    resources.enumerate().map(resource).collect()
}

/// The errors in OpenTofu's JSON, by the address of the resource: of `validate`, or the events of `apply`.
fn errors(stdout: &str) -> BTreeMap<String, String> {
    let documents = serde_json::Deserializer::from_str(stdout).into_iter::<Value>();
    let mut found = BTreeMap::<String, String>::new();
    for document in documents.map(|document| document.unwrap()) {
        let event = document.get("diagnostic").cloned();
        let listed = document["diagnostics"].as_array().cloned().unwrap_or_default();
        for diagnostic in listed.into_iter().chain(event).filter(|diagnostic| diagnostic["severity"] == "error") {
            let address = diagnostic["address"].as_str().unwrap_or_default().to_owned();
            let text = format!(
                "{}: {}\n",
                diagnostic["summary"].as_str().unwrap(),
                diagnostic["detail"].as_str().unwrap_or_default()
            );
            found.entry(address).or_default().push_str(&text);
        }
    }
    found
}
