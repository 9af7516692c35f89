//! Drift of stored resources, and resources that another stack has created.

use serde_json::{Value, json};

use super::harness::TestProvider;

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
fn edited_and_deleted_resources_are_restored() {
    let Some(provider) = TestProvider::new() else { return };
    let stack = provider.stack(TWO);
    stack.apply();

    let (file, mut values) = provider.stored("scaleway_container_namespace").remove(0);
    values["tags"] = json!(["theirs"]);
    fs_err::write(&file, values.to_string()).unwrap();
    let plan = stack.plan();
    let drift = &plan["resource_drift"][0]["change"];
    assert_eq!((&drift["before"]["tags"], &drift["after"]["tags"]), (&json!(["mine"]), &json!(["theirs"])), "{plan}");
    assert_eq!(stack.changes(), [("scaleway_container_namespace.a".to_owned(), "update".to_owned())]);
    stack.apply();
    assert_eq!(provider.stored("scaleway_container_namespace")[0].1["tags"], json!(["mine"]));

    let before = stack.values("scaleway_registry_namespace.b");
    fs_err::remove_file(&provider.stored("scaleway_registry_namespace")[0].0).unwrap();
    assert_eq!(stack.changes(), [("scaleway_registry_namespace.b".to_owned(), "create".to_owned())]);
    stack.apply();
    assert_ne!(stack.values("scaleway_registry_namespace.b")["id"], before["id"]);
    assert_eq!(stack.changes(), []);

    // Resources survive a restart of the stand-in.
    drop(stack);
    let provider = provider.restart();
    assert_eq!(provider.stored("scaleway_registry_namespace").len(), 1);
}

#[test]
fn an_error_names_the_file_with_an_unknown_field() {
    let Some(provider) = TestProvider::new() else { return };
    let stack = provider.stack(TWO);
    stack.apply();
    let (file, mut values) = provider.stored("scaleway_registry_namespace").remove(0);
    values["nmae"] = json!("b");
    fs_err::write(&file, values.to_string()).unwrap();
    let result = stack.run(&["plan"]);
    assert_eq!(result.code, 1);
    assert!(result.one_line().contains("has the field \"nmae\", which the schema does not have"), "{}", result.output);
    assert!(result.one_line().contains(file.file_name().unwrap().to_str().unwrap()), "{}", result.output);
}

#[test]
fn existing_resources_are_imported_and_not_created_twice() {
    let Some(provider) = TestProvider::new() else { return };
    let rules = r#"
resource "cloudflare_r2_bucket_cors" "c" {
  account_id  = "0123456789abcdef0123456789abcdef"
  bucket_name = "media"
  rules = [{ allowed = { methods = ["GET"], origins = ["https://media.example.org"] } }]
}
"#;
    let (first, second) = (format!("{TWO}{rules}"), format!("{TWO}{rules}"));
    let stack = provider.stack(&first);
    assert_eq!(stack.apply().code, 0);
    let namespace = stack.values("scaleway_container_namespace.a");
    let id = namespace["id"].as_str().unwrap();

    // The other stack's state does not have the resources. The CORS rules of a bucket have no id and exist only once.
    let other = provider.stack(&second);
    let result = other.apply();
    assert_eq!(result.code, 1);
    let key = "0123456789abcdef0123456789abcdef/media";
    assert!(
        result.one_line().contains(&format!("cloudflare_r2_bucket_cors \"{key}\" already exists")),
        "{}",
        result.output
    );
    other.ok(&["import", "cloudflare_r2_bucket_cors.c", key]);
    other.ok(&["state", "rm", "scaleway_container_namespace.a"]);
    other.ok(&["import", "scaleway_container_namespace.a", id]);
    assert_eq!(other.values("scaleway_container_namespace.a"), namespace);
    assert_eq!(other.changes(), Vec::<(String, String)>::new());

    other.ok(&["state", "rm", "scaleway_registry_namespace.b"]);
    let result = other.run(&["import", "scaleway_registry_namespace.b", "nl-ams/none"]);
    assert_eq!(result.code, 1);
    let ids = provider
        .stored("scaleway_registry_namespace")
        .into_iter()
        .map(|(_, values): (_, Value)| values["id"].as_str().unwrap().to_owned());
    for id in ids {
        assert!(result.one_line().contains(&id), "{}", result.output);
    }
}
