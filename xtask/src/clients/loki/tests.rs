use std::sync::{Arc, Mutex};

use devservers::http::{HttpServer, Response};
use serde_json::json;

use super::*;

/// Answers with these lines: nanoseconds and text.
fn answer(lines: &[(i64, &str)]) -> String {
    let values: Vec<_> = lines.iter().map(|(at, text)| json!([at.to_string(), text])).collect();
    json!({ "status": "success", "data": { "resultType": "streams", "result": [{ "stream": {}, "values": values }] } })
        .to_string()
}

fn at(server: &HttpServer) -> Loki {
    drop(rustls::crypto::ring::default_provider().install_default());
    let token = SecretString::from("sentinel-token");
    Loki::new(&format!("http://{}/loki/api/v1/push", server.address), &token, of_container("a-b")).unwrap()
}

fn texts(lines: &[Line]) -> Vec<&str> {
    lines.iter().map(|line| line.text.as_str()).collect()
}

const SECOND: i64 = 1_000_000_000;

#[tokio::test]
async fn the_last_lines_are_asked_for_with_the_token_and_unwrapped() {
    let wrapped = json!({ "message": "{\"level\":\"info\"}\n", "resource_instance": "x" }).to_string();
    let body = answer(&[(2 * SECOND, &wrapped), (SECOND, r#"{"message":"the service's own"}"#)]);
    let server = HttpServer::start(move |_| Response::new(200).body("application/json", body.clone()));
    let lines = at(&server).last(Timestamp::UNIX_EPOCH, 10).await.unwrap();
    assert_eq!(texts(&lines), [r#"{"message":"the service's own"}"#, r#"{"level":"info"}"#]);
    let asked = server.asked().remove(0);
    assert_eq!(asked.header("x-token"), Some("sentinel-token"));
    assert!(asked.path.starts_with("/loki/api/v1/query_range?query="), "{}", asked.path);
    assert!(asked.path.ends_with("&start=0&limit=10&direction=backward"), "{}", asked.path);
}

#[tokio::test]
async fn following_shows_each_line_once_also_late_and_equal_ones() {
    let lines = Arc::new(Mutex::new(vec![(30 * SECOND, "a"), (30 * SECOND, "a")]));
    let kept = Arc::clone(&lines);
    let server = HttpServer::start(move |_| Response::new(200).body("application/json", answer(&kept.lock().unwrap())));
    let loki = at(&server);
    let first = loki.last(Timestamp::UNIX_EPOCH, 10).await.unwrap();
    let mut following = Following::after(&first, Timestamp::UNIX_EPOCH);
    assert_eq!(loki.more(&mut following).await.unwrap(), (Vec::new(), false));
    // One more of the same, a later one, and one that came late.
    lines.lock().unwrap().extend([(30 * SECOND, "a"), (31 * SECOND, "b"), (20 * SECOND, "late")]);
    assert_eq!(texts(&loki.more(&mut following).await.unwrap().0), ["late", "a", "b"]);
    assert!(loki.more(&mut following).await.unwrap().0.is_empty());
    // From behind the newest line, as far as lines come late.
    let path = server.asked().pop().unwrap().path;
    assert!(path.contains(&format!("&start={}&", 16 * SECOND)), "{path}");
}

#[test]
fn more_lines_of_one_moment_than_an_answer_holds_do_not_stop_it() {
    let moment = Timestamp::from_second(1).unwrap();
    let line = |text: &str| Line { at: moment, text: text.to_owned() };
    let mut following = Following::after(&[], moment);
    assert_eq!(following.new_ones(vec![line("a"), line("b")], true).len(), 2);
    assert!(following.from > moment);
}

#[tokio::test]
async fn a_token_is_not_sent_elsewhere_and_never_shown() {
    for url in ["http://logs.example.org", "x"] {
        let refused = Loki::new(url, &SecretString::from("sentinel-token"), String::new()).err().unwrap().to_string();
        assert!(!refused.contains("sentinel"), "{refused}");
    }
    let elsewhere = HttpServer::start(|_| Response::new(200));
    let location = format!("http://{}/", elsewhere.address);
    let server = HttpServer::start(move |_| Response::new(302).header("location", &location));
    let error = at(&server).last(Timestamp::UNIX_EPOCH, 1).await.unwrap_err().to_string();
    assert!(error.contains("redirects"), "{error}");
    assert!(elsewhere.asked().is_empty());
    let server = HttpServer::start(|_| Response::new(401));
    let error = at(&server).last(Timestamp::UNIX_EPOCH, 1).await.unwrap_err().to_string();
    assert!(error.contains("check COCKPIT_TOKEN") && !error.contains("sentinel"), "{error}");
    let server = HttpServer::start(|_| Response::new(200).body("text/html", "<html>".to_owned()));
    let error = at(&server).last(Timestamp::UNIX_EPOCH, 1).await.unwrap_err().to_string();
    assert!(error.contains("not understood"), "{error}");
}
