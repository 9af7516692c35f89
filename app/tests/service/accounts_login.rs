//! Log-in: its limits, and what it does not tell.

use reqwest::{Method, Response, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    accounts::{json_of, waits_for_a_lock},
    raw_http::Connection,
    support::{CLIENT, PASSWORD, Service, eventually},
};

const WRONG: &str = "a wrong password";

async fn log_in(service: &Service, username: &str, password: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = CLIENT.post(format!("http://{}/api/auth/login", service.process.address));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.json(&json!({ "username": username, "password": password })).send().await.unwrap()
}

async fn status(service: &Service, username: &str, password: &str, headers: &[(&str, &str)]) -> u16 {
    log_in(service, username, password, headers).await.status().as_u16()
}

/// The name and the value of the cookie that a response sets.
fn cookie(headers: &HeaderMap) -> String {
    headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn failed_log_ins_look_alike_whatever_the_user_name() {
    let service = Service::signed_in().await;
    let good = log_in(&service, "FIRST", PASSWORD, &[]).await;
    assert_eq!((good.status(), &good.headers()["cache-control"]), (StatusCode::OK, &"no-store".parse().unwrap()));
    let cookie = good.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.ends_with("; Path=/api/auth/login; Max-Age=31536000; HttpOnly; SameSite=Strict"), "{cookie}");
    let (_, good) = json_of(good).await;
    assert!(good["expires_at"].as_str().unwrap().ends_with('Z'), "{good}");
    let proxied = log_in(&service, "first", PASSWORD, &[("x-forwarded-proto", "https")]).await;
    assert!(proxied.headers()["set-cookie"].to_str().unwrap().ends_with("; Secure"));

    let attempt = async |username: &str, password: &str| {
        let (status, response) = json_of(log_in(&service, username, password, &[]).await).await;
        (status.as_u16(), response["error"]["code"].clone(), response["error"]["message"].clone())
    };
    let wrong = attempt("first", WRONG).await;
    assert_eq!((wrong.0, &wrong.1), (401, &json!("bad_credentials")));
    // Among them are names that a database or a language could take for the account's.
    for name in ["unknown", "", "f\u{130}rst", "f\u{131}rst", "\u{fb01}rst", "un\0known", "first ", &"x".repeat(1000)] {
        assert_eq!(attempt(name, PASSWORD).await, wrong, "{name:?}");
    }
    assert_eq!(attempt("first", &"x".repeat(1000)).await, wrong);
}

#[tokio::test]
async fn guessing_is_slowed_down_for_the_client_that_guesses() {
    let service = Service::start_with(|setup| setup.var("TRUSTED_PROXIES", 1)).await.sign_in().await;
    let (guesser, user) = (("x-forwarded-for", "192.0.2.1"), ("x-forwarded-for", "192.0.2.2"));
    let known = cookie(log_in(&service, "first", PASSWORD, &[guesser]).await.headers());
    for name in ["first", "unknown"] {
        for number in 0..10 {
            // The address that the client claims does not count.
            let claimed = format!("203.0.113.{number}, 192.0.2.1");
            assert_eq!(status(&service, name, WRONG, &[("x-forwarded-for", &claimed)]).await, 401);
        }
        let refused = log_in(&service, name, PASSWORD, &[guesser]).await;
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=30).contains(&wait), "{wait}");
        assert_eq!(json_of(refused).await.1["error"]["code"], "too_many_attempts");
    }
    assert_eq!(status(&service, "another", WRONG, &[guesser]).await, 401, "counted by user name");
    assert_eq!(status(&service, "first", PASSWORD, &[user]).await, 200, "counted by address");
    assert_eq!(status(&service, "first", PASSWORD, &[guesser, ("cookie", &known)]).await, 200, "a known device passes");

    // A device is known to its own account only, and has a limit of its own.
    assert_eq!(status(&service, "unknown", WRONG, &[guesser, ("cookie", &known)]).await, 429);
    assert_eq!(status(&service, "first", PASSWORD, &[guesser, ("cookie", &format!("{known}x"))]).await, 429);
    for _ in 0..10 {
        assert_eq!(status(&service, "first", WRONG, &[user, ("cookie", &known)]).await, 401);
    }
    assert_eq!(status(&service, "first", PASSWORD, &[user, ("cookie", &known)]).await, 429);
}

#[tokio::test]
async fn a_client_is_its_connection_unless_a_proxy_is_trusted() {
    let service = Service::signed_in().await;
    for number in 0..10 {
        let claimed = format!("192.0.2.{number}");
        assert_eq!(status(&service, "first", WRONG, &[("x-forwarded-for", &claimed)]).await, 401);
    }
    assert_eq!(status(&service, "first", PASSWORD, &[("x-forwarded-for", "192.0.2.99")]).await, 429);
}

#[tokio::test]
async fn correct_log_ins_are_never_taken_for_guesses() {
    let service = Service::signed_in().await;
    let mut log_ins = JoinSet::new();
    for _ in 0..14 {
        let request = CLIENT.post(format!("http://{}/api/auth/login", service.process.address));
        let request = request.json(&json!({ "username": "first", "password": PASSWORD }));
        log_ins.spawn(async move { request.send().await.unwrap().status().as_u16() });
    }
    assert_eq!(log_ins.join_all().await, [200; 14]);
}

#[tokio::test]
async fn concurrent_guesses_are_limited_too() {
    let service = Service::signed_in().await;
    let mut guesses = JoinSet::new();
    for _ in 0..40 {
        let request = CLIENT.post(format!("http://{}/api/auth/login", service.process.address));
        let request = request.json(&json!({ "username": "first", "password": WRONG }));
        guesses.spawn(async move { request.send().await.unwrap().status().as_u16() });
    }
    let statuses = guesses.join_all().await;
    let checked = statuses.iter().filter(|status| **status == 401).count();
    // Those that are hashed in parallel when the limit is reached are not stopped.
    let cpus = std::thread::available_parallelism().unwrap().get();
    assert!((10..10 + cpus).contains(&checked), "{statuses:?}");
    assert!(statuses.iter().all(|status| [401, 429].contains(status)), "{statuses:?}");
}

#[tokio::test]
async fn a_log_in_whose_client_hangs_up_is_logged() {
    let service = Service::signed_in().await;
    // The log-in waits for the table.
    let mut lock = service.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE account IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    let body = json!({ "username": "first", "password": PASSWORD }).to_string();
    let head =
        "POST /api/auth/login HTTP/1.1\r\nhost: test\r\nx-request-id: hangs-up\r\ncontent-type: application/json";
    let mut connection = Connection::open(&service.process.address).await.unwrap();
    connection.send(format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).as_bytes()).await.unwrap();
    waits_for_a_lock(&service).await;
    connection.reset();
    eventually("the request is logged", async || {
        let is_it = |event: &Value| event["message"] == "request aborted" && event["request_id"] == "hangs-up";
        service.process.log().iter().any(|line| is_it(&serde_json::from_str(line).unwrap_or_default()))
    })
    .await;
    lock.rollback().await.unwrap();
    assert_eq!(service.request(Method::GET, "/api/auth/me").send().await.unwrap().status(), StatusCode::OK);
}
