//! `ci run`: jobs of rendered workflows on this machine.

use std::os::unix::fs::PermissionsExt as _;

use devservers::http;
use testkit::{Project, Ran};
use xtask::render::actions::ACTIONS;

const PRODUCTION: &str = "
  production:
    target: scaleway
    registry: rg.fr-par.scw.cloud/shop
    stack: infra
    state: { bucket: shop-state, region: fr-par, provider: scaleway }
    settings: { GREETING: hello }
image: {}
github: { repository: example/shop }
";

/// Two jobs: the first hands a word to its later steps and to the second.
const WORKFLOW: &str = r#"{= head =}
name: drift
on:
  workflow_dispatch:
env:
  OF_WORKFLOW: "yes"
jobs:
  first:
    runs-on: x
    permissions:
      id-token: write
    environment:
      name: production-plan
    outputs:
      word: ${{ steps.say.outputs.word }}
    steps:
      - uses: actions/checkout@0000000000000000000000000000000000000000
      - name: Prepare
        run: exit 1
      - name: Say
        id: say
        env:
          SCW_SECRET_KEY: ${{ secrets.SCW_SECRET_KEY }}
          NAMESPACE: ${{ vars.TF_VAR_none }}
        run: |
          cargo xtask completions bash > shell
          test "$SCW_SECRET_KEY:$NAMESPACE:$OF_WORKFLOW:$CI" = key-of-scaleway::yes:true
          test -z "$OF_THE_USER"
          test ! -e .env.production
          test "$GITHUB_REPOSITORY $GITHUB_EVENT_NAME" = "example/shop workflow_dispatch"
          test -n "$ACTIONS_ID_TOKEN_REQUEST_TOKEN"
          case "$ACTIONS_ID_TOKEN_REQUEST_URL" in http://127.0.0.1:*) ;; *) exit 1 ;; esac
          echo word=hello >> "$GITHUB_OUTPUT"
          echo later=1 >> "$GITHUB_ENV"
          echo "a summary" >> "$GITHUB_STEP_SUMMARY"
      - name: Look
        run: test "$later" = 1 && cargo xtask completions bash | cmp - shell
      - name: After a failure
        if: failure()
        run: cargo xtask completions bash > /dev/null
  second:
    runs-on: x
    needs: [first]
    if: needs.first.outputs.word == 'hello'
    steps:
      - name: Take
        env:
          WORD: ${{ needs.first.outputs.word }}
        run: test "$WORD" = hello && test -z "$SCW_SECRET_KEY$ACTIONS_ID_TOKEN_REQUEST_URL" && cargo xtask completions bash > /dev/null
"#;

fn project(values: &str) -> Project {
    let project = Project::of("fixture", |project| {
        project.write("deploy.yaml", &(project.read("deploy.yaml") + PRODUCTION));
        project.write("infra/main.tf", "terraform {\n  backend \"s3\" {}\n}\n");
        project.write("templates/drift.yml.j2", WORKFLOW);
        project.write(".gitignore", ".deploy\n.env.production\n");
    });
    project.ok(&["render"]);
    project.commit("Rendered files");
    project.write(".env.production", values);
    let private = std::fs::Permissions::from_mode(0o600);
    fs_err::set_permissions(project.root.join(".env.production"), private).unwrap();
    project
}

const VALUES: &str =
    "SCW_ACCESS_KEY=SCWKEY\nSCW_SECRET_KEY=key-of-scaleway\nTF_STATE_PASSPHRASE=0123456789abcdef\nSECRET=x\n";

#[test]
fn a_job_of_ci_runs_the_toolkit_in_a_clone_of_the_commit() {
    let project = project(VALUES);
    // What is not committed is not in the clone.
    project.write("settings.json", "{}");
    let ran = project.run(&["ci", "run", "ci", "check"]);
    project.git(&["checkout", "--", "settings.json"]);
    prints(&ran.expect(0), &["✓ Compare the rendered files", "Install Rust: it does not run the toolkit"]);
}

