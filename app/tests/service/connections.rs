//! Clients that are slow, idle, gone, or too many.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    time::Duration,
};

use reqwest::{StatusCode, header::RETRY_AFTER, multipart};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};

use crate::{
    members, pictures,
    support::{CLIENT, PASSWORD, Service, TIMEOUT, eventually},
};

const GET: &[u8] = b"GET /api/health/liveness HTTP/1.1\r\nhost: test\r\n\r\n";

/// A service that may have 256 files open.
async fn with_few_files() -> Service {
    // The test has both ends of none, but one end of all.
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    Service::start_with(|setup| setup.files(256)).await.sign_in().await
}

fn connect(service: &Service, sent: &[u8]) -> TcpStream {
    let mut connection = TcpStream::connect(&service.process.address).unwrap();
    connection.write_all(sent).unwrap();
    connection
}

/// Reads until the service closes the connection.
fn read_to_end(mut connection: TcpStream) -> Vec<u8> {
    connection.set_read_timeout(Some(TIMEOUT)).unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).unwrap();
    answer
}

#[tokio::test]
async fn clients_that_send_nothing_more_make_place_for_others() {
    let service = with_few_files().await;
    for (what, sent, count) in [("nothing", &b""[..], 1000), ("requests", GET, 300), ("half a head", &GET[..20], 300)] {
        let crowd: Vec<TcpStream> = (0..count).map(|_| connect(&service, sent)).collect();
        let answered = async {
            assert_eq!(service.get("/api/health/readiness").await.status(), StatusCode::OK, "beside {what}");
            let (status, media) = service.upload(&pictures::png(20, 20), "a.png", "image/png").await;
            assert!(status.is_success(), "beside {what}: {media}");
        };
        tokio::time::timeout(TIMEOUT, answered).await.unwrap_or_else(|_| panic!("no answer beside {what}"));
        drop(crowd);
    }
}

#[tokio::test]
async fn a_request_in_progress_keeps_its_connection_when_others_come() {
    let service = with_few_files().await;
    let (head, body) = crate::raw_http::upload(&service.token, &pictures::png(30, 20));
    let mut uploading = connect(&service, &[&head, &body[..body.len() / 2]].concat());
    eventually("the upload is in progress", async || !service.received().is_empty()).await;
    let crowd: Vec<TcpStream> = (0..300).map(|_| connect(&service, GET)).collect();
    assert_eq!(service.get("/api/health/liveness").await.status(), StatusCode::OK);
    uploading.write_all(&body[body.len() / 2..]).unwrap();
    uploading.shutdown(Shutdown::Write).unwrap();
    let answer = read_to_end(uploading);
    assert!(answer.starts_with(b"HTTP/1.1 201"), "{}", String::from_utf8_lossy(&answer));
    drop(crowd);
}

#[tokio::test]
async fn slow_uploads_of_one_account_leave_places_for_others() {
    let service = Service::signed_in().await;
    let (_, other) = members::register(&service, "other", "member").await;
    let (head, body) = crate::raw_http::upload(&service.token, &pictures::png(30, 20));
    let mut slow: Vec<TcpStream> =
        (0..16).map(|_| connect(&service, &[&head, &body[..body.len() / 2]].concat())).collect();
    eventually("the uploads are in progress", async || service.received().len() == 16).await;
    let form = || multipart::Form::new().part("file", multipart::Part::bytes(pictures::png(20, 20)).file_name("a.png"));
    let upload = async |token: &str| {
        let url = format!("http://{}/api/media", service.process.address);
        CLIENT.post(url).bearer_auth(token).multipart(form()).send().await.unwrap()
    };
    let refused = upload(&service.token).await;
    assert_eq!(
        (refused.status(), &refused.headers()[RETRY_AFTER]),
        (StatusCode::TOO_MANY_REQUESTS, &"2".parse().unwrap())
    );
    assert_eq!(refused.json::<Value>().await.unwrap()["error"]["code"], "busy");
    assert_eq!(upload(&other).await.status(), StatusCode::CREATED);
    drop(slow.pop());
    eventually("the place of one that is gone is free", async || {
        upload(&service.token).await.status() == StatusCode::OK
    })
    .await;
}

#[tokio::test]
async fn the_last_place_is_kept_as_long_as_nobody_else_comes() {
    let service = with_few_files().await;
    let busy = b"POST /api/auth/login HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    let crowd: Vec<TcpStream> = (0..127).map(|_| connect(&service, busy)).collect();
    let mut last = connect(&service, &GET[..20]);
    last.write_all(&GET[20..]).unwrap();
    last.shutdown(Shutdown::Write).unwrap();
    let answer = read_to_end(last);
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    drop(crowd);
}

