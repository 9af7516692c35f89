//! From a commit to its deploy by way of GitHub: pushed, released, promoted, and deployed by the workflow that this starts. GitHub is
//! the stand-in; the registry, the stack and the deploy are those of `production.rs`.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::operations::{result, set, xtask};
use crate::production::START;
use crate::site::Site;
use crate::whole::{Rest, open};
use devservers::GitHub;
use devservers::github::{Callback, Fault, Handle};
use devservers::http::ask;
use devservers::registry::DockerRegistry;
use testkit::{Controls, Ran, Terminal, sample};

/// What the token of a job may do that deploys, and of one that plans a pull request.
const JOB: [&str; 6] =
    ["contents:read", "actions:read", "checks:read", "statuses:read", "deployments:write", "pull_requests:write"];

/// A site whose project is a repository of a GitHub.
struct Shop {
    site: Site,
    github: GitHub,
    repository: Handle,
    _gateway: Gateway,
    registry: DockerRegistry,
    _rest: Rest,
}

#[test]
fn a_commit_is_released_promoted_and_deployed_by_the_workflow() {
    let Some(shop) = open_shop("a_commit_is_released_promoted_and_deployed_by_the_workflow") else { return };
    let Shop { site, github, repository, .. } = &shop;
    let head = site.project.git(&["rev-parse", "HEAD"]);
    // Its image has to be in the registry.
    xtask(site, &["release", "create", "production"]).expect(21).says(&["cargo xtask image push production"]);
    assert!(repository.releases().is_empty());
    xtask(site, &["image", "push", "production"]).expect(0);

    // The answer to the first call is lost, and the second run finds nothing to do.
    github.fail("POST /releases", Fault::CutAfter);
    let created = result(site, &["release", "create", "production"], 0);
    let tag = created["tag"].as_str().unwrap().to_owned();
    assert!(tag.starts_with("build-20") && tag.ends_with(&head[..12]), "{tag}");
    let again = result(site, &["release", "create", "production"], 0);
    assert_eq!((&again["made"], &again["kind"]), (&json!([]), &json!("pre-release")));
    assert_eq!(repository.releases().len(), 1);
    let manifest: Value = serde_json::from_slice(&repository.asset(&tag, "release.json").unwrap()).unwrap();
    assert_eq!((&manifest["commit"], &manifest["tag"]), (&json!(head), &json!(tag)));
    assert_eq!(manifest, created["manifest"]);
    let schema = fs_err::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/schema/release.json")).unwrap();
    let schema = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    assert!(schema.is_valid(&manifest), "{manifest:#}: {:?}", schema.iter_errors(&manifest).next());
    let sums = String::from_utf8(repository.asset(&tag, "SHA256SUMS").unwrap()).unwrap();
    assert!(sums.ends_with("  release.json\n"), "{sums}");

    // The next commit has the same image.
    let older = tag;
    repository.check("test", &head, Some("success"));
    let head = next_commit(&shop);
    let tag = result(site, &["release", "create", "production"], 0)["tag"].as_str().unwrap().to_owned();

    // Promoted only with its checks, and with a token that starts workflows.
    let promote = ["release", "promote", &tag, "--yes", "--follow"];
    xtask(site, &promote).expect(21).says(&["the commit has no checks"]);
    repository.check("test", &head, Some("failure"));
    xtask(site, &promote).expect(21).says(&["not passed: test (failure)"]);
    repository.check("test", &head, Some("success"));
    let of_job = github.workflow_token(&["contents:write"]);
    let mut as_job = site.toolkit(&promote);
    as_job.env("GITHUB_TOKEN", &of_job).env("RELEASE_TOKEN", &of_job);
    // `.env.production` has another one, and comes first.
    let env = site.project.read(".env.production");
    site.project.write(".env.production", &env.replace("RELEASE_TOKEN=", "UNUSED="));
    Ran::of(&mut as_job).expect(21).says(&["GitHub starts no workflow", "RELEASE_TOKEN"]);
    site.project.write(".env.production", &env);
    xtask(site, &["release", "promote", &tag]).expect(21).says(&["nothing was promoted", "--yes"]);
    // What changes while the question waits for its answer counts.
    let mut asked = Terminal::start(&site.toolkit(&["release", "promote", &tag]), Controls::Yes);
    assert!(asked.shows("The workflow deploys it"), "{:?}", asked.end());
    repository.check("test", &head, Some("failure"));
    asked.types("yes");
    let (code, shown) = asked.end();
    assert!(code == Some(21) && shown.contains("changed while you were deciding"), "{code:?}: {shown}");
    assert_eq!(release(&shop, &tag)["prerelease"], json!(true));
    repository.check("test", &head, Some("success"));
    assert!(repository.runs().is_empty());

    // The workflow deploys it.
    let promoted = xtask(site, &promote).expect(0);
    promoted.says(&["✓ deploy: plan", "✓ deploy: apply", "the registry has sha256:", "the workflow runs"]);
    let promoted = release(&shop, &tag);
    assert_eq!((&promoted["prerelease"], &promoted["draft"]), (&json!(false), &json!(false)));
    assert_eq!(result(site, &["status", "production"], 0)["version"], head[..12]);
    let deployments = repository.deployments();
    assert_eq!(deployments.len(), 1);
    assert_eq!(
        (&deployments[0].0["sha"], deployments[0].1.as_slice()),
        (&json!(head), &["in_progress", "success"].map(str::to_owned)[..])
    );
    let listed = xtask(site, &["release", "list", "production"]).expect(0).stdout;
    assert!(listed.contains("latest, production runs it"), "{listed}");
    xtask(site, &promote).expect(0).says(&["is a release already"]);

    // An older one is refused, unless that is wanted, and the workflow knows by the notes that it is. It deploys what is checked out.
    let promote_older = ["release", "promote", &older, "--yes"];
    xtask(site, &promote_older).expect(21).says(&["is older than", "see order"]);
    xtask(site, &[&promote_older[..], &["--allow-older"]].concat()).expect(0);
    let log = ended(&shop);
    assert!(
        log.contains("it was promoted with --allow-older") && log.contains("cannot be deployed: see tree"),
        "{log}"
    );
    assert!(log.contains(&format!("{} is checked out, and not {older}", &head[..12])), "{log}");

    // A deploy that fails is one at GitHub, too, and the end of its log is shown.
    site.project.edit("start", "status=ready", "status=unready");
    let second = release_head(&shop);
    let failed = xtask(site, &["release", "promote", &second, "--yes", "--follow"]).expect(1);
    failed.says(&[
        "✗ deploy: apply",
        "the end of the log of deploy",
        "says unready",
        "the workflow ended with failure",
    ]);
    let states: Vec<String> = repository.deployments().iter().map(|one| one.1.last().unwrap().clone()).collect();
    assert_eq!(states, ["success", "failure"]);

    // What is not in use is deleted; what runs stays.
    let third = release_head(&shop);
    a_release_that_a_person_publishes_is_checked(&shop, &third, &manifest);
    let prune = ["release", "prune", "production", "--keep", "0"];
    xtask(site, &[&prune[..], &["--dry-run"]].concat()).expect(0);
    let pruned = result(site, &[&prune[..], &["--yes"]].concat(), 0);
    assert_eq!(pruned["deleted"], json!([third]));
    let refs: Vec<String> = repository.refs().into_iter().map(|(name, _)| name).collect();
    assert!(refs.contains(&format!("refs/tags/{tag}")) && !refs.contains(&format!("refs/tags/{third}")), "{refs:?}");

    // A pull request shows its plan as one comment, and takes no plan's place. Its image is built only after the merge.
    let number = repository.pull_request("More memory");
    site.project.edit("infra/scaleway/variables_service.tf", "1073741824", "2147483648");
    site.project.edit("start", "exit 0", "exit 1");
    site.project.commit("More memory");
    for _ in 0..2 {
        let mut plan = in_job(&shop, &["tofu", "plan", "production", "--comment"]);
        let planned = Ran::of(plan.env("GITHUB_REF", format!("refs/pull/{number}/merge"))).expect(10);
        planned.says(&["planned with the image that serves", "the plan is in the pull request"]);
    }
    let comments = repository.comments();
    assert_eq!(comments.len(), 1);
    let body = comments[0]["body"].as_str().unwrap();
    assert!(body.contains("### production: 1 to update") && !body.contains("--approve"), "{body}");
    xtask(site, &["tofu", "plan", "production", "--comment"]).expect(2).says(&["GITHUB_REF names none"]);

    // One whose tag was moved is not promoted.
    repository.set_ref(&format!("refs/tags/{second}"), &head);
    let moved = xtask(site, &["release", "show", &second]).expect(0);
    assert!(moved.stdout.contains("names the commit") && moved.stdout.contains("✗ tag"), "{}", moved.stdout);
}

