//! A service that knows nothing of the toolkit, with `service.port_variable`: it opens a port and answers with a plain 200.

use testkit::load::Load;
use testkit::{Project, until};

#[test]
fn a_service_that_opens_a_port_is_deployed_under_load_and_a_broken_release_changes_nothing() {
    let project = Project::of("foreign", |_| {});
    let first = project.head();
    project.ok(&["deploy"]).says(&["is ready", &format!("http://localhost:{}", project.port)]);
    assert_eq!(project.status()["version"], first.as_str());
    project.ok(&["deploy"]).says(&["unchanged"]);

    let load = Load::start(project.port, 4);
    let more = |load: &Load| {
        let before = load.answered();
        until("the clients have asked more", || load.answered() > before + 100);
    };
    more(&load);
    project.write("src/greeting.txt", "good day");
    let second = project.commit("Another greeting");
    project.ok(&["deploy"]).says(&[&format!("{first} → {second}")]);
    assert_eq!(project.get("/").as_deref(), Some("good day"));
    more(&load);
    project.write("src/greeting.txt", "elsewhere");
    project.gate(1);
    project.commit("A service that does not listen");
    project.run(&["deploy"]).expect(30).says(&["the service does not listen on port", &second]);
    assert_eq!(project.status()["version"], second.as_str());
    more(&load);
    project.ok(&["rollback"]);
    assert_eq!(project.get("/").as_deref(), Some("hello"));
    more(&load);
    let failures = load.end();
    assert!(failures.is_empty(), "{} failed, such as {}", failures.len(), failures[0]);
    assert_eq!(project.status()["version"], first.as_str());
    project.ok(&["stop"]);
    assert_eq!(project.processes(), []);
}
