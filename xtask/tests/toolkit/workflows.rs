//! The rendered workflows of projects of several shapes: what they are, and that actionlint, zizmor and the JSON schemas find nothing.

mod installed;

use std::path::Path;
use std::process::Command;

use devservers::workflow_checks;
use fs_err::os::unix::fs::symlink;
use insta::assert_snapshot;
use serde_json::Value;
use testkit::{Project, or_skip, test_name};
use xtask::render::actions::ACTIONS;

/// A stack with variables of each kind, whose provider takes the keys of the platform.
const STACK: &str = r#"terraform {
  required_providers {
    scaleway = {
      source = "scaleway/scaleway"
    }
  }
  backend "s3" {}
}
provider "scaleway" {}
variable "project_id" {
  description = "The id of the project"
}
variable "namespace_id" {
  description = "The id of an existing namespace"
  default     = null
}
variable "dns_key" {
  description = "A key for the zone"
  sensitive   = true
}
variable "image" {}
variable "release" {}
variable "settings" {}
variable "secrets" {}
variable "size" {
  default = 1
}
"#;

/// The same without a provider that takes keys; and one of AWS, whose jobs take a role.
const AWS_STACK: &str = "provider \"aws\" {\n  region = var.region\n}\nvariable \"region\" {}\n";

const SCALEWAY: &str = "
  production:
    target: scaleway
    registry: rg.fr-par.scw.cloud/shop
    domain: shop.example.org
    stack: infra
    state: { bucket: shop-state, region: fr-par, provider: scaleway }
    settings: { GREETING: hello }
";

#[test]
fn a_project_without_a_stack_is_checked_and_tested() {
    let project = shaped("", "", |_| {});
    assert_eq!(project.rendered(), [".github/workflows/ci.yml", ".github/dependabot.yml"]);
    project.show(&["ci"]);
    project.lint();
}

