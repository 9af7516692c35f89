//! Registration, by the bootstrap token and by invites.

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{BOOTSTRAP_TOKEN, CLIENT, JWT_SECRET, PASSWORD, Service, eventually};

/// Sends a JSON body with the token of the service.
pub(crate) async fn post(service: &Service, path: &str, body: Value) -> (StatusCode, Value) {
    json_of(service.request(Method::POST, path).json(&body).send().await.unwrap()).await
}

/// The status and the JSON body; `Null` if the body is empty.
pub(crate) async fn json_of(response: Response) -> (StatusCode, Value) {
    let (status, text) = (response.status(), response.text().await.unwrap());
    (status, if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() })
}

/// Sends a request with another token than that of the service.
pub(crate) async fn call(
    service: &Service,
    token: &str,
    method: Method,
    path: &str,
    body: Value,
) -> (StatusCode, Value) {
    let request = CLIENT.request(method, format!("http://{}{path}", service.process.address)).bearer_auth(token);
    json_of(request.json(&body).send().await.unwrap()).await
}

/// Waits until a query of the service waits for a lock that the test holds.
pub(crate) async fn waits_for_a_lock(service: &Service) {
    eventually("a query waits for a lock", async || {
        let waiting = "SELECT EXISTS (SELECT FROM pg_stat_activity
                                      WHERE datname = current_database() AND wait_event_type = 'Lock')";
        sqlx::query_scalar(waiting).fetch_one(&service.pool).await.unwrap()
    })
    .await;
}

async fn invite(service: &Service, body: Value) -> Value {
    let response = service.request(Method::POST, "/api/invites").json(&body).send().await.unwrap();
    assert_eq!(response.headers()["cache-control"], "no-store");
    let (status, invite) = json_of(response).await;
    assert_eq!(status, StatusCode::CREATED, "{invite}");
    invite
}

/// The status, and the error's code if there is one.
async fn register(service: &Service, username: &str, invite: &Value) -> (u16, Value) {
    let body = json!({ "username": username, "password": PASSWORD, "invite": invite["token"] });
    let (status, answer) = post(service, "/api/auth/register", body).await;
    (status.as_u16(), answer["error"]["code"].clone())
}

