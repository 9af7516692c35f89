//! `drift` of a release on a stack, and the one issue about it at GitHub. GitHub is the stand-in.

use std::process::Command;

use serde_json::{Value, json};

use crate::operations::result;
use crate::site::Site;
use devservers::GitHub;
use devservers::github::Handle;
use testkit::{Ran, Running};

const BROKEN: &str = "the platform says error: out of memory";
const CHANGED: &str = "scaleway_container.service was changed outside of OpenTofu: max_scale";

/// The platform, the stack and the service are each compared with the record, and the issue says what differs.
pub fn drifted(site: &Site, record: &Value) {
    let state = fs_err::read(site.state()).unwrap();
    let github = GitHub::start();
    let repository = github.repository("some", "shop");
    // Without a drift there is nothing to tell.
    site.platform.set(|answers| answers.container = ("ready", ""));
    Ran::of(&mut told(site, &github)).expect(0).says(&["there is no open issue about a drift"]);
    assert!(repository.issues().is_empty());

    // The first drift opens the issue, and the second run finds it as it should be.
    site.platform.set(|answers| answers.container = ("error", "out of memory"));
    let found = result(site, &["drift", "production"], 10);
    assert_eq!(found["differs"], json!([{ "part": "platform", "text": BROKEN }]));
    assert_eq!(found["record"]["id"], record["id"]);
    let commit = record["source"]["commit"].as_str().unwrap();
    assert_eq!(found["revert"], format!("git checkout {commit} && cargo xtask deploy production"));
    let opened = Ran::of(&mut told(site, &github)).expect(10).says(&["opened the issue"]);
    let issue = only(&repository, "open");
    assert!(opened.stderr.contains(issue["html_url"].as_str().unwrap()), "{}", opened.stderr);
    assert_eq!(
        (issue["labels"].as_array().unwrap().len(), &issue["labels"][0]["name"]),
        (1, &json!("drift:production"))
    );
    says(&issue, &[BROKEN, found["adopt"].as_str().unwrap(), found["revert"].as_str().unwrap(), &commit[..12]]);
    Ran::of(&mut told(site, &github)).expect(10).says(&["the issue says so already"]);
    assert_eq!(only(&repository, "open"), issue);

    // Another drift updates it. Another commit is checked out: the stack's files are those of the record's.
    site.platform.set(|answers| answers.container = ("ready", ""));
    let (file, values) = site.cloud().only("scaleway_container");
    let mut changed = values.clone();
    changed["max_scale"] = json!(7);
    fs_err::write(&file, changed.to_string()).unwrap();
    site.project.edit("infra/scaleway/variables_service.tf", "2147483648", "1073741824");
    site.project.commit("Less memory, which is not deployed");
    assert_eq!(result(site, &["drift", "production"], 10)["differs"], json!([{ "part": "stack", "text": CHANGED }]));
    Ran::of(&mut told(site, &github)).expect(10).says(&["updated the issue"]);
    let issue = only(&repository, "open");
    says(&issue, &[CHANGED]);
    assert!(!issue["body"].as_str().unwrap().contains(BROKEN), "{issue:#}");
    site.project.git(&["reset", "--quiet", "--hard", "HEAD~1"]);

    // What is mended closes it.
    fs_err::write(&file, values.to_string()).unwrap();
    let same = result(site, &["drift", "production"], 0);
    assert_eq!((&same["differs"], &same["under_way"]), (&json!([]), &json!(null)), "{same:#}");
    Ran::of(&mut told(site, &github)).expect(0).says(&["closed the issue"]);
    assert_eq!(only(&repository, "closed")["state_reason"], "completed");

    // The next drift has an issue of its own, and two runs that find it at once leave one open.
    site.platform.set(|answers| answers.container = ("error", "out of memory"));
    github.meet("GET /issues", 2);
    let first = Running::start(told(site, &github).arg("--json"));
    // It has compared, and looks for an issue: the checkout is free for the second run.
    github.wait_for_meeting(1);
    Ran::of(&mut told(site, &github)).expect(10);
    first.end().expect(10);
    let open: Vec<Value> = repository.issues().into_iter().filter(|issue| issue["state"] == "open").collect();
    assert_eq!(open.len(), 1, "{open:#?}");
    assert_eq!(open[0]["number"], 2, "{open:#?}");
    site.platform.set(|answers| answers.container = ("ready", ""));
    assert_eq!(fs_err::read(site.state()).unwrap(), state, "a look changes nothing");
}

/// A run of the drift workflow's step.
fn told(site: &Site, github: &GitHub) -> Command {
    let token = github.workflow_token(&["contents:read", "issues:write"]);
    let mut command = site.toolkit(&["drift", "production", "--issue"]);
    command.env("GITHUB_API_URL", github.url()).env("GITHUB_REPOSITORY", "some/shop").env("GH_TOKEN", token);
    command
}

/// The repository's only issue, in this state.
#[track_caller]
fn only(repository: &Handle, state: &str) -> Value {
    let issues = repository.issues();
    assert_eq!((issues.len(), &issues[0]["state"]), (1, &json!(state)), "{issues:#?}");
    issues[0].clone()
}

/// The issue's text has all of these.
#[track_caller]
fn says(issue: &Value, texts: &[&str]) {
    let body = issue["body"].as_str().unwrap();
    for text in texts {
        assert!(body.contains(text), "it does not say {text:?}:\n{body}");
    }
}
