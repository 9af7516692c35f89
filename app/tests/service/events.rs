//! Streams of events.

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::{
    accounts::post,
    pictures, raw_http,
    support::{CLIENT, Process, Service, Setup, TIMEOUT, eventually},
};

/// A stream of events that is read.
struct Events {
    response: Response,
    received: String,
}

impl Events {
    async fn open(service: &Service) -> Self {
        Self::open_with(&service.process, &service.token).await
    }

    async fn open_with(process: &Process, token: &str) -> Self {
        let request = CLIENT.get(format!("http://{}/api/events", process.address)).bearer_auth(token);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let mut events = Self { response, received: String::new() };
        assert_eq!(events.next().await, Some(look()));
        events
    }

    /// The next event's name and data; `None` at the end.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.received.split_once("\n\n") {
                let event = parse(event);
                self.received = rest.to_owned();
                match event {
                    Some(event) => return Some(event),
                    None => continue,
                }
            }
            let chunk =
                tokio::time::timeout(TIMEOUT, self.response.chunk()).await.expect("an event in time").unwrap()?;
            self.received += std::str::from_utf8(&chunk).unwrap();
        }
    }

    /// Reads until this event.
    async fn until(&mut self, event: &(String, Value)) {
        while self.next().await.as_ref().expect("the stream goes on") != event {}
    }

    async fn until_end(mut self) {
        while self.next().await.is_some() {}
    }
}

/// `None` for a comment.
fn parse(event: &str) -> Option<(String, Value)> {
    let (name, data) = event.strip_prefix("event: ")?.split_once("\ndata: ").unwrap();
    Some((name.to_owned(), serde_json::from_str(data).unwrap()))
}

fn look() -> (String, Value) {
    ("look".to_owned(), json!({}))
}

fn media(id: &str, status: &str) -> (String, Value) {
    ("media".to_owned(), json!({ "id": id, "status": status }))
}

/// Notifies of a media, as the table does.
async fn notify(pool: &PgPool, id: &str) {
    sqlx::query("SELECT pg_notify('media', $1 || ' ready')").bind(id).execute(pool).await.unwrap();
}

#[tokio::test]
async fn every_process_tells_of_each_change_of_a_media_and_of_its_end() {
    let service = Service::signed_in().await;
    let other = Setup::new(&service.database.url, service.folder.path()).var("EMBEDDED_WORKER", "off").start().await;
    let mut streams = [Events::open(&service).await, Events::open_with(&other, &service.token).await];
    let headers = streams[1].response.headers();
    for (name, value) in
        [("content-type", "text/event-stream"), ("cache-control", "no-store"), ("x-accel-buffering", "no")]
    {
        assert_eq!(headers[name], value);
    }
    let (_, uploaded) = service.upload(&pictures::png(40, 30), "a.png", "image/png").await;
    let id = uploaded["id"].as_str().unwrap();
    for stream in &mut streams {
        stream.until(&media(id, "ready")).await;
    }
    let text = "UPDATE media SET ocr_text = 'text' WHERE id = $1";
    sqlx::query(text).bind(id).execute(&service.pool).await.unwrap();
    let rejected = "UPDATE media SET status = 'failed', failure = 'corrupt_image' WHERE id = $1";
    sqlx::query(rejected).bind(id).execute(&service.pool).await.unwrap();
    for stream in &mut streams {
        // Its text, which a page shows in the viewer alone, is not told.
        assert_eq!(stream.next().await, Some(media(id, "failed")));
    }
    service.change(id, &json!({ "name": "b.png" })).await;
    let path = format!("/api/media/{id}");
    for change in [service.request(Method::DELETE, &path), service.request(Method::POST, &format!("{path}/restore"))] {
        assert!(change.send().await.unwrap().status().is_success());
    }
    for stream in &mut streams {
        for _edited_trashed_and_restored in 0..3 {
            assert_eq!(stream.next().await, Some(media(id, "failed")));
        }
    }
    let for_ever = service.request(Method::DELETE, &format!("{path}?permanent=true")).send().await.unwrap();
    assert_eq!(for_ever.status(), StatusCode::NO_CONTENT);
    for stream in &mut streams {
        assert_eq!(stream.next().await, Some(("deleted".to_owned(), json!({ "id": id }))));
    }
}

#[tokio::test]
async fn a_service_that_stops_ends_its_streams_before_the_requests_in_progress() {
    let mut service = Service::signed_in().await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(Events::open(&service).await);
    }
    // This upload keeps the service running until it is sent.
    let (head, body) = raw_http::upload(&service.token, &pictures::png(300, 200));
    let mut upload = raw_http::Connection::open(&service.process.address).await.unwrap();
    upload.send(&[&head[..], &body[..100]].concat()).await.unwrap();
    eventually("the upload has begun", async || !service.received().is_empty()).await;
    service.process.signal("-TERM");
    for stream in streams {
        stream.until_end().await;
    }
    upload.send(&body[100..]).await.unwrap();
    assert_eq!(upload.response().await.unwrap().status, 201);
    drop(upload);
    assert!(service.process.ended().await.success());
    assert!(
        !service.process.log().iter().any(|line| line.contains("shutdown timeout")),
        "{:#?}",
        service.process.log()
    );
}