#[tokio::test]
async fn registering_needs_the_bootstrap_token_and_works_once() {
    let service = Service::start().await;
    assert_eq!(service.json("/api/auth/bootstrap").await, json!({ "is_open": true, "supabase": null }));
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
    for tokens in [json!({}), json!({ "bootstrap_token": BOOTSTRAP_TOKEN, "invite": "x" })] {
        let mut body = json!({ "username": "you", "password": PASSWORD });
        body.as_object_mut().unwrap().extend(tokens.as_object().unwrap().clone());
        let (got, response) = post(&service, "/api/auth/register", body).await;
        assert_eq!((got, &response["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("bad_json")));
    }
    let service = service.sign_in().await;
    let me: Value = service.get("/api/auth/me").await.json().await.unwrap();
    assert_eq!((&me["username"], &me["role"]), (&json!("first"), &json!("admin")));
    assert_eq!(me["scopes"], json!(["read", "upload", "manage"]));

    let closed = service.register("second").await;
    assert_eq!(closed.status(), StatusCode::FORBIDDEN);
    assert_eq!(service.json("/api/auth/bootstrap").await, json!({ "is_open": false, "supabase": null }));
    assert_eq!(closed.json::<Value>().await.unwrap()["error"]["code"], "bootstrap_closed");

    // The release before roles makes the first account without one.
    sqlx::query("UPDATE account SET role = 'member'").execute(&service.pool).await.unwrap();
    let me: Value = service.get("/api/auth/me").await.json().await.unwrap();
    assert_eq!(me["role"], "admin");
}

#[tokio::test]
async fn only_one_of_concurrent_registrations_succeeds() {
    let service = Service::start().await;
    assert_eq!(race(&service, json!({ "bootstrap_token": BOOTSTRAP_TOKEN })).await, [201, 403, 403, 403, 403, 403]);
    let service = Service::signed_in().await;
    let invite = invite(&service, json!({})).await;
    assert_eq!(race(&service, json!({ "invite": invite["token"] })).await, [201, 403, 403, 403, 403, 403]);
    let accounts: i64 = sqlx::query_scalar("SELECT count(*) FROM account").fetch_one(&service.pool).await.unwrap();
    assert_eq!(accounts, 2);
}

/// The sorted statuses of concurrent registrations with the same token.
async fn race(service: &Service, token: Value) -> Vec<u16> {
    let mut racing = JoinSet::new();
    for number in 0..6 {
        let mut body = token.clone();
        body["username"] = json!(format!("racer{number}"));
        body["password"] = json!(PASSWORD);
        let request = CLIENT.post(format!("http://{}/api/auth/register", service.process.address)).json(&body);
        racing.spawn(async move { request.send().await.unwrap().status().as_u16() });
    }
    let mut statuses = racing.join_all().await;
    statuses.sort_unstable();
    statuses
}

#[tokio::test]
async fn an_invite_makes_one_account_with_its_role() {
    let service = Service::signed_in().await;
    let member = invite(&service, json!({})).await;
    let token = member["token"].as_str().unwrap();
    let stored: Vec<u8> = sqlx::query_scalar("SELECT token_sha256 FROM invite").fetch_one(&service.pool).await.unwrap();
    assert_eq!(stored, ring::digest::digest(&ring::digest::SHA256, token.as_bytes()).as_ref());

    // A registration that fails does not use it up.
    assert_eq!(register(&service, "FIRST", &member).await, (409, json!("username_taken")));
    assert_eq!(register(&service, "a b", &member).await, (400, json!("invalid_username")));
    let body = json!({ "username": "ada", "password": PASSWORD, "invite": token });
    let response = service.request(Method::POST, "/api/auth/register").json(&body).send().await.unwrap();
    assert_eq!(response.headers()["cache-control"], "no-store");
    let (status, registered) = json_of(response).await;
    assert_eq!(status, StatusCode::CREATED, "{registered}");
    let token = registered["token"].as_str().unwrap();
    let (_, me) = call(&service, token, Method::GET, "/api/auth/me", Value::Null).await;
    assert_eq!((&me["username"], &me["role"]), (&json!("ada"), &json!("member")));
    assert_eq!(register(&service, "bob", &member).await, (403, json!("bad_invite")));

    let admin = invite(&service, json!({ "role": "admin", "lifetime_days": 30 })).await;
    assert_eq!(register(&service, "bob", &admin).await.0, 201);
    let (_, bob) = post(&service, "/api/auth/login", json!({ "username": "bob", "password": PASSWORD })).await;
    let (_, me) = call(&service, bob["token"].as_str().unwrap(), Method::GET, "/api/auth/me", Value::Null).await;
    assert_eq!(me["role"], "admin");

    let invites: Value = service.get("/api/invites").await.json().await.unwrap();
    let facts = |invite: &Value| (invite["role"].clone(), invite["created_by"].clone(), invite["used_by"].clone());
    let listed: Vec<_> = invites["items"].as_array().unwrap().iter().map(facts).collect();
    let expected = |role: &str, user: &str| (json!(role), json!("first"), json!(user));
    assert_eq!(listed, [expected("admin", "bob"), expected("member", "ada")]);
    assert!(!invites.to_string().contains("token"), "{invites}");
}

#[tokio::test]
async fn revoked_expired_and_invented_invites_are_rejected() {
    let service = Service::signed_in().await;
    let rejected = (403, json!("bad_invite"));
    assert_eq!(register(&service, "ada", &json!({ "token": "x" })).await, rejected);

    let expired = invite(&service, json!({ "lifetime_days": 1 })).await;
    sqlx::query("UPDATE invite SET expires_at = now()").execute(&service.pool).await.unwrap();
    assert_eq!(register(&service, "ada", &expired).await, rejected);

    let revoked = invite(&service, json!({})).await;
    let path = format!("/api/invites/{}", revoked["id"].as_str().unwrap());
    assert_eq!(service.request(Method::DELETE, &path).send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(service.request(Method::DELETE, &path).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(register(&service, "ada", &revoked).await, rejected);
    // The user name does not matter: whether it is taken is told only to those who have an invite.
    assert_eq!(register(&service, "first", &revoked).await, rejected);

    for (body, code) in [
        (json!({ "lifetime_days": 0 }), "invalid_lifetime"),
        (json!({ "lifetime_days": 31 }), "invalid_lifetime"),
        (json!({ "role": "owner" }), "bad_json"),
        (json!({ "lifetime": 1 }), "bad_json"),
    ] {
        let (status, response) = post(&service, "/api/invites", body).await;
        assert_eq!((status, &response["error"]["code"]), (StatusCode::BAD_REQUEST, &json!(code)));
    }
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
    let (_, good) = post(&service, "/api/auth/login", json!({ "username": "first", "password": PASSWORD })).await;
    post(&service, "/api/auth/login", json!({ "username": "first", "password": format!("{PASSWORD}x") })).await;
    let (_, key) = post(&service, "/api/api-keys", json!({ "name": "a", "scopes": ["read"] })).await;
    let key = key["token"].as_str().unwrap();
    assert_eq!(call(&service, key, Method::GET, "/api/auth/me", Value::Null).await.0, StatusCode::OK);
    let invite = invite(&service, json!({})).await;
    assert_eq!(register(&service, "ada", &invite).await.0, 201);
    service.upload(b"not a picture", "a.jpg", "image/jpeg").await;

    let log = service.process.log().join("\n");
    assert!(log.contains("\"path\":\"/api/auth/login\""), "{log}");
    let signature = |token: &str| token.rsplit_once('.').unwrap().1.to_owned();
    let signatures = [signature(&service.token), signature(good["token"].as_str().unwrap())];
    let secrets = [PASSWORD, BOOTSTRAP_TOKEN, JWT_SECRET, key, invite["token"].as_str().unwrap()];
    for secret in secrets.into_iter().chain(signatures.iter().map(String::as_str)) {
        assert!(!log.contains(secret), "the log contains {secret}");
    }
}
