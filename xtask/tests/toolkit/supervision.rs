//! A crashed service is restarted, and `status` reports it.

use rustix::process::Signal;

use testkit::{Project, machine, until, until_some};

#[test]
fn a_killed_service_is_restarted_and_status_counts_it() {
    let project = Project::fixture();
    let version = project.head();
    project.ok(&["deploy"]);
    let pid: u32 = project.get("/pid").unwrap().parse().unwrap();
    machine::signal(pid, Signal::KILL);
    until("another process answers", || project.get("/pid").is_some_and(|now| now != pid.to_string()));
    let status = project.status();
    assert_eq!((&status["version"], &status["ready"]), (&version.as_str().into(), &true.into()));
    let instance = &status["supervisor"]["instances"][0];
    assert_eq!((&instance["restarts"], &instance["last_exit"]["signal"]), (&1.into(), &9.into()), "{instance:#}");
    assert!(project.ok(&["status"]).stdout.contains("restarted once"));
    let ended = format!("{version} | (process {pid} was ended by signal 9)");
    assert!(project.ok(&["logs"]).stdout.contains(&ended));
}

#[test]
fn a_crashed_service_leaves_its_last_output_in_the_log() {
    let project = Project::fixture();
    project.ok(&["deploy"]);
    drop(project.get("/crash"));
    // Clients wait in the queue in the meantime, so the next request is answered.
    assert_eq!(project.serves(), Some(project.head()));
    let version = project.head();
    for line in [&format!("{version} | {version} crashes, as it was asked to"), "ended with exit code 7)"] {
        until("it is in the log", || project.ok(&["logs"]).stdout.contains(line));
    }
    let exit = &project.status()["supervisor"]["instances"][0]["last_exit"];
    assert_eq!(exit["code"], 7);
}

#[test]
fn a_deploy_restarts_a_service_whose_supervisor_was_killed() {
    let project = Project::fixture();
    let version = project.head();
    project.ok(&["deploy"]);
    machine::signal(project.supervisor(), Signal::KILL);
    until("the service has ended with it", || project.processes().is_empty());
    let down = project.run(&["status"]).expect(31).says(&["no release of local runs", "cargo xtask deploy local"]);
    assert!(down.stdout.contains("nothing"), "{}", down.stdout);
    assert_eq!(project.status()["ready"], false);
    project.ok(&["deploy"]);
    assert_eq!(project.serves(), Some(version));
    until("one process serves", || project.services().len() == 1);
}

#[test]
fn a_deploy_during_a_crash_succeeds() {
    let project = Project::fixture();
    project.ok(&["deploy"]);
    let version = project.commit("Second");
    machine::signal(project.get("/pid").unwrap().parse().unwrap(), Signal::KILL);
    project.ok(&["deploy"]);
    assert_eq!(project.serves(), Some(version));
    until("the old one is not started again", || project.services().len() == 1);
}

#[test]
fn the_logs_are_followed_across_a_deploy() {
    let project = Project::fixture();
    project.ok(&["deploy"]);
    let mut logs = project.command(&["logs", "--follow"]);
    let mut logs = logs.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let stdout = std::io::BufReader::new(logs.stdout.take().unwrap());
    let version = project.commit("Second");
    project.ok(&["deploy"]);
    let mut lines = std::io::BufRead::lines(stdout);
    let begins = until_some("the new version is in it", || {
        Some(lines.next().unwrap().unwrap()).filter(|line| line.contains("begins, ready") && line.contains(&version))
    });
    assert_eq!(begins, format!("{version} candidate | {version} begins, ready"));
    machine::signal(logs.id(), Signal::INT);
    logs.wait().unwrap();
}
