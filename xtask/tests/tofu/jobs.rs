//! `run` on a stack: the released image once more, as a job of the platform. The stand-in has the platform's API and runs the job in
//! this machine's Docker engine.

use std::process::Command;

use devservers::http::ask;
use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::production::{START, xtask};
use crate::site::{PASSPHRASE, Site, write_env};
use crate::whole::open;
use testkit::Running;

/// A secret with syntax of shells and of the platform. It is one line: a job gets no others.
const SECRET: &str = "sentinel of jobs $(x) 100% 'ü'";

/// Says what it was given, and fails.
const TELLS: &str = r#"echo "level $LOG_LEVEL, version $SERVICE_VERSION, port $PORT"
echo "${#JWT_SECRET} bytes: $JWT_SECRET"
echo "literally $1"
exit 7"#;

/// Runs until it is stopped.
const WAITS: &str = "trap 'exit 0' TERM; echo begun; while :; do /bin/busybox sleep 1 & wait; done";

const JOBS: &str = "/serverless-jobs/v1alpha2/regions/fr-par/job-definitions";
const SECRETS: &str = "/secret-manager/v1beta1/regions/fr-par/secrets";

#[test]
fn a_one_off_process_of_a_stack_is_a_job_with_the_containers_settings() {
    let test = "a_one_off_process_of_a_stack_is_a_job_with_the_containers_settings";
    let Some((mut site, _registry, _rest)) = open(test, START) else { return };
    let _gateway = Gateway::before(&mut site);
    let api = site.cloud().api().unwrap();
    site.variables.push(("SCW_API_URL", api.clone()));
    secrets(&site, SECRET);
    site.project.edit("deploy.yaml", "    target: scaleway", "    target: scaleway\n    gate: { watch: 0 }");
    site.project.edit("deploy.yaml", "approval: required", "approval: off");
    let version = site.project.commit("A release");
    xtask(&site, &["run", "production", "--", "/bin/busybox", "true"]).expect(1).says(&["nothing was deployed"]);
    xtask(&site, &["deploy", "production"]).expect(0);

    // Without Cockpit it ends all the same. What a process left that was killed before its job began is deleted.
    left_behind(&site, &api);
    xtask(&site, &["run", "production", "--", "/bin/busybox", "true"]).expect(0).says(&[
        "deleted the job fixture-production-run-0badcafe",
        "deleted the secret fixture-production-run-0badcafe-JWT_SECRET",
        "set COCKPIT_LOGS_URL and COCKPIT_TOKEN in .env.production",
        "the program ended with exit code 0",
    ]);
    nothing_is_left(&site);

    site.variables.push(("COCKPIT_LOGS_URL", api));
    site.variables.push(("COCKPIT_TOKEN", "sentinel-of-cockpit".to_owned()));
    let told = xtask(&site, &["run", "production", "--", "/bin/busybox", "sh", "-c", TELLS, "sh", "$(JWT_SECRET)"]);
    let told = told.expect(7).says(&["the program ended with exit code 7"]);
    assert!(!format!("{}{}", told.stdout, told.stderr).contains("sentinel"), "{}", told.stdout);
    let lines: Vec<&str> = told.stdout.lines().collect();
    assert_eq!(lines[0], format!("level info, version {version}, port 3000"));
    assert!(lines[1].starts_with(&format!("{} bytes: ", SECRET.len())), "{lines:?}");
    assert_eq!(lines[2], "literally $(JWT_SECRET)");
    nothing_is_left(&site);

    // Ctrl-C stops the job. Until then a deploy is not locked out, and the secret is where nothing shows it.
    let mut waiting = begun(&site);
    assert_eq!(xtask(&site, &["lock", "status", "production"]).expect(0).stdout, "production is free\n");
    let (_, job) = site.cloud().only("scaleway_job_definition");
    assert!(!job.to_string().contains("sentinel"), "{job:#}");
    assert_eq!(job["secret_reference"][0]["environment"], "JWT_SECRET");
    waiting.signal(rustix::process::Signal::INT);
    waiting.must_tell(|event| event["detail"]["text"].as_str().is_some_and(|text| text.contains("stopping the job")));
    let stopped = waiting.end().expect(1);
    assert!(stopped.stderr.contains("interrupted by Ctrl-C; the job was stopped"), "{}", stopped.stderr);
    nothing_is_left(&site);

    // One that was killed leaves a job that runs, which the next one does not end.
    begun(&site).kill();
    xtask(&site, &["run", "production", "--", "/bin/busybox", "true"])
        .expect(0)
        .says(&["a job of an earlier `run` still runs: fixture-production-run-", "(running)"]);
    assert_eq!(site.cloud().kept("scaleway_job_definition").len(), 1);

    // A secret that is not the deployed one.
    secrets(&site, "another sentinel of jobs");
    xtask(&site, &["run", "production", "--", "/bin/busybox", "true"]).expect(21).says(&[
        &format!("these secrets are not the ones that {version} was deployed with: JWT_SECRET"),
        "cargo xtask deploy production",
    ]);
}

/// Starts a job that waits, and returns once it has begun.
fn begun(site: &Site) -> Running {
    let mut command: Command = site.toolkit(&["run", "production", "--json", "--", "/bin/busybox", "sh", "-c", WAITS]);
    let mut running = Running::start(&mut command);
    running.must_tell(|event| event["detail"]["line"] == "begun");
    running
}

/// The service's secret and the credentials.
fn secrets(site: &Site, secret: &str) {
    let secret = secret.replace('$', "\\$");
    write_env(
        &site.project.root,
        PASSPHRASE,
        &format!(
            "JWT_SECRET=\"{secret}\"\nTF_VAR_dns_access_key_id=AKZONE\nTF_VAR_dns_secret_access_key=sentinel-zone-key\n\
             SCW_SECRET_KEY=sentinel-of-scaleway\n"
        ),
    );
}

/// A definition that was never started, and a secret for it.
fn left_behind(site: &Site, api: &str) {
    let (_, container) = site.cloud().only("scaleway_container_namespace");
    let (project, name) = (&container["project_id"], "fixture-production-run-0badcafe");
    let make = |path: &str, body: Value| {
        let answer = ask(api, "POST", path, &[("X-Auth-Token", "key")], body.to_string()).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    make(
        JOBS,
        json!({ "name": name, "project_id": project, "image_uri": "none", "cpu_limit": 70, "memory_limit": 128, "local_storage_capacity": 1000 }),
    );
    make(
        SECRETS,
        json!({ "name": format!("{name}-JWT_SECRET"), "project_id": project, "tags": ["fixture-production-run", name] }),
    );
    // One of another environment.
    make(SECRETS, json!({ "name": "other", "project_id": project, "tags": ["fixture-staging-run", "x"] }));
}

#[track_caller]
fn nothing_is_left(site: &Site) {
    let kept = |kind: &str| site.cloud().kept(kind).len();
    assert_eq!((kept("scaleway_job_definition"), kept("scaleway_secret"), kept("scaleway_secret_version")), (0, 1, 0));
}
