//! Accounts as admins manage them, and their deletion.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    accounts::{call, post, waits_for_a_lock},
    pictures,
    support::{CLIENT, PASSWORD, Service, eventually},
};

/// Registers an account; returns its id and the token of a session.
pub(crate) async fn register(service: &Service, username: &str, role: &str) -> (String, String) {
    let (_, invite) = post(service, "/api/invites", json!({ "role": role })).await;
    let body = json!({ "username": username, "password": PASSWORD, "invite": invite["token"] });
    let (status, registered) = post(service, "/api/auth/register", body).await;
    assert_eq!(status, StatusCode::CREATED, "{registered}");
    let token = registered["token"].as_str().unwrap().to_owned();
    (id(service, &token).await, token)
}

/// The id of the account of a token.
async fn id(service: &Service, token: &str) -> String {
    let (_, me) = call(service, token, Method::GET, "/api/auth/me", Value::Null).await;
    me["id"].as_str().unwrap().to_owned()
}

/// The status, and the error's code if there is one.
async fn status(service: &Service, token: &str, method: Method, path: &str, body: Value) -> (u16, Value) {
    let (status, answer) = call(service, token, method, path, body).await;
    (status.as_u16(), answer["error"]["code"].clone())
}

async fn set_role(service: &Service, token: &str, account: &str, role: &str) -> (u16, Value) {
    status(service, token, Method::PATCH, &format!("/api/accounts/{account}"), json!({ "role": role })).await
}

const DONE: (u16, Value) = (200, Value::Null);
const DELETED: (u16, Value) = (204, Value::Null);

#[tokio::test]
async fn an_invite_ends_with_the_role_of_its_creator() {
    let service = Service::signed_in().await;
    let (ada, token) = register(&service, "ada", "admin").await;
    let (_, invite) = call(&service, &token, Method::POST, "/api/invites", json!({ "role": "admin" })).await;
    assert_eq!(set_role(&service, &service.token, &ada, "member").await, DONE);
    let with = async |invite: &Value| {
        let body = json!({ "username": "eve", "password": PASSWORD, "invite": invite });
        status(&service, &service.token, Method::POST, "/api/auth/register", body).await
    };
    assert_eq!(with(&invite["token"]).await, (403, json!("bad_invite")));
    assert_eq!(service.json("/api/invites").await["items"].as_array().unwrap().len(), 1, "the one that ada has used");
    // One that was on its way when the account was deleted.
    let deleted = status(&service, &service.token, Method::DELETE, &format!("/api/accounts/{ada}"), Value::Null).await;
    assert_eq!(deleted, DELETED);
    sqlx::query(
        "INSERT INTO invite (token_sha256, role, created_by, expires_at)
         SELECT sha256('late'), 'admin', $1::uuid, now() + interval '1 day'",
    )
    .bind(&ada)
    .execute(&service.pool)
    .await
    .unwrap();
    assert_eq!(with(&json!("late")).await, (403, json!("bad_invite")));
}

#[tokio::test]
async fn a_session_that_has_ended_makes_no_api_key() {
    let service = Service::signed_in().await;
    let mut lock = service.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE api_key IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    let key = post(&service, "/api/api-keys", json!({ "name": "a", "scopes": ["read"] }));
    let end = async {
        waits_for_a_lock(&service).await;
        sqlx::query("DELETE FROM session").execute(&service.pool).await.unwrap();
        lock.rollback().await.unwrap();
    };
    let ((status, answer), ()) = tokio::join!(key, end);
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{answer}");
}

#[tokio::test]
async fn a_file_is_replaced_by_its_uploader_and_admins_only() {
    let service = Service::signed_in().await;
    let (_, media) = service.upload(&pictures::png(20, 20), "a.png", "image/png").await;
    let (ada, token) = register(&service, "ada", "member").await;
    let replace = async || {
        let part = reqwest::multipart::Part::bytes(pictures::png(30, 20)).file_name("b.png");
        let url = format!("http://{}/api/media/{}/file", service.process.address, media["id"].as_str().unwrap());
        let request = CLIENT.put(url).bearer_auth(&token).multipart(reqwest::multipart::Form::new().part("file", part));
        request.send().await.unwrap().status()
    };
    assert_eq!(replace().await, StatusCode::FORBIDDEN);
    assert_eq!(set_role(&service, &service.token, &ada, "admin").await, DONE);
    assert_eq!(replace().await, StatusCode::OK);
}

