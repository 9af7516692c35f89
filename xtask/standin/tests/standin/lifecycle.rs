//! A stack from the first plan to destroy.

use serde_json::json;

use super::harness::TestProvider;

/// A stack like the production one: its resources use values of each other that are known only after apply.
pub const SERVICE: &str = r#"
provider "scaleway" {
  region     = "nl-ams"
  project_id = "11111111-1111-4111-8111-111111111111"
}

variable "sha" {
  default = "sha256:aaaa"
}

variable "description" {
  default = "the service"
}

variable "secret" {
  default   = "sentinel-5b1d"
  sensitive = true
}

resource "scaleway_registry_namespace" "images" {
  name = "media"
}

resource "scaleway_container_namespace" "main" {
  name = "media"
  tags = [var.description]
}

resource "scaleway_object_bucket" "media" {
  name = "media-of-tests"
  cors_rule {
    allowed_methods = ["GET", "PUT"]
    allowed_origins = ["https://media.example.org"]
    max_age_seconds = 300
  }
}

resource "scaleway_object_bucket_policy" "media" {
  bucket = scaleway_object_bucket.media.id
  policy = jsonencode({ Version = "2023-04-17", Statement = [] })
}

resource "scaleway_container" "app" {
  name               = "app"
  namespace_id       = scaleway_container_namespace.main.id
  image              = "${scaleway_registry_namespace.images.endpoint}/app"
  registry_sha256    = var.sha
  cpu_limit          = 1000
  memory_limit_bytes = 1073741824
  timeout            = 300.5
  environment_variables = {
    BUCKET = scaleway_object_bucket.media.name
  }
  secret_environment_variables = {
    JWT_SECRET = var.secret
  }
  startup_probe {
    failure_threshold = 3
    interval          = "5s"
    timeout           = "1s"
    http {
      path = "/api/health/readiness"
    }
  }
}

resource "scaleway_container_domain" "app" {
  container_id = scaleway_container.app.id
  hostname     = "media.example.org"
}

output "address" {
  value = scaleway_container.app.public_endpoint
}
"#;

#[test]
fn a_stack_is_created_updated_replaced_and_destroyed() {
    let Some(provider) = TestProvider::new() else { return };
    let stack = provider.stack(SERVICE);
    assert!(stack.ok(&["validate"]).output.contains("Success!"));

    let plan = stack.plan();
    let unknown = &plan["resource_changes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["type"] == "scaleway_container")
        .unwrap()["change"]["after_unknown"];
    assert_eq!((&unknown["public_endpoint"], &unknown["id"]), (&json!(true), &json!(true)), "{unknown}");
    assert_eq!(plan["resource_changes"].as_array().unwrap().len(), 6);
    let result = stack.apply();
    assert!(result.output.contains("6 added, 0 changed, 0 destroyed"), "{}", result.output);
    assert_eq!(stack.changes(), []);

    let app = stack.values("scaleway_container.app");
    assert!(app["id"].as_str().unwrap().starts_with("nl-ams/"), "{app}");
    assert_eq!(app["status"], "ready");
    assert_eq!(app["image"], "rg.nl-ams.scw.cloud/media/app");
    assert_eq!(app["privacy"], "public", "a default that only the rules have");
    assert_eq!(app["timeout"], json!(300.5));
    assert!(stack.ok(&["output", "-raw", "address"]).stdout.starts_with("https://"));
    let namespace = stack.values("scaleway_container_namespace.main");
    assert_eq!(namespace["project_id"], "11111111-1111-4111-8111-111111111111");
    assert_eq!(stack.values("scaleway_object_bucket_policy.media")["id"], "nl-ams/media-of-tests");

    // Only one attribute changes, and no other depends on it.
    let later = ["-var=sha=sha256:bbbb"];
    stack.ok(&["plan", "-input=false", "-out=plan", later[0]]);
    let shown = stack.ok(&["show", "plan"]).output;
    assert!(shown.contains("0 to add, 1 to change, 0 to destroy"), "{shown}");
    let changed: Vec<_> =
        shown.lines().filter(|line| line.trim_start().starts_with(['~', '+', '-']) && line.contains('=')).collect();
    assert_eq!(changed.len(), 1, "{shown}");
    assert!(changed[0].contains("registry_sha256"), "{shown}");
    stack.ok(&["apply", "plan"]);
    assert_eq!(stack.values("scaleway_container.app")["id"], app["id"]);

    // A new name replaces the container, and also the domain, which uses the container's id.
    stack.write(&SERVICE.replace("name               = \"app\"", "name               = \"app2\""));
    let changes = stack.changes();
    let replaced = |name: &str| (format!("{name}.app"), "delete,create".to_owned());
    assert_eq!(
        changes.iter().filter(|(_, actions)| actions == "delete,create").cloned().collect::<Vec<_>>(),
        [replaced("scaleway_container"), replaced("scaleway_container_domain")],
        "{changes:?}"
    );
    assert!(stack.ok(&["show", "plan"]).output.contains("# forces replacement"));
    stack.ok(&["apply", "plan"]);
    assert_ne!(stack.values("scaleway_container.app")["id"], app["id"]);
    assert_eq!(provider.stored("scaleway_container").len(), 1, "the old container is deleted");

    stack.ok(&["destroy", "-auto-approve", "-input=false"]);
    assert_eq!(provider.stored("scaleway_container"), []);
    assert_eq!(provider.stored("scaleway_object_bucket"), []);
}
