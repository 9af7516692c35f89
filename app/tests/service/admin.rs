//! What admins see of the service's state.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    accounts::{call, post},
    pictures,
    support::{PASSWORD, Service, Setup, eventually},
};

/// A service without a worker, so that the queue is as the test leaves it.
async fn idle_service() -> Service {
    Service::start_with(|setup| setup.var("EMBEDDED_WORKER", "off")).await.sign_in().await
}

/// Adds a media by SQL, in this status. Returns its id.
async fn add(service: &Service, name: &str, status: &str, failure: Option<&str>) -> String {
    let id = ulid::Ulid::new().to_string();
    sqlx::query(
        "INSERT INTO media (id, status, failure, name, mime_type, size, width, height, sha256, uploader, updated_at)
         SELECT $1, $2, $3, $4, 'image/png', 1000, 4, 3, sha256($1::bytea), id, clock_timestamp() FROM account LIMIT 1",
    )
    .bind(&id)
    .bind(status)
    .bind(failure)
    .bind(name)
    .execute(&service.pool)
    .await
    .unwrap();
    id
}

async fn give_up(service: &Service, media: &str, kind: &str) {
    sqlx::query(
        "INSERT INTO job (media, kind, attempts, quarantined, last_error) VALUES ($1, $2, 4, true, 'the disk is on fire')",
    )
    .bind(media)
    .bind(kind)
    .execute(&service.pool)
    .await
    .unwrap();
}

#[tokio::test]
async fn the_queue_is_counted_by_kind_and_state_with_its_age() {
    let service = idle_service().await;
    for (name, kind, due, claim, quarantined) in [
        ("waits", "process", "-2 hours", "NULL", "false"),
        ("waits, too", "process", "-1 hour", "NULL", "false"),
        ("works", "process", "1 minute", "gen_random_uuid()", "false"),
        ("later", "process", "1 minute", "NULL", "false"),
        ("given up", "ocr", "-3 hours", "NULL", "true"),
    ] {
        let id = add(&service, name, "pending", None).await;
        let insert = format!(
            "INSERT INTO job (media, kind, due_at, claim, quarantined) VALUES ($1, $2, now() + interval '{due}', {claim}, {quarantined})"
        );
        sqlx::query(sqlx::AssertSqlSafe(insert)).bind(id).bind(kind).execute(&service.pool).await.unwrap();
    }
    let mut queue = service.json("/api/admin/status").await["queue"].take();
    let age = queue[0]["oldest_due_seconds"].take().as_f64().unwrap();
    assert!((7200.0..7200.0 + 3600.0).contains(&age), "{age}");
    assert_eq!(
        queue,
        json!([
            { "kind": "process", "due": 2, "working": 1, "postponed": 1, "quarantined": 0, "oldest_due_seconds": null },
            { "kind": "ocr", "due": 0, "working": 0, "postponed": 0, "quarantined": 1, "oldest_due_seconds": null },
        ])
    );
}

#[tokio::test]
async fn processes_are_listed_while_they_live() {
    let service = Service::signed_in().await;
    let instances = async || {
        let status = service.json("/api/admin/status").await;
        let instances = status["instances"].as_array().unwrap().clone();
        let name = |instance: &Value| format!("{} {}", instance["command"], instance["version"]).replace('"', "");
        instances.iter().map(name).collect::<Vec<_>>()
    };
    eventually("the service is listed", async || instances().await == ["serve test"]).await;
    let worker = || {
        Setup::new(&service.database.url, service.folder.path()).var("SERVICE_VERSION", "next").spawn_command("worker")
    };
    let mut ending = worker();
    eventually("the worker is listed", async || instances().await == ["serve test", "worker next"]).await;
    ending.signal("-TERM");
    assert!(ending.ended().await.success());
    assert_eq!(instances().await, ["serve test"]);

    // One that is killed takes itself off no list, but it says nothing any more.
    let mut killed = worker();
    eventually("the worker is listed", async || instances().await.len() == 2).await;
    killed.signal("-KILL");
    killed.ended().await;
    let later = "UPDATE instance SET seen_at = seen_at - interval '5 minutes' WHERE command = 'worker'";
    sqlx::query(later).execute(&service.pool).await.unwrap();
    assert_eq!(instances().await, ["serve test"]);
}

