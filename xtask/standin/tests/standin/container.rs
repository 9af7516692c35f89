//! A container that runs in this machine's Docker engine.

use std::net::TcpStream;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::engine::{IMAGE, container, containers, docker_says, get, open};
use super::world::Ran;
use devservers::registry::{DockerRegistry, Login};
use testkit::until;

/// Quotes, a line's end and what a shell, OpenTofu or Docker might take for its own.
const SECRET: &str = "it's \"so\"\\n\nand $HOME ${x} %{y} %s ü €";

const STACK: &str = include_str!("stacks/container.tf");

#[test]
fn a_container_runs_from_create_to_destroy() {
    let Some(world) = open(&[]) else { return };
    let stack = world.stack(STACK);
    fs_err::write(stack.path().join("terraform.tfvars.json"), json!({ "secret": SECRET }).to_string()).unwrap();
    let ran = stack.apply();
    assert_eq!(ran.code, 0, "{}", ran.said);
    assert!(!ran.said.contains("and $HOME"), "{}", ran.said);
    let app = stack.values("scaleway_container.app");
    assert_eq!((&app["status"], &app["error_message"]), (&json!("ready"), &json!("")));
    let address = stack.ok(&["output", "-raw", "address"]).out;
    assert_eq!(app["domain_name"], address.strip_prefix("http://").unwrap());
    assert_eq!(get(&address, "/version"), "1");
    assert_eq!(get(&address, "/secret"), SECRET);
    assert_eq!(get(&address, "/open"), "open shared its own 8765");
    let first = container(&world);
    let limits = &first["HostConfig"];
    assert_eq!(
        (&limits["Memory"], &limits["CpuQuota"], &limits["CpuPeriod"]),
        (&json!(67108864), &json!(25000), &json!(100000))
    );
    assert_eq!(stack.changes(), []);

    // What is no part of a version starts none.
    stack.ok(&["apply", "-auto-approve", "-var=tags=[\"a\"]"]);
    assert_eq!(container(&world)["Id"], first["Id"]);

    let change = ["-var=image=standin-test-web:2", "-var=tags=[\"a\"]"];
    stack.ok(&["plan", "-input=false", "-out=plan", change[0], change[1]]);
    let shown = stack.ok(&["show", "plan"]).said;
    assert!(shown.contains("0 to add, 1 to change, 0 to destroy"), "{shown}");
    assert!(!shown.contains("public_endpoint") && !shown.contains("domain_name"), "its address stays: {shown}");
    // Whoever comes meanwhile is answered by the one or by the other.
    let done = AtomicBool::new(false);
    let asked = std::thread::scope(|scope| {
        let visitor = scope.spawn(|| {
            let mut asked = 0;
            while !done.load(Ordering::SeqCst) {
                assert!(["1", "2"].contains(&get(&address, "/version").as_str()));
                asked += 1;
            }
            asked
        });
        let ran = stack.run(&["apply", "plan"]);
        done.store(true, Ordering::SeqCst);
        assert_eq!(ran.code, 0, "{}", ran.said);
        visitor.join().unwrap()
    });
    assert!(asked > 10, "{asked}");
    assert_eq!(stack.ok(&["output", "-raw", "address"]).out, address);
    assert_eq!(get(&address, "/version"), "2");
    assert_ne!(container(&world)["Id"], first["Id"]);

    stack.ok(&["destroy", "-auto-approve", "-input=false"]);
    assert_eq!(containers(&world.state()), Vec::<String>::new());
    assert!(TcpStream::connect(address.strip_prefix("http://").unwrap()).is_err());
}

#[test]
fn one_that_does_not_come_up_is_an_error_in_its_status_and_the_old_one_serves_on() {
    let Some(world) = open(&[]) else { return };
    let stack = world.stack(STACK);
    let apply = |more: &[&str]| {
        stack.ok(&[&["apply", "-auto-approve", "-input=false"], more].concat());
        let app = stack.values("scaleway_container.app");
        (app["status"].as_str().unwrap().to_owned(), app["error_message"].as_str().unwrap().to_owned())
    };
    let ends = "-var=command=[\"/bin/sh\", \"-c\", \"echo no database; exit 3\"]";
    let (status, why) = apply(&[ends]);
    assert_eq!(status, "error");
    assert!(why.contains("exit code 3") && why.contains("no database"), "{why}");
    let (status, why) = apply(&["-var=image=standin-test-web:none"]);
    assert_eq!(status, "error");
    assert!(why.contains("standin-test-web:none cannot be pulled"), "{why}");
    assert_eq!(apply(&[]), ("ready".to_owned(), String::new()));
    let address = stack.ok(&["output", "-raw", "address"]).out;

    let (status, why) = apply(&["-var=path=/nowhere", "-var=image=standin-test-web:2"]);
    assert_eq!(status, "error");
    assert!(why.contains("startup_probe: /nowhere at port 8765") && why.contains("404"), "{why}");
    assert!(why.contains("this is version 2"), "{why}");
    assert_eq!(get(&address, "/version"), "1");
    assert_eq!(containers(&world.state()).len(), 1);
    assert_eq!(apply(&["-var=image=standin-test-web:2"]).0, "ready");
    assert_eq!(get(&address, "/version"), "2");
}