/// By the workflow, before it plans: its image, and its checks.
fn a_release_that_a_person_publishes_is_checked(shop: &Shop, tag: &str, other: &Value) {
    let Shop { site, repository, .. } = shop;
    let check = ["release", "check", tag, "--checked-out"];
    let good = result(site, &check, 0);
    let verdicts = good["checks"].as_array().unwrap().iter().map(|check| (&check["name"], &check["verdict"]));
    let names = ["tag", "image", "checks", "order", "migrations", "tree"].map(|name| (json!(name), json!("good")));
    assert!(verdicts.eq(names.iter().map(|(name, verdict)| (name, verdict))), "{good:#}");

    // Its file names an image of another commit, which the registry has.
    let mut manifest: Value = serde_json::from_slice(&repository.asset(tag, "release.json").unwrap()).unwrap();
    let own = manifest["image"]["digest"].take();
    manifest["image"]["digest"] = other["image"]["digest"].clone();
    replace_manifest(shop, tag, &manifest);
    let refused = xtask(site, &check).expect(21);
    let (own_digest, digest) = (own.as_str().unwrap(), manifest["image"]["digest"].as_str().unwrap());
    for text in [&format!("✗ tree        a deploy of it runs {own_digest}, and release.json names {digest}"), "✓ image"]
    {
        assert!(refused.stdout.contains(text), "{}", refused.stdout);
    }
    refused.says(&["cannot be deployed: see tree"]);
    manifest["image"]["digest"] = own;
    replace_manifest(shop, tag, &manifest);

    let head = site.project.git(&["rev-parse", "HEAD"]);
    repository.check("test", &head, Some("failure"));
    let (deployments, id) = (repository.deployments().len(), &release(shop, tag)["id"]);
    api(shop, "PATCH", &format!("/releases/{id}"), json!({ "prerelease": false }).to_string());
    let log = ended(shop);
    assert!(log.contains("not passed: test (failure)") && log.contains("cannot be deployed: see checks"), "{log}");
    // The same in the job that is rendered.
    let variables = site.project.read(".env.production");
    let unused = "SCW_ACCESS_KEY SCW_SECRET_KEY REGISTRY_USERNAME REGISTRY_PASSWORD DATABASE_URL BOOTSTRAP_TOKEN";
    let unused: String = unused.split(' ').map(|name| format!("{name}=unused.example.com\n")).collect();
    let (token, host) = (shop.github.workflow_token(&JOB), &shop.registry.address);
    set(site, &format!("GITHUB_TOKEN={token}\nREGISTRY_HOST={host}\n{unused}"));
    let ran = xtask(site, &["ci", "run", "deploy", "plan-production", "--event", "release"]).expect(1);
    site.project.write(".env.production", &variables);
    let ran =
        ran.says(&["not passed: test (failure)", "plan-production failed at: Check that the release can be deployed"]);
    assert!(ran.stdout.contains("Plan the deploy: its condition does not hold"), "{}", ran.stdout);
    assert_eq!(repository.deployments().len(), deployments);
    api(shop, "PATCH", &format!("/releases/{id}"), json!({ "prerelease": true }).to_string());
}

