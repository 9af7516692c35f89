//! Commits, refs, comparisons, checks and deployments.

use serde_json::{Value, json};

use super::client::Client;

#[test]
fn refs_move_forward_only_and_rulesets_lock_them() {
    let client = Client::new();
    let first = client.repository.commit("main", "one");
    let second = client.repository.commit("main", "two");
    client.refused(422, "PATCH", "/git/refs/heads/main", json!({"sha": first}));
    client.ok("PATCH", "/git/refs/heads/main", json!({"sha": first, "force": true}));
    client.ok("PATCH", "/git/refs/heads/main", json!({"sha": second}));
    assert_eq!(client.get("/git/ref/heads/main")["object"]["sha"], second);
    assert_eq!(client.get("/branches/main")["protected"], false);
    let rules = json!({
        "name": "releases", "target": "tag", "enforcement": "active", "rules": [{"type": "deletion"}, {"type": "update"}],
        "conditions": {"ref_name": {"include": ["refs/tags/build-*"], "exclude": []}},
    });
    let ruleset = client.ok("POST", "/rulesets", rules.clone());
    client.refused(422, "POST", "/rulesets", rules);
    client.ok("POST", "/git/refs", json!({"ref": "refs/tags/build-1", "sha": first}));
    client.refused(422, "DELETE", "/git/refs/tags/build-1", Value::Null);
    assert!(client.get("/rulesets")[0].get("rules").is_none(), "a list shows less");
    client.ok("DELETE", &format!("/rulesets/{}", ruleset["id"]), Value::Null);
    client.ok("DELETE", "/git/refs/tags/build-1", Value::Null);
    client.refused(404, "GET", "/branches/main/protection", Value::Null);
    let checks = json!({"strict": true, "contexts": ["ci"]});
    let protection = json!({
        "required_status_checks": checks, "enforce_admins": true, "restrictions": null,
        "required_pull_request_reviews": {"required_approving_review_count": 1},
    });
    client.ok("PUT", "/branches/main/protection", protection);
    let shown = client.get("/branches/main/protection");
    assert_eq!(shown["required_status_checks"]["contexts"], json!(["ci"]));
    assert_eq!(client.get("/branches/main")["protected"], true);
    assert_eq!(client.get("/branches")[0]["protected"], true);
    client.get("/tags");
}

#[test]
fn two_commits_are_compared_by_their_ancestors() {
    let client = Client::new();
    let base = client.repository.commit("main", "base");
    client.repository.set_ref("refs/heads/topic", &base);
    let topic = client.repository.commit("topic", "topic");
    let main = client.repository.commit("main", "main");
    let status = |basehead: &str| {
        let shown = client.get(&format!("/compare/{basehead}"));
        (
            shown["status"].as_str().unwrap().to_owned(),
            shown["ahead_by"].as_u64().unwrap(),
            shown["behind_by"].as_u64().unwrap(),
        )
    };
    assert_eq!(status("main...topic"), ("diverged".to_owned(), 1, 1));
    assert_eq!(status(&format!("{base}...{topic}")), ("ahead".to_owned(), 1, 0));
    assert_eq!(status(&format!("main...{}", &base[..12])), ("behind".to_owned(), 0, 1));
    assert_eq!(status("main...main"), ("identical".to_owned(), 0, 0));
    assert_eq!(client.get("/compare/main...topic")["merge_base_commit"]["sha"], base);
    client.refused(404, "GET", "/compare/main...none", Value::Null);
    let commits = client.get("/commits?sha=main");
    assert_eq!(commits[0]["sha"], main);
    assert_eq!(commits.as_array().unwrap().len(), 2);
    assert_eq!(client.get("/commits/topic")["commit"]["message"], "topic");
    client.get(&format!("/git/commits/{main}"));
}

