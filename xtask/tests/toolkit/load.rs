//! Clients that send requests continuously see every version and no failure.

use testkit::load::Load;
use testkit::{Project, until};

#[test]
fn no_request_fails_over_deploys_a_rollback_and_a_failed_deploy() {
    let project = Project::fixture();
    project.ok(&["deploy"]);
    let load = Load::start(project.port, 4);
    let more = |load: &Load| {
        let before = load.answered();
        until("the clients have asked more", || load.answered() > before + 100);
    };
    more(&load);
    for message in ["Second", "Third"] {
        let version = project.commit(message);
        project.ok(&["deploy"]);
        assert_eq!(project.serves(), Some(version));
        more(&load);
    }
    project.ok(&["rollback"]);
    more(&load);
    let serving = project.serves();
    project.commit_behaviour("exits");
    project.run(&["deploy"]).expect(30);
    project.write("src/behaviour.txt", "wrong-version");
    project.gate(1);
    project.run(&["deploy"]).expect(30);
    more(&load);
    assert_eq!(project.serves(), serving);
    let failures = load.end();
    assert!(failures.is_empty(), "{} failed, such as {}", failures.len(), failures[0]);
}