#[tokio::test]
async fn failures_are_told_with_their_reasons_and_are_tried_again() {
    let service = idle_service().await;
    let corrupt = add(&service, "corrupt.png", "failed", Some("corrupt_image")).await;
    let unlucky = add(&service, "unlucky.png", "failed", Some("processing_failed")).await;
    give_up(&service, &unlucky, "process").await;
    let unread = add(&service, "unread.png", "ready", None).await;
    give_up(&service, &unread, "ocr").await;
    add(&service, "fine.png", "ready", None).await;
    let thrown = add(&service, "thrown.png", "failed", Some("processing_failed")).await;
    give_up(&service, &thrown, "process").await;
    sqlx::query("UPDATE media SET deleted_at = now() WHERE id = $1")
        .bind(&thrown)
        .execute(&service.pool)
        .await
        .unwrap();

    let failures = service.json("/api/admin/failures").await;
    assert_eq!((&failures["total"], &failures["retryable"]), (&json!(3), &json!(2)));
    let found: Vec<_> = failures["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| ["media", "name", "code", "job", "error", "attempts"].map(|field| item[field].clone()))
        .collect();
    let expected = [
        [json!(unread), json!("unread.png"), Value::Null, json!("ocr"), json!("the disk is on fire"), json!(4)],
        [
            json!(unlucky),
            json!("unlucky.png"),
            json!("processing_failed"),
            json!("process"),
            json!("the disk is on fire"),
            json!(4),
        ],
        [json!(corrupt), json!("corrupt.png"), json!("corrupt_image"), Value::Null, Value::Null, Value::Null],
    ];
    assert_eq!(found, expected);

    fs_err::write(service.folder.path().join("uploads").join(&unlucky), pictures::png(40, 30)).unwrap();
    assert_eq!(
        post(&service, "/api/admin/failures/retry", Value::Null).await,
        (StatusCode::OK, json!({ "retried": 2 }))
    );
    let failures = service.json("/api/admin/failures").await;
    assert_eq!((&failures["total"], &failures["items"][0]["media"]), (&json!(1), &json!(corrupt)));
    assert_eq!(service.json(&format!("/api/media/{unlucky}")).await["status"], "pending");
    let thrown = service.json(&format!("/api/media/{thrown}")).await;
    assert_eq!((&thrown["status"], &thrown["failure"]), (&json!("failed"), &json!("processing_failed")));
    let _worker = Setup::new(&service.database.url, service.folder.path()).spawn_command("worker");
    eventually("a worker has tried again", async || {
        service.json(&format!("/api/media/{unlucky}")).await["status"] == "ready"
    })
    .await;
}

#[tokio::test]
async fn storage_is_summed_up_by_person() {
    let service = Service::signed_in().await;
    let (_, invite) = post(&service, "/api/invites", json!({})).await;
    let body = json!({ "username": "ada", "password": PASSWORD, "invite": invite["token"] });
    let (_, ada) = post(&service, "/api/auth/register", body).await;
    let ada = ada["token"].as_str().unwrap();
    let files = [pictures::png(40, 30), pictures::png(50, 30), pictures::png(60, 30)];
    let (_, kept) = service.upload(&files[0], "kept.png", "image/png").await;
    let (_, thrown) = service.upload(&files[1], "thrown.png", "image/png").await;
    service.delete(thrown["id"].as_str().unwrap()).await;
    sqlx::query("UPDATE media SET size = 5000 WHERE id = $1")
        .bind(kept["id"].as_str())
        .execute(&service.pool)
        .await
        .unwrap();
    let (_, me) = call(&service, ada, Method::GET, "/api/auth/me", Value::Null).await;
    let hers = service.upload(&files[2], "hers.png", "image/png").await.1;
    sqlx::query("UPDATE media SET uploader = $1::uuid, size = 70000 WHERE id = $2")
        .bind(me["id"].as_str())
        .bind(hers["id"].as_str())
        .execute(&service.pool)
        .await
        .unwrap();
    add(&service, "rejected.png", "failed", Some("corrupt_image")).await;
    let deleted =
        service.request(Method::DELETE, &format!("/api/accounts/{}", me["id"].as_str().unwrap())).send().await.unwrap();
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);

    let items = service.json("/api/admin/storage").await["items"].take();
    let numbers =
        |item: &Value| ["is_deleted", "media", "size", "trash", "trash_size"].map(|field| item[field].clone());
    assert_eq!(items.as_array().unwrap().len(), 2, "{items}");
    assert_eq!(items[0]["account"], me["id"]);
    assert_eq!(numbers(&items[0]), [json!(true), json!(1), json!(70000), json!(0), json!(0)]);
    assert_eq!(items[1]["username"], "first");
    assert_eq!(numbers(&items[1]), [json!(false), json!(1), json!(5000), json!(1), json!(files[1].len())]);
}
