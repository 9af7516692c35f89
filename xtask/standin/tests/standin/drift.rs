//! What somebody else does to what exists, and what exists without a stack.

use serde_json::{Value, json};

use super::world::World;

const TWO: &str = r#"
resource "scaleway_container_namespace" "a" {
  name = "a"
  tags = ["mine"]
}

resource "scaleway_registry_namespace" "b" {
  name = "b"
}
"#;

#[test]
fn what_was_edited_or_deleted_is_seen_and_mended() {
    let Some(world) = World::new() else { return };
    let stack = world.stack(TWO);
    stack.apply();

    let (file, mut values) = world.kept("scaleway_container_namespace").remove(0);
    values["tags"] = json!(["theirs"]);
    fs_err::write(&file, values.to_string()).unwrap();
    let plan = stack.plan();
    let drift = &plan["resource_drift"][0]["change"];
    assert_eq!((&drift["before"]["tags"], &drift["after"]["tags"]), (&json!(["mine"]), &json!(["theirs"])), "{plan}");
    assert_eq!(stack.changes(), [("scaleway_container_namespace.a".to_owned(), "update".to_owned())]);
    stack.apply();
    assert_eq!(world.kept("scaleway_container_namespace")[0].1["tags"], json!(["mine"]));

    let before = stack.values("scaleway_registry_namespace.b");
    fs_err::remove_file(&world.kept("scaleway_registry_namespace")[0].0).unwrap();
    assert_eq!(stack.changes(), [("scaleway_registry_namespace.b".to_owned(), "create".to_owned())]);
    stack.apply();
    assert_ne!(stack.values("scaleway_registry_namespace.b")["id"], before["id"]);
    assert_eq!(stack.changes(), []);

    // The stand-in is started anew and nothing is lost.
    drop(stack);
    let world = world.again();
    assert_eq!(world.kept("scaleway_registry_namespace").len(), 1);
}

#[test]
fn a_file_that_was_broken_by_hand_is_named() {
    let Some(world) = World::new() else { return };
    let stack = world.stack(TWO);
    stack.apply();
    let (file, mut values) = world.kept("scaleway_registry_namespace").remove(0);
    values["nmae"] = json!("b");
    fs_err::write(&file, values.to_string()).unwrap();
    let ran = stack.run(&["plan"]);
    assert_eq!(ran.code, 1);
    assert!(ran.line().contains("has \"nmae\", which the schema does not know"), "{}", ran.said);
    assert!(ran.line().contains(file.file_name().unwrap().to_str().unwrap()), "{}", ran.said);
}

#[test]
fn what_exists_is_imported_and_not_made_twice() {
    let Some(world) = World::new() else { return };
    let rules = r#"
resource "cloudflare_r2_bucket_cors" "c" {
  account_id  = "0123456789abcdef0123456789abcdef"
  bucket_name = "media"
  rules = [{ allowed = { methods = ["GET"], origins = ["https://media.example.org"] } }]
}
"#;
    let (first, second) = (format!("{TWO}{rules}"), format!("{TWO}{rules}"));
    let stack = world.stack(&first);
    assert_eq!(stack.apply().code, 0);
    let there = stack.values("scaleway_container_namespace.a");
    let id = there["id"].as_str().unwrap();

    // Another state knows nothing of it. A bucket's rules have no id, and there can be only one.
    let other = world.stack(&second);
    let ran = other.apply();
    assert_eq!(ran.code, 1);
    let key = "0123456789abcdef0123456789abcdef/media";
    assert!(ran.line().contains(&format!("cloudflare_r2_bucket_cors \"{key}\" already exists")), "{}", ran.said);
    other.ok(&["import", "cloudflare_r2_bucket_cors.c", key]);
    other.ok(&["state", "rm", "scaleway_container_namespace.a"]);
    other.ok(&["import", "scaleway_container_namespace.a", id]);
    assert_eq!(other.values("scaleway_container_namespace.a"), there);
    assert_eq!(other.changes(), Vec::<(String, String)>::new());

    other.ok(&["state", "rm", "scaleway_registry_namespace.b"]);
    let ran = other.run(&["import", "scaleway_registry_namespace.b", "nl-ams/none"]);
    assert_eq!(ran.code, 1);
    let ids = world
        .kept("scaleway_registry_namespace")
        .into_iter()
        .map(|(_, values): (_, Value)| values["id"].as_str().unwrap().to_owned());
    for id in ids {
        assert!(ran.line().contains(&id), "{}", ran.said);
    }
}
