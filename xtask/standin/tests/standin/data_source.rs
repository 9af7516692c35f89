//! Data sources.

use serde_json::{Value, json};

use super::harness::TestProvider;

#[test]
fn data_sources_return_stored_resources_or_generated_values() {
    let Some(provider) = TestProvider::new() else { return };
    let resources = provider.stack(
        r#"
resource "scaleway_container_namespace" "a" {
  name = "a"
  tags = ["mine"]
}

resource "scaleway_container_namespace" "b" {
  name = "b"
}
"#,
    );
    resources.apply();
    let namespace = resources.values("scaleway_container_namespace.a");
    let config = r#"
data "scaleway_container_namespace" "by_name" {
  name = "a"
}

data "scaleway_container_namespace" "by_id" {
  namespace_id = "ID"
}

data "scaleway_container_namespace" "missing" {
  name = "not-here"
}

data "aws_caller_identity" "me" {}

data "scaleway_registry_image_tag" "app" {
  image_id = "11111111-1111-4111-8111-111111111111"
  name     = "latest"
}
"#;
    let stack = provider.stack(&config.replace("ID", namespace["id"].as_str().unwrap()));
    assert_eq!(stack.apply().code, 0);
    for name in ["by_name", "by_id"] {
        let found = stack.values(&format!("data.scaleway_container_namespace.{name}"));
        assert_eq!((&found["id"], &found["tags"]), (&namespace["id"], &namespace["tags"]), "{found}");
    }
    let missing = stack.values("data.scaleway_container_namespace.missing");
    assert!(missing["id"].as_str().unwrap().starts_with("fr-par/"), "{missing}");
    assert_eq!(stack.values("data.aws_caller_identity.me")["account_id"], "123456789012");
    let digest = stack.values("data.scaleway_registry_image_tag.app")["digest"].as_str().unwrap().to_owned();
    assert!(digest.starts_with("sha256:") && digest.len() == 71, "{digest}");
    assert_eq!(stack.changes(), [], "the same configuration generates the same values");
}

#[test]
fn aws_iam_policy_document_renders_its_blocks() {
    let Some(provider) = TestProvider::new() else { return };
    let stack = provider.stack(
        r#"
data "aws_iam_policy_document" "tls" {
  statement {
    sid       = "Tls"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = ["arn:aws:s3:::b", "arn:aws:s3:::b/*"]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

data "aws_iam_policy_document" "all" {
  source_policy_documents = [data.aws_iam_policy_document.tls.json]
  statement {
    actions   = ["s3:GetObject"]
    resources = ["arn:aws:s3:::b/media/*"]
    principals {
      type        = "Service"
      identifiers = ["cloudfront.amazonaws.com"]
    }
  }
}

resource "aws_s3_bucket_policy" "b" {
  bucket = "b"
  policy = data.aws_iam_policy_document.all.json
}
"#,
    );
    assert_eq!(stack.apply().code, 0);
    assert_eq!(stack.changes(), []);
    let values = stack.values("aws_s3_bucket_policy.b");
    let policy: Value = serde_json::from_str(values["policy"].as_str().unwrap()).unwrap();
    let expected = json!({
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Tls", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
                "Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/*"],
                "Condition": { "Bool": { "aws:SecureTransport": "false" } },
            },
            {
                "Effect": "Allow", "Principal": { "Service": "cloudfront.amazonaws.com" },
                "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/media/*",
            },
        ],
    });
    assert_eq!(policy, expected);
}
