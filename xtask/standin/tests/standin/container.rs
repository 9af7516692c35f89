//! Containers in the Docker engine.

use std::net::TcpStream;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use devservers::registry::{DockerRegistry, Login};
use testkit::until;

use super::docker::{IMAGE, container, containers, docker_stdout, get, start};
use super::harness::{RunResult, or_skip};

/// Quotes, a line break, and characters that a shell, OpenTofu or Docker could interpret.
const SECRET: &str = "it's \"so\"\\n\nand $HOME ${x} %{y} %s ü €";

const STACK: &str = include_str!("stacks/container.tf");

#[test]
fn a_container_runs_from_create_to_destroy() {
    let Some(provider) = start(&[]) else { return };
    let stack = provider.stack(STACK);
    fs_err::write(stack.path().join("terraform.tfvars.json"), json!({ "secret": SECRET }).to_string()).unwrap();
    let result = stack.apply();
    assert_eq!(result.code, 0, "{}", result.output);
    assert!(!result.output.contains("and $HOME"), "{}", result.output);
    let app = stack.values("scaleway_container.app");
    assert_eq!((&app["status"], &app["error_message"]), (&json!("ready"), &json!("")));
    let address = stack.ok(&["output", "-raw", "address"]).stdout;
    assert_eq!(app["domain_name"], address.strip_prefix("http://").unwrap());
    assert_eq!(get(&address, "/version"), "1");
    assert_eq!(get(&address, "/secret"), SECRET);
    assert_eq!(get(&address, "/open"), "open shared its own 8765");
    let first = container(&provider);
    let limits = &first["HostConfig"];
    assert_eq!(
        (&limits["Memory"], &limits["CpuQuota"], &limits["CpuPeriod"]),
        (&json!(134217728), &json!(25000), &json!(100000))
    );
    assert_eq!(stack.changes(), []);

    // Every update starts a new version, even one that does not change the container.
    stack.ok(&["apply", "-auto-approve", "-var=tags=[\"a\"]"]);
    let second = container(&provider);
    assert_ne!(second["Id"], first["Id"]);
    assert_eq!(get(&address, "/version"), "1");

    let change = ["-var=image=standin-test-web:2", "-var=tags=[\"a\"]"];
    stack.ok(&["plan", "-input=false", "-out=plan", change[0], change[1]]);
    let shown = stack.ok(&["show", "plan"]).output;
    assert!(shown.contains("0 to add, 1 to change, 0 to destroy"), "{shown}");
    assert!(
        !shown.contains("public_endpoint") && !shown.contains("domain_name"),
        "the address stays the same: {shown}"
    );
    // During the update, either version responds to every request.
    let done = AtomicBool::new(false);
    let requests = std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            let mut count = 0;
            while !done.load(Ordering::SeqCst) {
                assert!(["1", "2"].contains(&get(&address, "/version").as_str()));
                count += 1;
            }
            count
        });
        let result = stack.run(&["apply", "plan"]);
        done.store(true, Ordering::SeqCst);
        assert_eq!(result.code, 0, "{}", result.output);
        client.join().unwrap()
    });
    assert!(requests > 10, "{requests}");
    assert_eq!(stack.ok(&["output", "-raw", "address"]).stdout, address);
    assert_eq!(get(&address, "/version"), "2");
    assert_ne!(container(&provider)["Id"], second["Id"]);

    stack.ok(&["destroy", "-auto-approve", "-input=false"]);
    assert_eq!(containers(&provider.state()), Vec::<String>::new());
    assert!(TcpStream::connect(address.strip_prefix("http://").unwrap()).is_err());
}

#[test]
fn a_version_that_fails_to_start_sets_the_status_and_the_old_version_keeps_serving() {
    let Some(provider) = start(&[]) else { return };
    let stack = provider.stack(STACK);
    let apply = |more: &[&str]| {
        stack.ok(&[&["apply", "-auto-approve", "-input=false"], more].concat());
        let app = stack.values("scaleway_container.app");
        (app["status"].as_str().unwrap().to_owned(), app["error_message"].as_str().unwrap().to_owned())
    };
    let exits = "-var=command=[\"/bin/sh\", \"-c\", \"echo no database; exit 3\"]";
    let (status, message) = apply(&[exits]);
    assert_eq!(status, "error");
    assert!(message.contains("exit code 3") && message.contains("no database"), "{message}");
    let (status, message) = apply(&["-var=image=standin-test-web:none"]);
    assert_eq!(status, "error");
    assert!(message.contains("standin-test-web:none cannot be pulled"), "{message}");
    assert_eq!(apply(&[]), ("ready".to_owned(), String::new()));
    let address = stack.ok(&["output", "-raw", "address"]).stdout;

    let (status, message) = apply(&["-var=path=/nowhere", "-var=image=standin-test-web:2"]);
    assert_eq!(status, "error");
    assert!(message.contains("startup_probe: /nowhere at port 8765") && message.contains("404"), "{message}");
    assert!(message.contains("this is version 2"), "{message}");
    assert_eq!(get(&address, "/version"), "1");
    assert_eq!(containers(&provider.state()).len(), 1);
    assert_eq!(apply(&["-var=image=standin-test-web:2"]).0, "ready");
    assert_eq!(get(&address, "/version"), "2");
}

