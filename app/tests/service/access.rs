//! Who may do what: every route, with every kind of caller.

use std::collections::BTreeSet;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use devservers::supabase::{Signer, Supabase};
use reqwest::{Method, StatusCode};
use ring::hmac;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    accounts::post,
    pictures, supabase,
    support::{BOOTSTRAP_TOKEN, CLIENT, JWT_SECRET, Service},
};

/// The status of a route for: an invalid token or none, another member, the member who owns the addressed row, an admin, and
/// an API key of the admin with the scope read, upload, manage.
type Line = (&'static str, &'static str, [u16; 7]);

/// Each line has the route, a body, and the statuses. 404 and 400 are past the gate: there is no such media, and the body is bad.
const LINES: &[Line] = &[
    ("GET /", "", [200, 200, 200, 200, 200, 200, 200]),
    // Without a web UI.
    ("GET /s/{token}", "", [404, 404, 404, 404, 404, 404, 404]),
    ("GET /api/openapi.json", "", [200, 200, 200, 200, 200, 200, 200]),
    ("GET /api/health/liveness", "", [200, 200, 200, 200, 200, 200, 200]),
    ("GET /api/health/readiness", "", [200, 200, 200, 200, 200, 200, 200]),
    ("GET /api/auth/bootstrap", "", [200, 200, 200, 200, 200, 200, 200]),
    ("POST /api/auth/register", "{}", [400, 400, 400, 400, 400, 400, 400]),
    ("POST /api/auth/login", "{}", [400, 400, 400, 400, 400, 400, 400]),
    ("POST /api/auth/logout", "", [401, 204, 204, 204, 403, 403, 403]),
    ("POST /api/auth/password", "{}", [401, 400, 400, 400, 403, 403, 403]),
    ("GET /api/auth/me", "", [401, 200, 200, 200, 200, 200, 200]),
    ("POST /api/auth/delete", "{}", [401, 400, 400, 400, 403, 403, 403]),
    ("GET /api/accounts", "", [401, 403, 403, 200, 403, 403, 403]),
    ("PATCH /api/accounts/{id}", r#"{"role": "member"}"#, [401, 403, 403, 200, 403, 403, 403]),
    ("DELETE /api/accounts/{id}", "", [401, 403, 403, 204, 403, 403, 403]),
    ("GET /api/admin/status", "", [401, 403, 403, 200, 403, 403, 403]),
    ("GET /api/admin/storage", "", [401, 403, 403, 200, 403, 403, 403]),
    ("GET /api/admin/failures", "", [401, 403, 403, 200, 403, 403, 403]),
    ("POST /api/admin/failures/retry", "", [401, 403, 403, 200, 403, 403, 403]),
    ("GET /api/sessions", "", [401, 200, 200, 200, 403, 403, 403]),
    ("DELETE /api/sessions/{id}", "", [401, 404, 204, 404, 403, 403, 403]),
    ("GET /api/api-keys", "", [401, 200, 200, 200, 403, 403, 403]),
    ("POST /api/api-keys", r#"{"name": "a", "scopes": ["read"]}"#, [401, 201, 201, 201, 403, 403, 403]),
    ("DELETE /api/api-keys/{id}", "", [401, 404, 204, 404, 403, 403, 403]),
    ("GET /api/invites", "", [401, 403, 403, 200, 403, 403, 403]),
    ("POST /api/invites", "{}", [401, 403, 403, 201, 403, 403, 403]),
    ("DELETE /api/invites/{id}", "", [401, 403, 403, 204, 403, 403, 403]),
    ("GET /api/events", "", [401, 200, 200, 200, 200, 403, 403]),
    ("GET /api/media", "", [401, 200, 200, 200, 200, 403, 403]),
    ("GET /api/media/{id}", "", [401, 404, 404, 404, 404, 403, 403]),
    ("GET /api/media/facets", "", [401, 200, 200, 200, 200, 403, 403]),
    ("GET /api/media/tags", "", [401, 200, 200, 200, 200, 403, 403]),
    ("GET /api/media/timeline", "", [401, 200, 200, 200, 200, 403, 403]),
    ("GET /api/media/sha256/{digest}", "", [401, 404, 404, 404, 404, 403, 403]),
    ("POST /api/media/bulk", "{}", [401, 400, 400, 400, 403, 403, 400]),
    ("PATCH /api/media/{id}", "{}", [401, 404, 404, 404, 403, 403, 404]),
    ("DELETE /api/media/{id}", "", [401, 404, 404, 404, 403, 403, 404]),
    ("GET /api/media/{id}/original", "", [401, 404, 404, 404, 404, 403, 403]),
    ("POST /api/media/{id}/restore", "", [401, 404, 404, 404, 403, 403, 404]),
    ("POST /api/media/{id}/thumbnails", "", [401, 404, 404, 404, 403, 403, 404]),
    ("POST /api/media/{id}/ocr", "", [401, 404, 404, 404, 403, 403, 404]),
    ("GET /api/shares", "", [401, 200, 200, 200, 403, 403, 200]),
    ("POST /api/shares", "{}", [401, 400, 400, 400, 403, 403, 400]),
    ("DELETE /api/shares/{id}", "", [401, 404, 204, 204, 403, 403, 204]),
    ("GET /api/shared/{token}", "", [200, 200, 200, 200, 200, 200, 200]),
    ("POST /api/shared/{token}/session", "{}", [400, 400, 400, 400, 400, 400, 400]),
    ("GET /api/files/{*key}", "", [404, 404, 404, 404, 404, 404, 404]),
    ("OPTIONS /api/uploads", "", [204, 204, 204, 204, 204, 204, 204]),
    ("POST /api/uploads", "", [401, 412, 412, 412, 403, 412, 403]),
    ("HEAD /api/uploads/{id}", "", [401, 412, 412, 412, 403, 412, 403]),
    ("DELETE /api/uploads/{id}", "", [401, 412, 412, 412, 403, 412, 403]),
    ("PATCH /api/uploads/{id}", "", [401, 412, 412, 412, 403, 412, 403]),
    ("POST /api/image/v1/upload/create-presigned-url", "{}", [401, 400, 400, 400, 403, 400, 403]),
    ("POST /api/image/v1/upload/{image_id}/complete", "", [401, 404, 404, 404, 403, 404, 403]),
    ("GET /api/image/v1/upload/{image_id}", "", [401, 404, 404, 404, 403, 404, 403]),
    ("DELETE /api/image/v1/upload/{image_id}", "", [401, 404, 404, 404, 403, 404, 403]),
    ("POST /api/image/v1/upload/multipart", "{}", [401, 400, 400, 400, 403, 400, 403]),
    ("POST /api/image/v1/upload/{image_id}/parts", "{}", [401, 400, 400, 400, 403, 400, 403]),
    ("GET /api/image/v1/upload/{image_id}/parts", "", [401, 404, 404, 404, 403, 404, 403]),
    ("GET /api/image/v1/download/get-signed-url/{image_id}", "", [401, 404, 404, 404, 404, 403, 403]),
    ("POST /api/image/v1/download/get-signed-urls", "{}", [401, 400, 400, 400, 400, 403, 403]),
    // Its token is in the URL.
    ("PUT /api/uploads/{id}", "", [403, 403, 403, 403, 403, 403, 403]),
    ("PUT /api/media/{id}/file", "{}", [401, 404, 404, 404, 403, 403, 404]),
    ("POST /api/media", "{}", [401, 400, 400, 400, 403, 400, 403]),
];

const CALLERS: [&str; 6] =
    ["another member", "the owner", "an admin", "a key to read", "a key to upload", "a key to manage"];

#[tokio::test]
async fn every_route_admits_exactly_those_callers_that_its_line_names() {
    let listed: BTreeSet<_> = include_str!("routes.txt").lines().collect();
    let covered: BTreeSet<_> = LINES.iter().map(|(route, ..)| *route).collect();
    assert_eq!(covered, listed, "each route needs a line in LINES");

    let service = Service::signed_in().await;
    let accounts = Accounts::create(&service, None).await;
    let invalid = accounts.invalid_tokens(&service).await;
    accounts.check_lines(&service, &invalid).await;
}

#[tokio::test]
async fn where_supabase_keeps_the_accounts_every_route_admits_the_same_callers() {
    let signer = Signer::new("one");
    let project = Supabase::start(&[&signer]);
    let mut service = supabase::service_of(&project).await;
    let admin = Uuid::from_u128(1);
    let mut claims = supabase::claims(&project, admin, "admin@example.org");
    claims["app_metadata"]["role"] = json!("admin");
    service.token = signer.sign(&claims);
    assert_eq!(service.json("/api/auth/me").await["role"], "admin");
    let accounts = Accounts::create(&service, Some(Users { project, signer })).await;
    let invalid = accounts.invalid_tokens_of_supabase(&service, &claims).await;
    accounts.check_lines(&service, &invalid).await;
}

struct Accounts {
    admin: Uuid,
    owner: Uuid,
    other: Uuid,
    /// Those who keep the accounts, if the service does not.
    users: Option<Users>,
}

/// The users of a project.
struct Users {
    project: Supabase,
    signer: Signer,
}

impl Accounts {
    async fn create(service: &Service, users: Option<Users>) -> Self {
        let member = async |name: &str| {
            sqlx::query_scalar("INSERT INTO account (username, password_hash) VALUES ($1, 'none') RETURNING id")
                .bind(name)
                .fetch_one(&service.pool)
                .await
                .unwrap()
        };
        let admin = sqlx::query_scalar("SELECT id FROM account").fetch_one(&service.pool).await.unwrap();
        Self { admin, owner: member("owner").await, other: member("other").await, users }
    }

    /// Asserts each line for each caller, and for those whose authorization allows nothing.
    async fn check_lines(&self, service: &Service, invalid: &[(&'static str, String)]) {
        let mut keys = Vec::new();
        for scope in ["read", "upload", "manage"] {
            keys.push(api_key(service, scope).await);
        }
        for (route, body, expected) in LINES {
            for (what, header) in invalid {
                self.check(service, route, body, what, header, expected[0]).await;
            }
            for (number, caller) in CALLERS.iter().enumerate() {
                let token = match number {
                    0 => self.token(service, self.other).await,
                    1 => self.token(service, self.owner).await,
                    2 => self.token(service, self.admin).await,
                    key => keys[key - 3].clone(),
                };
                self.check(service, route, body, caller, &format!("Bearer {token}"), expected[number + 1]).await;
            }
        }
    }

    /// The token of a user who is logged in. A new session each time, because some routes end it.
    async fn token(&self, service: &Service, account: Uuid) -> String {
        match &self.users {
            Some(Users { project, signer }) => signer.sign(&supabase::claims(project, account, "")),
            None => self.session(service, account).await.1,
        }
    }

    /// The id and the token of a new session.
    async fn session(&self, service: &Service, account: Uuid) -> (Uuid, String) {
        let session: Uuid = sqlx::query_scalar(
            "INSERT INTO session (account, user_agent, expires_at) VALUES ($1, '', now() + interval '1 day') RETURNING id",
        )
        .bind(account)
        .fetch_one(&service.pool)
        .await
        .unwrap();
        (session, session_token(account, session))
    }

    /// Authorization headers that allow nothing. All but the first would allow all, but for what is named.
    async fn invalid_tokens(&self, service: &Service) -> Vec<(&'static str, String)> {
        let (session, good) = self.session(service, self.admin).await;
        let claims = claims(self.admin, session);
        let changed = |name: &str, value: Value| {
            let mut claims = claims.clone();
            claims[name] = value;
            jwt("HS256", JWT_SECRET, &claims)
        };
        let (revoked, revoked_token) = self.session(service, self.admin).await;
        let (expired, expired_token) = self.session(service, self.admin).await;
        run(service, "DELETE FROM session WHERE id = $1", revoked).await;
        run(service, "UPDATE session SET expires_at = now() WHERE id = $1", expired).await;
        let [expired_key, revoked_key] = self.ended_keys(service).await;
        let log_in = json!({ "username": "first", "password": crate::support::PASSWORD });
        let log_in = service.request(Method::POST, "/api/auth/login").json(&log_in).send().await.unwrap();
        let cookie = log_in.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();

        let (share, guest) = share(service).await;
        let bearer = |token: &str| format!("Bearer {token}");
        vec![
            ("nobody", String::new()),
            ("no token", "Bearer".to_owned()),
            ("another scheme", format!("Basic {good}")),
            ("no token at all", bearer("x")),
            ("the bootstrap token", bearer(BOOTSTRAP_TOKEN)),
            ("an expired token", bearer(&changed("exp", json!(1_700_000_000)))),
            ("a forged signature", bearer(&jwt("HS256", "another secret of more than 32 characters", &claims))),
            ("no signature", bearer(&format!("{}.", good.rsplit_once('.').unwrap().0))),
            ("alg: none", bearer(&format!("{}.", jwt("none", JWT_SECRET, &claims).rsplit_once('.').unwrap().0))),
            ("another algorithm", bearer(&jwt("HS512", JWT_SECRET, &claims))),
            ("another issuer", bearer(&changed("iss", json!("someone else")))),
            ("the session of another account", bearer(&changed("sub", json!(self.owner)))),
            ("a token without a session, as before sessions", bearer(&changed("sid", Value::Null))),
            ("the token of a device", bearer(cookie.strip_prefix("device=").unwrap())),
            ("the token of a share", bearer(&share)),
            ("a guest of a share", bearer(&guest)),
            ("a revoked session", bearer(&revoked_token)),
            ("an expired session", bearer(&expired_token)),
            ("a revoked API key", bearer(&revoked_key)),
            ("an expired API key", bearer(&expired_key)),
            ("an unknown API key", bearer(&format!("meemi_key_{}", "0".repeat(64)))),
        ]
    }

    /// The same of Supabase's tokens: `claims` are the admin's.
    async fn invalid_tokens_of_supabase(&self, service: &Service, claims: &Value) -> Vec<(&'static str, String)> {
        let signer = &self.users.as_ref().unwrap().signer;
        let changed = |name: &str, value: Value| {
            let mut claims = claims.clone();
            claims[name] = value;
            signer.sign(&claims)
        };
        let good = signer.sign(claims);
        let (_, own) = self.session(service, self.admin).await;
        let [expired_key, revoked_key] = self.ended_keys(service).await;
        let (share, guest) = share(service).await;
        let closed = Uuid::from_u128(2);
        run(
            service,
            "INSERT INTO account (id, username, password_hash, closed_at) VALUES ($1, 'closed', '', now())",
            closed,
        )
        .await;

        let bearer = |token: &str| format!("Bearer {token}");
        vec![
            ("nobody", String::new()),
            ("no token", "Bearer".to_owned()),
            ("another scheme", format!("Basic {good}")),
            ("no token at all", bearer("x")),
            ("the bootstrap token", bearer(BOOTSTRAP_TOKEN)),
            ("an expired token", bearer(&changed("exp", json!(1_700_000_000)))),
            ("a forged signature", bearer(&Signer::new("one").sign(claims))),
            ("no signature", bearer(&format!("{}.", good.rsplit_once('.').unwrap().0))),
            ("alg: none", bearer(&supabase::unsigned(&json!({ "alg": "none", "kid": "one" }), claims))),
            ("the public key as a secret", bearer(&supabase::with_hmac(signer.public_key(), "one", claims))),
            ("another project", bearer(&changed("iss", json!("https://other.supabase.co/auth/v1")))),
            ("another audience", bearer(&changed("aud", json!("other")))),
            ("the project's own role", bearer(&changed("role", json!("service_role")))),
            ("an anonymous user", bearer(&changed("is_anonymous", json!(true)))),
            ("the user of a deleted account", bearer(&changed("sub", json!(closed)))),
            ("a session of the service itself", bearer(&own)),
            ("the token of a share", bearer(&share)),
            ("a guest of a share", bearer(&guest)),
            ("a revoked API key", bearer(&revoked_key)),
            ("an expired API key", bearer(&expired_key)),
        ]
    }

    /// An API key of the admin that has expired, and one that was revoked.
    async fn ended_keys(&self, service: &Service) -> [String; 2] {
        let expired = api_key(service, "manage").await;
        run(service, "UPDATE api_key SET expires_at = now() WHERE account = $1 AND name = 'manage'", self.admin).await;
        let revoked = api_key(service, "upload").await;
        run(service, "DELETE FROM api_key WHERE account = $1 AND name = 'upload'", self.admin).await;
        [expired, revoked]
    }

    async fn check(
        &self,
        service: &Service,
        route: &str,
        body: &str,
        caller: &str,
        authorization: &str,
        expected: u16,
    ) {
        let (method, path) = route.split_once(' ').unwrap();
        let path = match path.rsplit_once('/').unwrap() {
            ("/api/sessions", "{id}") => {
                format!("/api/sessions/{}", self.session(service, self.owner).await.0)
            }
            ("/api/api-keys", "{id}") => {
                let insert = "INSERT INTO api_key (account, name, token_sha256, scopes)
                              VALUES ($1, 'x', sha256(gen_random_uuid()::text::bytea), '{read}') RETURNING id";
                format!("/api/api-keys/{}", run(service, insert, self.owner).await.unwrap())
            }
            ("/api/invites", "{id}") => {
                let insert = "INSERT INTO invite (created_by, token_sha256, role, expires_at)
                              VALUES ($1, sha256(gen_random_uuid()::text::bytea), 'member', now()) RETURNING id";
                format!("/api/invites/{}", run(service, insert, self.admin).await.unwrap())
            }
            ("/api/accounts", "{id}") => {
                let insert = "INSERT INTO account (id, username, password_hash)
                              SELECT id, id::text, 'none' FROM (SELECT $1::uuid AS id) AS new RETURNING id";
                format!("/api/accounts/{}", run(service, insert, Uuid::from_u128(ulid::Ulid::new().0)).await.unwrap())
            }
            ("/api/shares", "{id}") => {
                let insert = "INSERT INTO share (account, title, token_sha256)
                              VALUES ($1, '', sha256(gen_random_uuid()::text::bytea)) RETURNING id";
                format!("/api/shares/{}", run(service, insert, self.owner).await.unwrap())
            }
            ("/api/shared", _) | ("/api/shared/{token}", _) => {
                let insert = "INSERT INTO share (account, title, token_sha256)
                              VALUES ($1, '', sha256('open')) ON CONFLICT DO NOTHING";
                run(service, insert, self.owner).await;
                path.replace("{token}", "open")
            }
            ("/s", _) => "/s/open".to_owned(),
            ("/api/uploads", "{id}") => "/api/uploads/01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(),
            ("/api/media/sha256", "{digest}") => format!("/api/media/sha256/{}", "0".repeat(64)),
            ("/api/media/{id}", action) => format!("/api/media/01ARZ3NDEKTSV4RRFFQ69G5FAV/{action}"),
            ("/api/media", "{id}") => "/api/media/01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(),
            (_, "{image_id}") | ("/api/image/v1/upload/{image_id}", _) => {
                path.replace("{image_id}", "01ARZ3NDEKTSV4RRFFQ69G5FAV")
            }
            ("/api/files", "{*key}") => "/api/files/uploads/01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(),
            (_, last) if last.contains('{') => panic!("{route} needs a path here"),
            _ => path.to_owned(),
        };
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = CLIENT.request(method, format!("http://{}{path}", service.process.address));
        if !authorization.is_empty() {
            request = request.header("authorization", authorization);
        }
        if !body.is_empty() {
            request = request.header("content-type", "application/json").body(body.to_owned());
        }
        let response = request.send().await.unwrap();
        let (status, challenge) = (response.status(), response.headers().get("www-authenticate").cloned());
        assert_eq!(status.as_u16(), expected, "{route} by {caller}: {}", response.text().await.unwrap());
        assert_eq!(challenge.is_some_and(|scheme| scheme == "Bearer"), status == StatusCode::UNAUTHORIZED, "{route}");
    }
}

/// The token of a session.
pub(crate) fn session_token(account: Uuid, session: Uuid) -> String {
    jwt("HS256", JWT_SECRET, &claims(account, session))
}

/// The token of a new share, and that of a guest who has opened it.
async fn share(service: &Service) -> (String, String) {
    let (_, media) = service.upload(&pictures::png(9, 9), "a.png", "image/png").await;
    let body = json!({ "items": [media["id"]], "password": crate::support::PASSWORD });
    let (_, share) = post(service, "/api/shares", body).await;
    let share = share["token"].as_str().unwrap();
    let body = json!({ "password": crate::support::PASSWORD });
    let (_, guest) = post(service, &format!("/api/shared/{share}/session"), body).await;
    (share.to_owned(), guest["token"].as_str().unwrap().to_owned())
}

/// The token of a new API key of the admin, named after its scope.
async fn api_key(service: &Service, scope: &str) -> String {
    let body = json!({ "name": scope, "scopes": [scope], "lifetime_days": 1 });
    let response = service.request(Method::POST, "/api/api-keys").json(&body).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    response.json::<Value>().await.unwrap()["token"].as_str().unwrap().to_owned()
}

/// Runs a statement with one id; returns the id that it returns, if any.
async fn run(service: &Service, sql: &'static str, id: Uuid) -> Option<Uuid> {
    sqlx::query_scalar(sql).bind(id).fetch_optional(&service.pool).await.unwrap()
}

fn claims(account: Uuid, session: Uuid) -> Value {
    json!({ "iss": "meemi", "sub": account, "sid": session, "iat": 1_700_000_000, "exp": 4_000_000_000_u64 })
}

/// A token with an HMAC; `algorithm` is what its header claims.
fn jwt(algorithm: &str, secret: &str, claims: &Value) -> String {
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let header = json!({ "typ": "JWT", "alg": algorithm });
    let message = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
    let hash = if algorithm == "HS512" { hmac::HMAC_SHA512 } else { hmac::HMAC_SHA256 };
    let tag = hmac::sign(&hmac::Key::new(hash, secret.as_bytes()), message.as_bytes());
    format!("{message}.{}", encode(tag.as_ref()))
}