#[test]
fn what_is_done_to_it_by_hand_is_seen() {
    let Some(world) = open(&[]) else { return };
    let stack = world.stack(STACK);
    stack.apply();
    let address = stack.ok(&["output", "-raw", "address"]).out;
    docker_says(&["kill", container(&world)["Id"].as_str().unwrap()]);
    let ran = stack.ok(&["apply", "-refresh-only", "-auto-approve"]);
    assert!(ran.line().contains("Warning: scaleway_container is in error"), "{}", ran.said);
    let app = stack.values("scaleway_container.app");
    assert_eq!(app["status"], "error");
    assert!(app["error_message"].as_str().unwrap().contains("exit code 137"), "{app}");

    docker_says(&["rm", "--force", container(&world)["Id"].as_str().unwrap()]);
    assert_eq!(stack.changes(), [("scaleway_container.app".to_owned(), "create".to_owned())]);
    stack.apply();
    assert_eq!(get(&stack.ok(&["output", "-raw", "address"]).out, "/version"), "1");
    assert_ne!(stack.ok(&["output", "-raw", "address"]).out, address);
}

#[test]
fn what_a_killed_stand_in_leaves_behind_is_reached_and_ended() {
    let Some(world) = open(&[]) else { return };
    let stack = world.stack(STACK);
    stack.apply();
    let address = stack.ok(&["output", "-raw", "address"]).out;
    let folder = stack.keep();
    let world = world.again();
    let stack = world.at(folder);
    assert_eq!(get(&address, "/version"), "1");
    assert_eq!(stack.changes(), []);

    // It has done its work, and OpenTofu does not know it.
    world.faults(&json!([{ "type": "scaleway_container", "during": "update", "fault": "die_after" }]));
    assert_ne!(stack.run(&["apply", "-auto-approve", "-var=image=standin-test-web:2"]).code, 0);
    let folder = stack.keep();
    let world = world.again();
    fs_err::remove_file(world.state().join("faults.json")).unwrap();
    let stack = world.at(folder);
    assert_eq!(get(&address, "/version"), "2");
    stack.ok(&["destroy", "-auto-approve", "-input=false"]);
    assert_eq!(containers(&world.state()), Vec::<String>::new());
}

#[test]
fn an_image_comes_from_this_machines_registry_by_its_digest() {
    let Some(registry) = testkit::or_skip("an_image_comes_from_the_registry", DockerRegistry::start(Login::Open))
    else {
        return;
    };
    let Some(world) = open(&[("STANDIN_REGISTRY", registry.address.clone())]) else { return };
    let name = format!("{}/media/app", registry.address);
    docker_says(&["tag", &format!("{IMAGE}:1"), &format!("{name}:1")]);
    let pushed = docker_says(&["push", &format!("{name}:1")]);
    let digest = pushed.split("digest: ").nth(1).unwrap().split(' ').next().unwrap();
    docker_says(&["rmi", &format!("{name}:1")]);
    let namespace = "resource \"scaleway_registry_namespace\" \"images\" {\n  name = \"media\"\n}\n";
    let image = format!("\"${{scaleway_registry_namespace.images.endpoint}}/app@{digest}\"");
    let stack = world.stack(&(namespace.to_owned() + &STACK.replace("= var.image", &format!("= {image}"))));
    let ran = stack.apply();
    assert_eq!(ran.code, 0, "{}", ran.said);
    assert_eq!(stack.values("scaleway_container.app")["image"], format!("{name}@{digest}"));
    assert_eq!(get(&stack.ok(&["output", "-raw", "address"]).out, "/version"), "1");
    stack.ok(&["destroy", "-auto-approve", "-input=false"]);
    docker_says(&["rmi", &format!("{name}@{digest}")]);
}

#[test]
fn who_no_longer_waits_for_a_container_leaves_none() {
    let Some(world) = open(&[]) else { return };
    let patient = STACK.replace("failure_threshold = 3", "failure_threshold = 600");
    let stack = world.stack(&patient);
    // Asked to stop once there are so many containers.
    let interrupted = |args: &[&str], count: usize| {
        let mut command = stack.command(&[&["apply", "-auto-approve", "-input=false"], args].concat());
        let apply = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        until("the container runs", || containers(&world.state()).len() == count);
        let begun = Instant::now();
        let pid = rustix::process::Pid::from_raw(apply.id().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        let ran = Ran::of(apply.wait_with_output().unwrap());
        assert!(ran.code == 1 && ran.line().contains("OpenTofu was asked to stop"), "{}", ran.said);
        assert!(begun.elapsed() < Duration::from_secs(60), "it did not wait for its ten minutes");
    };
    interrupted(&["-var=path=/nowhere"], 1);
    assert_eq!(containers(&world.state()), Vec::<String>::new());
    assert_eq!(world.kept("scaleway_container"), []);

    assert_eq!(stack.apply().code, 0);
    let id = container(&world)["Id"].clone();
    interrupted(&["-var=path=/nowhere", "-var=image=standin-test-web:2"], 2);
    assert_eq!(container(&world)["Id"], id);
    assert_eq!(get(&stack.ok(&["output", "-raw", "address"]).out, "/version"), "1");
    assert_eq!(stack.changes(), []);
}
