//! Accounts that Supabase keeps: its log-in tokens, its keys, and their outages.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use devservers::supabase::{PUBLISHABLE_KEY, Signer, Supabase, message};
use reqwest::{Method, StatusCode};
use ring::hmac;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    access::session_token,
    pictures,
    support::{CLIENT, Service, Setup},
};

const LEGACY_SECRET: &str = "sentinel-legacy-secret-of-a-project-0123";

/// The service with the accounts of a project.
pub(crate) async fn service_of(project: &Supabase) -> Service {
    Service::start_with(|setup| kept_at(project, setup)).await
}

/// Has the project keep the accounts.
pub(crate) fn kept_at(project: &Supabase, setup: Setup) -> Setup {
    let setup = setup.var("AUTH_MODE", "supabase").var("SUPABASE_URL", project.url());
    setup.var("SUPABASE_PUBLISHABLE_KEY", PUBLISHABLE_KEY)
}

/// The claims of a user of the project.
pub(crate) fn claims(project: &Supabase, user: Uuid, email: &str) -> Value {
    project.claims(&user.to_string(), email)
}

#[tokio::test]
async fn users_of_supabase_are_users_and_keep_their_media() {
    let signer = Signer::new("one");
    let project = Supabase::start(&[&signer]);
    let mut service = service_of(&project).await;
    let ada = Uuid::from_u128(0xada);
    service.token = signer.sign(&claims(&project, ada, "Ada@example.org"));
    let me = service.json("/api/auth/me").await;
    assert_eq!((&me["id"], &me["username"], &me["role"]), (&json!(ada), &json!("Ada@example.org"), &json!("member")));
    let (status, media) = service.upload(&pictures::png(9, 9), "a.png", "image/png").await;
    assert_eq!(status, StatusCode::CREATED, "{media}");
    assert_eq!(media["uploader"], "Ada@example.org", "{media}");

    // An API key is the service's own.
    let body = json!({ "name": "key", "scopes": ["read"], "lifetime_days": 1 });
    let key = service.request(Method::POST, "/api/api-keys").json(&body).send().await.unwrap();
    assert_eq!(key.status(), StatusCode::CREATED);
    let key: Value = key.json().await.unwrap();
    assert_eq!(status_of(&service, "/api/media", key["token"].as_str().unwrap()).await, 200);

    // The role is the project's to give. Two users with one name are told apart.
    assert_eq!(status_of(&service, "/api/accounts", &service.token).await, 403);
    let mut admin = claims(&project, Uuid::from_u128(7), "ada@EXAMPLE.org");
    admin["app_metadata"] = json!({ "provider": "email", "role": "admin" });
    service.token = signer.sign(&admin);
    let accounts = service.json("/api/accounts").await;
    let names: Vec<&str> =
        accounts["items"].as_array().unwrap().iter().map(|account| account["username"].as_str().unwrap()).collect();
    assert_eq!(names, ["Ada@example.org", &Uuid::from_u128(7).to_string()], "{accounts}");

    // A deleted one does not come back by the token that is still valid.
    let delete = service.request(Method::DELETE, &format!("/api/accounts/{ada}")).send().await.unwrap();
    assert_eq!(delete.status(), StatusCode::NO_CONTENT);
    let old = signer.sign(&claims(&project, ada, "Ada@example.org"));
    assert_eq!(status_of(&service, "/api/auth/me", &old).await, 401);

    // Nobody registers or logs in here.
    let told = json!({ "is_open": false, "supabase": { "url": project.url(), "publishable_key": PUBLISHABLE_KEY } });
    assert_eq!(service.json("/api/auth/bootstrap").await, told);
    let new = json!({ "username": "eve", "password": "correct horse battery",
                      "bootstrap_token": crate::support::BOOTSTRAP_TOKEN });
    let change = json!({ "old_password": "a", "new_password": "correct horse battery" });
    for (path, body) in
        [("register", &new), ("login", &new), ("password", &change), ("delete", &json!({ "password": "a" }))]
    {
        let refused = service.request(Method::POST, &format!("/api/auth/{path}")).json(body).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::CONFLICT, "{path}");
        assert_eq!(refused.json::<Value>().await.unwrap()["error"]["code"], "accounts_elsewhere", "{path}");
    }
}

