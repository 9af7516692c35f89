//! Registration, log-in, and authentication of requests.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{BOOTSTRAP_TOKEN, CLIENT, JWT_SECRET, PASSWORD, Service};

async fn post(service: &Service, path: &str, body: Value) -> (StatusCode, Value) {
    let response = service.request(Method::POST, path).json(&body).send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

#[tokio::test]
async fn registering_needs_the_bootstrap_token_and_works_once() {
    let service = Service::start().await;
    let rejected = [
        ("you", PASSWORD, "not the token", 403, "bad_bootstrap_token"),
        ("a b", PASSWORD, BOOTSTRAP_TOKEN, 400, "invalid_username"),
        ("", PASSWORD, BOOTSTRAP_TOKEN, 400, "invalid_username"),
        ("you", "short", BOOTSTRAP_TOKEN, 400, "weak_password"),
    ];
    for (username, password, token, status, code) in rejected {
        let body = json!({ "username": username, "password": password, "bootstrap_token": token });
        let (got, response) = post(&service, "/api/auth/register", body).await;
        assert_eq!((got.as_u16(), response["error"]["code"].as_str().unwrap()), (status, code));
    }
    let service = service.sign_in().await;
    let me: Value = service.get("/api/auth/me").await.json().await.unwrap();
    assert_eq!(me["username"], "first");

    let closed = service.register("second").await;
    assert_eq!(closed.status(), StatusCode::FORBIDDEN);
    assert_eq!(closed.json::<Value>().await.unwrap()["error"]["code"], "bootstrap_closed");
}

#[tokio::test]
async fn only_one_of_concurrent_registrations_succeeds() {
    let service = Service::start().await;
    let mut racing = JoinSet::new();
    for number in 0..6 {
        let body =
            json!({ "username": format!("racer{number}"), "password": PASSWORD, "bootstrap_token": BOOTSTRAP_TOKEN });
        let request = CLIENT.post(format!("http://{}/api/auth/register", service.process.address)).json(&body);
        racing.spawn(async move { request.send().await.unwrap().status().as_u16() });
    }
    let mut statuses = racing.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 403, 403, 403, 403, 403]);
    let accounts: i64 = sqlx::query_scalar("SELECT count(*) FROM account").fetch_one(&service.pool).await.unwrap();
    assert_eq!(accounts, 1);
}

#[tokio::test]
async fn failed_log_ins_look_alike_and_are_throttled_by_user_name() {
    let service = Service::signed_in().await;
    let (status, good) = post(&service, "/api/auth/login", json!({ "username": "FIRST", "password": PASSWORD })).await;
    assert_eq!(status, StatusCode::OK);
    assert!(good["expires_at"].as_str().unwrap().ends_with('Z'), "{good}");

    let attempt = async |username: &str| {
        let (status, response) =
            post(&service, "/api/auth/login", json!({ "username": username, "password": "a wrong password" })).await;
        (status.as_u16(), response["error"]["code"].clone(), response["error"]["message"].clone())
    };
    let wrong = attempt("first").await;
    assert_eq!((wrong.0, &wrong.1), (401, &json!("bad_credentials")));
    assert_eq!(attempt("unknown").await, wrong);
    assert_eq!(attempt("un\0known").await, wrong);

    for _ in 0..9 {
        assert_eq!(attempt("unknown").await.0, 401);
    }
    let request = service.request(Method::POST, "/api/auth/login");
    let response = request.json(&json!({ "username": "Unknown", "password": PASSWORD })).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=301).contains(&wait));
    assert_eq!(response.json::<Value>().await.unwrap()["error"]["code"], "too_many_attempts");
    assert_eq!(attempt("first").await, wrong, "failures are counted for each user name");
}

#[tokio::test]
async fn protected_routes_reject_requests_without_a_valid_token() {
    let service = Service::signed_in().await;
    let good = service.token.clone();
    let forged = format!("{}.{}", good.rsplit_once('.').unwrap().0, "A".repeat(43));
    let protected = [
        (Method::GET, "/api/auth/me"),
        (Method::GET, "/api/media"),
        (Method::POST, "/api/media"),
        (Method::GET, "/api/media/01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        (Method::DELETE, "/api/media/01ARZ3NDEKTSV4RRFFQ69G5FAV"),
    ];
    for (method, path) in protected {
        for header in ["", "Bearer", "Bearer x", &format!("Bearer {forged}"), &format!("Basic {good}")] {
            let request = CLIENT.request(method.clone(), format!("http://{}{path}", service.process.address));
            let request = if header.is_empty() { request } else { request.header("authorization", header) };
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{method} {path} {header:?}");
            assert_eq!(response.json::<Value>().await.unwrap()["error"]["code"], "unauthorized");
        }
    }
    sqlx::query("DELETE FROM account").execute(&service.pool).await.unwrap();
    assert_eq!(
        service.get("/api/auth/me").await.status(),
        StatusCode::UNAUTHORIZED,
        "the account of the token is deleted"
    );
}

#[tokio::test]
async fn the_log_contains_no_secrets() {
    let service = Service::start_with(|setup| setup.var("LOG_LEVEL", "trace")).await;
    let broken = format!("{{\"username\": 1, \"password\": \"{PASSWORD}\", \"bootstrap_token\": \"{BOOTSTRAP_TOKEN}\"");
    for body in [broken.clone(), broken + "}"] {
        let request = service.request(Method::POST, "/api/auth/register").header("content-type", "application/json");
        let response = request.body(body).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert!(!response.text().await.unwrap().contains("sentinel"));
    }
    let service = service.sign_in().await;
    post(&service, "/api/auth/login", json!({ "username": "first", "password": format!("{PASSWORD}x") })).await;
    service.get("/api/auth/me").await;
    service.upload(b"not a picture", "a.jpg", "image/jpeg").await;

    let log = service.process.log().join("\n");
    assert!(log.contains("\"path\":\"/api/auth/login\""), "{log}");
    let signature = service.token.rsplit_once('.').unwrap().1;
    for secret in [PASSWORD, BOOTSTRAP_TOKEN, JWT_SECRET, signature] {
        assert!(!log.contains(secret), "the log contains {secret}");
    }
}
