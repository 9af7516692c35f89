//! Stacks that are wrong are refused before anything is planned, in the words of whoever knows it: OpenTofu, or the
//! provider.

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

resource "scaleway_container" "too_long" {
  namespace_id          = "n"
  image                 = "a"
  environment_variables = { KEY = format("%01001d", 0) }
}
"#;

#[test]
fn everything_that_is_wrong_is_told_with_its_place() {
    let Some(site) = site("everything_that_is_wrong_is_told_with_its_place", STACK) else { return };
    site.project.write("infra/wrong.tf", WRONG);
    let refused = site.run(&["validate", "production"]).expect(1);
    assert_snapshot!(refused.stderr, @"");
    site.project.write("infra/wrong.tf", "");
    site.run(&["validate", "production"]).expect(0);
}
