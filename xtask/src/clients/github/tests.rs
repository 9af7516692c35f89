//! The client against the stand-in, which holds each request against GitHub's own description of its API.

use std::time::Duration;

use devservers::github::{Fault, Handle};

use super::*;

const OWNER: &str = "owner/name";

fn start() -> (devservers::GitHub, Handle, GitHub) {
    drop(rustls::crypto::ring::default_provider().install_default());
    let server = devservers::GitHub::start();
    let repository = server.repository("owner", "name");
    let token =
        server.personal_token(&["contents:write", "deployments:write", "actions:read", "checks:read", "statuses:read"]);
    let client =
        GitHub::with_timeout(&server.url(), OWNER, &token.into(), &Patience::default(), Duration::from_secs(1));
    (server, repository, client.unwrap())
}

fn new<'a>(tag: &'a str, commit: &'a str) -> NewRelease<'a> {
    NewRelease { tag_name: tag, target_commitish: commit, name: "One", body: "Notes" }
}

const TAG: &str = "build-20261129-0123456789ab";

#[tokio::test]
async fn a_release_is_drafted_filled_published_and_promoted() {
    let (_server, repository, github) = start();
    let commit = repository.commit("main", "First");
    assert_eq!(github.release(TAG).await.unwrap(), None);
    let draft = github.draft_release(&new(TAG, &commit)).await.unwrap();
    assert!(draft.draft && github.tag(TAG).await.unwrap().is_none());
    github.upload_asset(&draft, "release.json", "application/json", b"{}").await.unwrap();
    let published = github.publish_release(&draft).await.unwrap();
    assert!(published.prerelease && !published.draft);
    assert_eq!(github.tag(TAG).await.unwrap(), Some(commit));
    let found = github.release(TAG).await.unwrap().unwrap();
    assert_eq!(github.asset(&found.assets[0]).await.unwrap(), b"{}");
    assert_eq!(github.latest_release().await.unwrap(), None);
    github.promote_release(&found, None).await.unwrap();
    assert_eq!(github.latest_release().await.unwrap().unwrap().tag_name, TAG);
    github.delete_release(&found).await.unwrap();
    github.delete_tag(TAG).await.unwrap();
    // It is gone already.
    github.delete_release(&found).await.unwrap();
    assert_eq!((github.release(TAG).await.unwrap(), github.tag(TAG).await.unwrap()), (None, None));
}

#[tokio::test]
async fn a_call_that_fails_once_is_made_once() {
    let faults = [
        Fault::Status(500),
        Fault::CutBefore,
        Fault::CutAfter,
        Fault::StatusAfter(502),
        Fault::SecondaryRateLimit(Duration::from_secs(1)),
        Fault::RateLimit(Duration::from_secs(1)),
        Fault::TimeOut,
    ];
    for (index, fault) in faults.into_iter().enumerate() {
        let (server, repository, github) = start();
        let commit = repository.commit("main", "First");
        // Each of them meets another call, so that all is seen in few runs.
        let operations = [
            "POST /releases",
            "PATCH /releases/{release_id}",
            "POST /releases/{release_id}/assets",
            "POST /deployments",
        ];
        for operation in &operations {
            server.fail(operation, fault.clone());
            if index % 2 == 1 {
                break;
            }
        }
        let draft = github.draft_release(&new(TAG, &commit)).await.unwrap();
        github.upload_asset(&draft, "release.json", "application/json", b"{}").await.unwrap();
        github.publish_release(&draft).await.unwrap();
        let deployment = NewDeployment { commit: &commit, environment: "production", run: "one", description: "" };
        github.create_deployment(&deployment).await.unwrap();
        let releases = repository.releases();
        assert_eq!((releases.len(), repository.deployments().len()), (1, 1), "{fault:?}: {:?}", server.calls());
        assert_eq!(releases[0]["assets"].as_array().unwrap().len(), 1, "{fault:?}: {:?}", server.calls());
    }
}

#[tokio::test]
async fn what_github_refuses_is_said_without_the_token() {
    let (server, repository, github) = start();
    repository.commit("main", "First");
    server.fail("GET /releases", Fault::RateLimit(Duration::from_secs(600)));
    let limited = github.releases().await.unwrap_err();
    assert!(matches!(&limited, GitHubError::Limited { .. }), "{limited}");
    assert!(limited.to_string().contains("takes no more requests of this token for"), "{limited}");
    let token = server.workflow_token(&["contents:read"]);
    let reader = GitHub::new(&server.url(), OWNER, &token.clone().into(), &Patience::default()).unwrap();
    let denied = reader.draft_release(&new(TAG, "main")).await.unwrap_err();
    assert!(matches!(denied, GitHubError::Denied { .. }) && !denied.to_string().contains(&token), "{denied}");
    for (api, repository) in [("http://api.example.org", OWNER), ("nonsense", OWNER), (API, "owner"), (API, "../x")] {
        assert!(GitHub::new(api, repository, &"token".into(), &Patience::default()).is_err(), "{api} {repository}");
    }
    assert!(GitHub::new(API, OWNER, &"two\nlines".into(), &Patience::default()).is_err());
}

