//! Builders other than the machine's engine: a buildkitd, and engines that are full or are killed.

use crate::shop::{Shop, import_base, runs};
use devservers::Buildkitd;
use devservers::OwnEngine;
use testkit::{Ran, Running, or_skip, until};

#[test]
fn a_buildkitd_builds_the_same_twice_and_pushes_it() {
    let test = "a_buildkitd_builds_the_same_twice_and_pushes_it";
    let Some(shop) = Shop::open(test) else { return };
    let Some(daemon) = or_skip(test, Buildkitd::start()) else { return };
    let run = |daemon: &Buildkitd, args: &[&str]| {
        let mut command = shop.command(args);
        Ran::of(command.arg("--json").env("BUILDKIT_HOST", daemon.address()).env("DOCKER_HOST", "unix:///nowhere"))
    };
    let detail = |ran: Ran| {
        let result = ran.expect(0).stdout.lines().last().unwrap().to_owned();
        serde_json::from_str::<serde_json::Value>(&result).unwrap()["detail"].take()
    };
    let first = detail(run(&daemon, &["image", "build", "production"]));
    assert_eq!(first["in"], "buildkitd", "{first}");
    let again = detail(run(&daemon, &["image", "build", "production", "--no-cache"]));
    assert_eq!(again["id"], first["id"], "the same commit gives the same digest");
    let pushed = detail(run(&daemon, &["image", "push", "production"]));
    assert_eq!(pushed["digest"], first["id"]);
    assert_eq!(shop.digest(&shop.commit()).as_deref(), first["id"].as_str());

    // A builder with an empty cache finds every layer in the registry.
    drop(daemon);
    let Some(cold) = or_skip(test, Buildkitd::start()) else { return };
    shop.project.edit("src/main.rs", "//! A service", &format!("//! {}", shop.registry.address));
    shop.project.commit("Source");
    let mut command = shop.command(&["image", "build", "production"]);
    let built = Ran::of(command.env("BUILDKIT_HOST", cold.address())).expect(0);
    let dependencies = built.stderr.lines().find(|line| line.contains("[dependencies 3/3]")).unwrap();
    assert!(dependencies.contains("cached"), "{}", built.stderr);
}

#[test]
fn an_engine_killed_during_a_build_is_reported_and_the_next_run_continues() {
    let test = "an_engine_killed_during_a_build_is_reported_and_the_next_run_continues";
    let Some(shop) = Shop::unpinned(test) else { return };
    let Some(mut engine) = or_skip(test, OwnEngine::start(None)) else { return };
    let address = engine.address();
    let nap = 300_000 + std::process::id();
    shop.project.edit("Dockerfile", "RUN echo \"compiling the service\"", &format!("RUN sleep {nap}"));
    local_base(&shop, &address);
    shop.project.commit("A slow build");
    let build = |json: bool| {
        let mut command = shop.command(&["image", "build"]);
        command.args(json.then_some("--json")).env("DOCKER_HOST", &address);
        command
    };
    let building = Running::start(&mut build(true));
    until("the step runs", || runs(&format!("sleep {nap}")));
    engine.kill();
    let killed = building.end().expect(1);
    assert!(killed.texts("error").contains("lost the connection"), "{:#?}", killed.events);
    Ran::of(&mut build(false)).expect(1).says(&["cannot connect to", "systemctl start docker"]);

    engine.restart();
    shop.project.edit("Dockerfile", &format!("RUN sleep {nap}"), "RUN true");
    shop.project.commit("A fast build");
    let next = Ran::of(&mut build(false)).expect(0);
    let dependencies = next.stderr.lines().find(|line| line.contains("[dependencies 3/3]")).unwrap();
    assert!(dependencies.contains("cached"), "what was finished is kept: {}", next.stderr);
}

#[test]
fn a_full_disk_of_the_engine_is_reported() {
    let test = "a_full_disk_of_the_engine_is_reported";
    let Some(shop) = Shop::unpinned(test) else { return };
    let Some(engine) = or_skip(test, OwnEngine::start(Some(48))) else { return };
    let address = engine.address();
    shop.project.edit(
        "Dockerfile",
        "RUN echo \"compiling the service\"",
        "RUN dd if=/dev/zero of=/big bs=1048576 count=64",
    );
    local_base(&shop, &address);
    shop.project.commit("A large build");
    let full = Ran::of(shop.command(&["image", "build"]).env("DOCKER_HOST", &address)).expect(1);
    full.says(&[&address, "docker system df", "docker builder prune"]);
}

/// Puts the base image into an engine that reaches no registry.
fn local_base(shop: &Shop, engine: &str) {
    import_base(&["--host", engine], "tiny:1");
    let base = format!("{}/base/tiny:1", shop.registry.address);
    shop.project.edit("deploy.yaml", &base, "tiny:1");
}
