//! A database that ends connections, refuses them, goes away and comes back; and what it notifies the worker of.

use std::{str::FromStr, time::Duration};

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use sqlx::{ConnectOptions as _, PgPool, postgres::PgConnectOptions};
use tokio::task::JoinSet;

use crate::{
    members, pictures,
    proxy::Proxy,
    support::{CLIENT, Database, Service, Setup, eventually},
};

/// A service without a worker, so that only requests have queries.
async fn service() -> Service {
    Service::start_with(|setup| setup.var("EMBEDDED_WORKER", "off")).await.sign_in().await
}

/// The connections that wait for a lock.
pub(crate) async fn waiting(pool: &PgPool) -> Vec<i32> {
    let waiting = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    sqlx::query_scalar(waiting).fetch_all(pool).await.unwrap()
}

async fn end(pool: &PgPool, connection: i32) {
    sqlx::query("SELECT pg_terminate_backend($1)").bind(connection).execute(pool).await.unwrap();
}

/// Ends all connections of the service, and returns how many.
async fn end_all(pool: &PgPool) -> i64 {
    // Those of the test have a name.
    let ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                 WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = ''";
    sqlx::query_scalar(ended).fetch_one(pool).await.unwrap()
}

fn png(side: u32) -> reqwest::multipart::Form {
    let part = reqwest::multipart::Part::bytes(pictures::png(side, 10)).file_name("a.png");
    reqwest::multipart::Form::new().part("file", part)
}

async fn jobs(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM job").fetch_one(pool).await.unwrap()
}

/// Instead of waiting for the ends of the claims.
pub(crate) async fn expire_claims(pool: &PgPool) {
    sqlx::query("UPDATE job SET due_at = now() WHERE claim IS NOT NULL").execute(pool).await.unwrap();
}

/// That the client is told to come back.
async fn assert_away(response: Response) {
    assert_eq!(
        (response.status(), response.headers().get("retry-after")),
        (StatusCode::SERVICE_UNAVAILABLE, Some(&"5".parse().unwrap()))
    );
    assert_eq!(response.json::<Value>().await.unwrap()["error"]["code"], "unavailable");
}

