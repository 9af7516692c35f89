//! Crashes of the service and of the supervisor, and the supervisor's exit.

use std::net::TcpListener;

use rustix::process::Signal;
use tokio::time::{Duration, timeout};

use testkit::until_async;

use crate::site::{Site, deploy, get, has_ended, kill, version, version_that};
use xtask::supervisor::client::connect;
use xtask::supervisor::{LaunchError, Role};

#[tokio::test]
async fn a_crashed_service_is_restarted_and_queued_clients_are_served() {
    let site = Site::new();
    let mut connection = site.launch().await;
    deploy(&mut connection, &version("one")).await;
    let before = connection.status().await.unwrap().instances.remove(0);

    kill(before.pid.unwrap(), Signal::KILL).unwrap();
    until_async("it is gone", async || has_ended(before.pid.unwrap())).await;
    assert_eq!(get(connection.about().listen, "/").await.unwrap(), "one");

    let after = connection.status().await.unwrap().instances.remove(0);
    assert_eq!((after.role, after.restarts), (Role::Serving, 1));
    assert_ne!(after.pid, before.pid);
    assert_eq!(after.last_exit.unwrap().signal, Some(9));
    // No deploy is notified of the crash of a committed instance.
    assert!(timeout(Duration::from_millis(1), connection.exited()).await.is_err());
}

#[tokio::test]
async fn the_old_version_is_restarted_during_a_deploy() {
    let site = Site::new();
    let mut connection = site.launch().await;
    deploy(&mut connection, &version("one")).await;
    connection.candidate(&version_that("two", "unready")).await.unwrap();
    let old = connection.status().await.unwrap().instances.remove(0);
    kill(old.pid.unwrap(), Signal::KILL).unwrap();
    until_async("it is gone", async || has_ended(old.pid.unwrap())).await;
    assert_eq!(get(connection.about().listen, "/").await.unwrap(), "one");
    connection.discard().await.unwrap();
    assert_eq!(connection.status().await.unwrap().instances[0].restarts, 1);
}

#[tokio::test]
async fn children_of_a_killed_supervisor_exit_and_the_next_one_gets_the_port() {
    let site = Site::new();
    let mut connection = site.launch().await;
    let about = connection.about().clone();
    deploy(&mut connection, &version("one")).await;
    let child = connection.status().await.unwrap().instances[0].pid.unwrap();
    kill(about.pid, Signal::KILL).unwrap();
    assert!(connection.exited().await.is_err());

    let mut next = site.launch_on(about.listen).await.unwrap();
    assert!(has_ended(child));
    assert_ne!(next.about().pid, about.pid);
    deploy(&mut next, &version("two")).await;
}

#[tokio::test]
async fn leftover_processes_that_do_not_exit_are_killed() {
    let site = Site::new();
    let mut connection = site.launch().await;
    let about = connection.about().clone();
    let mut stubborn = version_that("one", "stubborn");
    stubborn.stop_timeout = Duration::from_millis(100);
    deploy(&mut connection, &stubborn).await;
    let child = connection.status().await.unwrap().instances[0].pid.unwrap();
    kill(about.pid, Signal::KILL).unwrap();
    assert!(connection.exited().await.is_err());
    assert!(!has_ended(child));

    site.launch_on(about.listen).await.unwrap();
    assert!(has_ended(child));
}

#[tokio::test]
async fn a_port_in_use_is_a_distinct_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let site = Site::new();
    match site.launch_on(address).await.err().unwrap() {
        LaunchError::PortInUse { listen } => assert_eq!(listen, address),
        LaunchError::Other(error) => panic!("{error:#}"),
    }
    drop(taken);
    // A child that another test is starting may hold the socket a moment longer.
    until_async("the port is free", async || site.launch_on(address).await.is_ok()).await;
}

#[tokio::test]
async fn two_launches_at_once_make_one_supervisor() {
    let site = Site::new();
    assert!(connect(&site.state_dir).await.unwrap().is_none());
    let (one, two) = tokio::join!(site.launch(), site.launch());
    assert_eq!(one.about(), two.about());
}

#[tokio::test]
async fn stop_ends_everything_and_frees_the_port() {
    let site = Site::new();
    let mut connection = site.launch().await;
    let about = connection.about().clone();
    deploy(&mut connection, &version("one")).await;
    let mut deploying = site.connect().await;
    let candidate = deploying.candidate(&version("two")).await.unwrap();
    let serving = connection.status().await.unwrap().instances[0].pid.unwrap();
    connection.stop().await.unwrap();

    assert!(has_ended(candidate.pid) && has_ended(serving));
    assert!(connect(&site.state_dir).await.unwrap().is_none());
    // At once, although the old process may still be exiting.
    site.launch_on(about.listen).await.unwrap();
    until_async("the old supervisor is gone", async || has_ended(about.pid)).await;
}

#[tokio::test]
async fn sigterm_ends_everything() {
    let site = Site::new();
    let mut connection = site.launch().await;
    let supervisor = connection.about().pid;
    deploy(&mut connection, &version("one")).await;
    let serving = connection.status().await.unwrap().instances[0].pid.unwrap();
    kill(supervisor, Signal::TERM).unwrap();
    assert!(connection.exited().await.is_err());
    assert!(has_ended(serving));
    until_async("the supervisor is gone", async || has_ended(supervisor)).await;
}

#[tokio::test]
async fn an_idle_supervisor_exits() {
    let site = Site::new();
    let mut connection = site.launch().await;
    let supervisor = connection.about().pid;
    connection.candidate(&version_that("one", "exit")).await.unwrap();
    drop(connection);
    until_async("the supervisor is gone", async || has_ended(supervisor)).await;
}
