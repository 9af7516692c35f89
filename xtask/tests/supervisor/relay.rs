//! Services that open a port of their own, behind the supervisor's relay.

use std::net::SocketAddr;

use rustix::process::Signal;
use testkit::until_async;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::site::{Site, deploy, get, has_ended, kill, port_version, request};
use xtask::clients::service::{Answer, Service};
use xtask::supervisor::{InstanceSpec, Role, service_log};

/// Sends these bytes. Returns all of the answer.
async fn raw(address: SocketAddr, sent: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(sent.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Asks as the deploy does.
fn readiness(address: SocketAddr) -> Service {
    drop(rustls::crypto::ring::default_provider().install_default());
    Service::at(address, "/").unwrap()
}

#[tokio::test]
async fn a_candidate_is_asked_at_its_port_and_runs_on_when_it_is_promoted() {
    let site = Site::new();
    let mut connection = site.launch().await;
    let candidate = connection.candidate(&port_version("one")).await.unwrap();
    let ready = readiness(candidate.address);
    until_async("a plain 200 is ready", async || ready.ask().await.is_ready_as("one")).await;
    assert_eq!(connection.promote().await.unwrap(), candidate.pid);
    assert_eq!(get(connection.about().listen, "/").await.unwrap(), "one");
    connection.commit().await.unwrap();
    assert_eq!(connection.status().await.unwrap().instances[0].role, Role::Serving);
    let log = fs_err::read_to_string(service_log(&site.state_dir)).unwrap();
    assert!(log.contains("one candidate | (started as process"), "{log}");

    deploy(&mut connection, &port_version("two")).await;
    let log = fs_err::read_to_string(service_log(&site.state_dir)).unwrap();
    assert!(log.contains(&format!("one | (process {} was ended by signal 15)", candidate.pid)), "{log}");
}

#[tokio::test]
async fn a_service_that_does_not_listen_is_unready_and_says_where_it_should() {
    let site = Site::new();
    let mut connection = site.launch().await;
    let mut spec = port_version("one");
    spec.env.insert("FIXTURE_SERVICE".to_owned(), "deaf".to_owned());
    let candidate = connection.candidate(&spec).await.unwrap();
    let Answer::Unready(why) = readiness(candidate.address).ask().await else { panic!() };
    assert!(why.contains("the service does not listen on port "), "{why}");
}

#[tokio::test]
async fn requests_go_back_to_the_old_version_when_the_new_one_is_discarded_or_crashes() {
    let site = Site::new();
    let mut connection = site.launch().await;
    let public = connection.about().listen;
    deploy(&mut connection, &port_version("one")).await;
    let mut kept = BufReader::new(TcpStream::connect(public).await.unwrap());
    for ended in ["discarded", "crashed"] {
        let candidate = connection.candidate(&port_version("two")).await.unwrap();
        until_async("it listens", async || get(candidate.address, "/").await.is_ok()).await;
        connection.promote().await.unwrap();
        assert_eq!(request(&mut kept, "/").await.unwrap().0, "two", "{ended}");
        match ended {
            "discarded" => drop(connection.discard().await.unwrap()),
            _ => {
                kill(candidate.pid, Signal::KILL).unwrap();
                connection.exited().await.unwrap();
            }
        }
        assert_eq!(request(&mut kept, "/").await.unwrap().0, "one", "{ended}");
        assert_eq!(get(public, "/").await.unwrap(), "one", "{ended}");
    }
}

#[tokio::test]
async fn requests_wait_for_a_service_that_is_started_again() {
    let site = Site::new();
    let mut connection = site.launch().await;
    deploy(&mut connection, &port_version("one")).await;
    let before = connection.status().await.unwrap().instances.remove(0).pid.unwrap();
    let mut kept = BufReader::new(TcpStream::connect(connection.about().listen).await.unwrap());
    request(&mut kept, "/").await.unwrap();
    kill(before, Signal::KILL).unwrap();
    until_async("it is gone", async || has_ended(before)).await;
    assert_eq!(request(&mut kept, "/").await.unwrap().0, "one");
    assert_eq!(connection.status().await.unwrap().instances[0].restarts, 1);
}

#[tokio::test]
async fn the_service_gets_the_request_as_the_client_sent_it_with_the_clients_address() {
    let site = Site::new();
    let mut connection = site.launch().await;
    deploy(&mut connection, &port_version("one")).await;
    let sent = "GET /head HTTP/1.1\r\nHost: example.org\r\nX-Forwarded-For: 192.0.2.1\r\nConnection: close, X-Hop\r\n\
                X-Hop: 1\r\nKeep-Alive: 5\r\nX-Kept: caf\u{e9}\r\n\r\n";
    let answer = raw(connection.about().listen, sent).await;
    let lower = answer.to_lowercase();
    assert!(lower.contains("x-service-version: one") && lower.contains("connection: close"), "{answer}");
    let (_, head) = answer.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<String> = head.lines().map(str::to_lowercase).collect();
    lines.sort();
    assert_eq!(
        lines,
        [
            "get /head http/1.1",
            "host: example.org",
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-for: 192.0.2.1",
            "x-kept: caf\u{e9}"
        ]
    );
}

/// Long answers, an answer that only its end delimits, a client of HTTP/1.0, one that is faster than the answers.
#[tokio::test]
async fn answers_of_every_form_reach_the_client_whole() {
    let site = Site::new();
    let mut connection = site.launch().await;
    let public = connection.about().listen;
    deploy(&mut connection, &port_version("one")).await;
    let old = raw(public, "GET /until-closed HTTP/1.0\r\n\r\n").await;
    assert!(old.ends_with("\r\n\r\nabc"), "{old}");
    let chunked = raw(public, "GET /until-closed HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    let (head, body) = chunked.split_once("\r\n\r\n").unwrap();
    assert!(head.to_lowercase().contains("transfer-encoding: chunked"), "{head}");
    assert_eq!(body, "1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n");
    let pipelined = "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(3);
    let last = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert_eq!(raw(public, &(pipelined + last)).await.matches("\r\n\r\none").count(), 4);
    let connect = "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nConnection: close\r\n\r\n";
    assert!(raw(public, connect).await.starts_with("HTTP/1.1 405 "));
    let without_host = raw(public, "GET /head HTTP/1.0\r\n\r\n").await;
    assert!(without_host.to_lowercase().contains("host: localhost"), "{without_host}");
    let chunked =
        "GET /head HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n1\r\na\r\n0\r\n\r\n";
    assert!(raw(public, chunked).await.to_lowercase().contains("transfer-encoding: chunked"));
    assert!(raw(public, "not http at all\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
}

#[tokio::test]
async fn an_upgraded_connection_is_a_tunnel_that_outlives_the_switch_of_other_requests() {
    let site = Site::new();
    let mut connection = site.launch().await;
    let public = connection.about().listen;
    deploy(&mut connection, &port_version("one")).await;
    let mut stream = TcpStream::connect(public).await.unwrap();
    let ask = b"GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
    stream.write_all(ask).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    let candidate = connection.candidate(&port_version("two")).await.unwrap();
    until_async("it listens", async || get(candidate.address, "/").await.is_ok()).await;
    connection.promote().await.unwrap();
    assert_eq!(get(public, "/").await.unwrap(), "two");
    stream.write_all(b"both ways").await.unwrap();
    let mut echoed = [0; 9];
    stream.read_exact(&mut echoed).await.unwrap();
    assert_eq!(&echoed, b"both ways");
    stream.shutdown().await.unwrap();
    assert_eq!(stream.read(&mut echoed).await.unwrap(), 0);
    connection.commit().await.unwrap();
}

#[tokio::test]
async fn a_setting_of_the_same_name_does_not_move_the_service() {
    let site = Site::new();
    let mut connection = site.launch().await;
    let mut spec: InstanceSpec = port_version("one");
    spec.env.insert("PORT".to_owned(), "1".to_owned());
    deploy(&mut connection, &spec).await;
    assert_eq!(get(connection.about().listen, "/").await.unwrap(), "one");
}