#[tokio::test]
async fn a_role_changes_for_sessions_and_keys_that_exist_and_an_admin_remains() {
    let service = Service::signed_in().await;
    let (ada, token) = register(&service, "ada", "member").await;
    let first = id(&service, &service.token).await;
    let accounts = service.json("/api/accounts").await;
    let facts: Vec<_> = accounts["items"].as_array().unwrap().iter().map(|a| (&a["username"], &a["role"])).collect();
    assert_eq!(facts, [(&json!("first"), &json!("admin")), (&json!("ada"), &json!("member"))]);
    assert!(!accounts.to_string().contains("argon2"), "{accounts}");

    let may_invite = async |token: &str| status(&service, token, Method::GET, "/api/invites", Value::Null).await.0;
    assert_eq!(may_invite(&token).await, 403);
    assert_eq!(set_role(&service, &service.token, &first, "member").await, (409, json!("last_admin")));
    assert_eq!(set_role(&service, &service.token, &ada, "admin").await, DONE);
    assert_eq!(may_invite(&token).await, 200);
    // The first account is an admin because it is the first; that ends, too.
    assert_eq!(set_role(&service, &token, &first, "member").await, DONE);
    assert_eq!(may_invite(&service.token).await, 403);
    assert_eq!(set_role(&service, &service.token, &ada, "member").await, (403, json!("forbidden")));
    assert_eq!(set_role(&service, &token, &ada, "member").await, (409, json!("last_admin")));
    assert_eq!(set_role(&service, &token, &ada, "admin").await, DONE);

    for hostile in ["x", "%00", "00000000-0000-0000-0000-000000000000", "..%2f"] {
        assert_eq!(set_role(&service, &token, hostile, "admin").await, (404, json!("not_found")), "{hostile}");
        let path = format!("/api/accounts/{hostile}");
        let deleted = status(&service, &token, Method::DELETE, &path, Value::Null).await;
        assert_eq!(deleted, (404, json!("not_found")), "{hostile}");
    }
    let path = format!("/api/accounts/{first}");
    for body in [json!({}), json!({ "role": "owner" }), json!({ "role": 1 }), json!({ "role": "admin", "x": 1 })] {
        assert_eq!(status(&service, &token, Method::PATCH, &path, body).await, (400, json!("bad_json")));
    }
    let long = json!({ "role": "x".repeat(100_000) });
    assert_eq!(status(&service, &token, Method::PATCH, &path, long).await, (413, json!("too_large")));
}

/// Sends two requests while the rows of all accounts are locked, and lets them go on once both wait. Returns the statuses in order.
async fn at_once(service: &Service, requests: [(&str, Method, String, Value); 2]) -> Vec<u16> {
    let mut lock = service.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM account FOR UPDATE").execute(&mut *lock).await.unwrap();
    let mut racing = tokio::task::JoinSet::new();
    for (token, method, path, body) in requests {
        let request = CLIENT.request(method, format!("http://{}{path}", service.process.address)).bearer_auth(token);
        racing.spawn(async move { request.json(&body).send().await.unwrap().status().as_u16() });
    }
    eventually("both requests wait", async || {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
        .fetch_one(&service.pool)
        .await
        .unwrap();
        waiting == 2
    })
    .await;
    lock.rollback().await.unwrap();
    let mut statuses = racing.join_all().await;
    statuses.sort_unstable();
    statuses
}

