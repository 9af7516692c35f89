//! The watch of a release that has taken over.

use rustix::process::Signal;

use testkit::{Project, Running};

/// A project whose first release serves, and that watches the next ones.
fn watched() -> (Project, String) {
    let project = Project::fixture();
    project.ok(&["deploy"]);
    let first = project.head();
    project.edit("deploy.yaml", "timeout: 30", "timeout: 30, watch: 60");
    (project, first)
}

/// A deploy whose release is being watched.
fn in_the_watch(project: &Project) -> Running {
    let mut deploy = project.start(&["deploy"]);
    deploy.must("switch", "finished");
    deploy.must("watch", "started");
    deploy
}

#[test]
fn a_release_whose_readiness_falls_is_taken_back() {
    let (project, first) = watched();
    let go = project.deployed("data/data/go");
    fs_err::write(&go, "").unwrap();
    let second = project.commit_behaviour("waits");
    let deploy = in_the_watch(&project);
    assert_eq!(project.serves(), Some(second.clone()));
    fs_err::remove_file(&go).unwrap();
    let ended = deploy.end().expect(30);
    for says in ["was ready, and is not any more", "waits for the word", "watch failed", "serves as before"] {
        assert!(ended.stderr.contains(says), "{says}: {}", ended.stderr);
    }
    assert_eq!(project.serves(), Some(first));
    let record = &project.records()[0];
    assert_eq!(
        (record["outcome"].as_str(), record["source"]["version"].as_str()),
        (Some("restored"), Some(second.as_str()))
    );
    let answers = record["answers"].as_array().unwrap();
    assert!(answers.last().unwrap().as_str().unwrap().contains("waits for the word"), "{answers:#?}");
}

#[test]
fn a_release_whose_process_ends_is_taken_back() {
    let (project, first) = watched();
    project.commit("The next one");
    let deploy = in_the_watch(&project);
    // Its answer is the end of its process. The supervisor starts it again at once.
    drop(project.get("/crash"));
    let ended = deploy.end().expect(30);
    assert!(ended.stderr.contains("watch failed") && ended.stderr.contains("serves as before"), "{}", ended.stderr);
    assert_eq!(project.serves(), Some(first));
}

#[test]
fn a_request_to_stop_in_the_watch_leaves_the_release_live() {
    let (project, _) = watched();
    let second = project.commit("The next one");
    let deploy = in_the_watch(&project);
    deploy.signal(Signal::INT);
    let ended = deploy.end().expect(0);
    let warnings = ended.events.iter().filter(|event| event["state"] == "warning");
    let text: String = warnings.map(|event| event["detail"]["text"].to_string()).collect();
    assert!(
        text.contains("cut short by Ctrl-C after") && text.contains("serves, and was not watched to the end"),
        "{text}"
    );
    assert_eq!(project.serves(), Some(second));
    assert_eq!(project.records()[0]["outcome"], "live");
    assert_eq!(project.ok(&["lock", "status"]).stdout, "local is free\n");
}