/// The calls of `release create` and `release promote`.
const CALLS: [&str; 12] = [
    "GET /releases",
    "POST /releases",
    "POST /releases/{release_id}/assets",
    "PATCH /releases/{release_id}",
    "GET /releases/tags/{tag}",
    "GET /releases/assets/{asset_id}",
    "GET /git/ref/{ref}",
    "GET /commits/{ref}/check-runs",
    "GET /commits/{ref}/status",
    "GET /actions/runs",
    "GET /compare/{basehead}",
    "GET /releases/latest",
];

#[test]
fn each_call_to_github_may_fail_once() {
    let Some(shop) = open_shop("each_call_to_github_may_fail_once") else { return };
    let Shop { site, github, repository, .. } = &shop;
    xtask(site, &["image", "push", "production"]).expect(0);
    let wait = Duration::from_secs(1);
    let faults = [
        Fault::Status(500),
        Fault::CutBefore,
        Fault::CutAfter,
        Fault::StatusAfter(502),
        Fault::RateLimit(wait),
        Fault::SecondaryRateLimit(wait),
        Fault::Unprocessable("Validation Failed".to_owned()),
        Fault::HalfUpload,
    ];
    let cases: Vec<(&str, Fault)> =
        CALLS.iter().flat_map(|call| faults.iter().map(move |fault| (*call, fault.clone()))).collect();
    let cases =
        cases.into_iter().filter(|(call, fault)| !matches!(fault, Fault::HalfUpload) || call.ends_with("/assets"));
    for (index, (call, fault)) in sample(&cases.collect::<Vec<_>>(), 6).into_iter().enumerate() {
        // The same tree has the same image.
        site.project.commit(&format!("Number {index}"));
        repository.read(&site.project.root).unwrap();
        let head = site.project.git(&["rev-parse", "HEAD"]);
        repository.check("test", &head, Some("success"));
        github.fail(call, fault.clone());
        let create = ["release", "create", "production"];
        let first = xtask(site, &create);
        if first.code != Some(0) {
            assert_eq!(first.code, Some(1), "{call} {fault:?}: {}", first.stderr);
            assert!(first.stderr.contains("\n  "), "{call} {fault:?} does not say what to do: {}", first.stderr);
        }
        // What only a second `create` calls, which compares, meets this one.
        let second = xtask(site, &create);
        if second.code != Some(0) {
            assert_eq!(second.code, Some(1), "{call} {fault:?}: {}", second.stderr);
        }
        let made = result(site, &create, 0);
        let tag = made["tag"].as_str().unwrap();
        let of_commit = |release: &&Value| release["tag_name"] == tag;
        let releases = repository.releases();
        let own: Vec<&Value> = releases.iter().filter(of_commit).collect();
        assert_eq!(own.len(), 1, "{call} {fault:?}: {:?}", github.calls());
        let names: Vec<&str> =
            own[0]["assets"].as_array().unwrap().iter().map(|asset| asset["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["release.json", "SHA256SUMS"], "{call} {fault:?}");
        assert_eq!((&own[0]["draft"], &own[0]["prerelease"]), (&Value::Bool(false), &Value::Bool(true)));
        // What `create` does not call meets this one.
        let check = ["release", "check", tag];
        let looked = xtask(site, &check);
        if looked.code != Some(0) {
            assert_eq!(looked.code, Some(1), "{call} {fault:?}: {}", looked.stderr);
            xtask(site, &check).expect(0);
        }
    }
}

#[test]
fn a_job_that_was_killed_leaves_a_deployment_that_the_next_one_ends() {
    let Some(shop) = open_shop("a_job_that_was_killed_leaves_a_deployment_that_the_next_one_ends") else { return };
    let Shop { site, github, repository, .. } = &shop;
    let mut killed = testkit::Running::start(in_job(&shop, &["deploy", "production", "--plan-only"]).arg("--json"));
    // A plan alone deploys nothing.
    killed.must_tell(|event| event["step"] == "plan" && event["state"] == "started");
    killed.kill();
    assert!(repository.deployments().is_empty());
    let mut killed =
        testkit::Running::start(in_job(&shop, &["deploy", "production", "--approve", &"0".repeat(32)]).arg("--json"));
    killed.must_tell(|event| event["step"] == "publish" && event["state"] == "started");
    killed.kill();
    assert_eq!(repository.deployments()[0].1, ["in_progress"]);
    xtask(site, &["lock", "break", "production", "--yes"]).expect(0);

    // The next one goes on although GitHub does not.
    github.fail("GET /deployments", Fault::Status(403));
    let refused = Ran::of(&mut in_job(&shop, &["deploy", "production"])).expect(21);
    refused.says(&["GitHub does not show this deployment", "nothing was applied"]);
    let refused = Ran::of(&mut in_job(&shop, &["deploy", "production"])).expect(21);
    let deployments = repository.deployments();
    assert_eq!(
        deployments.iter().map(|one| one.1.last().unwrap().as_str()).collect::<Vec<_>>(),
        ["error", "failure"],
        "{}",
        refused.stderr
    );
}

/// A project with its registry, stack, gateway and GitHub. Its workflow deploys as `deploy.yml` does: a check of the release, a plan, then
/// exactly that plan.
fn open_shop(test: &str) -> Option<Shop> {
    let (mut site, registry, rest) = open(test, START)?;
    let gateway = Gateway::before(&mut site);
    let github = GitHub::start();
    let repository = github.repository("owner", "name");
    let (person, release) = (
        github.personal_token(&["contents:write", "actions:read", "checks:read", "statuses:read"]),
        github.personal_token(&["all:write"]),
    );
    site.variables.push(("GITHUB_API_URL", github.url()));
    site.variables.push(("GH_TOKEN", person));
    set(&site, &format!("RELEASE_TOKEN={release}\n"));
    site.project.edit(
        "deploy.yaml",
        "    target: scaleway",
        "    target: scaleway\n    gate: { watch: 0, no_progress: 2 }",
    );
    site.project.edit("deploy.yaml", "\nenvironments:", "\ngithub: { repository: owner/name }\n\nenvironments:");
    xtask(&site, &["render"]).expect(0);
    site.project.commit("On GitHub");
    repository.read(&site.project.root).unwrap();
    let shop = Shop { site, github, repository, _gateway: gateway, registry, _rest: rest };
    let [check, plan, apply] = [(); 3].map(|()| in_job(&shop, &[]));
    let does: Callback = Arc::new(move |run| {
        let job = run.job("deploy");
        let tag = run.payload()["release"]["tag_name"].as_str().unwrap().to_owned();
        let checked = Ran::of(like(&check).args(["release", "check", &tag, "production", "--checked-out"]));
        checked.stdout.lines().chain(checked.stderr.lines()).for_each(|line| run.log(job, line));
        if checked.code != Some(0) {
            run.step(job, "check", Some("failure"));
            run.finish_job(job, "failure");
            return run.finish("failure");
        }
        let planned = Ran::of(like(&plan).args(["deploy", "production", "--plan-only", "--json"]));
        run.step(job, "plan", Some(if planned.code == Some(10) { "success" } else { "failure" }));
        let digest = planned.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let digest =
            digest.filter_map(|event| event["detail"]["approval"].as_str().map(str::to_owned)).next_back().unwrap();
        let applied = Ran::of(like(&apply).args(["deploy", "production", "--approve", &digest]));
        applied.stderr.lines().for_each(|line| run.log(job, line));
        let how = if applied.code == Some(0) { "success" } else { "failure" };
        run.step(job, "apply", Some(how));
        run.finish_job(job, how);
        run.finish(how);
    });
    shop.repository.workflow(".github/workflows/deploy.yml", "Deploy", &["release:released"], Some(does));
    Some(shop)
}

/// Commits, pushes and releases what is in the tree: the release's tag. Its checks have passed.
fn release_head(shop: &Shop) -> String {
    let Shop { site, repository, .. } = shop;
    let head = next_commit(shop);
    repository.check("test", &head, Some("success"));
    result(site, &["release", "create", "production"], 0)["tag"].as_str().unwrap().to_owned()
}

/// Commits and pushes what is in the tree, with its image: the commit.
fn next_commit(shop: &Shop) -> String {
    let Shop { site, repository, .. } = shop;
    site.project.commit("Another one");
    repository.read(&site.project.root).unwrap();
    xtask(site, &["image", "push", "production"]).expect(0);
    site.project.git(&["rev-parse", "HEAD"])
}

/// Waits for the end of the newest run, which has failed: its log.
fn ended(shop: &Shop) -> String {
    shop.github.wait_for_runs();
    let run = shop.repository.runs().pop().unwrap();
    assert_eq!(run["conclusion"], "failure");
    shop.repository.log(run["id"].as_u64().unwrap())
}

fn release(shop: &Shop, tag: &str) -> Value {
    shop.repository.releases().into_iter().find(|release| release["tag_name"] == tag).unwrap()
}

fn replace_manifest(shop: &Shop, tag: &str, manifest: &Value) {
    let release = release(shop, tag);
    let asset = release["assets"].as_array().unwrap().iter().find(|asset| asset["name"] == "release.json").unwrap();
    api(shop, "DELETE", &format!("/releases/assets/{}", asset["id"]), String::new());
    let upload = format!("/releases/{}/assets?name=release.json", release["id"]);
    api(shop, "POST", &upload, manifest.to_string());
}

/// What a person does at GitHub.
fn api(shop: &Shop, method: &str, path: &str, body: String) {
    let authorization = format!("Bearer {}", shop.github.owner_token());
    let headers =
        [("Authorization", authorization.as_str()), ("User-Agent", "test"), ("Content-Type", "application/json")];
    // What is posted here is a file.
    let host = if method == "POST" { "/uploads" } else { "" };
    let answer = ask(&shop.github.url(), method, &format!("{host}/repos/owner/name{path}"), &headers, body).unwrap();
    assert!(answer.status < 300, "{method} {path}: {}", answer.text());
}

/// A command of the toolkit in a job of GitHub Actions.
fn in_job(shop: &Shop, args: &[&str]) -> Command {
    let mut command = shop.site.toolkit(args);
    let token = shop.github.workflow_token(&JOB);
    command.env("GITHUB_ACTIONS", "true").env("CI", "true").env("GITHUB_RUN_ID", "7").env("GH_TOKEN", token);
    command.env("GITHUB_SERVER_URL", "https://github.example.org").env("GITHUB_REPOSITORY", "owner/name");
    command
}

/// The same command again.
fn like(command: &Command) -> Command {
    let mut again = Command::new(command.get_program());
    again.args(command.get_args()).current_dir(command.get_current_dir().unwrap()).stdin(std::process::Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => again.env(name, value),
            None => again.env_remove(name),
        };
    }
    again
}
