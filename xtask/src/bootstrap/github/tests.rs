//! The repository at GitHub, on a stand-in of GitHub.

use std::collections::BTreeSet;

use camino::Utf8PathBuf;
use devservers::github::{Feature, Handle};
use insta::assert_snapshot;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::bootstrap::item::Verdict;
use crate::bootstrap::{Outcome, fixable, judge};
use crate::clients::patience::Patience;
use crate::config::Config;
use crate::report::{Audience, Paint, Report};
use crate::secrets::Redactor;
use crate::signals::Stop;

const NAME: &str = "acme/shop";
/// All that deploy.yaml can say of it.
const ALL: &str = "reviewers: [anna, acme/ops], required_checks: [tests, web], actions: [docker/login-action], workflows: { ci: { \
                   before_test: [{ uses: taiki-e/install-action@0123456789012345678901234567890123456789 }, { uses: ./own }], jobs: { \
                   other: { uses: acme/flows/.github/workflows/x.yml@0123456789012345678901234567890123456789 } } } }";

struct Site {
    server: devservers::GitHub,
    repository: Handle,
    config: Config,
    token: String,
    _folder: TempDir,
}

impl Site {
    /// `github` is what deploy.yaml says of the repository beside its name.
    fn new(github: &str) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        let yaml = format!(
            "project: shop\nservice: {{ package: app, settings: s.json, readiness: /health }}\nimage: {{ name: app }}\n\
             github: {{ repository: {NAME}, {github} }}\nenvironments:\n  local: {{ target: local, port: 3000 }}\n  \
             production:\n    target: scaleway\n    registry: rg.fr-par.scw.cloud/shop\n    stack: infra\n    \
             state: {{ bucket: shop-state, region: fr-par, provider: scaleway }}\n"
        );
        fs_err::write(root.join("deploy.yaml"), yaml).unwrap();
        fs_err::create_dir(root.join("infra")).unwrap();
        let server = devservers::GitHub::start();
        let repository = server.repository("acme", "shop");
        repository.person("anna", "write");
        repository.team("ops");
        let token = server.personal_token(&["administration:write", "actions:read"]);
        Self { server, repository, config: Config::load(&root).unwrap(), token, _folder: folder }
    }

    fn env(&self) -> Env<'_> {
        let report = Report::new(Audience::Plain, false, Redactor::default());
        Env::find(&self.config, "production", &report, &Stop::channel().1).unwrap()
    }

    fn open<'a>(&self, env: &'a Env<'a>) -> GitHubRepository<'a> {
        let github = GitHub::new(&self.server.url(), NAME, &self.token.clone().into(), &Patience::default()).unwrap();
        GitHubRepository { env, github, refused: RefCell::default() }
    }

    /// Inspects the repository. With `fix`, fixes what differs before, until nothing more can be fixed.
    async fn run(&self, fix: bool) -> Result<(Outcome, Vec<Item<Fix>>), Failure> {
        let env = self.env();
        let repository = self.open(&env);
        let (mut items, mut fixed) = (repository.inspect().await?, BTreeSet::new());
        while fix && !fixable(&items, &fixed).is_empty() {
            let mut done = Vec::new();
            for (item, _, fix) in fixable(&items, &fixed) {
                repository.fix(fix).await?;
                done.push(item.about.clone());
            }
            fixed.extend(done);
            items = repository.inspect().await?;
        }
        Ok((judge(&items, &fixed, &repository.command())?, items))
    }

    /// The names of the items that differ or wait.
    async fn differing(&self) -> Vec<String> {
        let items = self.run(false).await.unwrap().1;
        let differs = |item: &&Item<Fix>| matches!(item.verdict, Verdict::Differs { .. } | Verdict::Waits);
        items.iter().filter(differs).map(|item| item.about.clone()).collect()
    }

    /// The requests that are no reading.
    fn changes(&self) -> Vec<String> {
        self.server.calls().into_iter().filter(|call| !call.starts_with("GET ")).collect()
    }

    /// What a person does on GitHub's pages.
    async fn by_hand(&self, method: &str, path: &str, body: &Value) -> Value {
        let request = reqwest::Client::new()
            .request(method.parse().unwrap(), format!("{}/repos/{NAME}{path}", self.server.url()))
            .bearer_auth(&self.token)
            .header("user-agent", "a person");
        let request = if body.is_null() { request } else { request.body(body.to_string()) };
        let response = request.send().await.unwrap();
        assert!(response.status().is_success(), "{method} {path}: {response:?}");
        serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default()
    }

    async fn ruleset(&self, name: &str) -> String {
        let all = self.by_hand("GET", "/rulesets", &Value::Null).await;
        let found = all.as_array().unwrap().iter().find(|ruleset| ruleset["name"] == name).unwrap();
        format!("/rulesets/{}", found["id"])
    }
}