#[test]
fn a_project_with_a_stack_and_a_web_ui_has_every_workflow() {
    let project = shaped(SCALEWAY, "", |project| {
        project.write("infra/main.tf", STACK);
        project.edit("deploy.yaml", "  args: [serve]", "  args: [serve]\n  web: web");
        project.edit("deploy.yaml", "environments:", "image: { secrets: [NPM_TOKEN] }\nenvironments:");
        let scripts = r#"{ "build": "b", "lint": "l", "test": "t", "test:browser": "p" }"#;
        let manifest = format!(r#"{{ "scripts": {scripts}, "devDependencies": {{ "@playwright/test": "1" }} }}"#);
        project.write("web/package.json", &manifest);
        project.write("web/package-lock.json", "{}");
        project.write("xtask/checks/Cargo.toml", "");
        project.write("xtask/rehearsal/Cargo.toml", "");
        project.write("xtask/cutover/Cargo.toml", "");
        project.write("rust-toolchain.toml", "");
    });
    let all = ["ci", "deploy", "drift", "rehearse", "prune", "binaries"];
    let named = all.map(|name| format!(".github/workflows/{name}.yml"));
    let mut expected = vec![".env.production.example".to_owned()];
    expected.extend(named);
    expected.push(".github/dependabot.yml".to_owned());
    assert_eq!(project.rendered(), expected);
    project.show(&all);
    assert_snapshot!("scaleway-env", project.0.read(".env.production.example"));
    assert_snapshot!("scaleway-dependabot", project.0.read(".github/dependabot.yml"));
    project.lint();

    // Tests that start a service of their own are no tests of what is deployed.
    let tests_in_a_browser = |config: &str| {
        project.0.write("web/playwright.config.ts", config);
        project.0.ok(&["render"]);
        project.0.read(".github/workflows/ci.yml").contains("npm run test:browser")
    };
    assert!(tests_in_a_browser("export default { use: { baseURL: process.env.BASE_URL } };"));
    assert!(!tests_in_a_browser("export default {};"));
}

/// Two environments that share a registry, at GitHub itself, with keys that OpenID Connect replaces, and the user's own jobs and steps.
#[test]
fn environments_at_aws_take_a_role_and_hooks_are_inserted_as_they_are() {
    let environment = |name: &str| {
        format!(
            "
  {name}:
    target: scaleway
    registry: ghcr.io/shop
    stack: infra
    state: {{ bucket: shop-state, region: eu-north-1, provider: aws }}
    variables: {{ region: eu-north-1 }}
    settings: {{ GREETING: hello }}
"
        )
    };
    let hooks = r#"
  workflows:
    runner: ubuntu-22.04
    attestations: off
    ci:
      jobs:
        docs:
          runs-on: ubuntu-24.04
          timeout-minutes: 5
          permissions: {}
          steps:
            - name: Greet
              run: |
                echo one

                echo "two: ${TWO}"
              env: { TWO: "2" }
        after:
          needs: [docs]
          runs-on: ubuntu-24.04
          timeout-minutes: 5
          permissions: {}
          steps: [{ run: "true" }]
      before_test: [{ name: Prepare, run: make prepare }]
      after_test:
        - name: Tell
          if: always()
          run: make tell
    deploy: { released: [production] }
    drift: { schedule: "5 5 * * 1-5" }
    prune: off
"#;
    let environments = environment("staging") + &environment("production");
    let project = shaped(&environments, hooks, |project| {
        project.write("infra/main.tf", AWS_STACK);
        project.edit("deploy.yaml", "environments:", "image: {}\nenvironments:");
    });
    assert!(!project.0.root.join(".github/workflows/prune.yml").exists());
    project.show(&["ci", "deploy", "drift"]);
    assert_snapshot!("aws-env", project.0.read(".env.production.example"));
    project.lint();
}

/// What CI attests must be what it has built: another environment would reuse an image that a person pushed.
#[test]
fn of_environments_with_one_registry_the_one_that_requires_a_proof_pushes() {
    let environment = |name: &str, verify: &str| {
        SCALEWAY.replace("production:", &format!("{name}:")).replace("stack: infra", &format!("stack: infra\n{verify}"))
    };
    let environments = environment("preview", "") + &environment("production", "    verify: provenance");
    let project = shaped(&environments, "", |project| {
        project.write("infra/main.tf", STACK);
        project.edit("deploy.yaml", "environments:", "image: {}\nenvironments:");
    });
    let ci = project.0.read(".github/workflows/ci.yml");
    assert!(ci.contains("cargo xtask image push production") && !ci.contains("image push preview"), "{ci}");
    let push = ci.split("name: Build and push the image").nth(1).unwrap().split("run:").next().unwrap();
    assert!(push.contains("GITHUB_TOKEN:"), "it reads what is attested already: {push}");
    let plan = ci.split("\n  plan-production:").nth(1).unwrap().split("steps:").next().unwrap();
    assert!(plan.contains("attestations: read"), "{plan}");
    project.lint();
}

#[test]
fn what_git_ignores_and_what_github_does_not_read_is_said() {
    let project = shaped(SCALEWAY, "", |project| {
        project.write("infra/main.tf", STACK);
        project.write(".gitignore", "/target\n/.deploy\n.env.*\n!.env.example\n");
        // A service's own templates stay its own.
        project.write("templates/pages/index.html.j2", "{% extends 'base.html' %}\n");
    });
    let said = project.0.ok(&["render", "--check"]);
    said.says(&["git ignores .env.production.example", "git add --force .env.production.example"]);
    assert!(!project.0.root.join("pages").exists());
    let below = project.0.root.join("sub");
    fs_err::create_dir(&below).unwrap();
    project.0.git(&["mv", "--force", "deploy.yaml", "sub/deploy.yaml"]);
    for name in ["settings.json", "infra", "templates", "Cargo.toml", "Cargo.lock", "src", "migrations"] {
        fs_err::rename(project.0.root.join(name), below.join(name)).unwrap();
    }
    let mut render = project.0.command(&["render"]);
    let said = testkit::Ran::of(render.current_dir(&below)).expect(0);
    said.says(&["GitHub reads workflows at the top of a repository only", "working-directory: sub/"]);
}

#[test]
fn a_wrong_hook_is_named_with_its_place() {
    for (hooks, says) in [
        ("ci: { before_tset: [] }", "did you mean `before_test`?"),
        ("ci: { before_test: [{ name: Nothing }] }", "a step has either `run` or `uses`"),
        ("ci: { jobs: { docs: { steps: [] } } }", "a job has either `runs-on` or `uses`"),
        ("ci: { jobs: { 'a b': { runs-on: x } } }", "not the id of a job"),
        ("ci: { before_test: [{ uses: actions/checkout@v5 }] }", "\"actions/checkout@v5\" is not fixed"),
        ("ci: { jobs: { docs: { uses: shop/ci/.github/workflows/docs.yml@main } } }", "is not fixed"),
        ("ci: { jobs: { docs: { runs-on: x, steps: [{ uses: docker://alpine:3 }] } } }", "is not fixed"),
        ("ci: { before_test: [{ uses: 5 }] }", "is not fixed"),
        ("ci: { before_test: [{ uses: 'docker://alpine@COMMIT' }] }", "is not fixed"),
        ("ci: { jobs: { docs: { runs-on: x, container: 'alpine:3' } } }", "\"alpine:3\" is not fixed"),
        ("ci: { jobs: { docs: { runs-on: x, container: { image: 'alpine@COMMIT' } } } }", "is not fixed"),
        ("ci: { jobs: { docs: { runs-on: x, services: { db: { image: postgres } } } } }", "\"postgres\" is not fixed"),
        ("ci: { jobs: { docs: { runs-on: x, services: '${{ github.event.x }}' } } }", "is not fixed"),
        ("ci: { jobs: { 'null': { runs-on: x } } }", "not the id of a job"),
        ("ci: { jobs: { 'True': { runs-on: x } } }", "not the id of a job"),
        ("drift: { schedule: hourly }", "expected minute, hour, day, month and day of the week"),
        ("deploy: { schedule: '1 1 * * *' }", "unknown key"),
    ] {
        let hooks = hooks.replace("COMMIT", &"0".repeat(40));
        let project = Project::of("fixture", |project| {
            project.write(
                "deploy.yaml",
                &format!("{}\ngithub: {{ workflows: {{ {hooks} }} }}\n", project.read("deploy.yaml")),
            );
        });
        project.run(&["render", "--check"]).expect(2).says(&["deploy.yaml:", says]);
    }
    // A job with an id of the toolkit's own would replace it.
    let project = Project::of("fixture", |project| {
        let hooks = "{ ci: { jobs: { test: { runs-on: x, steps: [] } } } }";
        project.write("deploy.yaml", &format!("{}\ngithub: {{ workflows: {hooks} }}\n", project.read("deploy.yaml")));
    });
    project.run(&["render"]).expect(1).says(&[".github/workflows/ci.yml", "github.workflows.ci", "duplicate"]);
}

#[test]
fn the_own_jobs_and_steps_of_the_guide_are_rendered() {
    let guide = fs_err::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/GITHUB.md")).unwrap();
    let (_, shown) = guide.split_once("```yaml\ngithub:\n  workflows:\n").expect("docs/GITHUB.md shows own jobs");
    let (shown, _) = shown.split_once("```").unwrap();
    let project = shaped("", &format!("\n  workflows:\n{shown}"), |_| ());
    let ci = project.0.read(".github/workflows/ci.yml");
    assert!(ci.contains("\n  docs:\n") && ci.contains("run: make lint-docs"), "{ci}");
    project.lint();
}

/// GitHub would go on running it, with a deploy.yaml that says nothing of it.
#[test]
fn a_workflow_that_is_rendered_no_more_is_told_and_removed() {
    let project = shaped("", "", |_| ());
    let (ci, own) = (".github/workflows/ci.yml", ".github/workflows/own.yml");
    project.0.write(own, "on: push\njobs: {}\n");
    let github = project.0.read("deploy.yaml");
    let (before, _) = github.split_once("github:").unwrap();
    project.0.write("deploy.yaml", before);
    let ran = project.0.run(&["render", "--check"]).expect(1).says(&["not up to date", ci]);
    assert!(ran.stdout.contains(&format!("{ci} is rendered no more")), "{}", ran.stdout);
    let ran = project.0.ok(&["render"]);
    assert!(ran.stdout.contains(&format!("removed {ci}")) && !ran.stdout.contains(own), "{}", ran.stdout);
    assert!(!project.0.root.join(ci).exists() && project.0.root.join(own).exists());
    project.0.ok(&["render", "--check"]);
}

/// It may be the user's own, and is not what `render` has written.
#[test]
fn a_workflow_that_is_no_file_of_the_project_is_left_alone() {
    let outside = tempfile::tempdir().unwrap();
    let generated = "# Generated by `cargo xtask render`, and elsewhere\n";
    fs_err::write(outside.path().join("ci.yml"), generated).unwrap();
    let project = Project::of("fixture", |project| {
        project.write("own.yml", generated);
        project.write(".github/workflows/drift.yml/notes", "");
        fs_err::write(project.root.join(".github/workflows/prune.yml"), b"\xff\n").unwrap();
        for (name, target) in [("ci", outside.path().join("ci.yml")), ("deploy", "../../own.yml".into())] {
            symlink(target, project.root.join(format!(".github/workflows/{name}.yml"))).unwrap();
        }
    });
    project.ok(&["render"]);
    project.ok(&["render", "--check"]).says(&["up to date"]);
    for name in ["ci", "deploy", "drift", "prune"] {
        assert!(project.root.join(format!(".github/workflows/{name}.yml")).exists(), "{name}");
    }
}

#[test]
fn nothing_is_written_or_removed_through_a_link() {
    let outside = tempfile::tempdir().unwrap();
    let project = shaped("", "", |_| ());
    fs_err::remove_dir_all(project.0.root.join(".github")).unwrap();
    symlink(outside.path(), project.0.root.join(".github")).unwrap();
    project.0.run(&["render"]).expect(1).says(&["write .github/", ".github is a link to"]);
    assert_eq!(fs_err::read_dir(outside.path()).unwrap().count(), 0);
}

/// What other jobs leave in a cache would run with the secrets or with a token that writes.
#[test]
fn only_jobs_without_secrets_restore_a_cache() {
    let project = shaped(SCALEWAY, "", |project| {
        project.write("infra/main.tf", STACK);
        project.write("xtask/rehearsal/Cargo.toml", "");
        project.edit("deploy.yaml", "environments:", "image: {}\nenvironments:");
    });
    let mut cached = Vec::new();
    for name in ["ci", "deploy", "drift", "rehearse", "prune"] {
        let workflow: Value = serde_yaml::from_str(&project.0.read(&format!(".github/workflows/{name}.yml"))).unwrap();
        for (id, job) in workflow["jobs"].as_object().unwrap() {
            if job["steps"].to_string().contains("actions/cache@") {
                assert!(job["environment"].is_null(), "{id}");
                assert_eq!(job["permissions"], serde_json::json!({ "contents": "read" }), "{id}");
                cached.push(id.clone());
            }
        }
    }
    assert_eq!(cached, ["check", "test", "rehearse-production"]);
}

#[test]
fn a_template_of_the_project_takes_the_place_of_the_toolkits() {
    let project = shaped("", "", |project| {
        project.write("templates/dependabot.yml.j2", "{= head =}\nversion: 2 # {= main_branch =}\nupdates: []\n");
    });
    let text = project.0.read(".github/dependabot.yml");
    assert!(text.starts_with("# Generated by `cargo xtask render`") && text.contains("version: 2 # main\n"), "{text}");
    project.0.edit("templates/dependabot.yml.j2", "main_branch", "main_brnch");
    project.0.run(&["render", "--check"]).expect(1).says(&["dependabot.yml.j2", "undefined"]);
}

#[test]
fn other_templates_of_the_project_repeat_what_deploy_yaml_says() {
    let project = Project::of("fixture", |project| {
        let text = "{= head =}\nvariable \"path\" {\n  default = \"{= service.readiness =}\"\n}\n";
        project.write("templates/infra/deploy.tf.j2", text);
    });
    project.ok(&["render"]);
    assert!(project.read("infra/deploy.tf").contains("default = \"/ready\""), "{}", project.read("infra/deploy.tf"));
    project.edit("deploy.yaml", "readiness: /ready", "readiness: /health");
    let ran = project.run(&["render", "--check"]).expect(1).says(&["not up to date: infra/deploy.tf"]);
    assert!(ran.stdout.contains("+  default = \"/health\""), "{}", ran.stdout);
}

/// A project, rendered.
struct Shaped(Project);

/// The fixture with more environments and with lines below `github`, rendered.
fn shaped(environments: &str, github: &str, change: impl FnOnce(&Project)) -> Shaped {
    let project = Project::of("fixture", |project| {
        let github = format!("\ngithub:\n  repository: example/shop{github}\n");
        project.write("deploy.yaml", &(project.read("deploy.yaml") + environments + &github));
        change(project);
    });
    project.ok(&["render"]);
    project.ok(&["render", "--check"]);
    Shaped(project)
}

impl Shaped {
    /// The names of the files that were rendered from the toolkit's own templates, in the order in which they are written.
    fn rendered(&self) -> Vec<String> {
        let names = [".env.production.example"].map(str::to_owned).into_iter();
        let workflows = ["ci", "deploy", "drift", "rehearse", "prune", "binaries"]
            .map(|name| format!(".github/workflows/{name}.yml"));
        let all = names.chain(workflows).chain([".github/dependabot.yml".to_owned()]);
        all.filter(|name| self.0.root.join(name).exists()).collect()
    }

    /// Compares workflows with the snapshots of this test. Commits of actions change by themselves, in their table.
    fn show(&self, names: &[&str]) {
        for name in names {
            let test = test_name();
            let test = test.rsplit("::").next().unwrap();
            let text = self.0.read(&format!(".github/workflows/{name}.yml"));
            let text = ACTIONS
                .iter()
                .fold(text, |text, action| text.replace(&action.pinned(), &format!("{}@COMMIT", action.repository)));
            // The port is another one in each test.
            let text = text.replace(&format!(":{}\n", self.0.port), ":PORT\n");
            // The version is another one after each release.
            let version = env!("CARGO_PKG_VERSION");
            let text = ["cutover ", "/v"].iter().fold(text, |text, before| {
                text.replace(&format!("{before}{version}\n"), &format!("{before}VERSION\n"))
            });
            assert_snapshot!(format!("{test}-{name}"), text);
        }
    }

    /// actionlint and the schemas find nothing, and zizmor nothing above what informs.
    fn lint(&self) {
        lint(&self.0.root);
    }
}

/// The workflows of this project itself.
#[test]
fn the_checks_find_nothing_in_this_projects_own_workflows() {
    lint(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
}

fn lint(root: &Path) {
    let folder = root.join(".github/workflows");
    let files: Vec<_> = fs_err::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty());
    if let Some(actionlint) = or_skip(&test_name(), workflow_checks::actionlint()) {
        // Not shellcheck, which is another program, nor the labels of runners, which are the user's.
        run(Command::new(actionlint).args(["-no-color", "-shellcheck=", "-pyflakes="]).args(&files).current_dir(root));
    }
    if let Some(zizmor) = or_skip(&test_name(), workflow_checks::zizmor()) {
        let mut zizmor = Command::new(zizmor);
        zizmor.args(["--offline", "--no-progress", "--color", "never", "--min-severity", "low"]);
        run(zizmor.arg(".github").current_dir(root));
    }
    if let Some([workflow, dependabot]) = or_skip(&test_name(), workflow_checks::schemas()) {
        let workflow = jsonschema::validator_for(&json(&workflow)).unwrap();
        for file in &files {
            fits(&workflow, file);
        }
        let file = root.join(".github/dependabot.yml");
        if file.exists() {
            fits(&jsonschema::validator_for(&json(&dependabot)).unwrap(), &file);
        }
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
}

fn fits(schema: &jsonschema::Validator, file: &Path) {
    let value: Value = serde_yaml::from_str(&fs_err::read_to_string(file).unwrap()).unwrap();
    let wrong: Vec<String> =
        schema.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(wrong.is_empty(), "{}: {wrong:#?}", file.display());
}

fn json(file: &Path) -> Value {
    serde_json::from_str(&fs_err::read_to_string(file).unwrap()).unwrap()
}
