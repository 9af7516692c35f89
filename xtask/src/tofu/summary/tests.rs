//! A plan as people, programs and pull requests see it.

use insta::assert_snapshot;

use super::*;
use crate::tofu::guard;

const PLAN: &str = r#"{"resource_changes":[
  {"address":"scaleway_container.app","type":"scaleway_container","change":{"actions":["update"],"before":{"tag":"sentinel-a","x":1},"after":{"tag":"b","x":1},"after_unknown":{"status":true}}},
  {"address":"scaleway_object_bucket.media","type":"scaleway_object_bucket","action_reason":"replace_because_cannot_update","change":{"actions":["delete","create"],"replace_paths":[["region"]]}},
  {"address":"scaleway_registry_namespace.images","type":"scaleway_registry_namespace","change":{"actions":["create"]}},
  {"address":"terraform_data.note[\"```\"]","type":"terraform_data","action_reason":"delete_because_each_key","change":{"actions":["delete"]}},
  {"address":"terraform_data.new","previous_address":"terraform_data.old","type":"terraform_data","change":{"actions":["no-op"]}},
  {"address":"terraform_data.same","type":"terraform_data","change":{"actions":["no-op"]}}],
  "resource_drift":[{"address":"scaleway_container.app","type":"scaleway_container","change":{"actions":["update"],"before":{"min_scale":1},"after":{"min_scale":0}}}],
  "output_changes":{"address":{"actions":["update"],"before":"sentinel-b","after":"sentinel-c"},"same":{"actions":["no-op"]}}}"#;

fn with<T>(json: &str, protect: &[&str], look: impl FnOnce(PlanSummary<'_>) -> T) -> T {
    let plan: Plan = serde_json::from_str(json).unwrap();
    let protected = protect.iter().map(|&entry| entry.to_owned()).collect();
    let refusals = guard::refusals(&plan, &protected);
    look(PlanSummary { environment: "production", plan: &plan, protected: &protected, refusals: &refusals })
}

#[test]
fn the_most_dangerous_changes_come_first() {
    let (counts, text) = with(PLAN, &["scaleway_object_bucket"], |summary| (summary.counts(), summary.text()));
    assert_snapshot!(counts, @"1 to delete, 1 to replace, 1 to update, 1 to create, 1 to move; 1 unchanged");
    assert_snapshot!(text, @r#"
    ± replace  scaleway_object_bucket.media        PROTECTED: refused; because of region
    - delete   terraform_data.note["```"]          its key is no longer in for_each
    ~ update   scaleway_container.app              status, tag
    + create   scaleway_registry_namespace.images
    → move     terraform_data.new                  was terraform_data.old
    ! scaleway_container.app was changed outside of OpenTofu: min_scale
    outputs  ~ address
    "#);
}

#[test]
fn markdown_says_the_same() {
    assert_snapshot!(with(PLAN, &["scaleway_container"], |summary| summary.markdown(Some("0123"))), @r#"
    ### production: 1 to delete, 1 to replace, 1 to update, 1 to create, 1 to move; 1 unchanged

    ````text
    - delete   terraform_data.note["```"]          its key is no longer in for_each
    ± replace  scaleway_object_bucket.media        because of region
    ~ update   scaleway_container.app              protected; status, tag
    + create   scaleway_registry_namespace.images
    → move     terraform_data.new                  was terraform_data.old
    ! scaleway_container.app was changed outside of OpenTofu: min_scale
    outputs  ~ address
    ````

    Approve with `cargo xtask tofu apply production --approve 0123`
    "#);
    let refused = with(PLAN, &["scaleway_object_bucket.media"], |summary| summary.markdown(Some("0123")));
    assert!(refused.contains("**Refused**") && !refused.contains("--approve"), "{refused}");
}

#[test]
fn json_has_everything_but_values() {
    let detail = with(PLAN, &["scaleway_object_bucket.media"], |summary| summary.json());
    assert_eq!(detail["counts"], json!({ "delete": 1, "replace": 1, "update": 1, "create": 1, "move": 1 }));
    assert_eq!(detail["refused"][0]["address"], "scaleway_object_bucket.media");
    assert_eq!(detail["changes"][0]["attributes"], json!(["status", "tag"]));
    assert!(!detail.to_string().contains("sentinel"), "{detail}");
}

#[test]
fn changes_beyond_the_limit_are_counted() {
    let change = |n| format!(r#"{{"address":"t.a[{n}]","type":"t","change":{{"actions":["create"]}}}}"#);
    let mut changes: Vec<String> = (0..10_000).map(change).collect();
    changes.push(r#"{"address":"t.gone","type":"t","change":{"actions":["delete"]}}"#.to_owned());
    let json = format!("{{\"resource_changes\":[{}]}}", changes.join(","));
    let text = with(&json, &[], |summary| summary.text());
    assert!(text.starts_with("- delete   t.gone"), "{text}");
    assert!(text.ends_with("… and 9961 more: 9961 to create"), "{text}");
    assert_eq!(text.lines().count(), 41);
}
