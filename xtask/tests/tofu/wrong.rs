//! Errors in a stack are reported before anything is planned, by OpenTofu or by the provider.

use insta::assert_snapshot;

use crate::small::{STACK, site};

const WRONG: &str = r#"resource "scaleway_container" "unknown" {
  namespace_id = "n"
  image        = "a"
  memroy_limit = 256
}

resource "scaleway_iam_policy" "missing_block" {
  no_principal = true
}

resource "scaleway_container" "computed" {
  namespace_id = "n"
  image        = "a"
  status       = "ready"
}

resource "scaleway_container" "exclusive" {
  namespace_id       = "n"
  image              = "a"
  memory_limit       = 256
  memory_limit_bytes = 268435456
}

resource "scaleway_container" "both_images" {
  namespace_id   = "n"
  image          = "a"
  registry_image = "a"
}

resource "scaleway_container" "no_such_value" {
  namespace_id = "n"
  image        = "a"
  privacy      = "secret"
}

resource "scaleway_object_bucket" "too_few" {
  name = "b"
  lifecycle_rule {
    enabled = true
    expiration {
      days = 0
    }
  }
}
"#;

#[test]
fn every_error_is_reported_with_file_and_line() {
    let Some(site) = site("every_error_is_reported_with_file_and_line", STACK) else { return };
    site.project.write("infra/wrong.tf", WRONG);
    let refused = site.run(&["validate", "production"]).expect(1);
    assert_snapshot!(refused.stderr, @r#"
      ! infra/wrong.tf:20:24: scaleway_container.exclusive: Argument is deprecated
      "memory_limit" is deprecated: see the provider's documentation for what replaces it.
      ! infra/wrong.tf:27:20: scaleway_container.both_images: Argument is deprecated
      "registry_image" is deprecated: see the provider's documentation for what replaces it.
    error: infra is not valid
      because infra/wrong.tf:4:3: Unsupported argument
        An argument named "memroy_limit" is not expected here. Did you mean "memory_limit"?
      infra/wrong.tf:7:48: Insufficient rule blocks
        At least 1 "rule" blocks are required.
      infra/wrong.tf:14:18: scaleway_container.computed: Value for unconfigurable attribute
        Can't configure a value for "status": its value will be decided automatically based on the result of applying this configuration.
      infra/wrong.tf:20:24: scaleway_container.exclusive: Conflicting configuration arguments
        "memory_limit": conflicts with memory_limit_bytes
      infra/wrong.tf:21:24: scaleway_container.exclusive: Conflicting configuration arguments
        "memory_limit_bytes": conflicts with memory_limit
      infra/wrong.tf:26:20: scaleway_container.both_images: Invalid combination of arguments
        "image": only one of `image,registry_image` can be specified, but `image,registry_image` were specified.
      infra/wrong.tf:33:18: scaleway_container.no_such_value: Invalid value for "privacy"
        expected privacy to be one of ["public", "private"], got secret
      infra/wrong.tf:41:14: scaleway_object_bucket.too_few: Invalid value for "lifecycle_rule[0].expiration[0].days"
        expected lifecycle_rule[0].expiration[0].days to be at least (1), got 0
    "#);
    site.project.write("infra/wrong.tf", "");
    site.run(&["validate", "production"]).expect(0);
}
