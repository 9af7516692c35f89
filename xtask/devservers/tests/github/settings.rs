//! Issues, secrets, variables, environments, settings and attestations.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::client::Client;

#[test]
fn an_issue_is_found_by_its_label_commented_and_closed() {
    let mut client = Client::new();
    client.repository.commit("main", "one");
    client.token = client.github.workflow_token(&["issues:write"]);
    let made =
        client.ok("POST", "/issues", json!({"title": "Drift in staging", "labels": ["drift", "drift: staging"]}));
    client.ok("POST", "/issues", json!({"title": "Something else"}));
    let pull = client.repository.pull_request("feat: two");
    let found = client.get("/issues?labels=drift,drift%3A%20staging&state=open");
    assert_eq!(found.as_array().unwrap().len(), 1);
    assert_eq!(found[0]["labels"][1]["name"], "drift: staging");
    let found =
        client.get("//search/issues?q=repo:acme/shop+is:issue+is:open+label:%22drift:+staging%22+in:title+Drift");
    assert_eq!((&found["total_count"], &found["items"][0]["number"]), (&json!(1), &made["number"]));
    let path = format!("/issues/{}", made["number"]);
    client.ok("PATCH", &path, json!({"state": "closed", "state_reason": "completed"}));
    assert_eq!(client.get("/issues?labels=drift"), json!([]));
    assert!(!client.get(&path)["closed_at"].is_null());
    client.ok("PATCH", &path, json!({"state": "open", "body": "again"}));
    assert_eq!(client.get("/labels").as_array().unwrap().len(), 2);
    client.refused(422, "POST", "/labels", json!({"name": "drift"}));
    client.get("/labels/drift");
    client.ok("DELETE", "/labels/drift", Value::Null);

    client.token = client.github.workflow_token(&["pull_requests:write"]);
    let comments = format!("/issues/{pull}/comments");
    let comment = client.ok("POST", &comments, json!({"body": "the plan"}));
    let path = format!("/issues/comments/{}", comment["id"]);
    client.ok("PATCH", &path, json!({"body": "the new plan"}));
    assert_eq!(client.get(&comments)[0]["body"], "the new plan");
    assert_eq!(client.get(&format!("/issues/{pull}"))["comments"], 1);
    client.refused(422, "PATCH", &path, json!({"body": "x".repeat(65_537)}));
    client.refused(404, "POST", "/issues/99/comments", json!({"body": "nowhere"}));
    client.ok("DELETE", &path, Value::Null);
    assert_eq!(client.repository.comments(), Vec::<Value>::new());
}

#[test]
fn a_secret_comes_in_a_sealed_box_and_is_never_shown() {
    let mut client = Client::new();
    client.repository.environment("production");
    for scope in ["/actions", "/environments/production"] {
        let key = client.get(&format!("{scope}/secrets/public-key"));
        let public: [u8; 32] = STANDARD.decode(key["key"].as_str().unwrap()).unwrap().try_into().unwrap();
        let seal = |value: &str| {
            let sealed =
                crypto_box::PublicKey::from(public).seal(&mut crypto_box::aead::OsRng, value.as_bytes()).unwrap();
            json!({"encrypted_value": STANDARD.encode(sealed), "key_id": key["key_id"]})
        };
        let path = format!("{scope}/secrets/database_url");
        assert_eq!(client.send("PUT", &path, &seal("first")).status, 201);
        assert_eq!(client.send("PUT", &path, &seal("second")).status, 204);
        let listed = client.get(&format!("{scope}/secrets"));
        assert_eq!((&listed["total_count"], &listed["secrets"][0]["name"]), (&json!(1), &json!("DATABASE_URL")));
        assert!(!client.get(&path).to_string().contains("second"));
        for name in ["GITHUB_TOKEN", "1ST", "A-B"] {
            client.refused(422, "PUT", &format!("{scope}/secrets/{name}"), seal("x"));
        }
        let mut other = seal("x");
        other["encrypted_value"] = STANDARD.encode([7; 64]).into();
        client.refused(422, "PUT", &path, other);
        let mut other = seal("x");
        other["key_id"] = "1".into();
        client.refused(422, "PUT", &path, other);
    }
    assert_eq!(client.repository.secrets(Some("production"))["DATABASE_URL"], "second");
    client.repository.set_secret(None, "OLD", "value", "2020-01-01T00:00:00Z");
    assert_eq!(client.get("/actions/secrets/old")["updated_at"], "2020-01-01T00:00:00Z");
    client.ok("DELETE", "/actions/secrets/old", Value::Null);
    assert_eq!(client.repository.secrets(None).len(), 1);
    client.refused(404, "GET", "/environments/none/secrets", Value::Null);
    client.token = client.github.personal_token(&["secrets:write"]);
    client.refused(403, "GET", "/environments/production/secrets", Value::Null);
}

