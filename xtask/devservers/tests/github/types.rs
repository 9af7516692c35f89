//! The answers are what octocrab, a client of GitHub's API, makes its types of.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use octocrab::models::actions::DefaultWorkflowPermissions;
use octocrab::models::checks::ListCheckRuns;
use octocrab::models::commits::CommitComparison;
use octocrab::models::issues::{Comment, Issue};
use octocrab::models::repos::environments::{DeploymentBranchPolicies, Environments};
use octocrab::models::repos::secrets::RepositorySecrets;
use octocrab::models::repos::{
    Asset, Branch, Deployment, DeploymentStatus, Ref, Release, RepoCommit, RepoVariables, Tag,
};
use octocrab::models::rulesets::Ruleset;
use octocrab::models::workflows::{Job, Run, WorkFlow};
use octocrab::models::{AttestationsResponse, CombinedStatus, Label, PublicKey, Repository};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::client::Client;

#[test]
fn octocrab_understands_all_kinds_of_answers() {
    let client = Client::new();
    let sha = client.repository.commit("main", "one");
    client.repository.set_ref("refs/tags/v0", &sha);
    client.repository.check("ci", &sha, Some("success"));
    client.repository.workflow(".github/workflows/ci.yml", "CI", &["release"], None);
    let release = client.ok("POST", "/releases", json!({"tag_name": "v1", "body": "notes"}))["id"].clone();
    let upload = format!("//uploads/repos/acme/shop/releases/{release}/assets?name=release.json");
    client.ok("POST", &upload, json!({}));
    client.ok("POST", &format!("/statuses/{sha}"), json!({"state": "success"}));
    let deployment = client.ok("POST", "/deployments", json!({"ref": "v0", "environment": "production"}))["id"].clone();
    client.ok("POST", &format!("/deployments/{deployment}/statuses"), json!({"state": "success"}));
    let issue = client.ok("POST", "/issues", json!({"title": "drift", "labels": ["drift"]}))["number"].clone();
    client.ok("POST", &format!("/issues/{issue}/comments"), json!({"body": "since noon"}));
    client.repository.set_secret(None, "KEY", "value", "2026-01-01T00:00:00Z");
    client.ok("POST", "/actions/variables", json!({"name": "REGION", "value": "eu"}));
    let policy = json!({"protected_branches": false, "custom_branch_policies": true});
    let rules = json!({"wait_timer": 1, "reviewers": [{"type": "User", "id": 1}], "deployment_branch_policy": policy});
    client.ok("PUT", "/environments/production", rules);
    let policies = "/environments/production/deployment-branch-policies";
    client.ok("POST", policies, json!({"name": "main"}));
    let rules = json!([{"type": "deletion"}]);
    let ruleset =
        client.ok("POST", "/rulesets", json!({"name": "tags", "enforcement": "active", "rules": rules}))["id"].clone();
    let run = client.repository.run(client.repository.runs()[0]["id"].as_u64().unwrap());
    let job = run.job("deploy");
    run.step(job, "deploy", Some("success"));
    let statement = STANDARD.encode(json!({"subject": [{"digest": {"sha256": "aa"}}]}).to_string());
    client.repository.attest(&json!({"dsseEnvelope": {"payload": statement}}));

    understands::<Repository>(&client, "");
    understands::<Vec<Release>>(&client, "/releases");
    understands::<Release>(&client, "/releases/latest");
    understands::<Vec<Asset>>(&client, &format!("/releases/{release}/assets"));
    understands::<Ref>(&client, "/git/ref/tags/v0");
    understands::<Vec<Tag>>(&client, "/tags");
    understands::<Vec<Branch>>(&client, "/branches");
    understands::<Vec<RepoCommit>>(&client, "/commits");
    understands::<CommitComparison>(&client, "/compare/v0...main");
    understands::<ListCheckRuns>(&client, "/commits/main/check-runs");
    understands::<CombinedStatus>(&client, "/commits/main/status");
    understands::<Vec<Deployment>>(&client, "/deployments");
    understands::<Vec<DeploymentStatus>>(&client, &format!("/deployments/{deployment}/statuses"));
    understands::<Vec<Issue>>(&client, "/issues");
    understands::<Vec<Comment>>(&client, &format!("/issues/{issue}/comments"));
    understands::<Vec<Label>>(&client, "/labels");
    understands::<RepositorySecrets>(&client, "/actions/secrets");
    understands::<PublicKey>(&client, "/actions/secrets/public-key");
    understands::<RepoVariables>(&client, "/actions/variables");
    understands::<Environments>(&client, "/environments");
    understands::<DeploymentBranchPolicies>(&client, policies);
    understands::<Ruleset>(&client, &format!("/rulesets/{ruleset}"));
    understands::<WorkFlow>(&client, "/actions/workflows/ci.yml");
    understands::<Run>(&client, &format!("/actions/runs/{}", run.id));
    understands::<Job>(&client, &format!("/actions/jobs/{job}"));
    understands::<DefaultWorkflowPermissions>(&client, "/actions/permissions/workflow");
    understands::<AttestationsResponse>(&client, "/attestations/sha256:aa");
}

fn understands<T: DeserializeOwned>(client: &Client, path: &str) {
    let answer = client.get(path);
    if let Err(error) = serde_json::from_value::<T>(answer.clone()) {
        panic!("{path}: {error}: {answer:#}");
    }
}
