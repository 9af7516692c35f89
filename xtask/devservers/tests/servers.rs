//! Each server is installed, starts, answers, and leaves nothing behind.

use std::path::PathBuf;
use std::time::Instant;

use devservers::registry::Login;
use devservers::{Buildkitd, DockerRegistry, Moto, OwnEngine, Versitygw, http};
use testkit::{or_skip, test_name};

#[test]
fn versitygw_keeps_buckets_while_it_is_paused() {
    let Some(mut server) = started(Versitygw::start) else { return };
    let bucket = server.bucket("states");
    // It answers who sends no signature that this is forbidden.
    let status = |server: &Versitygw| http::ask(&server.endpoint(), "GET", "/states", &[], "").map(|it| it.status).ok();
    assert_eq!(status(&server), Some(403));
    server.pause();
    assert_eq!(status(&server), None);
    server.go_on();
    assert_eq!(status(&server), Some(403));
    drop(server);
    assert!(!bucket.exists());
}

#[test]
fn each_turn_of_the_shared_moto_begins_empty() {
    for _ in 0..2 {
        let Some(moto) = started(Moto::turn) else { return };
        let listed = || http::ask(&moto.endpoint(), "GET", "/", &[], "").unwrap().text();
        assert!(!listed().contains("<Name>"), "{}", listed());
        assert_eq!(http::ask(&moto.endpoint(), "PUT", "/states", &[], "").unwrap().status, 200);
        assert!(listed().contains("<Name>states</Name>"), "{}", listed());
    }
}

#[test]
fn a_registry_answers_those_who_may() {
    let Some(registry) = started(|| DockerRegistry::start(Login::Open)) else { return };
    assert_eq!(http::ask(&registry.address, "GET", "/v2/", &[], "").unwrap().status, 200);
    let Some(registry) = started(|| DockerRegistry::start(Login::Password)) else { return };
    assert_eq!(http::ask(&registry.address, "GET", "/v2/", &[], "").unwrap().status, 401);
}

#[test]
fn an_engine_of_ones_own_is_restarted_and_leaves_nothing_behind() {
    let Some(mut engine) = started(|| OwnEngine::start(None)) else { return };
    let socket = socket(&engine.address());
    let answers = || std::os::unix::net::UnixStream::connect(&socket).is_ok();
    assert!(answers());
    engine.kill();
    assert!(!answers());
    engine.restart();
    assert!(answers());
    drop(engine);
    assert!(!socket.exists());
}

#[test]
fn a_buildkitd_leaves_nothing_behind() {
    let Some(daemon) = started(Buildkitd::start) else { return };
    let socket = socket(&daemon.address());
    assert!(std::os::unix::net::UnixStream::connect(&socket).is_ok());
    drop(daemon);
    assert!(!socket.parent().unwrap().exists());
}

/// Starts a server and says how long that took, which `--show-output` shows.
fn started<T>(start: impl FnOnce() -> anyhow::Result<T>) -> Option<T> {
    let began = Instant::now();
    let server = or_skip(&test_name(), start());
    println!("{}: started in {} ms", test_name(), began.elapsed().as_millis());
    server
}

fn socket(address: &str) -> PathBuf {
    address.trim_start_matches("unix://").into()
}
