//! Each server is installed, starts, answers, and leaves nothing behind.

use std::path::PathBuf;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use devservers::registry::{Login, PASSWORD, USER};
use devservers::{Buildkitd, DockerRegistry, Gofakes3, Moto, OwnEngine, Versitygw, http};
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
    server.go_on().unwrap();
    assert_eq!(status(&server), Some(403));
    drop(server);
    assert!(!bucket.exists());
}

#[test]
fn gofakes3_has_one_empty_bucket() {
    let Some(server) = started(|| Gofakes3::start("media")) else { return };
    let listed = |path: &str| http::ask(&server.endpoint(), "GET", path, &[], "").unwrap().text();
    assert_eq!(listed("/").matches("<Name>").count(), 1);
    assert!(!listed("/media").contains("<Contents>"), "{}", listed("/media"));
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
fn moto_has_zone_and_change_ids_as_route_53_has_them() {
    let Some(moto) = started(Moto::turn) else { return };
    // moto selects the service by the credential scope.
    let credential =
        "AWS4-HMAC-SHA256 Credential=AK/20260101/us-east-1/route53/aws4_request, SignedHeaders=host, Signature=x";
    let ask = |method: &str, path: &str, body: &str| {
        let headers = [("Authorization", credential), ("Content-Type", "text/xml")];
        let answer = http::ask(&moto.endpoint(), method, &format!("/2013-04-01/{path}"), &headers, body).unwrap();
        (answer.status, answer.text())
    };
    let between = |text: &str, begin: &str, end: &str| {
        let (_, rest) = text.split_once(begin).unwrap_or_else(|| panic!("{text}"));
        rest.split_once(end).unwrap().0.to_owned()
    };
    let body = "<CreateHostedZoneRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Name>example.org</Name>\
                <CallerReference>1</CallerReference></CreateHostedZoneRequest>";
    let (status, made) = ask("POST", "hostedzone", body);
    assert_eq!(status, 201, "{made}");
    let is_id = |id: &str, first: char| {
        id.len() == 21 && id.starts_with(first) && id.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
    };
    let (zone, change) = (between(&made, "/hostedzone/", "<"), between(&made, "/change/", "<"));
    assert!(is_id(&zone, 'Z') && is_id(&change, 'C'), "{made}");
    assert!(made.contains("<Status>PENDING</Status>"), "{made}");
    let (status, changed) = ask("GET", &format!("change/{change}"), "");
    assert!(status == 200 && changed.contains("<Status>INSYNC</Status>"), "{changed}");
    let (status, missing) = ask("GET", "change/C0", "");
    assert!(status != 200 && missing.contains("NoSuchChange"), "{status} {missing}");
    // Its records have values that a DNS server understands.
    let (_, records) = ask("GET", &format!("hostedzone/{zone}/rrset"), "");
    assert!(records.contains("<Value>ns-2048.awsdns-64.com. hostmaster.example.com. 1 7200"), "{records}");
    let (_, deleted) = ask("DELETE", &format!("hostedzone/{zone}"), "");
    assert_ne!(between(&deleted, "/change/", "<"), change);
}

#[test]
fn a_registry_answers_those_who_may() {
    let Some(registry) = started(|| DockerRegistry::start(Login::Open)) else { return };
    assert_eq!(http::ask(&registry.address, "GET", "/v2/", &[], "").unwrap().status, 200);
    let Some(registry) = started(|| DockerRegistry::start(Login::Password)) else { return };
    assert_eq!(http::ask(&registry.address, "GET", "/v2/", &[], "").unwrap().status, 401);
    let Some(registry) = started(|| DockerRegistry::start(Login::Own("own".to_owned()))) else { return };
    for (password, status) in [("own", 200), (PASSWORD, 401)] {
        let basic = format!("Basic {}", STANDARD.encode(format!("{USER}:{password}")));
        let answer = http::ask(&registry.address, "GET", "/v2/", &[("Authorization", &basic)], "").unwrap();
        assert_eq!(answer.status, status, "{password}");
    }
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
