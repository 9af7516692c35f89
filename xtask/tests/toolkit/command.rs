//! A service that is no cargo package: `service.command`, with `env`, `build` and `files`.

use serde_json::Value;
use testkit::load::Load;
use testkit::{Project, skipped, test_name, until};

/// The service in Node.js; none, after saying so, on a machine without it.
fn node() -> Option<Project> {
    let project = Project::of("node", |_| {});
    let has_node =
        std::env::split_paths(&std::env::var_os("PATH").unwrap()).any(|folder| folder.join("node").is_file());
    if !has_node {
        skipped(&test_name(), "there is no node on the PATH");
    }
    has_node.then_some(project)
}

/// The variables that the service has got.
fn env(project: &Project) -> Value {
    serde_json::from_str(&project.get("/env").unwrap()).unwrap()
}

#[test]
fn a_service_in_node_is_deployed_under_load_breaks_and_goes_back_to_its_older_files() {
    let Some(project) = node() else { return };
    let first = project.head();
    project.ok(&["deploy"]).says(&["is ready", &format!("http://localhost:{}", project.port)]);
    assert_eq!(project.get("/").as_deref(), Some("hello"));
    project.ok(&["deploy"]).says(&["unchanged"]);

    let load = Load::start(project.port, 4);
    let more = |load: &Load| {
        let before = load.answered();
        until("the clients have asked more", || load.answered() > before + 100);
    };
    more(&load);
    project.write("greeting.txt", "good day\n");
    let second = project.commit("Another greeting");
    project.ok(&["deploy"]).says(&[&format!("{first} → {second}")]);
    assert_eq!(project.get("/").as_deref(), Some("good day"));
    more(&load);
    project.write("greeting.txt", "broken\n");
    project.commit("A service that does not start");
    project.run(&["deploy"]).expect(30).says(&["this release is broken", &second]);
    assert_eq!(project.get("/").as_deref(), Some("good day"));
    more(&load);
    // The files of the first release, not those of the tree.
    project.ok(&["rollback", "local", "--to", &first]);
    assert_eq!(project.get("/").as_deref(), Some("hello"));
    more(&load);
    let failures = load.end();
    assert!(failures.is_empty(), "{} failed, such as {}", failures.len(), failures[0]);
    project.ok(&["stop"]);
    until("every process has ended", || project.processes().is_empty());
}

#[test]
fn a_service_gets_the_variables_of_deploy_yaml() {
    let Some(project) = node() else { return };
    project.ok(&["deploy"]);
    let got = env(&project);
    let key = got["SESSION_KEY"].as_str().unwrap().to_owned();
    assert_eq!((got["GREETED"].as_str(), key.len(), got.get("OPTIONAL")), (Some("world"), 48, None));
    let records = serde_json::to_string(&project.records()).unwrap();
    assert!(records.contains("GREETED") && !records.contains(&key), "{records}");

    // An environment's own value comes first, and what is generated stays.
    project.edit("deploy.yaml", "target: local,", "target: local, settings: { GREETED: moon },");
    project.commit("Greet the moon");
    project.ok(&["deploy"]);
    let got = env(&project);
    assert_eq!((got["GREETED"].as_str(), got["SESSION_KEY"].as_str()), (Some("moon"), Some(key.as_str())));

    let printed = project.ok(&["run", "--", "node", "-p", "process.env.GREETED + process.cwd().split('/').pop()"]);
    assert_eq!(printed.stdout, "moonfiles\n");

    project.edit("deploy.yaml", "OPTIONAL: { required: false }", "OPTIONAL:");
    project.commit("What was optional is required");
    let put = "put OPTIONAL: … under environments.local.settings";
    project.run(&["deploy"]).expect(1).says(&["OPTIONAL is required and has no value", put]);
    project.run(&["dev"]).expect(2).says(&["`service.command`"]);
}

#[test]
fn a_build_makes_files_that_git_ignores_and_its_failure_is_shown() {
    let Some(project) = node() else { return };
    project.write("build.sh", "mkdir -p dist && echo \"built with ${TOKEN-nothing}\" > dist/built.txt\n");
    project.edit(
        "deploy.yaml",
        "  port_variable",
        "  build: [sh, build.sh]\n  files: [server.js, greeting.txt, dist]\n  port_variable",
    );
    project.edit("deploy.yaml", "    OPTIONAL:", "    TOKEN: { secret: true, required: false }\n    OPTIONAL:");
    let version = project.commit("A build");
    testkit::Ran::of(project.command(&["deploy"]).env("TOKEN", "sentinel")).expect(0);
    assert_eq!(env(&project)["built"], "built with nothing");
    let release = project.deployed(&format!("releases/{version}"));
    let mut names: Vec<_> =
        fs_err::read_dir(release.join("files")).unwrap().map(|it| it.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["dist", "greeting.txt", "server.js"]);

    project.write("build.sh", "echo no compiler for this >&2\nexit 3\n");
    project.commit("A build that fails");
    project.run(&["deploy"]).expect(1).says(&["service.build", "no compiler for this"]);
    project.write("build.sh", "rm -r dist\n");
    project.commit("A build that makes nothing");
    project.run(&["deploy"]).expect(1).says(&["`service.files` names dist"]);
    assert_eq!(env(&project)["built"], "built with nothing");
}

#[test]
fn a_program_that_is_not_there_is_named_before_anything_changes() {
    let Some(project) = node() else { return };
    project.edit("deploy.yaml", "node server.js", "no-such-program server.js");
    project.commit("A program that no machine has");
    let named = "`service.command` runs no-such-program, which is not on the PATH";
    project.run(&["deploy"]).expect(1).says(&[named]);
    project.edit("deploy.yaml", "no-such-program server.js", "./server");
    project.commit("A program that no build made");
    project.run(&["deploy"]).expect(1).says(&["the command runs ./server, which is no program among the files"]);
    assert!(project.records().iter().all(|record| record["outcome"] != "live"));
}
