//! Failed deploys leave the old version running.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::fixture;
use testkit::until_async;

use crate::site::{Site, deploy, get, has_ended, version, version_that};
use xtask::supervisor::{Role, Status, supervisor_log};

#[tokio::test]
async fn the_second_deploy_reports_how_the_old_version_ended() {
    let site = Site::new();
    let mut connection = site.launch().await;
    let candidate = connection.candidate(&version("one")).await.unwrap();
    assert_eq!(get(candidate.address, "/").await.unwrap(), "one");
    let status = connection.status().await.unwrap();
    assert_eq!(roles(&status), [("one", Role::Candidate)]);
    assert_eq!(status.supervisor.toolkit, "1.2.3");

    let promoted = connection.promote().await.unwrap();
    assert!(has_ended(candidate.pid));
    assert_eq!(get(connection.about().listen, "/").await.unwrap(), "one");
    assert_eq!(roles(&connection.status().await.unwrap()), [("one", Role::Promoted)]);
    assert_eq!(connection.commit().await.unwrap(), None);
    assert_eq!(roles(&connection.status().await.unwrap()), [("one", Role::Serving)]);

    connection.candidate(&version("two")).await.unwrap();
    connection.promote().await.unwrap();
    let old = connection.commit().await.unwrap().unwrap();
    assert_eq!((old.pid, old.version.as_str(), old.ended.code, old.ended.overdue), (promoted, "one", Some(0), false));
    assert_eq!(old.tail.last().unwrap(), "drained");
    assert_eq!(roles(&connection.status().await.unwrap()), [("two", Role::Serving)]);
}

#[tokio::test]
async fn a_candidate_that_exits_is_reported_with_its_last_output() {
    let site = Site::new();
    let mut connection = site.launch().await;
    connection.candidate(&version_that("one", "exit")).await.unwrap();
    let exit = connection.exited().await.unwrap();
    assert_eq!((exit.version.as_str(), exit.ended.code), ("one", Some(3)));
    assert!(exit.tail.iter().any(|line| line == "cannot reach the database"), "{:?}", exit.tail);
    assert!(connection.promote().await.is_err());
    // The same connection can start another candidate.
    deploy(&mut connection, &version("two")).await;
}

#[tokio::test]
async fn a_missing_program_is_reported() {
    let site = Site::new();
    let mut connection = site.launch().await;
    let mut spec = version("one");
    spec.program = "/not/there".into();
    connection.candidate(&spec).await.unwrap();
    let exit = connection.exited().await.unwrap();
    assert!(exit.tail.iter().any(|line| line.contains("/not/there")), "{:?}", exit.tail);
}

#[tokio::test]
async fn a_candidate_that_is_never_ready_is_discarded() {
    let site = Site::new();
    let mut connection = site.launch().await;
    deploy(&mut connection, &version("one")).await;
    let before = connection.status().await.unwrap();

    let candidate = connection.candidate(&version_that("two", "unready")).await.unwrap();
    assert!(get(candidate.address, "/").await.is_err());
    assert!(site.connect().await.candidate(&version("three")).await.is_err(), "one deploy at a time");
    connection.discard().await.unwrap();
    assert!(has_ended(candidate.pid));
    assert_eq!(connection.status().await.unwrap(), before);
    assert_eq!(get(connection.about().listen, "/").await.unwrap(), "one");
}

#[tokio::test]
async fn a_dropped_connection_discards() {
    let site = Site::new();
    let mut watching = site.launch().await;
    deploy(&mut watching, &version("one")).await;
    let before = watching.status().await.unwrap();

    let mut connection = site.connect().await;
    let candidate = connection.candidate(&version("two")).await.unwrap();
    drop(connection);
    until_async("only the old one is left", async || watching.status().await.unwrap() == before).await;
    assert!(has_ended(candidate.pid));
    // The next deploy does not wait for the cleanup.
    deploy(&mut site.connect().await, &version("three")).await;
}

#[tokio::test]
async fn a_killed_deploy_command_discards() {
    let site = Site::new();
    let mut watching = site.launch().await;
    deploy(&mut watching, &version("one")).await;
    let before = watching.status().await.unwrap();

    let mut command = tokio::process::Command::new(fixture::program())
        .args(fixture::args("hanging_deploy"))
        .env("FIXTURE_DEPLOY", &site.state_dir)
        .env("FIXTURE_SPEC", serde_json::to_string(&version("two")).unwrap())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(command.stderr.take().unwrap()).lines();
    while lines.next_line().await.unwrap().expect("a promoted version") != "promoted" {}
    let during = watching.status().await.unwrap();
    assert_eq!(roles(&during), [("one", Role::Serving), ("two", Role::Promoted)]);
    command.kill().await.unwrap();

    until_async("only the old one is left", async || watching.status().await.unwrap() == before).await;
    assert_eq!(get(watching.about().listen, "/").await.unwrap(), "one");
}

#[tokio::test]
async fn a_version_that_does_not_drain_in_time_is_killed() {
    let site = Site::new();
    let mut connection = site.launch().await;
    let mut stubborn = version_that("one", "stubborn");
    stubborn.stop_timeout = Duration::from_millis(200);
    deploy(&mut connection, &stubborn).await;

    connection.candidate(&version("two")).await.unwrap();
    connection.promote().await.unwrap();
    let old = connection.commit().await.unwrap().unwrap();
    assert!(old.ended.overdue, "{old:?}");
    let log = fs_err::read_to_string(supervisor_log(&site.state_dir)).unwrap();
    assert!(log.contains("killed because it did not stop in time"), "{log}");
}

fn roles(status: &Status) -> Vec<(&str, Role)> {
    status.instances.iter().map(|instance| (instance.version.as_str(), instance.role)).collect()
}