#[tokio::test]
async fn the_worse_of_two_checks_with_one_name_counts() {
    let (_server, repository, github) = start();
    let commit = repository.commit("main", "First");
    repository.check("test", &commit, Some("success"));
    repository.check("lint", &commit, None);
    repository.check("web", &commit, Some("failure"));
    // A workflow's jobs are checks of the commit, too.
    let deploy = ".github/workflows/deploy.yml";
    repository.workflow(deploy, "deploy", &["push"], None);
    repository.pushed("main");
    repository.run(repository.runs()[0]["id"].as_u64().unwrap()).job("plan");
    assert_eq!(github.checks(&commit, ".github/workflows/ci.yml").await.unwrap().len(), 4);
    let found = github.checks(&commit, deploy).await.unwrap();
    let found: Vec<(&str, &Conclusion)> = found.iter().map(|check| (check.name.as_str(), &check.conclusion)).collect();
    let failed = Conclusion::Failed("failure".to_owned());
    assert_eq!(found, [("lint", &Conclusion::Pending), ("test", &Conclusion::Passed), ("web", &failed)]);
    let second = repository.commit("main", "Second");
    assert_eq!(github.compare(&commit, &second).await.unwrap(), Some(Compared::Ahead));
    assert_eq!(github.compare(&second, &commit).await.unwrap(), Some(Compared::Behind));
    assert_eq!(github.compare(&"0".repeat(40), &commit).await.unwrap(), None);
}

#[tokio::test]
async fn a_ruleset_is_made_once_and_a_plan_that_lacks_it_is_no_missing_permission() {
    let (server, repository, github) = start();
    let ruleset = Ruleset {
        name: "own".to_owned(),
        target: "tag".to_owned(),
        enforcement: "active".to_owned(),
        bypass_actors: Vec::new(),
        conditions: Some(Conditions::default()),
        rules: vec![Rule::Update, Rule::Deletion],
    };
    let denied = github.create_ruleset(&ruleset).await.unwrap_err();
    assert!(matches!(denied, GitHubError::Denied { .. }) && denied.not_offered().is_none(), "{denied}");
    let token = server.personal_token(&["administration:write"]);
    let github = GitHub::new(&server.url(), OWNER, &token.into(), &Patience::default()).unwrap();
    for fault in [Fault::CutAfter, Fault::StatusAfter(502), Fault::CutBefore] {
        server.fail("POST /rulesets", fault);
        let ruleset = Ruleset { name: format!("own {}", server.calls().len()), ..ruleset.clone() };
        github.create_ruleset(&ruleset).await.unwrap();
        let listed = github.rulesets().await.unwrap();
        let made: Vec<_> = listed.iter().filter(|listed| listed.name == ruleset.name).collect();
        assert_eq!(made.len(), 1, "{:?}", server.calls());
        assert_eq!(github.ruleset(made[0]).await.unwrap(), ruleset);
    }
    repository.lacks(devservers::github::Feature::Rulesets);
    let lacking = github.rulesets().await.unwrap_err();
    assert!(lacking.not_offered().is_some_and(|response| response.contains("Upgrade to GitHub Pro")), "{lacking}");
}

#[tokio::test]
async fn answers_of_another_kind_are_errors_and_a_moved_repository_is_named() {
    drop(rustls::crypto::ring::default_provider().install_default());
    use devservers::http::{HttpServer, Response};
    let server = HttpServer::start(|request| match request.path.split('?').next().unwrap() {
        path if path.ends_with("/environments/production/secrets") => Response::new(200).body("application/json", "[]"),
        path if path.ends_with("/releases") && request.method == "GET" => Response::new(301)
            .header("location", "http://127.0.0.1:1/repositories/7/releases")
            .body("application/json", "{}"),
        _ => Response::new(307).header("location", "http://127.0.0.1:1/x").body("application/json", "{}"),
    });
    let github =
        GitHub::new(&format!("http://{}", server.address), OWNER, &"token".into(), &Patience::default()).unwrap();
    assert!(github.secrets(Some("production")).await.is_err());
    for failed in [github.releases().await.map(drop), github.create_environment("other").await] {
        let failed = failed.unwrap_err();
        assert!(failed.to_string().contains("the repository was renamed or moved"), "{failed}");
    }
}

#[tokio::test]
async fn a_strangers_comment_is_not_taken_for_the_toolkits() {
    drop(rustls::crypto::ring::default_provider().install_default());
    use devservers::http::{HttpServer, Response};
    let comment = |id: u64, kind: &str, association: &str| {
        serde_json::json!({
            "id": id, "html_url": "", "body": "<!-- mark -->\nold", "user": { "type": kind }, "author_association": association,
        })
    };
    let stranger = comment(1, "User", "NONE");
    let own = comment(2, "Bot", "NONE");
    let server = HttpServer::start(move |request| match request.method.as_str() {
        "GET" => Response::new(200).body("application/json", serde_json::json!([stranger, own]).to_string()),
        _ => Response::new(200).body("application/json", own.to_string()),
    });
    let github =
        GitHub::new(&format!("http://{}", server.address), OWNER, &"token".into(), &Patience::default()).unwrap();
    assert_eq!(github.keep_comment(3, "<!-- mark -->", "new").await.unwrap().id, 2);
    let changed = server.asked().pop().unwrap();
    assert!(changed.method == "PATCH" && changed.path.ends_with("/issues/comments/2"), "{changed:?}");
}

#[tokio::test]
async fn the_owner_of_each_kind_of_token_is_told() {
    let (server, ..) = start();
    for (token, owner) in [
        (server.workflow_token(&["contents:write"]), "github-actions[bot]"),
        (server.app_token(&["contents:write"]), "releaser[bot]"),
        (server.personal_token(&["contents:write"]), "deployer"),
    ] {
        let github = GitHub::new(&server.url(), OWNER, &token.into(), &Patience::default()).unwrap();
        assert_eq!(github.viewer().await.unwrap(), owner);
    }
    let github = GitHub::new(&server.url(), OWNER, &"ghs_revoked".to_owned().into(), &Patience::default()).unwrap();
    assert!(matches!(github.viewer().await.unwrap_err(), GitHubError::Denied { .. }));
}