#[tokio::test]
async fn tokens_that_are_not_of_a_user_of_the_project_allow_nothing() {
    let (signer, stranger) = (Signer::new("one"), Signer::new("one"));
    let project = Supabase::start(&[&signer]);
    let service = service_of(&project).await;
    let user = Uuid::from_u128(1);
    let good = claims(&project, user, "a@example.org");
    let changed = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        signer.sign(&claims)
    };
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    for (what, token, expected) in [
        ("a list of audiences", changed("aud", json!(["other", "authenticated"])), 200),
        ("expired within the leeway", changed("exp", json!(now - 5)), 200),
        ("no session", changed("session_id", Value::Null), 200),
        ("expired", changed("exp", json!(now - 60)), 401),
        ("never expires", changed("exp", Value::Null), 401),
        ("not yet valid", changed("nbf", json!(now + 600)), 401),
        ("of another project", changed("iss", json!("https://other.supabase.co/auth/v1")), 401),
        ("for another audience", changed("aud", json!("other")), 401),
        ("the role of the service", changed("role", json!("service_role")), 401),
        ("the role of nobody", changed("role", json!("anon")), 401),
        ("anonymous", changed("is_anonymous", json!(true)), 401),
        ("no user", changed("sub", Value::Null), 401),
        ("a user without a UUID", changed("sub", json!("first")), 401),
        ("signed by another key of that name", stranger.sign(&good), 401),
        ("signed by an unknown key", Signer::new("other").sign(&good), 401),
        ("no key named", unsigned(&json!({ "alg": "ES256" }), &good), 401),
        ("alg: none", unsigned(&json!({ "alg": "none", "kid": "one" }), &good), 401),
        ("signed with the public key as a secret", with_hmac(signer.public_key(), "one", &good), 401),
        ("signed with the legacy secret", with_hmac(LEGACY_SECRET.as_bytes(), "one", &good), 401),
        ("of the service itself", session_token(user, user), 401),
    ] {
        let answer = get(&service, "/api/media", &token).await;
        let challenge = answer.headers().get("www-authenticate").cloned();
        assert_eq!(answer.status().as_u16(), expected, "{what}");
        assert_eq!(challenge.is_some_and(|scheme| scheme == "Bearer"), expected == 401, "{what}");
    }

    let legacy = Service::start_with(|setup| {
        let setup = kept_at(&project, setup);
        setup.var("SUPABASE_JWT_SECRET", LEGACY_SECRET).var("SUPABASE_ANONYMOUS", "on")
    })
    .await;
    let mut anonymous = good.clone();
    anonymous["is_anonymous"] = json!(true);
    anonymous["email"] = json!("");
    assert_eq!(status_of(&legacy, "/api/media", &with_hmac(LEGACY_SECRET.as_bytes(), "x", &anonymous)).await, 200);
    assert_eq!(
        status_of(&legacy, "/api/media", &with_hmac(b"another secret of 32 characters.", "x", &good)).await,
        401
    );
    // Never both: whoever has the secret could otherwise sign for users of the keys, or the other way round.
    assert_eq!(status_of(&legacy, "/api/media", &signer.sign(&good)).await, 401);
}

