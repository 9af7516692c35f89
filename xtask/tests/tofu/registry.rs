//! The registry before the first push.

use std::process::Command;

use insta::assert_snapshot;

use crate::site::write_env_file;
use devservers::http::{HttpServer, Response};
use devservers::registry::{DockerRegistry, Login, PASSWORD, USER};
use testkit::{Project, Ran};

fn project(registry: &str) -> Project {
    Project::of("fixture", |project| {
        let deploy = project.read("deploy.yaml");
        let production = format!("  production:\n    target: scaleway\n    registry: {registry}/shop\n");
        project.write("deploy.yaml", &format!("image: {{}}\n{deploy}{production}"));
    })
}

fn command(project: &Project, password: &str) -> Command {
    let deploy = project.read("deploy.yaml");
    let registry = deploy.split_once("registry: ").unwrap().1.split('/').next().unwrap();
    let login = format!("REGISTRY_HOST={registry}\nREGISTRY_USERNAME={USER}\nREGISTRY_PASSWORD={password}\n");
    write_env_file(&project.root, &login);
    project.command(&["bootstrap", "registry", "production", "--check"])
}

#[test]
fn a_test_push_leaves_nothing() {
    let Some(registry) = testkit::or_skip("a_test_push_leaves_nothing", DockerRegistry::start(Login::Password)) else {
        return;
    };
    let project = project(&registry.address);
    let good = Ran::of(&mut command(&project, PASSWORD)).expect(0);
    assert_snapshot!(good.stdout.replace(&registry.address, "REGISTRY"), @r"
    image registry of production: REGISTRY/shop

      ✓ log-in REGISTRY accepts the credentials
      ✓ push   accepted for REGISTRY/shop/fixture; the test upload was cancelled
    ");
    // The registry logs a request after its answer.
    let count = |method: &str| {
        let begin = format!("{method} /v2/shop/fixture/blobs/uploads/");
        registry.requests().iter().filter(|line| line.starts_with(&begin)).count()
    };
    testkit::until("the upload is cancelled", || (count("POST"), count("DELETE")) == (1, 1));

    let wrong = Ran::of(&mut command(&project, "not~the~password")).expect(1);
    assert!(!wrong.stderr.contains("not~the~password"), "{}", wrong.stderr);
    wrong.says(&["refuses to log in", "REGISTRY_USERNAME and REGISTRY_PASSWORD"]);
}

#[test]
fn credentials_that_may_only_pull_are_reported() {
    let registry = HttpServer::start(|request| {
        let allowed = request.method == "GET";
        let denied = r#"{"errors":[{"code":"DENIED","message":"pull only"}]}"#;
        Response::new(if allowed { 200 } else { 403 }).body("application/json", if allowed { "{}" } else { denied })
    });
    let project = project(&registry.address);
    let refused = Ran::of(&mut command(&project, PASSWORD)).expect(10);
    assert_snapshot!(refused.stdout.replace(&registry.address, "REGISTRY"), @r"
    image registry of production: REGISTRY/shop

      ✓ log-in REGISTRY accepts the credentials
      ! push   REGISTRY refuses to write to shop/fixture with REGISTRY_USERNAME and REGISTRY_PASSWORD: 403 Forbidden (DENIED: pull only); should be accepted
               → set REGISTRY_HOST=REGISTRY, REGISTRY_USERNAME and REGISTRY_PASSWORD (in .env.<ENV> or in the environment), or type: docker login REGISTRY

      next: cargo xtask bootstrap registry production
    ");
}

#[test]
fn an_unreachable_registry_is_reported() {
    let project = project("127.0.0.1:1");
    Ran::of(&mut command(&project, PASSWORD)).expect(1).says(&["127.0.0.1:1 cannot be reached"]);
}

#[test]
fn at_scaleway_the_namespace_is_inspected_first() {
    let api = HttpServer::start(|request| match request.header("x-auth-token") {
        Some("sentinel-scaleway-key") => {
            Response::new(200).body("application/json", r#"{"namespaces":[],"total_count":0}"#)
        }
        _ => Response::new(401).body("application/json", r#"{"message":"authentication is denied"}"#),
    });
    let project = project("rg.fr-par.scw.cloud");
    let run = |args: &[&str]| {
        let mut command = project.command(args);
        command.env_remove("SCW_SECRET_KEY").env("SCW_API_URL", format!("http://{}", api.address));
        // The test uses no network.
        command.env("HTTPS_PROXY", "http://127.0.0.1:1").env("SCW_DEFAULT_PROJECT_ID", "project");
        let ran = Ran::of(&mut command);
        assert!(!ran.stdout.contains("sentinel") && !ran.stderr.contains("sentinel"), "{ran:?}");
        ran
    };
    let check = ["bootstrap", "registry", "production", "--check"];
    run(&check).expect(1).says(&["SCW_SECRET_KEY has no value", ".env.production"]);
    write_env_file(&project.root, "SCW_SECRET_KEY=sentinel-scaleway-key\n");
    let absent = run(&check).expect(10);
    assert!(absent.stdout.contains("✗ namespace shop") && absent.stdout.contains("→ create it"), "{}", absent.stdout);
    let doctor = run(&["doctor", "production"]);
    assert!(doctor.stdout.contains("✓ scaleway    the API accepts the key, in fr-par"), "{}", doctor.stdout);

    // The check is left out for an environment without a registry.
    let local = run(&["doctor", "local"]);
    assert!(local.stdout.contains("✓ clock") && !local.stdout.contains("scaleway"), "{}", local.stdout);

    write_env_file(&project.root, "SCW_SECRET_KEY=sentinel-another-key\n");
    run(&check).expect(1).says(&["authentication is denied", "check SCW_SECRET_KEY"]);
    let doctor = run(&["doctor", "production"]);
    assert!(doctor.stdout.contains("✗ scaleway"), "{}", doctor.stdout);
    assert!(api.asked().iter().all(|request| request.method == "GET"));
}
