//! Sessions, the password and API keys: what their user sees and revokes.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    accounts::{call, json_of, post, waits_for_a_lock},
    support::{CLIENT, PASSWORD, Service},
};

const NEW_PASSWORD: &str = "another password of the tests";

/// The token of a new session.
async fn log_in(service: &Service, password: &str, user_agent: &str) -> String {
    let request = CLIENT.post(format!("http://{}/api/auth/login", service.process.address));
    let body = json!({ "username": "first", "password": password });
    let (status, answer) = json_of(request.header("user-agent", user_agent).json(&body).send().await.unwrap()).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer["token"].as_str().unwrap().to_owned()
}

async fn me(service: &Service, token: &str) -> StatusCode {
    call(service, token, Method::GET, "/api/auth/me", Value::Null).await.0
}

#[tokio::test]
async fn sessions_are_listed_and_revoked() {
    let service = Service::signed_in().await;
    let (phone, laptop) = (log_in(&service, PASSWORD, "phone").await, log_in(&service, PASSWORD, "laptop").await);
    let (_, sessions) = call(&service, &laptop, Method::GET, "/api/sessions", Value::Null).await;
    let sessions = sessions["items"].as_array().unwrap();
    let find = |user_agent: &str| sessions.iter().find(|session| session["user_agent"] == user_agent).unwrap();
    assert_eq!(
        (sessions.len(), &find("laptop")["current"], &find("phone")["current"]),
        (3, &json!(true), &json!(false))
    );

    let path = format!("/api/sessions/{}", find("phone")["id"].as_str().unwrap());
    assert_eq!(me(&service, &phone).await, StatusCode::OK);
    assert_eq!(call(&service, &laptop, Method::DELETE, &path, Value::Null).await.0, StatusCode::NO_CONTENT);
    assert_eq!(me(&service, &phone).await, StatusCode::UNAUTHORIZED);
    assert_eq!(call(&service, &laptop, Method::DELETE, &path, Value::Null).await.0, StatusCode::NOT_FOUND);
    for id in ["x", "00000000-0000-0000-0000-000000000000"] {
        let path = format!("/api/sessions/{id}");
        assert_eq!(call(&service, &laptop, Method::DELETE, &path, Value::Null).await.0, StatusCode::NOT_FOUND);
    }

    assert_eq!(call(&service, &laptop, Method::POST, "/api/auth/logout", Value::Null).await.0, StatusCode::NO_CONTENT);
    assert_eq!(me(&service, &laptop).await, StatusCode::UNAUTHORIZED);
    assert_eq!(me(&service, &service.token).await, StatusCode::OK);
    sqlx::query("DELETE FROM account").execute(&service.pool).await.unwrap();
    assert_eq!(me(&service, &service.token).await, StatusCode::UNAUTHORIZED, "the account of the token is deleted");
}

#[tokio::test]
async fn when_a_session_or_an_api_key_was_used_is_written_once_a_minute() {
    let service = Service::signed_in().await;
    let (_, key) = post(&service, "/api/api-keys", json!({ "name": "a", "scopes": ["read"] })).await;
    let key = key["token"].as_str().unwrap();
    let cases = [(service.token.as_str(), "session", "last_seen_at"), (key, "api_key", "last_used_at")];
    for (token, table, column) in cases {
        let set = format!("UPDATE {table} SET {column} = now() - interval '2 minutes'");
        sqlx::query(sqlx::AssertSqlSafe(set)).execute(&service.pool).await.unwrap();
        let age = async || {
            let get = format!("SELECT now() - {column} < interval '1 minute', xmin::text FROM {table}");
            sqlx::query_as::<_, (bool, String)>(sqlx::AssertSqlSafe(get)).fetch_one(&service.pool).await.unwrap()
        };
        assert!(!age().await.0);
        assert_eq!(me(&service, token).await, StatusCode::OK);
        let first = age().await;
        assert!(first.0, "{table}");
        assert_eq!(me(&service, token).await, StatusCode::OK);
        assert_eq!(age().await, first, "{table} is not written again");
    }
}

#[tokio::test]
async fn an_account_keeps_a_hundred_sessions_and_none_that_has_expired() {
    let service = Service::signed_in().await;
    let insert = "INSERT INTO session (account, user_agent, last_seen_at, expires_at)
                  SELECT account.id, n::text, now() - n * interval '1 hour',
                         CASE WHEN n % 10 = 0 THEN now() ELSE now() + interval '1 day' END
                  FROM account, generate_series(1, 120) n";
    sqlx::query(insert).execute(&service.pool).await.unwrap();
    log_in(&service, PASSWORD, "the newest").await;
    let kept: Vec<String> =
        sqlx::query_scalar("SELECT user_agent FROM session").fetch_all(&service.pool).await.unwrap();
    assert!(kept.len() <= 100 && kept.iter().any(|name| name == "the newest"), "{}", kept.len());
    assert!(kept.iter().any(|name| name == "1") && !kept.iter().any(|name| name == "10" || name == "119"), "{kept:?}");
}