#[tokio::test]
async fn keys_rotate_and_the_known_ones_outlive_an_outage() {
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    let project = Supabase::start(&[&old]);
    let service = service_of(&project).await;
    let user = claims(&project, Uuid::from_u128(1), "a@example.org");
    assert_eq!(status_of(&service, "/api/media", &old.sign(&user)).await, 200);
    // A token that names a key which is not known yet fetches the set at once.
    project.publish(&new);
    assert_eq!(status_of(&service, "/api/media", &new.sign(&user)).await, 200);
    assert_eq!(keys_of(&service).await, (200, json!({ "name": "keys", "status": "ok", "detail": null })));
    drop(service);

    let service = service_of(&project).await;
    assert_eq!(status_of(&service, "/api/media", &old.sign(&user)).await, 200);
    project.go_away();
    assert_eq!(status_of(&service, "/api/media", &Signer::new("third").sign(&user)).await, 401);
    assert_eq!(status_of(&service, "/api/media", &old.sign(&user)).await, 200);
    crate::support::eventually("readiness tells of the outage", async || {
        let (status, check) = keys_of(&service).await;
        status == 200 && check["detail"].as_str().is_some_and(|detail| detail.contains("the known ones are used"))
    })
    .await;
    drop(service);

    // Without any key a token is neither valid nor invalid.
    let service = service_of(&project).await;
    let answer = get(&service, "/api/media", &old.sign(&user)).await;
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (503, "5"));
    let (status, check) = keys_of(&service).await;
    assert_eq!((status, &check["status"]), (503, &json!("failed")), "{check}");
}

#[tokio::test]
async fn the_migration_for_supabase_makes_and_closes_accounts() {
    let service = Service::signed_in().await;
    let run = async |sql: &'static str| sqlx::raw_sql(sql).execute(&service.pool).await.unwrap();
    // What the migration takes of Supabase's table.
    run("CREATE SCHEMA auth; CREATE TABLE auth.users (id uuid PRIMARY KEY, email varchar(255), phone text, is_anonymous boolean NOT NULL)").await;
    run(include_str!("../../../infra/supabase/migrations/20261130000000_account_rows.sql")).await;
    run("INSERT INTO auth.users VALUES
         ('00000000-0000-0000-0000-000000000001', 'ada@example.org', NULL, false),
         ('00000000-0000-0000-0000-000000000002', NULL, '358401234567', false),
         ('00000000-0000-0000-0000-000000000003', 'ADA@example.org', '', false),
         ('00000000-0000-0000-0000-000000000004', '', '', false),
         ('00000000-0000-0000-0000-000000000005', NULL, NULL, true)")
    .await;
    let names = async || {
        let query = "SELECT username FROM account WHERE username <> 'first' ORDER BY id";
        sqlx::query_scalar::<_, String>(query).fetch_all(&service.pool).await.unwrap()
    };
    let expected = [
        "ada@example.org",
        "358401234567",
        "00000000-0000-0000-0000-000000000003",
        "00000000-0000-0000-0000-000000000004",
    ];
    assert_eq!(names().await, expected);

    run("INSERT INTO session (account, user_agent, expires_at) SELECT id, '', now() + interval '1 day' FROM account WHERE username LIKE 'ada%'").await;
    run("DELETE FROM auth.users WHERE email = 'ada@example.org'").await;
    assert_eq!(names().await[0], "deleted 00000000-0000-0000-0000-000000000001");
    let left: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM session JOIN account ON account.id = session.account WHERE username <> 'first'",
    )
    .fetch_one(&service.pool)
    .await
    .unwrap();
    assert_eq!(left, 0);
}

/// The status of readiness, and what it says of the keys.
async fn keys_of(service: &Service) -> (u16, Value) {
    let answer = get(service, "/api/health/readiness", "").await;
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    let check = body["checks"].as_array().unwrap().iter().find(|check| check["name"] == "keys").cloned();
    (status, check.unwrap_or_else(|| panic!("no check of the keys: {body}")))
}

async fn status_of(service: &Service, path: &str, token: &str) -> u16 {
    get(service, path, token).await.status().as_u16()
}

async fn get(service: &Service, path: &str, token: &str) -> reqwest::Response {
    CLIENT.get(format!("http://{}{path}", service.process.address)).bearer_auth(token).send().await.unwrap()
}

/// A token with an HMAC.
pub(crate) fn with_hmac(secret: &[u8], id: &str, claims: &Value) -> String {
    let message = message(&json!({ "alg": "HS256", "kid": id, "typ": "JWT" }), claims);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", encode(tag.as_ref()))
}

/// A token without a signature.
pub(crate) fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.", message(header, claims))
}

fn encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
