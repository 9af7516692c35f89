//! What starts workflows, and how their runs go on.

use std::sync::Arc;

use devservers::github::Kind;
use devservers::http::ask;
use serde_json::{Value, json};

use super::client::Client;

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
    client.repository.pushed("main");
    let id = client.repository.runs()[0]["id"].as_u64().unwrap();
    let run = client.repository.run(id);
    let job = run.job("test");
    assert_eq!(client.get("/actions/workflows/ci.yml/runs")["workflow_runs"][0]["status"], "in_progress");
    client.refused(404, "GET", &format!("/actions/jobs/{job}/logs"), Value::Null);
    assert_eq!(client.get("/commits/main/check-runs")["check_runs"][0]["status"], "in_progress");
    run.finish("failure");
    let checks = client.get("/commits/main/check-runs?check_name=test");
    assert_eq!((&checks["total_count"], &checks["check_runs"][0]["conclusion"]), (&json!(1), &json!("failure")));
    assert_eq!(client.get(&format!("/actions/jobs/{job}"))["conclusion"], "failure");
    client.ok("POST", &format!("/actions/runs/{id}/rerun"), json!({}));
    assert_eq!(client.get(&format!("/actions/runs/{id}"))["run_attempt"], 2);
    client.ok("POST", &format!("/actions/runs/{id}/cancel"), Value::Null);
    client.refused(409, "POST", &format!("/actions/runs/{id}/cancel"), Value::Null);
}