async fn admins(service: &Service) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM account WHERE role = 'admin' OR bootstrap")
        .fetch_one(&service.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn of_two_admins_who_demote_or_leave_at_once_one_stays() {
    let service = Service::signed_in().await;
    let (ada, token) = register(&service, "ada", "admin").await;
    let first = id(&service, &service.token).await;
    let demote = |account: &str| (Method::PATCH, format!("/api/accounts/{account}"), json!({ "role": "member" }));
    let ((method, path, body), (other_method, other_path, other_body)) = (demote(&ada), demote(&first));
    let requests = [(service.token.as_str(), method, path, body), (&token, other_method, other_path, other_body)];
    assert_eq!(at_once(&service, requests).await, [200, 403], "who was demoted may not demote");
    assert_eq!(admins(&service).await, 1);

    sqlx::query("UPDATE account SET role = 'admin'").execute(&service.pool).await.unwrap();
    let leave = |account: &str| (Method::PATCH, format!("/api/accounts/{account}"), json!({ "role": "member" }));
    let ((method, path, body), (other_method, other_path, other_body)) = (leave(&first), leave(&ada));
    let requests = [(service.token.as_str(), method, path, body), (&token, other_method, other_path, other_body)];
    assert_eq!(at_once(&service, requests).await, [200, 409], "each demotes itself");
    assert_eq!(admins(&service).await, 1);

    sqlx::query("UPDATE account SET role = 'admin'").execute(&service.pool).await.unwrap();
    let own = || (Method::POST, "/api/auth/delete".to_owned(), json!({ "password": PASSWORD }));
    let ((method, path, body), (other_method, other_path, other_body)) = (own(), own());
    let requests = [(service.token.as_str(), method, path, body), (&token, other_method, other_path, other_body)];
    assert_eq!(at_once(&service, requests).await, [204, 409], "each deletes itself");
    assert_eq!(admins(&service).await, 1);
}

#[tokio::test]
async fn with_an_account_its_tokens_end_and_its_media_stay() {
    let service = Service::signed_in().await;
    let (ada, token) = register(&service, "ada", "admin").await;
    let as_ada = async |method: Method, path: &str, body: Value| call(&service, &token, method, path, body).await;
    let (_, key) = as_ada(Method::POST, "/api/api-keys", json!({ "name": "a", "scopes": ["read"] })).await;
    let key = key["token"].as_str().unwrap();
    let (_, invite) = as_ada(Method::POST, "/api/invites", json!({})).await;
    let part = reqwest::multipart::Part::bytes(pictures::png(9, 9)).file_name("a.png");
    let form = reqwest::multipart::Form::new().part("file", part);
    let url = format!("http://{}/api/media", service.process.address);
    let uploaded = CLIENT.post(url).bearer_auth(&token).multipart(form).send().await.unwrap();
    let media: Value = uploaded.json().await.unwrap();
    let (_, share) = as_ada(Method::POST, "/api/shares", json!({ "items": [media["id"]] })).await;
    let shared = format!("/api/shared/{}", share["token"].as_str().unwrap());
    assert_eq!(service.get(&shared).await.status(), StatusCode::OK);

    let own = format!("/api/accounts/{ada}");
    assert_eq!(status(&service, &token, Method::DELETE, &own, Value::Null).await, (409, json!("own_account")));
    assert_eq!(status(&service, &service.token, Method::DELETE, &own, Value::Null).await, DELETED);
    assert_eq!(status(&service, &service.token, Method::DELETE, &own, Value::Null).await, (404, json!("not_found")));
    assert_eq!(set_role(&service, &service.token, &ada, "admin").await, (404, json!("not_found")));
    assert_eq!(service.json("/api/accounts").await["items"].as_array().unwrap().len(), 1);
    for ended in [token.as_str(), key] {
        assert_eq!(status(&service, ended, Method::GET, "/api/auth/me", Value::Null).await.0, 401);
    }
    assert_eq!(service.get(&shared).await.status(), StatusCode::NOT_FOUND);
    let body = json!({ "username": "eve", "password": PASSWORD, "invite": invite["token"] });
    assert_eq!(post(&service, "/api/auth/register", body).await.1["error"]["code"], "bad_invite");

    let path = format!("/api/media/{}", media["id"].as_str().unwrap());
    let kept = service.json(&path).await;
    let uploader = format!("deleted {ada}");
    assert_eq!((&kept["uploader"], &kept["status"]), (&json!(uploader), &json!("ready")));
    assert_eq!(service.get(&format!("{path}/original")).await.status(), StatusCode::OK, "admins get it");
    assert_eq!(service.json("/api/media").await["items"].as_array().unwrap().len(), 1);
    // Nobody logs in by the name that is left, and the name that is not is free.
    for name in [uploader.as_str(), "ada"] {
        let (code, answer) = post(&service, "/api/auth/login", json!({ "username": name, "password": PASSWORD })).await;
        assert_eq!((code, &answer["error"]["code"]), (StatusCode::UNAUTHORIZED, &json!("bad_credentials")), "{name}");
    }
    let (again, _) = register(&service, "ADA", "member").await;
    assert_ne!(again, ada);
    // A token that a concurrent request of the account has just got allows nothing.
    let late = "INSERT INTO session (account, user_agent, expires_at)
                VALUES ($1::uuid, '', now() + interval '1 day') RETURNING id";
    let late: uuid::Uuid = sqlx::query_scalar(late).bind(&ada).fetch_one(&service.pool).await.unwrap();
    let late = crate::access::session_token(ada.parse().unwrap(), late);
    assert_eq!(status(&service, &late, Method::GET, "/api/auth/me", Value::Null).await.0, 401);
}

#[tokio::test]
async fn users_delete_their_own_account_by_its_password() {
    let service = Service::signed_in().await;
    let (_, token) = register(&service, "ada", "member").await;
    let delete = async |token: &str, body: Value| status(&service, token, Method::POST, "/api/auth/delete", body).await;
    for body in [json!({}), json!({ "password": 1 }), json!({ "password": PASSWORD, "x": 1 })] {
        assert_eq!(delete(&token, body).await, (400, json!("bad_json")));
    }
    assert_eq!(delete(&token, json!({ "password": "not that" })).await, (403, json!("wrong_password")));
    let right = json!({ "password": PASSWORD });
    assert_eq!(delete(&service.token, right.clone()).await, (409, json!("last_admin")));
    assert_eq!(delete(&token, right.clone()).await, DELETED);
    assert_eq!(delete(&token, right).await, (401, json!("unauthorized")));
    assert_eq!(service.register("second").await.status(), StatusCode::FORBIDDEN, "the bootstrap token stays used");
}