#[test]
fn a_killed_or_removed_container_is_drift() {
    let Some(provider) = start(&[]) else { return };
    let stack = provider.stack(STACK);
    stack.apply();
    let address = stack.ok(&["output", "-raw", "address"]).stdout;
    docker_stdout(&["kill", container(&provider)["Id"].as_str().unwrap()]);
    let result = stack.ok(&["apply", "-refresh-only", "-auto-approve"]);
    assert!(result.one_line().contains("Warning: scaleway_container is in error"), "{}", result.output);
    let app = stack.values("scaleway_container.app");
    assert_eq!(app["status"], "error");
    assert!(app["error_message"].as_str().unwrap().contains("exit code 137"), "{app}");

    docker_stdout(&["rm", "--force", container(&provider)["Id"].as_str().unwrap()]);
    assert_eq!(stack.changes(), [("scaleway_container.app".to_owned(), "create".to_owned())]);
    stack.apply();
    assert_eq!(get(&stack.ok(&["output", "-raw", "address"]).stdout, "/version"), "1");
    assert_ne!(stack.ok(&["output", "-raw", "address"]).stdout, address);
}

#[test]
fn containers_of_a_killed_stand_in_are_found_again() {
    let Some(provider) = start(&[]) else { return };
    let stack = provider.stack(STACK);
    stack.apply();
    let address = stack.ok(&["output", "-raw", "address"]).stdout;
    let folder = stack.into_folder();
    let provider = provider.restart();
    let stack = provider.stack_at(folder);
    assert_eq!(get(&address, "/version"), "1");
    assert_eq!(stack.changes(), []);

    // The stand-in crashes after it has updated the container, and OpenTofu does not record the update.
    provider.inject_faults(&json!([{ "type": "scaleway_container", "during": "update", "fault": "die_after" }]));
    assert_ne!(stack.run(&["apply", "-auto-approve", "-var=image=standin-test-web:2"]).code, 0);
    let folder = stack.into_folder();
    let provider = provider.restart();
    fs_err::remove_file(provider.state().join("faults.json")).unwrap();
    let stack = provider.stack_at(folder);
    assert_eq!(get(&address, "/version"), "2");
    stack.ok(&["destroy", "-auto-approve", "-input=false"]);
    assert_eq!(containers(&provider.state()), Vec::<String>::new());
}

#[test]
fn an_image_is_pulled_from_the_registry_by_digest() {
    let Some(registry) = or_skip(DockerRegistry::start(Login::Open)) else { return };
    let Some(provider) = start(&[("STANDIN_REGISTRY", registry.address.clone())]) else { return };
    let name = format!("{}/media/app", registry.address);
    docker_stdout(&["tag", &format!("{IMAGE}:1"), &format!("{name}:1")]);
    let pushed = docker_stdout(&["push", &format!("{name}:1")]);
    let digest = pushed.split("digest: ").nth(1).unwrap().split(' ').next().unwrap();
    docker_stdout(&["rmi", &format!("{name}:1")]);
    let namespace = "resource \"scaleway_registry_namespace\" \"images\" {\n  name = \"media\"\n}\n";
    let image = format!("\"${{scaleway_registry_namespace.images.endpoint}}/app@{digest}\"");
    let stack = provider.stack(&(namespace.to_owned() + &STACK.replace("= var.image", &format!("= {image}"))));
    let result = stack.apply();
    assert_eq!(result.code, 0, "{}", result.output);
    let app = stack.values("scaleway_container.app");
    assert_eq!((&app["status"], &app["error_message"]), (&json!("ready"), &json!("")));
    assert_eq!(app["image"], format!("{name}@{digest}"));
    assert_eq!(get(&stack.ok(&["output", "-raw", "address"]).stdout, "/version"), "1");
    stack.ok(&["destroy", "-auto-approve", "-input=false"]);
    docker_stdout(&["rmi", &format!("{name}@{digest}")]);
}

#[test]
fn an_interrupted_apply_leaves_no_new_container() {
    let Some(provider) = start(&[]) else { return };
    let slow = STACK
        .replace("failure_threshold = 3", "failure_threshold = 50")
        .replace("interval          = \"1s\"", "interval          = \"12s\"");
    let stack = provider.stack(&slow);
    // Interrupts OpenTofu when there are `count` containers.
    let interrupted = |args: &[&str], count: usize| {
        let mut command = stack.command(&[&["apply", "-auto-approve", "-input=false"], args].concat());
        let apply = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        until("the container runs", || containers(&provider.state()).len() == count);
        let begun = Instant::now();
        let pid = rustix::process::Pid::from_raw(apply.id().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        let result = RunResult::of(apply.wait_with_output().unwrap());
        assert!(result.code == 1 && result.one_line().contains("OpenTofu was asked to stop"), "{}", result.output);
        assert!(begun.elapsed() < Duration::from_secs(60), "the provider stops waiting");
    };
    interrupted(&["-var=path=/nowhere"], 1);
    assert_eq!(containers(&provider.state()), Vec::<String>::new());
    assert_eq!(provider.stored("scaleway_container"), []);

    assert_eq!(stack.apply().code, 0);
    let id = container(&provider)["Id"].clone();
    interrupted(&["-var=path=/nowhere", "-var=image=standin-test-web:2"], 2);
    assert_eq!(container(&provider)["Id"], id);
    assert_eq!(get(&stack.ok(&["output", "-raw", "address"]).stdout, "/version"), "1");
    assert_eq!(stack.changes(), []);
}