#[tokio::test]
async fn a_head_that_does_not_end_is_not_waited_for() {
    let service = Service::start().await;
    let mut slow = connect(&service, GET);
    // Its second request. Each byte comes in time, but there are too many of them.
    let mut writing = slow.try_clone().unwrap();
    let dripping = std::thread::spawn(move || {
        while writing.write_all(b"G").is_ok() {
            std::thread::sleep(Duration::from_millis(500));
        }
    });
    slow.set_read_timeout(Some(TIMEOUT)).unwrap();
    let mut answer = Vec::new();
    // The kernel may reset the connection, because the client goes on.
    let ended = slow.read_to_end(&mut answer);
    assert!(ended.as_ref().map_or_else(|error| error.kind() == ErrorKind::ConnectionReset, |_| true), "{ended:?}");
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    dripping.join().unwrap();

    // Nobody has connected for longer than a head may take, which is no fault of the next client.
    let mut late = connect(&service, b"");
    assert_eq!(service.get("/api/health/liveness").await.status(), StatusCode::OK);
    late.write_all(GET).unwrap();
    late.shutdown(Shutdown::Write).unwrap();
    let answer = read_to_end(late);
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn a_client_that_closes_its_side_first_gets_its_answer() {
    let service = Service::signed_in().await;
    // More than hyper and the kernel take at once.
    let noise: Vec<u8> = (0..1_500_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 16) as u8).collect();
    let file = [pictures::jpeg(900, 600), noise].concat();
    let (status, media) = service.upload(&file, "a.jpg", "image/jpeg").await;
    assert_eq!(status, StatusCode::CREATED, "{media}");
    let log_in = json!({ "username": "first", "password": PASSWORD }).to_string();
    let json = format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n{log_in}", log_in.len());
    let (head, body) = crate::raw_http::upload(&service.token, &pictures::png(300, 200));
    let path = media["file_url"].as_str().unwrap();
    let size = media["size"].as_u64().unwrap();
    let cases = [
        ("a quick answer", GET.to_vec(), "200", 0),
        ("a log-in", format!("POST /api/auth/login HTTP/1.1\r\nhost: test\r\n{json}").into_bytes(), "200", 0),
        ("an upload", [head, body].concat(), "201", 0),
        ("a large file", format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n").into_bytes(), "200", size),
    ];
    for (what, request, status, size) in cases {
        let connection = connect(&service, &request);
        connection.shutdown(Shutdown::Write).unwrap();
        let answer = read_to_end(connection);
        let head = String::from_utf8_lossy(&answer[..answer.len().min(200)]).into_owned();
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{what}: {head}");
        assert!(answer.len() as u64 > size, "{what}: {} bytes", answer.len());
    }
}

/// The most memory that a process had, in KiB, and its threads.
fn memory_and_threads(process: u32) -> (u64, u64) {
    let status = fs_err::read_to_string(format!("/proc/{process}/status")).unwrap();
    let number = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    };
    (number("VmHWM:"), number("Threads:"))
}

#[tokio::test]
async fn log_ins_whose_clients_hang_up_share_the_limits_and_are_logged() {
    let service = Service::signed_in().await;
    let (memory, threads) = memory_and_threads(service.process.id());
    let body = json!({ "username": "first", "password": PASSWORD }).to_string();
    let length = body.len();
    for number in 0..40 {
        let head = format!("POST /api/auth/login HTTP/1.1\r\nhost: test\r\nx-request-id: leaves-{number}\r\n");
        let rest = format!("content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}");
        drop(connect(&service, (head + &rest).as_bytes()));
    }
    eventually("all are logged", async || {
        let log = service.process.log();
        (0..40).all(|number| {
            let id = format!("\"request_id\":\"leaves-{number}\"");
            log.iter().any(|line| line.contains(&id) && line.contains("duration_ms"))
        })
    })
    .await;
    let (most, now) = memory_and_threads(service.process.id());
    let cpus = std::thread::available_parallelism().unwrap().get() as u64;
    // Argon2 takes 19 MiB, which a thread that ends and the next one may both have.
    assert!(most - memory < (2 * cpus * 19 + 19) << 10, "{memory} KiB before, {most} KiB at most");
    assert!(now <= threads + cpus + 4, "{threads} threads before, {now} after");
}