#[tokio::test]
async fn a_query_whose_connection_is_ended_is_tried_again_where_that_is_safe() {
    let service = service().await;
    let (_, media) = service.upload(&pictures::png(9, 9), "a.png", "image/png").await;
    let path = format!("/api/media/{}", media["id"].as_str().unwrap());
    let cases = [
        ("a list", service.request(Method::GET, "/api/media"), Some(StatusCode::OK)),
        ("an upload", service.request(Method::POST, "/api/media").multipart(png(20)), Some(StatusCode::CREATED)),
        // It may have been carried out.
        ("a change", service.request(Method::PATCH, &path).json(&json!({ "name": "b" })), None),
    ];
    for (what, request, expected) in cases {
        let mut lock = service.pool.begin().await.unwrap();
        sqlx::query("LOCK TABLE media IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
        let answer = tokio::spawn(request.send());
        let mut first = None;
        eventually(&format!("{what} waits"), async || {
            first = waiting(&service.pool).await.first().copied();
            first.is_some()
        })
        .await;
        end(&service.pool, first.unwrap()).await;
        if expected.is_some() {
            let other = async || waiting(&service.pool).await.iter().any(|pid| Some(*pid) != first);
            eventually(&format!("{what} is tried again"), other).await;
        }
        lock.rollback().await.unwrap();
        let answer = answer.await.unwrap().unwrap();
        match expected {
            Some(status) => assert_eq!(answer.status(), status, "{what}"),
            None => assert_away(answer).await,
        }
    }
    assert_eq!((service.rows().await, service.stored().len()), (2, 6));
}

#[tokio::test]
async fn uploads_while_the_server_ends_connections_leave_nothing_behind() {
    let service = Service::signed_in().await;
    // Those of the test have a name, so that they stay.
    let options = PgConnectOptions::from_str(&service.database.url).unwrap().application_name("test");
    let pool = PgPool::connect_with(options).await.unwrap();
    let mut uploads = JoinSet::new();
    // Of several accounts: each may have a quarter of the places.
    let mut tokens = vec![service.token.clone()];
    for name in ["second", "third"] {
        tokens.push(members::register(&service, name, "member").await.1);
    }
    for side in 20..60 {
        let url = format!("http://{}/api/media", service.process.address);
        let request = CLIENT.post(url).bearer_auth(&tokens[side as usize % 3]).multipart(png(side));
        uploads.spawn(async move { request.send().await.unwrap() });
    }
    let (mut ended, mut answers) = (0, Vec::new());
    while answers.len() < 40 {
        tokio::select! {
            Some(answer) = uploads.join_next() => answers.push(answer.unwrap()),
            () = tokio::time::sleep(Duration::from_millis(20)) => ended += end_all(&pool).await,
        }
    }
    assert!(ended > 0);
    let mut added = 0;
    for answer in answers {
        match answer.status() {
            StatusCode::CREATED | StatusCode::ACCEPTED => added += 1,
            _ => assert_away(answer).await,
        }
    }
    expire_claims(&pool).await;
    eventually("the worker has finished the rest", async || jobs(&pool).await == 0).await;
    let ready: i64 =
        sqlx::query_scalar("SELECT count(*) FROM media WHERE status = 'ready'").fetch_one(&pool).await.unwrap();
    assert!(ready >= added, "{ready} of {added}");
    assert_eq!(service.rows().await, ready);
    eventually("the objects are those of the rows", async || service.stored().len() as i64 == 3 * ready).await;
    let check = Setup::new(&service.database.url, service.folder.path()).command().args(["storage", "check"]).output();
    assert!(check.as_ref().unwrap().status.success(), "{check:?}");
}

#[tokio::test]
async fn when_all_connections_are_in_use_clients_are_told_to_come_back() {
    let service = service().await;
    let mut lock = service.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE media IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    let mut lists = JoinSet::new();
    let list = || service.request(Method::GET, "/api/media").send();
    for _ in 0..8 {
        lists.spawn(list());
    }
    eventually("each connection waits", async || waiting(&service.pool).await.len() == 8).await;
    assert_away(list().await.unwrap()).await;
    let readiness = service.get("/api/health/readiness").await;
    assert_eq!(readiness.status(), StatusCode::SERVICE_UNAVAILABLE);
    let check = readiness.json::<Value>().await.unwrap()["checks"][0].take();
    assert!(check["detail"].as_str().unwrap().starts_with("no connection within 1.5 s"), "{check}");

    lock.rollback().await.unwrap();
    let statuses: Vec<_> = lists.join_all().await.into_iter().map(|answer| answer.unwrap().status()).collect();
    assert_eq!(statuses, [StatusCode::OK; 8]);
}

/// A role that may connect as often as this, and owns the database.
async fn limited_role(database: &Database, limit: u32) -> (String, String) {
    let name = format!("limited_{}", ulid::Ulid::new().to_string().to_lowercase());
    let pool = database.pool().await;
    let make = format!(
        "CREATE ROLE {name} LOGIN PASSWORD '{name}' CONNECTION LIMIT {limit};
         DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO {name}', current_database()); END $$"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(make)).execute(&pool).await.unwrap();
    let options = PgConnectOptions::from_str(&database.url).unwrap().username(&name).password(&name);
    (options.to_url_lossy().to_string(), name)
}

#[tokio::test]
async fn a_server_that_is_at_its_limit_later_does_not_slow_the_service_down() {
    let (database, folder) = (Database::create().await, tempfile::tempdir().unwrap());
    let (url, role) = limited_role(&database, 9).await;
    let process = Setup::new(&url, folder.path()).var("EMBEDDED_WORKER", "off").start().await;
    let service = Service { process, folder, token: String::new(), pool: database.pool().await, database };
    let service = service.sign_in().await;
    let connections = async || {
        let count = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1";
        sqlx::query_scalar::<_, i64>(count).bind(&role).fetch_one(&service.pool).await.unwrap()
    };
    eventually("the pool is filled without a request, and one connection listens", async || connections().await == 9)
        .await;
    let execute = async |sql: String| sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&service.pool).await.unwrap();
    execute(format!("ALTER ROLE {role} CONNECTION LIMIT 0")).await;

    let requests = (0..40).map(|_| service.request(Method::GET, "/api/media").send());
    let answers = futures_util::future::join_all(requests).await;
    let statuses: Vec<_> = answers.into_iter().map(|answer| answer.unwrap().status()).collect();
    assert_eq!(statuses, [StatusCode::OK; 40]);

    // A new connection is refused, which is no fault of the request.
    execute(format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}';
         REASSIGN OWNED BY {role} TO CURRENT_USER"
    ))
    .await;
    assert_away(service.get("/api/media").await).await;
    execute(format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

#[tokio::test]
async fn the_start_waits_for_a_database_that_is_slow_to_connect() {
    let (database, folder) = (Database::create().await, tempfile::tempdir().unwrap());
    // The first of all, and each of the pool at its first attempt.
    let proxy = Proxy::late_at_first(&database.url, 10).await;
    let process = Setup::new(&proxy.url, folder.path()).start().await;
    let service = Service { process, folder, token: String::new(), pool: database.pool().await, database };
    assert_eq!(service.get("/api/health/readiness").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_database_that_goes_away_after_the_original_is_stored_loses_nothing() {
    let (database, folder) = (Database::create().await, tempfile::tempdir().unwrap());
    let proxy = Proxy::new(&database.url, true).await;
    let process = Setup::new(&proxy.url, folder.path()).start().await;
    let service = Service { process, folder, token: String::new(), pool: database.pool().await, database };
    let service = service.sign_in().await;
    // A job waits for this test before it ends.
    let hook = "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
                    $$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN OLD; END $$;
                CREATE TRIGGER wait BEFORE DELETE ON job FOR EACH ROW EXECUTE FUNCTION wait()";
    sqlx::raw_sql(hook).execute(&service.pool).await.unwrap();
    let mut lock = service.pool.begin().await.unwrap();
    sqlx::query("SELECT pg_advisory_xact_lock(1)").execute(&mut *lock).await.unwrap();
    let upload = tokio::spawn(service.request(Method::POST, "/api/media").multipart(png(20)).send());
    eventually("all is stored but the outcome", async || !waiting(&service.pool).await.is_empty()).await;
    assert_eq!(service.stored().len(), 3);
    proxy.cut();
    assert_away(upload.await.unwrap().unwrap()).await;
    lock.rollback().await.unwrap();

    proxy.restore();
    expire_claims(&service.pool).await;
    eventually("the worker has finished it", async || jobs(&service.pool).await == 0).await;
    assert_eq!(service.json("/api/media").await["items"][0]["status"], "ready");
    let again = service.request(Method::POST, "/api/media").multipart(png(20)).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::OK, "the client that comes back finds its file");
    assert_eq!((service.rows().await, service.stored().len()), (1, 3));
}

async fn says(service: &Service, what: &str, times: usize) {
    let said = async || service.process.log().iter().filter(|line| line.contains(what)).count() >= times;
    eventually(&format!("the log says {times} times: {what}"), said).await;
}

async fn insert_job(service: &Service) -> String {
    let (_, media) = service.upload(&pictures::png(30, 20), "a.png", "image/png").await;
    let id = media["id"].as_str().unwrap().to_owned();
    sqlx::query("INSERT INTO job (media, kind) VALUES ($1, 'process')").bind(&id).execute(&service.pool).await.unwrap();
    id
}

#[tokio::test]
async fn the_worker_listens_for_jobs_and_again_after_its_connection_is_lost() {
    let service = Service::signed_in().await;
    let mut listener = sqlx::postgres::PgListener::connect_with(&service.pool).await.unwrap();
    listener.listen("job").await.unwrap();
    for times in 1..3 {
        says(&service, "listening for notifications", times).await;
        insert_job(&service).await;
        // The upload's own job is claimed already, so of that nobody is told.
        loop {
            let notification = listener.recv().await.unwrap();
            if notification.payload() == "process" {
                break;
            }
        }
        eventually("the job is done", async || jobs(&service.pool).await == 0).await;
        let listening = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                         WHERE datname = current_database() AND query LIKE 'LISTEN%' AND pid <> $1";
        let own: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut listener).await.unwrap();
        sqlx::query(listening).bind(own).execute(&service.pool).await.unwrap();
    }
}

#[tokio::test]
async fn where_notifications_do_not_arrive_the_worker_looks_for_jobs() {
    let (database, folder) = (Database::create().await, tempfile::tempdir().unwrap());
    let proxy = Proxy::without_notifications(&database.url).await;
    let process = Setup::new(&proxy.url, folder.path()).start().await;
    let service = Service { process, folder, token: String::new(), pool: database.pool().await, database };
    let service = service.sign_in().await;
    says(&service, "notifications do not arrive", 1).await;
    insert_job(&service).await;
    eventually("the job is done", async || jobs(&service.pool).await == 0).await;
    let events = service.get("/api/events").await;
    assert_eq!(
        (events.status(), &events.headers()["retry-after"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"30".parse().unwrap())
    );
    let warnings = service.process.log().iter().filter(|line| line.contains("notifications do not arrive")).count();
    assert_eq!(warnings, 1);
}
