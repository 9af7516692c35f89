//! The stand-in of GitHub: what it keeps, what it refuses, how it fails.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use devservers::GitHub;
use devservers::github::{Fault, Handle, Kind};
use devservers::http::{Answer, ask};
use serde_json::{Value, json};

/// A GitHub with one repository, and a token that asks it.
struct Client {
    github: GitHub,
    repository: Handle,
    token: String,
}

impl Client {
    fn new() -> Self {
        let github = GitHub::start();
        let (repository, token) = (github.repository("acme", "shop"), github.owner_token());
        Self { github, repository, token }
    }

    fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.try_send(method, path, body).unwrap()
    }

    fn try_send(&self, method: &str, path: &str, body: &Value) -> std::io::Result<Answer> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let path = if path.starts_with("//") { path[1..].to_owned() } else { format!("/repos/acme/shop{path}") };
        let token = format!("Bearer {}", self.token);
        ask(&self.github.url(), method, &path, &[("Authorization", &token), ("User-Agent", "test")], body)
    }

    /// Sends what has to succeed: the body.
    fn ok(&self, method: &str, path: &str, body: Value) -> Value {
        let answer = self.send(method, path, &body);
        assert!(answer.status < 300, "{method} {path}: {} {}", answer.status, answer.text());
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    fn get(&self, path: &str) -> Value {
        self.ok("GET", path, Value::Null)
    }

    /// Sends what has to be refused with this status: the body.
    fn refused(&self, status: u16, method: &str, path: &str, body: Value) -> Value {
        let answer = self.send(method, path, &body);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }
}

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

#[test]
fn a_promotion_starts_a_workflow_unless_a_workflow_makes_it() {
    let mut client = Client::new();
    client.repository.commit("main", "one");
    let person = client.token.clone();
    client.token = client.github.workflow_token(&["contents:write", "actions:write"]);
    let does = Arc::new(|run: &devservers::github::Run| {
        let job = run.job("deploy");
        run.step(job, "xtask deploy", None);
        run.log(job, &format!("deploying {}", run.payload()["release"]["tag_name"]));
        run.step(job, "xtask deploy", Some("success"));
    });
    client.repository.workflow(
        ".github/workflows/deploy.yml",
        "Deploy",
        &["release:released", "workflow_dispatch"],
        Some(does),
    );
    let promote = |client: &Client, tag: &str| {
        let id = client.ok("POST", "/releases", json!({"tag_name": tag, "prerelease": true}))["id"].clone();
        client.ok("PATCH", &format!("/releases/{id}"), json!({"prerelease": false}));
        client.repository.events().into_iter().rfind(|event| event.action.as_deref() == Some("released")).unwrap()
    };
    let event = promote(&client, "v1");
    assert_eq!((event.by, event.runs), (Kind::Workflow, vec![]));
    client.token = person;
    let event = promote(&client, "v2");
    assert_eq!(event.by, Kind::Person);
    client.github.wait_for_runs();
    let run = client.get(&format!("/actions/runs/{}", event.runs[0]));
    assert_eq!((&run["event"], &run["conclusion"]), (&json!("release"), &json!("success")));
    let jobs = client.get(&format!("/actions/runs/{}/jobs", event.runs[0]));
    let job = &jobs["jobs"][0];
    assert_eq!(job["steps"][0]["conclusion"], "success");
    let log = client.send("GET", &format!("/actions/jobs/{}/logs", job["id"]), &Value::Null);
    let (host, path) = log.header("location").unwrap().trim_start_matches("http://").split_once('/').unwrap();
    assert!(ask(host, "GET", &format!("/{path}"), &[], "").unwrap().text().contains("deploying \"v2\""));

    client.token = client.github.workflow_token(&["actions:write"]);
    let started = json!({"ref": "main", "inputs": {"version": "v2"}, "return_run_details": true});
    let started = client.ok("POST", "/actions/workflows/deploy.yml/dispatches", started);
    client.github.wait_for_runs();
    let runs = client.get("/actions/runs?event=workflow_dispatch&status=success");
    assert_eq!(runs["workflow_runs"][0]["id"], started["workflow_run_id"], "a dispatch by a workflow starts one");
    client.get("/actions/workflows");
    client.get(&format!("/actions/jobs/{}", job["id"]));
}

#[test]
fn a_run_without_a_function_goes_on_as_the_test_wants() {
    let client = Client::new();
    client.repository.commit("main", "one");
    client.repository.workflow(".github/workflows/ci.yml", "CI", &["push"], None);
    client.ok("POST", "/git/refs", json!({"ref": "refs/tags/v1", "sha": client.repository.resolve("main")}));
    let id = client.repository.runs()[0]["id"].as_u64().unwrap();
    let run = client.repository.run(id);
    let job = run.job("test");
    assert_eq!(client.get("/actions/workflows/ci.yml/runs")["workflow_runs"][0]["status"], "in_progress");
    client.refused(404, "GET", &format!("/actions/jobs/{job}/logs"), Value::Null);
    run.finish("failure");
    assert_eq!(client.get(&format!("/actions/jobs/{job}"))["conclusion"], "failure");
    client.ok("POST", &format!("/actions/runs/{id}/rerun"), json!({}));
    assert_eq!(client.get(&format!("/actions/runs/{id}"))["run_attempt"], 2);
    client.ok("POST", &format!("/actions/runs/{id}/cancel"), Value::Null);
    client.refused(409, "POST", &format!("/actions/runs/{id}/cancel"), Value::Null);
}