#[test]
fn commits_and_refs_come_from_a_git_folder() {
    let client = Client::new();
    let folder = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=A", "-c", "user.email=a@example.com"];
        let output =
            std::process::Command::new("git").current_dir(&folder).args(identity).args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "--initial-branch=main"]);
    git(&["commit", "--allow-empty", "--message=one\n\nwith a body"]);
    let first = git(&["rev-parse", "HEAD"]);
    git(&["tag", "--annotate", "v1", "--message=v1"]);
    git(&["commit", "--allow-empty", "--message=two"]);
    client.repository.read(folder.path()).unwrap();
    assert_eq!(client.repository.resolve("v1"), Some(first), "the commit that the tag names");
    assert_eq!(client.get("/compare/v1...main")["ahead_by"], 1);
    assert_eq!(client.get("/commits/v1")["commit"]["message"], "one\n\nwith a body");
}

#[test]
fn checks_and_statuses_are_of_a_commit() {
    let mut client = Client::new();
    let sha = client.repository.commit("main", "one");
    client.repository.check("ci", &sha, Some("failure"));
    client.repository.check("ci", &sha, Some("success"));
    let runs = client.get(&format!("/commits/{sha}/check-runs?check_name=ci"));
    assert_eq!((&runs["total_count"], &runs["check_runs"][0]["conclusion"]), (&json!(1), &json!("success")));
    assert_eq!(client.get(&format!("/commits/{sha}/check-runs?filter=all"))["total_count"], 2);
    assert_eq!(client.get("/commits/main/status")["state"], "pending");
    client.ok("POST", &format!("/statuses/{sha}"), json!({"state": "success", "context": "plan"}));
    assert_eq!(client.get("/commits/main/status")["state"], "success");
    assert_eq!(client.get("/commits/main/statuses")[0]["context"], "plan");
    client.refused(403, "POST", "/check-runs", json!({"name": "plan", "head_sha": sha}));
    client.token = client.github.workflow_token(&["checks:write"]);
    let made = client.ok("POST", "/check-runs", json!({"name": "plan", "head_sha": sha}));
    let path = format!("/check-runs/{}", made["id"]);
    client.ok("PATCH", &path, json!({"conclusion": "success", "output": {"title": "t", "summary": "s"}}));
    assert_eq!(client.get(&path)["status"], "completed");
}

#[test]
fn a_deployment_that_succeeds_makes_its_predecessors_inactive() {
    let client = Client::new();
    let sha = client.repository.commit("main", "one");
    client.repository.check("ci", &sha, Some("failure"));
    client.refused(409, "POST", "/deployments", json!({"ref": "main"}));
    let deploy = |environment: &str| {
        let body = json!({"ref": sha, "auto_merge": false, "required_contexts": [], "environment": environment});
        let id = client.ok("POST", "/deployments", body)["id"].clone();
        let path = format!("/deployments/{id}/statuses");
        client.ok("POST", &path, json!({"state": "in_progress", "log_url": "https://example.com/log"}));
        client.ok("POST", &path, json!({"state": "success"}));
    };
    for environment in ["staging", "staging", "production", "production"] {
        deploy(environment);
    }
    let states: Vec<Vec<String>> = client.repository.deployments().into_iter().map(|(_, states)| states).collect();
    assert_eq!(states[0], ["in_progress", "success", "inactive"]);
    assert_eq!(states[1], ["in_progress", "success"]);
    assert_eq!(states[2], ["in_progress", "success"], "GitHub leaves those of production as they are");
    let listed = client.get("/deployments?environment=staging");
    assert_eq!(listed.as_array().unwrap().len(), 2);
    let newest = format!("/deployments/{}", listed[0]["id"]);
    assert_eq!(client.get(&format!("{newest}/statuses"))[0]["state"], "success");
    client.refused(422, "DELETE", &newest, Value::Null);
    let long = "x".repeat(141);
    client.refused(422, "POST", &format!("{newest}/statuses"), json!({"state": "error", "description": long}));
}
