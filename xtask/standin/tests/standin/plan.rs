//! Known and unknown values in plans.

use serde_json::json;

use super::harness::{Stack, TestProvider};

/// The fields of a resource that a plan changes, and whether the new value is known.
fn changed(stack: &Stack<'_>, address: &str) -> Vec<(String, bool)> {
    let plan = stack.plan();
    let all = plan["resource_changes"].as_array().unwrap();
    let change = &all.iter().find(|it| it["address"] == address).unwrap()["change"];
    let (before, after) = (change["before"].as_object().unwrap(), change["after"].as_object().unwrap());
    let unknown = change["after_unknown"].as_object().unwrap();
    let names =
        before.keys().filter(|name| unknown.get(*name) == Some(&json!(true)) || after.get(*name) != before.get(*name));
    names.map(|name| (name.clone(), unknown.get(name) != Some(&json!(true)))).collect()
}

fn known(name: &str) -> (String, bool) {
    (name.to_owned(), true)
}

fn unknown(name: &str) -> (String, bool) {
    (name.to_owned(), false)
}

#[test]
fn an_update_changes_only_dependent_fields() {
    let Some(provider) = TestProvider::new() else { return };
    let text = r#"
resource "scaleway_container" "app" {
  name         = "app"
  namespace_id = "fr-par/11111111-1111-4111-8111-111111111111"
  image        = "app:1"
  privacy      = "private"
  port         = 9000
}

resource "scaleway_secret" "s" {
  name = "s"
  tags = ["a"]
}

resource "aws_sqs_queue" "q" {
  name = "q"
  tags = { a = "1" }
}
"#;
    let stack = provider.stack(text);
    assert_eq!(stack.apply().code, 0);
    let edited = |from: &str, to: &str| stack.write(&text.replace(from, to));

    edited("app:1", "app:2");
    assert_eq!(changed(&stack, "scaleway_container.app"), [known("image"), unknown("registry_image")]);
    edited("\"private\"", "null");
    assert_eq!(changed(&stack, "scaleway_container.app"), [known("privacy")], "the default comes back");
    edited("9000", "null");
    assert_eq!(changed(&stack, "scaleway_container.app"), [], "a computed field keeps its value");
    edited("[\"a\"]", "[\"b\"]");
    assert_eq!(changed(&stack, "scaleway_secret.s"), [known("tags"), unknown("updated_at")]);
    edited("\"1\"", "\"2\"");
    assert_eq!(changed(&stack, "aws_sqs_queue.q"), [known("tags"), known("tags_all")]);

    edited("app:1", "app:2");
    let id = stack.values("scaleway_container.app")["id"].clone();
    assert_eq!(stack.apply().code, 0);
    let app = stack.values("scaleway_container.app");
    assert_eq!((&app["id"], &app["registry_image"]), (&id, &json!("app:2")));
    assert_eq!(stack.changes(), []);
}

#[test]
fn blocks_are_added_changed_and_removed() {
    let Some(provider) = TestProvider::new() else { return };
    let bucket = |rules: &str| format!("resource \"scaleway_object_bucket\" \"b\" {{\n  name = \"b\"\n{rules}}}\n");
    let rule = |days: u32| {
        format!("  lifecycle_rule {{\n    enabled = true\n    expiration {{\n      days = {days}\n    }}\n  }}\n")
    };
    let stack = provider.stack(&bucket(&rule(1)));
    assert_eq!(stack.apply().code, 0);
    let id = stack.values("scaleway_object_bucket.b")["lifecycle_rule"][0]["id"].clone();
    for rules in [rule(1) + &rule(2), rule(3) + &rule(2), rule(3), String::new()] {
        stack.write(&bucket(&rules));
        assert_eq!(changed(&stack, "scaleway_object_bucket.b"), [known("lifecycle_rule")]);
        assert_eq!(stack.apply().code, 0);
        assert_eq!(stack.changes(), []);
        let there = &stack.values("scaleway_object_bucket.b")["lifecycle_rule"];
        assert!(there.as_array().unwrap().first().is_none_or(|first| first["id"] == id), "{there}");
    }

    let token = |scope: &str| {
        format!(
            "resource \"scaleway_cockpit_token\" \"t\" {{\n  name = \"t\"\n  scopes {{\n    {scope} = true\n  }}\n}}\n"
        )
    };
    stack.write(&token("query_logs"));
    assert_eq!(stack.apply().code, 0);
    assert_eq!(stack.values("scaleway_cockpit_token.t")["scopes"][0]["write_logs"], true, "a default within a block");
    stack.write(&token("query_traces"));
    assert_eq!(stack.changes(), [("scaleway_cockpit_token.t".to_owned(), "delete,create".to_owned())]);
}