#[tokio::test]
async fn a_stream_ends_with_its_session_and_others_go_on() {
    let service = Service::signed_in().await;
    let (status, key) = post(&service, "/api/api-keys", json!({ "name": "a", "scopes": ["read"] })).await;
    assert_eq!(status, StatusCode::CREATED);
    let of_session = Events::open(&service).await;
    let mut of_key = Events::open_with(&service.process, key["token"].as_str().unwrap()).await;
    let logged_out = service.request(Method::POST, "/api/auth/logout").send().await.unwrap();
    assert_eq!(logged_out.status(), StatusCode::NO_CONTENT);
    of_session.until_end().await;
    notify(&service.pool, "01ARZ3NDEKTSV4RRFFQ69G5FAV").await;
    of_key.until(&media("01ARZ3NDEKTSV4RRFFQ69G5FAV", "ready")).await;
}

#[tokio::test]
async fn a_stream_ends_when_the_database_no_longer_tells_and_the_next_says_to_look() {
    let service = Service::signed_in().await;
    let stream = Events::open(&service).await;
    let listening = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    sqlx::query(listening).execute(&service.pool).await.unwrap();
    stream.until_end().await;
    Events::open(&service).await;
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_told_to_look_again() {
    const MANY: usize = 150_000;
    const LAST: &str = "7ZZZZZZZZZZZZZZZZZZZZZZZZZ";
    let service = Service::signed_in().await;
    let mut fast = Events::open(&service).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut slow = socket.connect(service.process.address.parse().unwrap()).await.unwrap();
    let request = format!("GET /api/events HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {}\r\n\r\n", service.token);
    slow.write_all(request.as_bytes()).await.unwrap();
    // It is subscribed once there is an answer.
    slow.readable().await.unwrap();

    sqlx::query(
        "SELECT count(pg_notify('media', '0' || lpad(i::text, 25, '0') || ' ready')) FROM generate_series(1, $1) AS i",
    )
    .bind(MANY as i64)
    .execute(&service.pool)
    .await
    .unwrap();
    notify(&service.pool, LAST).await;
    // Its own part is over once another stream has the last one.
    fast.until(&media(LAST, "ready")).await;
    let (mut text, mut buffer) = (String::new(), vec![0; 1 << 16]);
    while !text.contains(LAST) {
        slow.readable().await.unwrap();
        match slow.try_read(&mut buffer) {
            Ok(0) => panic!("the stream has ended: {}", &text[text.len().saturating_sub(500)..]),
            Ok(length) => text += std::str::from_utf8(&buffer[..length]).unwrap(),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
    }
    let told = text.matches("event: media").count();
    assert!(told < MANY, "all events were kept for a client that did not read");
    assert!(text.rfind("event: look").unwrap() > text.find("event: media").unwrap(), "it is not told to look again");
}

#[tokio::test]
async fn streams_leave_room_for_other_connections() {
    let service = Service::start_with(|setup| setup.files(120)).await.sign_in().await;
    let mut streams = Vec::new();
    for _ in 0..30 {
        streams.push(Events::open(&service).await);
    }
    let refused = service.get("/api/events").await;
    assert_eq!(
        (refused.status(), &refused.headers()["retry-after"]),
        (StatusCode::TOO_MANY_REQUESTS, &"30".parse().unwrap())
    );
    assert_eq!(refused.json::<Value>().await.unwrap()["error"]["code"], "busy");
    assert_eq!(service.get("/api/auth/me").await.status(), StatusCode::OK);
    drop(streams);
    eventually("a stream is to be had again", async || service.get("/api/events").await.status() == StatusCode::OK)
        .await;
}

#[tokio::test]
async fn a_stream_ends_when_its_client_closes() {
    let service = Service::signed_in().await;
    let mut connection = TcpStream::connect(&service.process.address).await.unwrap();
    let request = format!("GET /api/events HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\n\r\n", service.token);
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut received = Vec::new();
    while !String::from_utf8_lossy(&received).contains("event: look") {
        assert_ne!(connection.read_buf(&mut received).await.unwrap(), 0, "{received:?}");
    }
    // The client could still read: only that it has closed its side ends the stream.
    connection.shutdown().await.unwrap();
    let end = tokio::time::timeout(TIMEOUT, connection.read_to_end(&mut received)).await;
    end.expect("the stream ends").unwrap();
}