#[test]
fn a_token_is_needed_and_it_needs_permissions_and_requests() {
    let mut client = Client::new();
    client.repository.commit("main", "one");
    let url = client.github.url();
    assert_eq!(ask(&url, "GET", "/repos/acme/shop", &[("User-Agent", "t")], "").unwrap().status, 401);
    client.token = "ghp_unknown".to_owned();
    client.refused(401, "GET", "", Value::Null);
    client.token = client.github.workflow_token(&["contents:read"]);
    assert_eq!(client.get("")["default_branch"], "main");
    let refused = client.refused(403, "POST", "/releases", json!({"tag_name": "v1"}));
    assert_eq!(refused["message"], "Resource not accessible by integration");
    client.refused(403, "GET", "//user", Value::Null);
    client.github.limit(&client.token, 1, Duration::from_secs(60));
    client.get("");
    let answer = client.send("GET", "", &Value::Null);
    assert_eq!((answer.status, answer.header("x-ratelimit-remaining")), (403, Some("0")));
    assert!(answer.text().contains("API rate limit exceeded"));
    client.token = client.github.owner_token();
    assert_eq!(client.get("//user")["login"], "deployer");
    assert!(client.get("//rate_limit")["rate"]["remaining"].as_u64().unwrap() > 4000);
}

#[test]
fn lists_come_in_pages_and_unchanged_answers_as_304() {
    let client = Client::new();
    client.repository.commit("main", "one");
    for number in 1..=5 {
        client.ok("POST", "/releases", json!({"tag_name": format!("v{number}")}));
    }
    let first = client.send("GET", "/releases?per_page=2", &Value::Null);
    let link = first.header("link").unwrap();
    let next = format!("<{}/repos/acme/shop/releases?per_page=2&page=2>; rel=\"next\"", client.github.url());
    assert!(link.contains(&next), "{link}");
    let last = client.send("GET", "/releases?per_page=2&page=3", &Value::Null);
    assert!(
        last.header("link").unwrap().contains("rel=\"prev\"") && !last.head.contains("rel=\"next\""),
        "{}",
        last.head
    );
    assert_eq!(serde_json::from_slice::<Value>(&last.body).unwrap()[0]["tag_name"], "v1");
    let token = format!("Bearer {}", client.token);
    let headers =
        [("Authorization", token.as_str()), ("User-Agent", "t"), ("If-None-Match", first.header("etag").unwrap())];
    let again = ask(&client.github.url(), "GET", "/repos/acme/shop/releases?per_page=2", &headers, "").unwrap();
    assert_eq!((again.status, again.body.len()), (304, 0));
}

#[test]
fn calls_fail_once_as_a_test_wants_it() {
    let client = Client::new();
    client.repository.commit("main", "one");
    let body = |tag: &str| json!({ "tag_name": tag });
    client.github.fail_after(1, "POST /releases", Fault::Status(502));
    client.ok("POST", "/releases", body("v1"));
    client.refused(502, "POST", "/releases", body("v2"));
    client.ok("POST", "/releases", body("v2"));
    client.github.fail("*", Fault::RateLimit(Duration::from_secs(3)));
    let limited = client.send("GET", "/releases", &Value::Null);
    assert_eq!((limited.status, limited.header("x-ratelimit-remaining")), (403, Some("0")));
    client.github.fail("*", Fault::SecondaryRateLimit(Duration::from_secs(7)));
    assert_eq!(client.send("GET", "/releases", &Value::Null).header("retry-after"), Some("7"));
    client.github.fail("POST /releases", Fault::Unprocessable("Validation Failed".to_owned()));
    client.refused(422, "POST", "/releases", body("v3"));

    client.github.fail("POST /releases", Fault::CutBefore);
    assert!(client.try_send("POST", "/releases", &body("v3")).is_err());
    client.github.fail("POST /releases", Fault::CutAfter);
    assert!(client.try_send("POST", "/releases", &body("v4")).is_err());
    client.github.fail("POST /releases", Fault::StatusAfter(500));
    client.refused(500, "POST", "/releases", body("v5"));
    let tags: Vec<Value> = client.repository.releases().iter().map(|release| release["tag_name"].clone()).collect();
    assert_eq!(tags, ["v1", "v2", "v4", "v5"], "those that were taken");
    assert_eq!(client.github.calls().last().unwrap(), "POST /repos/acme/shop/releases 0");
}

#[test]
fn a_call_that_times_out_ends_with_its_client() {
    let client = Client::new();
    client.github.fail("*", Fault::TimeOut);
    let address = client.github.url().trim_start_matches("http://").to_owned();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let request = "GET /repos/acme/shop HTTP/1.1\r\nUser-Agent: t\r\n\r\n";
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let error = std::io::Read::read(&mut stream, &mut [0]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
}

#[test]
fn what_does_not_fit_the_description_fails_the_test() {
    let client = Client::new();
    client.repository.commit("main", "one");
    client.refused(400, "GET", "/no-such-thing", Value::Null);
    client.refused(400, "GET", "/releases?per-page=2", Value::Null);
    client.refused(400, "POST", "/releases", json!({"tag": "v1"}));
    client.refused(400, "POST", "/releases", json!({"tag_name": "v1", "pre_release": true}));
    client.refused(400, "GET", "/releases?page=two", Value::Null);
    let violations = client.github.violations();
    assert_eq!(violations.len(), 6, "{violations:#?}");
    assert!(violations[4].contains("pre_release"), "{violations:#?}");
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(client)));
    let message = dropped.unwrap_err();
    assert!(message.downcast_ref::<String>().unwrap().contains("no-such-thing"));
}