#[test]
fn set_elements_keep_their_computed_values() {
    let Some(provider) = TestProvider::new() else { return };
    let job = |secrets: &[&str]| {
        let one =
            |name: &&str| format!("  secret_reference {{\n    secret_id = \"{name}\"\n    file = \"/{name}\"\n  }}\n");
        let size = "  cpu_limit = 1000\n  memory_limit = 1024\n  local_storage_capacity = 1024\n  image_uri = \"a\"\n";
        let secrets: String = secrets.iter().map(one).collect();
        format!("resource \"scaleway_job_definition\" \"j\" {{\n{size}{secrets}}}\n")
    };
    let stack = provider.stack(&job(&["b"]));
    assert_eq!(stack.apply().code, 0);
    let ids = |stack: &Stack<'_>| -> std::collections::BTreeMap<String, String> {
        let values = stack.values("scaleway_job_definition.j");
        let text = |it: &serde_json::Value, name: &str| it[name].as_str().unwrap().to_owned();
        let all = values["secret_reference"].as_array().unwrap();
        all.iter().map(|it| (text(it, "secret_id"), text(it, "secret_reference_id"))).collect()
    };
    let first = ids(&stack);
    stack.write(&job(&["a", "b", "c"]));
    assert_eq!(stack.apply().code, 0);
    assert_eq!(stack.changes(), []);
    let later = ids(&stack);
    assert_eq!((later.len(), &later["b"]), (3, &first["b"]));
    assert_ne!(later["a"], later["c"]);
    assert_eq!(stack.values("scaleway_job_definition.j")["secret_reference"][0]["secret_version"], "latest");
}

#[test]
fn validation_options_of_a_certificate_are_known_in_the_plan() {
    let Some(provider) = TestProvider::new() else { return };
    let stack = provider.stack(
        r#"
resource "aws_acm_certificate" "c" {
  domain_name               = "example.org"
  subject_alternative_names = ["media.example.org"]
  validation_method         = "DNS"
}

resource "aws_route53_record" "check" {
  for_each = { for option in aws_acm_certificate.c.domain_validation_options : option.domain_name => option }
  zone_id  = "Z0123456789ABCDEFGHIJ"
  name     = each.value.resource_record_name
  type     = each.value.resource_record_type
  records  = [each.value.resource_record_value]
  ttl      = 60
}
"#,
    );
    assert_eq!(stack.changes().len(), 3);
    assert_eq!(stack.apply().code, 0);
    assert_eq!(stack.changes(), []);
    let record = stack.values("aws_route53_record.check[\"media.example.org\"]");
    assert!(record["name"].as_str().unwrap().ends_with(".media.example.org."), "{record}");
}

#[test]
fn ids_and_arns_have_the_format_of_the_real_provider() {
    let Some(provider) = TestProvider::new() else { return };
    let stack = provider.stack(
        r#"
resource "scaleway_iam_application" "a" {
  name = "a"
}

resource "aws_iam_role" "plain" {
  name               = "plain"
  assume_role_policy = "{}"
}

resource "aws_iam_role" "below" {
  name               = "below"
  path               = "/media/"
  assume_role_policy = "{}"
}
"#,
    );
    assert_eq!(stack.apply().code, 0);
    assert_eq!(stack.changes(), []);
    let id = stack.values("scaleway_iam_application.a")["id"].as_str().unwrap().to_owned();
    assert!(id.len() == 36 && !id.contains('/'), "{id}");
    assert_eq!(stack.values("aws_iam_role.plain")["arn"], "arn:aws:iam::123456789012:role/plain");
    assert_eq!(stack.values("aws_iam_role.below")["arn"], "arn:aws:iam::123456789012:role/media/below");
}

#[test]
fn each_provider_block_has_its_own_configuration() {
    let Some(provider) = TestProvider::new() else { return };
    let text = r#"
provider "aws" {
  region = "eu-west-1"
  default_tags {
    tags = { team = "media", stage = "prod" }
  }
}

provider "aws" {
  alias  = "edge"
  region = "us-east-1"
}

resource "aws_sqs_queue" "near" {
  name = "near"
  tags = { stage = "test" }
}

resource "aws_sqs_queue" "far" {
  provider = aws.edge
  name     = "far"
}

resource "aws_acm_certificate" "far" {
  provider          = aws.edge
  domain_name       = "example.org"
  validation_method = "DNS"
}

resource "aws_route53_record" "check" {
  for_each = toset(aws_acm_certificate.far.domain_validation_options[*].domain_name)
  zone_id  = "Z0123456789ABCDEFGHIJ"
  name     = each.key
  type     = "CNAME"
  records  = ["a.example.org"]
}
"#;
    let stack = provider.stack(text);
    assert_eq!(stack.apply().code, 0);
    assert_eq!(stack.changes(), []);
    let near = stack.values("aws_sqs_queue.near");
    assert_eq!(near["arn"], "arn:aws:sqs:eu-west-1:123456789012:near");
    assert_eq!(near["url"], "https://sqs.eu-west-1.amazonaws.com/123456789012/near");
    let far = stack.values("aws_sqs_queue.far");
    assert_eq!(far["url"], "https://sqs.us-east-1.amazonaws.com/123456789012/far");
    assert_eq!(near["tags_all"], json!({ "team": "media", "stage": "test" }));
    let far = stack.values("aws_acm_certificate.far");
    assert!(far["arn"].as_str().unwrap().starts_with("arn:aws:acm:us-east-1:"), "{far}");

    stack.write(&text.replace("\"media\"", "\"images\""));
    assert_eq!(changed(&stack, "aws_sqs_queue.near"), [known("tags_all")]);
}