#[test]
fn outputs_identity_and_names_are_those_of_the_workflow() {
    let project = project(VALUES);
    let run = |args: &[&str]| Ran::of(project.command(args).env("OF_THE_USER", "x"));
    let ran = run(&["ci", "run", "drift"]).expect(0);
    let ran = ran.says(&["a summary"]);
    prints(&ran, &["✓ Say", "✓ Look", "After a failure: its condition does not hold", "word=hello", "✓ Take"]);
    assert!(!ran.stderr.contains("key-of-scaleway") && !ran.stdout.contains("key-of-scaleway"), "{ran:?}");
    // A job that takes outputs runs after those that hand them on.
    prints(&run(&["ci", "run", "drift", "second"]).expect(0), &["✓ Say", "✓ Take"]);
    let all = run(&["ci", "run", "drift", "first", "--all-steps"]).expect(1);
    prints(&all.says(&["the job first failed at: Prepare"]), &["✗ Prepare", "✓ After a failure"]);
    // The steps have what is handed to them by name, and `Say` finds it.
    let handed = run(&["ci", "run", "drift", "first", "--env", "OF_THE_USER"]).expect(1);
    prints(&handed.says(&["the job first failed at: Say"]), &["✗ Say", "✓ After a failure"]);
    run(&["ci", "run", "drift", "--input", "nope=1"]).expect(2).says(&["drift has no input nope"]);
    run(&["ci", "run", "drift", "--env", "OF_NO_ONE"]).expect(2).says(&["OF_NO_ONE", "has no such variable"]);
}

#[test]
fn what_the_environment_lacks_is_named_before_the_first_step() {
    let project = project("SCW_ACCESS_KEY=SCWKEY\n");
    project
        .run(&["ci", "run", "drift"])
        .expect(21)
        .says(&["first", ".env.production has no value of them: SCW_SECRET_KEY"]);
}

#[test]
fn what_there_is_is_listed_and_named() {
    let project = project(VALUES);
    let listed = project.ok(&["ci", "run", "--list"]);
    prints(
        &listed,
        &["ci   on push, pull_request", "plan-production   (production-plan)", "deploy-production   (production)"],
    );
    project.run(&["ci", "run", "cd"]).expect(2).says(&["there is no workflow cd; there are: ci, deploy"]);
    project.run(&["ci", "run", "ci", "tset"]).expect(2).says(&["ci has no job tset; it has: check, test"]);
    project.run(&["ci", "run", "ci", "--event", "release"]).expect(2).says(&["push, pull_request"]);
}

#[test]
fn actions_that_are_behind_or_whose_tag_was_moved_are_named() {
    let github = devservers::GitHub::start();
    let token = github.owner_token();
    let release = |repository: &str, tag: &str, commit: &str| {
        let headers = [("Authorization", format!("Bearer {token}")), ("User-Agent", "test".to_owned())];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        let body = format!(r#"{{"tag_name":"{tag}","target_commitish":"{commit}","name":"{tag}","body":"b"}}"#);
        let path = format!("/repos/{repository}/releases");
        assert_eq!(http::ask(&github.url(), "POST", &path, &headers, body).unwrap().status, 201);
    };
    for action in ACTIONS {
        let (owner, name) = action.repository.split_once('/').unwrap();
        let commit = github.repository(owner, name).commit("main", "First");
        release(action.repository, action.version, &commit);
        if action.key == "cache" {
            release(action.repository, "v99.0.0", &commit);
        }
    }
    let project = Project::fixture();
    let mut command = project.command(&["ci", "actions"]);
    let ran = Ran::of(command.env("GITHUB_API_URL", github.url()).env("GH_TOKEN", &token)).expect(10);
    let [cache, node] = ["cache", "node"].map(|key| ACTIONS.iter().find(|action| action.key == key).unwrap());
    let behind = format!("{} {}, the latest release is v99.0.0", cache.repository, cache.version);
    prints(&ran, &[&behind, &format!("{} {}, the latest release\n", node.repository, node.version)]);
    ran.says(&[&format!("{} {} is another commit now", node.repository, node.version)]);
    let mut command = project.command(&["ci", "actions"]);
    Ran::of(command.env_remove("GH_TOKEN").env_remove("GITHUB_TOKEN")).expect(21).says(&["export GH_TOKEN="]);
}

fn prints(ran: &Ran, texts: &[&str]) {
    for text in texts {
        assert!(ran.stdout.contains(text), "it does not print {text:?}:\n{}", ran.stdout);
    }
}
