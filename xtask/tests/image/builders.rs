//! Builders other than the machine's engine: a buildkitd, and engines that are full or are killed.

use crate::shop::{Shop, base_image, docker_says, import_base, push, runs};
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
    // What is attached makes an index of the image.
    assert_ne!(pushed["digest"], first["id"]);
    assert_eq!(shop.digest(&shop.commit()).as_deref(), pushed["digest"].as_str());
    assert_eq!(shop.digest(first["id"].as_str().unwrap()).as_deref(), first["id"].as_str());

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

/// What a scanner of BuildKit's protocol runs; this one finds nothing.
const SCAN: &str = r#"echo '{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://spdx.dev/Document","predicate":{"spdxVersion":"SPDX-2.3"}}' > $BUILDKIT_SCAN_DESTINATION/sbom.spdx.json"#;

#[test]
fn what_a_builder_attaches_is_kept_with_the_image_and_what_it_cannot_is_said() {
    let test = "what_a_builder_attaches_is_kept_with_the_image_and_what_it_cannot_is_said";
    let Some(shop) = Shop::open(test) else { return };
    let Some(daemon) = or_skip(test, Buildkitd::start()) else { return };
    let run = |args: &[&str]| {
        let mut command = shop.command(args);
        Ran::of(command.env("BUILDKIT_HOST", daemon.address()).env("DOCKER_HOST", "unix:///nowhere"))
    };
    run(&["image", "push", "production"])
        .expect(0)
        .says(&["attached: SLSA provenance; no SBOM: deploy.yaml names no scanner"]);

    // With a scanner, which is pinned as a base image is.
    let scanner = format!("{}/base/scanner:1", shop.registry.address);
    scanner_image(&shop, &scanner);
    shop.project.edit("deploy.yaml", "bases: {", &format!("sbom: '{scanner}', bases: {{"));
    shop.project.edit("src/main.rs", "//! A service", "//! Another service");
    shop.project.commit("A list of the software");
    run(&["image", "push", "production"]).expect(1).says(&[
        "image.lock has no digest of",
        &scanner,
        "cargo xtask image pin",
    ]);
    run(&["image", "pin", "production"]).expect(0);
    shop.project.commit("Pin the scanner");
    run(&["image", "push", "production"]).expect(0).says(&["attached: SBOM, SLSA provenance"]);
    let inspected = run(&["image", "inspect", "production"]).expect(0).stdout;
    assert!(inspected.contains("attached") && inspected.contains("SBOM"), "{inspected}");
    assert!(inspected.contains("service") && !inspected.contains("in-toto"), "the layers are the image's: {inspected}");
    run(&["image", "push", "production"]).expect(0).says(&["is in the registry", "attached: SBOM, SLSA provenance"]);
    // Each image is listed once, with its version.
    let listed = run(&["image", "list", "production"]).expect(0).stdout;
    let of_commits: Vec<&str> = listed.lines().filter(|line| !line.contains("no image")).collect();
    assert_eq!(of_commits.len(), 2, "{listed}");
    let pruned = run(&[
        "image",
        "prune",
        "production",
        "--keep",
        "1",
        "--never-deployed",
        "production",
        "--never-deployed",
        "local",
    ]);
    println!("{}{}", pruned.stdout, pruned.stderr);
    run(&["image", "inspect", "production"]).expect(0);

    // The engine attaches nothing.
    shop.project.edit("src/main.rs", "//! Another service", "//! A third service");
    shop.project.commit("By the engine");
    shop.run(&["image", "push", "production"])
        .expect(0)
        .says(&["nothing is attached: Docker", "a buildkitd does (BUILDKIT_HOST)"]);
}

/// Makes a scanner of the base image, and pushes it.
fn scanner_image(shop: &Shop, name: &str) {
    let made = "xtask-test-scanner:1";
    let entrypoint = serde_json::json!(["/bin/sh", "-c", SCAN]);
    let container = docker_says(&["create", base_image(), "sh"]);
    docker_says(&["commit", "--change", &format!("ENTRYPOINT {entrypoint}"), "--change", "CMD []", &container, made]);
    docker_says(&["rm", &container]);
    push(&shop.registry, made, name);
    docker_says(&["rmi", made]);
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
