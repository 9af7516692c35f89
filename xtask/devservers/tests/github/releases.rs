//! Releases, their assets and their names.

use devservers::github::Fault;
use devservers::http::ask;
use serde_json::{Value, json};

use super::client::Client;

const HEX: &str = "0123456789abcdef0123456789abcdef01234567";

#[test]
fn a_release_is_made_completed_promoted_and_deleted() {
    let client = Client::new();
    let first = client.repository.commit("main", "feat: one");
    let release = json!({"tag_name": "build-1", "target_commitish": first, "prerelease": true, "body": "notes"});
    let made = client.ok("POST", "/releases", release.clone());
    assert_eq!((&made["draft"], &made["prerelease"]), (&json!(false), &json!(true)));
    assert_eq!(client.repository.resolve("refs/tags/build-1"), Some(first));
    let refused = client.refused(422, "POST", "/releases", release);
    assert_eq!(refused["errors"][0]["code"], "already_exists");
    client.refused(404, "GET", "/releases/latest", Value::Null);

    let uploads = made["upload_url"].as_str().unwrap().replace("{?name,label}", "?name=release.json");
    let (host, path) = uploads.trim_start_matches("http://").split_once('/').unwrap();
    let token = format!("token {}", client.token);
    let headers = [("Authorization", token.as_str()), ("User-Agent", "test"), ("Content-Type", "application/json")];
    let upload = || ask(host, "POST", &format!("/{path}"), &headers, "{}").unwrap();
    client.github.fail("POST /releases/{release_id}/assets", Fault::HalfUpload);
    assert_eq!(upload().status, 502);
    let half = &client.repository.releases()[0]["assets"][0];
    assert_eq!(half["state"], "open");
    assert!(upload().text().contains("already_exists"), "what is left of an upload is in the way");
    client.ok("DELETE", &format!("/releases/assets/{}", half["id"]), Value::Null);
    let asset: Value = serde_json::from_slice(&upload().body).unwrap();
    assert_eq!(asset["size"], 2);
    let again = upload();
    assert_eq!(again.status, 422);
    assert!(again.text().contains("already_exists"), "{}", again.text());

    let id = &made["id"];
    let shown = client.get(&format!("/releases/{id}"));
    assert_eq!(shown["assets"][0]["name"], "release.json");
    let path = format!("/repos/acme/shop/releases/assets/{}", asset["id"]);
    let octets = [headers[0], headers[1], ("Accept", "application/octet-stream")];
    let redirect = ask(&client.github.url(), "GET", &path, &octets, "").unwrap();
    assert_eq!(redirect.status, 302);
    let location = redirect.header("location").unwrap();
    let (host, path) = location.trim_start_matches("http://").split_once('/').unwrap();
    assert_eq!(ask(host, "GET", &format!("/{path}"), &[], "").unwrap().body, b"{}");
    assert_eq!(
        ask(host, "GET", &format!("/{path}"), &headers[..1], "").unwrap().status,
        400,
        "no token for the objects"
    );

    // Not a flag but a text.
    let latest = client.refused(400, "PATCH", &format!("/releases/{id}"), json!({"make_latest": true}));
    assert!(latest["message"].as_str().unwrap().contains("make_latest"), "{latest}");
    assert_eq!(client.github.take_violations().len(), 1 + 1, "a type and an enumeration");
    client.ok("PATCH", &format!("/releases/{id}"), json!({"prerelease": false, "make_latest": "true"}));
    assert_eq!(client.get("/releases/latest")["id"], *id);
    assert_eq!(client.get("/releases/tags/build-1")["prerelease"], false);
    client.ok("DELETE", &format!("/releases/{id}"), Value::Null);
    assert_eq!(client.get("/releases"), json!([]));
    assert!(client.repository.resolve("refs/tags/build-1").is_some(), "the tag stays");
}

#[test]
fn a_draft_has_no_tag_and_is_seen_by_those_who_may_write() {
    let mut client = Client::new();
    let (owner, reader) = (client.token.clone(), client.github.workflow_token(&["contents:read"]));
    let sha = client.repository.commit("main", "one");
    let draft = json!({"tag_name": "v1", "draft": true, "prerelease": true, "target_commitish": sha});
    let path = format!("/releases/{}", client.ok("POST", "/releases", draft)["id"]);
    client.refused(404, "GET", "/releases/tags/v1", Value::Null);
    client.refused(422, "PATCH", &path, json!({"make_latest": "true"}));
    assert!(client.repository.events().is_empty(), "{:?}", client.repository.events());
    client.token = reader;
    assert_eq!(client.get("/releases"), json!([]));
    client.refused(404, "GET", &path, Value::Null);
    client.token = owner;
    client.ok("PATCH", &path, json!({"draft": false}));
    assert_eq!(client.repository.resolve("refs/tags/v1"), Some(sha));
    client.ok("POST", "/releases", json!({"tag_name": "v2"}));
    client.ok("PATCH", &path, json!({"prerelease": false}));
    assert_eq!(client.get("/releases/latest")["tag_name"], "v2", "v1 was not marked as the latest");
}

#[test]
fn an_immutable_release_keeps_its_assets_and_its_tag() {
    let client = Client::new();
    client.repository.commit("main", "one");
    client.repository.immutable(true);
    let made = client.ok("POST", "/releases", json!({"tag_name": "v1"}));
    assert_eq!(made["immutable"], true);
    let (id, url) = (&made["id"], made["upload_url"].as_str().unwrap().replace("{?name,label}", "?name=a"));
    let (host, path) = url.trim_start_matches("http://").split_once('/').unwrap();
    let token = format!("Bearer {}", client.token);
    let upload =
        ask(host, "POST", &format!("/{path}"), &[("Authorization", &token), ("User-Agent", "t")], "x").unwrap();
    assert_eq!(upload.status, 422);
    client.refused(422, "DELETE", "/git/refs/tags/v1", Value::Null);
    client.refused(422, "PATCH", &format!("/releases/{id}"), json!({"tag_name": "v2"}));
}

#[test]
fn names_of_forty_hexadecimal_digits_are_refused() {
    let client = Client::new();
    let sha = client.repository.commit("main", "one");
    for kind in ["tags", "heads"] {
        let refused =
            client.refused(422, "POST", "/git/refs", json!({"ref": format!("refs/{kind}/{HEX}"), "sha": sha}));
        assert!(refused["message"].as_str().unwrap().starts_with("GH002"), "{refused}");
    }
    client.refused(422, "POST", "/releases", json!({"tag_name": HEX}));
    let made = client.ok("POST", "/git/refs", json!({"ref": format!("refs/tags/{}", &HEX[..12]), "sha": sha}));
    assert_eq!(made["object"]["sha"], sha);
    assert_eq!(client.repository.releases(), Vec::<Value>::new());
}
