//! Protected resources are never deleted, replaced or forgotten.

use serde_json::json;

use crate::site::{STACK, Site};

/// Checks that a plan of this stack is refused for this reason and cannot be applied.
#[track_caller]
fn refused(site: &Site, stack: &str, what: &str) {
    site.project.write("infra/main.tf", stack);
    site.project.commit("A change");
    let ran = site.run(&["plan", "production"]).expect(21);
    assert!(ran.stdout.contains("PROTECTED: refused"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("--approve"), "{}", ran.stdout);
    ran.says(&[&format!("terraform_data.media would be {what}"), "remove the entry from `protect` in deploy.yaml"]);
    site.run(&["apply", "production"]).expect(21).says(&["there is no plan"]);
}

#[test]
fn a_plan_that_would_lose_a_protected_resource_is_refused() {
    let Some(site) = Site::made("a_plan_that_would_lose_a_protected_resource_is_refused") else { return };
    let media =
        "resource \"terraform_data\" \"media\" {\n  input            = var.secret\n  triggers_replace = [\"one\"]\n}\n";
    let output = "output \"secret\" {\n  value     = terraform_data.media.output\n  sensitive = true\n}\n";
    assert!(STACK.contains(media) && STACK.contains(output));
    let without = STACK.replace(media, "").replace(output, "");

    refused(&site, &without, "deleted;");
    refused(&site, &STACK.replace("[\"one\"]", "[\"two\"]"), "replaced;");
    let removed = "removed {\n  from = terraform_data.media\n  lifecycle {\n    destroy = false\n  }\n}\n";
    refused(&site, &format!("{without}{removed}"), "forgotten");
    let moved = "moved {\n  from = terraform_data.media\n  to   = terraform_data.other\n}\n";
    let renamed =
        STACK.replace("\"media\"", "\"other\"").replace("terraform_data.media.output", "terraform_data.other.output");
    refused(&site, &format!("{renamed}{moved}"), "moved to an unprotected address");

    // An update is allowed.
    site.project
        .write("infra/main.tf", &STACK.replace("input            = var.secret", "input            = \"other\""));
    site.project.commit("Another value");
    let plan = site.result(&["plan", "production"], 10);
    assert_eq!((&plan["counts"], &plan["refused"]), (&json!({ "update": 1 }), &json!([])));
}

#[test]
fn a_plan_from_before_the_protection_is_refused() {
    let Some(site) = Site::made("a_plan_from_before_the_protection_is_refused") else { return };
    site.project.edit("infra/main.tf", "input = var.size", "input = var.size\n  triggers_replace = [1]");
    site.project.commit("Made anew");
    let plan = site.result(&["plan", "production"], 10);
    assert_eq!(plan["changes"][0]["because_of"], json!(["triggers_replace"]));
    let approve = ["apply", "production", "--approve", plan["approval"].as_str().unwrap()];
    // An entry that is not committed is effective too. But a dirty tree is refused first.
    site.project.edit("deploy.yaml", "protect: [terraform_data.media]", "protect: [terraform_data]");
    site.run(&approve).expect(21).says(&["only a commit can be applied"]);
    site.run(&["plan", "production"]).expect(21).says(&["terraform_data.app would be replaced"]);
}

#[test]
fn protection_is_read_from_a_commit() {
    let Some(site) = Site::open("protection_is_read_from_a_commit") else { return };
    site.project.git(&["rm", "--quiet", "--cached", "deploy.yaml"]);
    site.project.git(&["commit", "--quiet", "--message", "Without"]);
    site.run(&["plan", "production"])
        .expect(21)
        .says(&["deploy.yaml of the checked-out commit, which does not have that file", "commit deploy.yaml"]);
}
