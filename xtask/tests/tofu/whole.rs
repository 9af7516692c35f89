//! A release through all single steps: pushed, planned, approved, applied, and running. The stack of Scaleway is on the
//! stand-in, which runs containers in this machine's Docker engine and has its buckets on a real S3 server.

use std::process::Command;

use serde_json::json;

use crate::site::{PASSPHRASE, Site, cloud, write_env};
use devservers::http::ask;
use devservers::registry::{DockerRegistry, Login};
use devservers::versitygw::{ACCESS_KEY, REGION, SECRET_KEY, Versitygw};
use testkit::{Ran, skipped};

/// A secret of the service: quotes, a line break, and syntax of shells, OpenTofu and Docker.
const SECRET: &str = "it's a \"sentinel\"\\n\n$HOME ${x} %{y} $${z} 100% ü 東京";

/// The service: a shell script that answers with its environment.
const START: &str = r#"#!/bin/busybox sh
b=/bin/busybox
$b mkdir -p /www/api/health
echo fine > /www/api/health/readiness
echo fine > /www/api/health/liveness
$b printf %s "$JWT_SECRET" > /www/secret
$b printf %s "$LOG_LEVEL $SERVICE_VERSION $PORT" > /www/plain
trap 'exit 0' TERM
$b httpd -f -p "$PORT" -h /www &
wait
"#;

#[test]
fn a_commit_is_pushed_planned_approved_applied_and_runs() {
    let test = "a_commit_is_pushed_planned_approved_applied_and_runs";
    let Some((site, registry, _rest)) = open(test, START) else { return };
    let head = site.project.head();
    // Without an image in the registry there is no plan.
    site.run(&["plan", "production"]).expect(21).says(&["cargo xtask image push production"]);
    Ran::of(&mut site.toolkit(&["image", "push", "production"])).expect(0);

    let plan = site.result(&["plan", "production"], 10);
    assert_eq!((&plan["counts"], &plan["refused"]), (&json!({ "create": 13 }), &json!([])), "{plan:#}");
    let applied = site.result(&["apply", "production", "--approve", plan["approval"].as_str().unwrap()], 0);
    assert_eq!((&applied["created"], &applied["errored"]), (&json!(13), &json!([])));
    let outputs = site.result(&["output", "production"], 0)["outputs"].take();
    assert_eq!(outputs["registry_endpoint"], format!("{}/meemit", registry.address));
    let address = outputs["endpoint"].as_str().unwrap();
    assert_eq!(get(address, "/secret"), SECRET);
    let (level, rest) = get(address, "/plain").split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert_eq!((level.as_str(), rest.split(' ').next()), ("info", Some(head.as_str())));
    assert!(site.storage.bucket("meemit-media").is_dir());
    assert_eq!(site.result(&["plan", "production"], 0)["unchanged"], 13);

    // The next commit replaces it at the same address.
    site.project.edit("start", "exit 0", "exit");
    let next = site.project.commit("Another one");
    Ran::of(&mut site.toolkit(&["image", "push", "production"])).expect(0);
    let plan = site.result(&["plan", "production"], 10);
    assert_eq!(plan["counts"], json!({ "update": 1 }), "{plan:#}");
    site.run(&["apply", "production", "--approve", plan["approval"].as_str().unwrap()]).expect(0);
    assert!(get(address, "/plain").contains(&next));

    // A release that does not start is reported, and the previous one keeps serving.
    site.project.edit("start", "echo fine > /www/api/health/readiness", "echo no database; exit 3");
    site.project.commit("One that ends");
    Ran::of(&mut site.toolkit(&["image", "push", "production"])).expect(0);
    let approval = site.approval();
    let errored = site.result(&["apply", "production", "--approve", &approval], 0)["errored"].take();
    assert_eq!(errored[0]["address"], "scaleway_container.service", "{errored:#}");
    assert!(get(address, "/plain").contains(&next));

    // The secret is in no output.
    let shown = site.run(&["plan", "production"]);
    assert!(!format!("{}{}", shown.stdout, shown.stderr).contains("sentinel"));
}

/// Removes the containers and the images from the engine when it is dropped.
pub struct Rest {
    images: String,
}

impl Drop for Rest {
    fn drop(&mut self) {
        let list = |args: &[&str]| Ran::of(&mut docker(args)).stdout;
        for image in list(&["images", "--quiet", "--filter", &format!("reference={}", self.images)]).lines() {
            for container in list(&["ps", "--all", "--quiet", "--filter", &format!("ancestor={image}")]).lines() {
                drop(docker(&["rm", "--force", container]).output());
            }
            drop(docker(&["rmi", "--force", image]).output());
        }
    }
}

/// A project with the stack, an image of its service, which `start` starts, a registry and an engine.
pub fn open(test: &str, start: &str) -> Option<(Site<Versitygw>, DockerRegistry, Rest)> {
    if !docker(&["version"]).output().is_ok_and(|output| output.status.success()) {
        skipped(test, "no Docker engine answers; install one: cargo xtask setup --docker");
        return None;
    }
    let registry = testkit::or_skip(test, DockerRegistry::start(Login::Open))?;
    let mut site = crate::stacks::site::<Versitygw>(test, "scaleway")?;
    let machine = [
        ("STANDIN_DOCKER", "1"),
        ("STANDIN_API", "127.0.0.1:0"),
        ("STANDIN_REGISTRY", &registry.address),
        ("STANDIN_S3_ENDPOINT", &site.storage.endpoint()),
        ("STANDIN_S3_ACCESS_KEY", ACCESS_KEY),
        ("STANDIN_S3_SECRET_KEY", SECRET_KEY),
        ("STANDIN_S3_REGION", REGION),
    ];
    site.cloud = Some(cloud(&machine));
    let project = &site.project;
    project.edit("deploy.yaml", "rg.fr-par.scw.cloud/meemit", &format!("{}/meemit", registry.address));
    project.edit("deploy.yaml", "\nenvironments:", "\nimage: {}\n\nenvironments:");
    let secret = SECRET.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$").replace('\n', "\\n");
    write_env(
        &project.root,
        PASSPHRASE,
        &format!(
            "JWT_SECRET=\"{secret}\"\nTF_VAR_dns_access_key_id=AKZONE\nTF_VAR_dns_secret_access_key=sentinel-zone-key\n"
        ),
    );
    project.write_image(start);
    project.commit("As an image");
    let rest = Rest { images: format!("{}/meemit/*", registry.address) };
    Some((site, registry, rest))
}

fn docker(args: &[&str]) -> Command {
    let mut docker = Command::new("docker");
    docker.args(args);
    docker
}

/// The body of the answer, whose status must be 200.
pub fn get(address: &str, path: &str) -> String {
    let answer = ask(address, "GET", path, &[], "").unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.text()
}