fn text(items: &[Item<Fix>]) -> String {
    items.iter().map(|item| item.text(19, Paint::new(false))).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_new_repository_is_protected_once() {
    let site = Site::new(ALL);
    let (outcome, items) = site.run(false).await.unwrap();
    assert_eq!((outcome, site.changes()), (Outcome::Pending, Vec::new()));
    assert_snapshot!("new", text(&items));
    let (outcome, items) = site.run(true).await.unwrap();
    assert_eq!(outcome, Outcome::Met);
    assert_snapshot!("protected", text(&items));
    // A second run changes nothing.
    let changes = site.changes().len();
    assert_eq!(site.run(true).await.unwrap().0, Outcome::Met);
    assert_eq!(site.changes().len(), changes);
    // A tag of a build can be deleted, and not be moved; the branch neither be pushed by force nor deleted.
    let tags = site.by_hand("GET", &site.ruleset("xtask: build tags").await, &Value::Null).await;
    assert_eq!(tags["rules"], json!([{ "type": "update" }]));
    assert_eq!(tags["conditions"]["ref_name"]["include"], json!(["refs/tags/build-*"]));
}

#[tokio::test]
async fn what_drifts_is_found_and_mended() {
    let site = Site::new(ALL);
    site.run(true).await.unwrap();
    let (main, tags) = (site.ruleset("xtask: main branch").await, site.ruleset("xtask: build tags").await);
    let named = json!({ "protected_branches": false, "custom_branch_policies": true });
    let bypass = json!([{ "actor_id": 5, "actor_type": "RepositoryRole", "bypass_mode": "always" }]);
    let refs = "/environments/production/deployment-branch-policies";
    let cases = [
        ("PUT", "/environments/production", json!({ "deployment_branch_policy": named }), "production approval"),
        ("POST", refs, json!({ "name": "*" }), "production refs"),
        (
            "PUT",
            "/environments/production-plan",
            json!({ "reviewers": [{ "type": "User", "id": 7 }] }),
            "production-plan",
        ),
        ("DELETE", "/environments/production-plan", Value::Null, "production-plan"),
        ("PUT", &main, json!({ "enforcement": "evaluate" }), "main branch"),
        ("PUT", &main, json!({ "rules": [{ "type": "deletion" }] }), "main branch"),
        ("PUT", &main, json!({ "bypass_actors": bypass }), "main branch"),
        ("PUT", &tags, json!({ "rules": [{ "type": "update" }, { "type": "creation" }] }), "build tags"),
        ("DELETE", &tags, Value::Null, "build tags"),
        ("PUT", "/actions/permissions", json!({ "enabled": true, "allowed_actions": "all" }), "allowed actions"),
        ("PUT", "/actions/permissions", json!({ "enabled": true, "sha_pinning_required": false }), "pinned actions"),
        ("PUT", "/actions/permissions/selected-actions", json!({ "verified_allowed": true }), "allowed actions"),
        ("PUT", "/actions/permissions/selected-actions", json!({ "patterns_allowed": ["*"] }), "allowed actions"),
        ("PUT", "/actions/permissions/workflow", json!({ "default_workflow_permissions": "write" }), "workflow token"),
        (
            "PUT",
            "/actions/permissions/fork-pr-contributor-approval",
            json!({ "approval_policy": "first_time_contributors_new_to_github" }),
            "forks",
        ),
        ("DELETE", "/immutable-releases", Value::Null, "releases"),
    ];
    for (method, path, body, about) in cases {
        site.by_hand(method, path, &body).await;
        assert_eq!(site.differing().await, [about], "{method} {path} {body}");
        assert_eq!(site.run(true).await.unwrap().0, Outcome::Met, "{method} {path} {body}");
    }
    // What the toolkit does not set stays.
    site.by_hand("PUT", "/environments/production", &json!({ "wait_timer": 5 })).await;
    assert_eq!(site.differing().await, ["production approval", "production refs"]);
    assert_eq!(site.run(true).await.unwrap().0, Outcome::Met);
    let env = site.env();
    let protection = site.open(&env).github.environment("production").await.unwrap().unwrap();
    assert_eq!((protection.wait_timer, protection.prevent_self_review), (5, true));
}

#[tokio::test]
async fn what_github_does_not_offer_is_said_and_no_failure() {
    let site = Site::new(ALL);
    for feature in [
        Feature::Rulesets,
        Feature::Reviewers,
        Feature::ForkApproval,
        Feature::ShaPinning,
        Feature::AllowedActions,
        Feature::ImmutableReleases,
    ] {
        site.repository.lacks(feature);
    }
    let (outcome, items) = site.run(true).await.unwrap();
    assert_eq!(outcome, Outcome::Met);
    let lacks = |item: &Item<Fix>| matches!(item.verdict, Verdict::Lacks { .. });
    assert_snapshot!("not_offered", text(&items.into_iter().filter(lacks).collect::<Vec<_>>()));
    // What was allowed before is allowed still: the rendered workflows need their actions.
    for policy in ["all", "local_only"] {
        site.by_hand("PUT", "/actions/permissions", &json!({ "enabled": true, "allowed_actions": policy })).await;
        assert_eq!(site.run(true).await.unwrap().0, Outcome::Met);
        let permissions = site.by_hand("GET", "/actions/permissions", &Value::Null).await;
        assert_eq!(permissions["allowed_actions"], policy);
    }
}

#[tokio::test]
async fn a_missing_permission_is_said_with_what_to_do() {
    let mut site = Site::new("required_checks: [tests]");
    site.token = site.server.personal_token(&["administration:read", "actions:read"]);
    assert_eq!(site.run(false).await.unwrap().0, Outcome::Pending);
    let failed = site.run(true).await.unwrap_err().into_error().to_string();
    assert_snapshot!(failed, @r"
    GitHub refuses setting the environment production: 403 Forbidden (Resource not accessible by personal access token)
      the token needs the permissions administration: write and actions: read on acme/shop: make a fine-grained one as an administrator of it, put it into .env.production (mode 0600) as GH_TOKEN, and type: cargo xtask bootstrap github production
    ");
    site.token = site.server.workflow_token(&["contents:write", "actions:write"]);
    let failed = site.run(false).await.unwrap_err().into_error().to_string();
    assert!(failed.contains("the permissions administration: write and actions: read on acme/shop"), "{failed}");
    assert_eq!(site.changes().len(), 1);
}

#[tokio::test]
async fn rulesets_of_others_stay() {
    let site = Site::new("");
    let own = json!({
        "name": "ours", "target": "branch", "enforcement": "active", "rules": [{ "type": "required_linear_history" }],
        "conditions": { "ref_name": { "include": ["~ALL"], "exclude": [] } },
    });
    let made = site.by_hand("POST", "/rulesets", &own).await;
    assert_eq!(site.run(true).await.unwrap().0, Outcome::Met);
    let path = site.ruleset("ours").await;
    assert_eq!(site.by_hand("GET", &path, &Value::Null).await, made);
    assert_eq!(site.by_hand("GET", "/rulesets", &Value::Null).await.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn reviewers_without_access_are_named_and_none_is_said() {
    let site = Site::new("reviewers: [anna, missing, guest, acme/gone, other/ops]");
    site.repository.person("guest", "none");
    let (outcome, items) = site.run(true).await.unwrap();
    assert_eq!(outcome, Outcome::Pending);
    let of = |items: Vec<Item<Fix>>| {
        text(&items.into_iter().filter(|item| item.about == "production approval").collect::<Vec<_>>())
    };
    assert_snapshot!("wrong_reviewers", of(items));
    let (outcome, items) = Site::new("").run(true).await.unwrap();
    assert_eq!(outcome, Outcome::Met);
    assert_snapshot!("no_reviewers", of(items));
}