#[test]
fn variables_environments_and_settings_are_kept() {
    let client = Client::new();
    client.repository.commit("main", "one");
    let rules = json!({
        "wait_timer": 5, "prevent_self_review": true, "reviewers": [{"type": "User", "id": 7}, {"type": "Team", "id": 8}],
        "deployment_branch_policy": {"protected_branches": false, "custom_branch_policies": true},
    });
    let kinds = |environment: &Value| -> Vec<String> {
        let rules = environment["protection_rules"].as_array().unwrap();
        rules.iter().map(|rule| rule["type"].as_str().unwrap().to_owned()).collect()
    };
    let made = client.ok("PUT", "/environments/production", rules);
    assert_eq!(kinds(&made), ["wait_timer", "required_reviewers", "branch_policy"]);
    let policies = "/environments/production/deployment-branch-policies";
    let policy = client.ok("POST", policies, json!({"name": "build-*", "type": "tag"}));
    assert_eq!(client.send("POST", policies, &json!({"name": "build-*", "type": "tag"})).status, 303);
    let path = format!("{policies}/{}", policy["id"]);
    client.ok("PUT", &path, json!({"name": "build-2*"}));
    assert_eq!(client.get(&path)["name"], "build-2*");
    assert_eq!(client.get(policies)["branch_policies"][0]["type"], "tag");
    client.ok("DELETE", &path, Value::Null);
    let bare = client.ok("PUT", "/environments/production", Value::Null);
    assert_eq!(kinds(&bare), Vec::<String>::new(), "what a request leaves out is gone");
    assert_eq!(client.get("/environments")["total_count"], 1);
    client.get("/environments/production");

    for scope in ["/actions/variables", "/environments/production/variables"] {
        client.ok("POST", scope, json!({"name": "region", "value": "eu"}));
        client.refused(409, "POST", scope, json!({"name": "REGION", "value": "eu"}));
        client.ok("PATCH", &format!("{scope}/REGION"), json!({"value": "us"}));
        assert_eq!(client.get(&format!("{scope}/REGION"))["value"], "us");
        assert_eq!(client.get(scope)["variables"][0]["name"], "REGION");
    }
    assert_eq!(client.repository.variables(Some("production"))["REGION"], "us");
    client.ok("DELETE", "/actions/variables/REGION", Value::Null);
    assert!(client.repository.variables(None).is_empty());

    client.refused(409, "GET", "/actions/permissions/selected-actions", Value::Null);
    client.ok("PUT", "/actions/permissions", json!({"enabled": true, "allowed_actions": "selected"}));
    client.ok("PUT", "/actions/permissions/selected-actions", json!({"patterns_allowed": ["docker/*"]}));
    assert_eq!(client.get("/actions/permissions")["allowed_actions"], "selected");
    assert_eq!(client.get("/actions/permissions/selected-actions")["patterns_allowed"][0], "docker/*");
    client.ok("PUT", "/actions/permissions/workflow", json!({"default_workflow_permissions": "read"}));
    assert_eq!(client.get("/actions/permissions/workflow")["default_workflow_permissions"], "read");
    client.refused(404, "GET", "/immutable-releases", Value::Null);
    client.ok("PUT", "/immutable-releases", Value::Null);
    assert_eq!(client.get("/immutable-releases")["enabled"], true);
    client.ok("DELETE", "/immutable-releases", Value::Null);
    client.ok("PATCH", "", json!({"delete_branch_on_merge": true}));
    assert_eq!(client.get("")["delete_branch_on_merge"], true);
    client.ok("DELETE", "/environments/production", Value::Null);
}

#[test]
fn attestations_are_found_by_the_digests_in_them() {
    let client = Client::new();
    let bundle = |kind: &str, digest: &str| {
        let statement = json!({"predicateType": kind, "subject": [{"name": "image", "digest": {"sha256": digest}}]});
        let payload = STANDARD.encode(statement.to_string());
        let envelope = json!({"payload": payload, "payloadType": "application/vnd.in-toto+json", "signatures": []});
        json!({"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "verificationMaterial": {}, "dsseEnvelope": envelope})
    };
    let provenance = bundle("https://slsa.dev/provenance/v1", "aa");
    client.ok("POST", "/attestations", json!({ "bundle": provenance }));
    client.repository.attest(&bundle("https://spdx.dev/Document/v2.3", "aa"));
    client.repository.attest(&bundle("https://slsa.dev/provenance/v1", "bb"));
    let found = client.get("/attestations/sha256:aa");
    assert_eq!(found["attestations"].as_array().unwrap().len(), 2);
    let found = client.get("/attestations/sha256%3Aaa?predicate_type=provenance");
    assert_eq!(found["attestations"].as_array().unwrap().len(), 1);
    assert_eq!(found["attestations"][0]["bundle"], provenance);
    client.refused(404, "GET", "/attestations/sha256:cc", Value::Null);
    client.refused(422, "POST", "/attestations", json!({"bundle": {"dsseEnvelope": {}}}));
}
