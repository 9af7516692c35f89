//! Configurations that `tofu validate` accepts and rejects, and its messages.

use super::harness::TestProvider;
use super::lifecycle::SERVICE;

/// The error, the configuration and parts of the message. In a configuration, `;` is a line break, and `PLAIN` stands for
/// the required arguments of a container.
const INVALID: &[(&str, &str, &[&str])] = &[
    // OpenTofu checks these with the schema.
    (
        "unknown attribute",
        r#"resource "scaleway_container" "x" {; PLAIN; memroy_limit = 256; }"#,
        &["Unsupported argument", "memroy_limit"],
    ),
    ("unknown type", r#"resource "scaleway_contianer" "x" {}"#, &["Invalid resource type", "scaleway_contianer"]),
    (
        "unknown block",
        r#"resource "scaleway_container" "x" {; PLAIN; probe {}; }"#,
        &["Unsupported block type", "probe"],
    ),
    (
        "attribute as block",
        r#"resource "scaleway_container" "x" {; PLAIN; tags {}; }"#,
        &["Unsupported block type", "tags"],
    ),
    (
        "block as attribute",
        r#"resource "scaleway_container" "x" {; PLAIN; liveness_probe = "5s"; }"#,
        &["Unsupported argument", "liveness_probe"],
    ),
    (
        "missing attribute",
        r#"resource "scaleway_container" "x" {; image = "a"; }"#,
        &["Missing required argument", "namespace_id"],
    ),
    (
        "missing attribute of a block",
        r#"resource "scaleway_container" "x" {; PLAIN; liveness_probe {; interval = "5s"; timeout = "1s"; }; }"#,
        &["failure_threshold"],
    ),
    ("missing block", r#"resource "scaleway_iam_policy" "x" {; no_principal = true; }"#, &["Insufficient rule blocks"]),
    (
        "too many blocks",
        r#"resource "scaleway_job_definition" "x" {; cpu_limit = 1; memory_limit = 1; image_uri = "a"; local_storage_capacity = 1; CRON; CRON; }"#,
        &["Too many cron blocks"],
    ),
    (
        "too many nested blocks",
        r#"resource "scaleway_container" "x" {; PLAIN; startup_probe {; PROBE; http {; path = "/"; }; http {; path = "/"; }; }; }"#,
        &["Too many http blocks"],
    ),
    (
        "a string for a number",
        r#"resource "scaleway_container" "x" {; PLAIN; port = "http"; }"#,
        &["Incorrect attribute value type", "port", "number"],
    ),
    (
        "a string for a list",
        r#"resource "scaleway_container" "x" {; PLAIN; tags = "a"; }"#,
        &["tags", "list of string"],
    ),
    (
        "a list for a map",
        r#"resource "scaleway_container" "x" {; PLAIN; environment_variables = ["A"]; }"#,
        &["environment_variables", "map of string"],
    ),
    (
        "a number for a bool",
        r#"resource "scaleway_object_bucket" "x" {; name = "x"; force_destroy = 2; }"#,
        &["force_destroy", "bool"],
    ),
    (
        "missing nested attribute",
        r#"resource "cloudflare_r2_bucket_cors" "x" {; account_id = "a"; bucket_name = "b"; rules = [{ allowed = { methods = ["GET"] } }]; }"#,
        &["origins", "required"],
    ),
    (
        "unknown attribute of a nested type",
        r#"resource "cloudflare_r2_bucket_cors" "x" {; account_id = "a"; bucket_name = "b"; rules = { allowed = 1 }; }"#,
        &["rules", "list of object required"],
    ),
    (
        "unknown attribute of the provider",
        r#"provider "scaleway" {; regoin = "fr-par"; }; resource "scaleway_container" "x" {; PLAIN; }"#,
        &["Unsupported argument", "regoin"],
    ),
    (
        "output of an unknown attribute",
        r#"resource "scaleway_container" "x" {; PLAIN; }; output "y" {; value = scaleway_container.x.addres; }"#,
        &["Unsupported attribute", "addres"],
    ),
    ("unknown data source", r#"data "scaleway_bucket" "x" {}"#, &["Invalid data source", "scaleway_bucket"]),
    // The provider checks these.
    (
        "null for a required attribute",
        r#"resource "scaleway_container" "x" {; image = "a"; namespace_id = null; }"#,
        &["Missing required argument", "namespace_id"],
    ),
    (
        "computed",
        r#"resource "scaleway_container" "x" {; PLAIN; status = "ready"; }"#,
        &["Value for unconfigurable attribute", "\"status\"", "decided automatically"],
    ),
    (
        "computed endpoint",
        r#"resource "scaleway_registry_namespace" "x" {; name = "x"; endpoint = "rg"; }"#,
        &["unconfigurable", "endpoint"],
    ),
    (
        "computed, AWS",
        r#"resource "aws_s3_bucket" "x" {; bucket = "x"; arn = "arn:aws:s3:::x"; }"#,
        &["unconfigurable", "arn"],
    ),
    (
        "computed, Cloudflare",
        r#"resource "cloudflare_r2_bucket" "x" {; account_id = "a"; name = "b"; creation_date = "now"; }"#,
        &["unconfigurable", "creation_date"],
    ),
    (
        "computed, Supabase",
        r#"resource "supabase_project" "x" {; name = "a"; organization_id = "b"; region = "c"; database_password = "d"; id = "e"; }"#,
        &["unconfigurable", "\"id\""],
    ),
    (
        "the id",
        r#"resource "scaleway_object_bucket" "x" {; name = "x"; id = "fr-par/x"; }"#,
        &["Invalid or unknown key", "\"id\""],
    ),
    (
        "computed in a data source",
        r#"data "scaleway_registry_namespace" "x" {; name = "x"; endpoint = "rg"; }"#,
        &["unconfigurable", "endpoint"],
    ),
    (
        "conflict",
        r#"resource "scaleway_container" "x" {; PLAIN; memory_limit = 256; memory_limit_bytes = 268435456; }"#,
        &["\"memory_limit\": conflicts with memory_limit_bytes"],
    ),
    (
        "conflict with a deprecated attribute",
        r#"resource "scaleway_container" "x" {; PLAIN; http_option = "enabled"; https_connections_only = true; }"#,
        &["conflicts with https_connections_only"],
    ),
    (
        "conflicting blocks",
        r#"resource "scaleway_container_trigger" "x" {; container_id = "c"; CRON; destination_config {; http_method = "get"; http_path = "/"; }; nats {; server_urls = ["n"]; subject = "s"; credentials_file_content = "c"; }; }"#,
        &["conflicts with nats"],
    ),
    (
        "conflict within a block",
        r#"resource "scaleway_container" "x" {; PLAIN; scaling_option {; concurrent_requests_threshold = 8; cpu_usage_threshold = 50; }; }"#,
        &["conflicts with scaling_option.cpu_usage_threshold"],
    ),
    (
        "conflict of a path with an index",
        r#"resource "scaleway_object_bucket_lock_configuration" "x" {; bucket = "b"; rule {; default_retention {; mode = "GOVERNANCE"; days = 1; years = 1; }; }; }"#,
        &["conflicts with rule.default_retention.years"],
    ),
    (
        "two of exactly one",
        r#"resource "scaleway_container" "x" {; PLAIN; registry_image = "b"; }"#,
        &["only one of `image,registry_image` can be specified", "`image,registry_image` were specified"],
    ),
    (
        "none of exactly one",
        r#"resource "scaleway_container" "x" {; namespace_id = "n"; }"#,
        &["one of `image,registry_image` must be specified"],
    ),
    (
        "two principals",
        r#"resource "scaleway_iam_policy" "x" {; application_id = "a"; user_id = "u"; rule {; permission_set_names = ["A"]; }; }"#,
        &["only one of `application_id,group_id,no_principal,user_id`"],
    ),
    (
        "two secrets",
        r#"resource "scaleway_secret_version" "x" {; secret_id = "s"; data = "a"; data_wo = "b"; }"#,
        &["only one of `data,data_wo`"],
    ),
    (
        "not an allowed value",
        r#"resource "scaleway_container" "x" {; PLAIN; privacy = "secret"; }"#,
        &["expected privacy to be one of", "\"private\"", "got secret"],
    ),
    (
        "not an allowed value, with a default",
        r#"resource "scaleway_container" "x" {; PLAIN; protocol = "http2"; }"#,
        &["expected protocol to be one of", "\"h2c\""],
    ),
    (
        "invalid region",
        r#"resource "scaleway_object_bucket" "x" {; name = "x"; region = "eu-north-1"; }"#,
        &["expected region to be one of", "fr-par"],
    ),
    (
        "invalid project",
        r#"resource "scaleway_object_bucket" "x" {; name = "x"; project_id = "media"; }"#,
        &["expected project_id to be a UUID"],
    ),
    (
        "invalid duration",
        r#"resource "scaleway_container" "x" {; PLAIN; startup_probe {; failure_threshold = 3; interval = "5"; timeout = "1s"; tcp = true; }; }"#,
        &["startup_probe[0].interval to be a duration"],
    ),
    (
        "invalid JSON",
        r#"resource "scaleway_object_bucket_policy" "x" {; bucket = "b"; policy = "{Version=1}"; }"#,
        &["expected policy to be JSON"],
    ),
    (
        "conflict, AWS",
        r#"resource "aws_sqs_queue" "x" {; name = "a"; name_prefix = "b"; }"#,
        &["conflicts with name_prefix"],
    ),
];

/// Unusual but valid configurations.
const VALID: &[&str] = &[
    r#"resource "scaleway_container" "x" {; PLAIN; liveness_probe {; PROBE; http {; path = "/"; }; }; startup_probe {; PROBE; }; }"#,
    // An unknown value passes validation.
    r#"resource "scaleway_object_bucket" "b" {; name = "b"; }; resource "scaleway_container" "x" {; PLAIN; privacy = scaleway_object_bucket.b.id; }"#,
    r#"resource "scaleway_secret_version" "x" {; secret_id = "s"; data_wo = "b"; data_wo_version = 1; }"#,
    r#"resource "scaleway_container" "x" {; PLAIN; description = "which the dump lacks"; }"#,
    SERVICE,
];

/// Expands the abbreviations. HCL requires one argument per line.
fn expand(short: &str) -> String {
    let probe = "failure_threshold = 3; interval = \"1m5s\"; timeout = \"500ms\"";
    let cron = "cron {; schedule = \"5 4 * * *\"; timezone = \"UTC\"; }";
    let full =
        short.replace("PLAIN", "namespace_id = \"n\"; image = \"a\"").replace("PROBE", probe).replace("CRON", cron);
    full.replace(';', "\n")
}

#[test]
fn invalid_configurations_are_rejected_with_a_message() {
    let Some(provider) = TestProvider::new() else { return };
    let mut failures = Vec::new();
    for (what, short, words) in INVALID {
        let stack = provider.stack_without_init(&expand(short));
        let result = stack.run(&["validate"]);
        let missing: Vec<_> = words.iter().filter(|word| !result.one_line().contains(**word)).collect();
        if result.code != 1 || !missing.is_empty() {
            failures.push(format!(
                "{what}: exit {}, without {missing:?}: {}\n{}",
                result.code,
                result.output,
                expand(short)
            ));
        }
    }
    assert!(INVALID.len() >= 40 && failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn valid_configurations_are_accepted() {
    let Some(provider) = TestProvider::new() else { return };
    for short in VALID {
        let result = provider.stack_without_init(&expand(short)).run(&["validate"]);
        assert_eq!(result.code, 0, "{}{}", result.output, expand(short));
    }
}