#[tokio::test]
async fn changing_the_password_ends_all_other_sessions() {
    let service = Service::signed_in().await;
    let other = log_in(&service, PASSWORD, "other").await;
    let change = async |old: &str, new: &str| {
        let body = json!({ "old_password": old, "new_password": new });
        let (status, answer) = post(&service, "/api/auth/password", body).await;
        (status.as_u16(), answer["error"]["code"].clone())
    };
    assert_eq!(change(PASSWORD, "short").await, (400, json!("weak_password")));
    assert_eq!(change("not the password", NEW_PASSWORD).await, (403, json!("wrong_password")));
    assert_eq!(me(&service, &other).await, StatusCode::OK);

    assert_eq!(change(PASSWORD, NEW_PASSWORD).await, (204, Value::Null));
    assert_eq!(me(&service, &other).await, StatusCode::UNAUTHORIZED);
    assert_eq!(me(&service, &service.token).await, StatusCode::OK);
    let old = json!({ "username": "first", "password": PASSWORD });
    assert_eq!(post(&service, "/api/auth/login", old).await.0, StatusCode::UNAUTHORIZED);
    log_in(&service, NEW_PASSWORD, "").await;

    // A thief of the session cannot guess the password.
    for _ in 0..10 {
        assert_eq!(change("not the password", PASSWORD).await.0, 403);
    }
    assert_eq!(change(NEW_PASSWORD, PASSWORD).await, (429, json!("too_many_attempts")));
}

#[tokio::test]
async fn a_log_in_with_a_password_that_is_just_being_changed_starts_no_session() {
    let service = Service::signed_in().await;
    let mut change = service.pool.begin().await.unwrap();
    sqlx::query("UPDATE account SET password_hash = 'another'").execute(&mut *change).await.unwrap();
    let body = json!({ "username": "first", "password": PASSWORD });
    let request = service.request(Method::POST, "/api/auth/login").json(&body);
    let log_in = tokio::spawn(async move { request.send().await.unwrap().status() });
    waits_for_a_lock(&service).await;
    change.commit().await.unwrap();
    assert_eq!(log_in.await.unwrap(), StatusCode::UNAUTHORIZED);
    let sessions: i64 = sqlx::query_scalar("SELECT count(*) FROM session").fetch_one(&service.pool).await.unwrap();
    assert_eq!(sessions, 1, "that of the registration");
}

#[tokio::test]
async fn api_keys_are_shown_once_listed_and_revoked() {
    let service = Service::signed_in().await;
    let body = json!({ "name": "Backup ☀", "scopes": ["upload", "read", "read"], "lifetime_days": 30 });
    let response = service.request(Method::POST, "/api/api-keys").json(&body).send().await.unwrap();
    assert_eq!(response.headers()["cache-control"], "no-store");
    let (status, created) = json_of(response).await;
    assert_eq!(status, StatusCode::CREATED, "{created}");
    let token = created["token"].as_str().unwrap();
    assert!(token.starts_with("meemi_key_") && token.len() == 74, "{token}");
    assert_eq!((&created["scopes"], &created["last_used_at"]), (&json!(["read", "upload"]), &Value::Null));
    assert!(created["expires_at"].is_string());
    let stored: Vec<u8> =
        sqlx::query_scalar("SELECT token_sha256 FROM api_key").fetch_one(&service.pool).await.unwrap();
    assert_eq!(stored, ring::digest::digest(&ring::digest::SHA256, token.as_bytes()).as_ref());

    let (_, as_key) = call(&service, token, Method::GET, "/api/auth/me", Value::Null).await;
    assert_eq!((&as_key["username"], &as_key["scopes"]), (&json!("first"), &json!(["read", "upload"])));
    let (status, refused) = call(&service, token, Method::GET, "/api/sessions", Value::Null).await;
    assert_eq!((status, &refused["error"]["code"]), (StatusCode::FORBIDDEN, &json!("forbidden")));

    let (_, forever) = post(&service, "/api/api-keys", json!({ "name": "b", "scopes": ["manage"] })).await;
    assert_eq!(forever["expires_at"], Value::Null);
    let (_, listed) = json_of(service.get("/api/api-keys").await).await;
    let names: Vec<_> = listed["items"].as_array().unwrap().iter().map(|key| key["name"].clone()).collect();
    assert_eq!(names, [json!("b"), json!("Backup ☀")]);
    assert!(listed["items"][1]["last_used_at"].is_string() && !listed.to_string().contains("meemi_key_"), "{listed}");

    let path = format!("/api/api-keys/{}", created["id"].as_str().unwrap());
    assert_eq!(service.request(Method::DELETE, &path).send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(service.request(Method::DELETE, &path).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(me(&service, token).await, StatusCode::UNAUTHORIZED);

    for (body, code) in [
        (json!({ "name": "", "scopes": ["read"] }), "invalid_name"),
        (json!({ "name": "a\nb", "scopes": ["read"] }), "invalid_name"),
        (json!({ "name": "é".repeat(101), "scopes": ["read"] }), "invalid_name"),
        (json!({ "name": "a", "scopes": [] }), "invalid_scopes"),
        (json!({ "name": "a", "scopes": ["read"], "lifetime_days": 0 }), "invalid_lifetime"),
        (json!({ "name": "a", "scopes": ["read"], "lifetime_days": 3651 }), "invalid_lifetime"),
        (json!({ "name": "a", "scopes": ["admin"] }), "bad_json"),
        (json!({ "name": "a", "scopes": ["read"], "lifetime": 1 }), "bad_json"),
    ] {
        let (status, response) = post(&service, "/api/api-keys", body).await;
        assert_eq!((status, &response["error"]["code"]), (StatusCode::BAD_REQUEST, &json!(code)), "{code}");
    }
}
