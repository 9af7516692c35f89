//! Presigned uploads that the bucket tells of, by events in a queue of SQS. moto has both.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use aws_sdk_sqs::{
    config::{BehaviorVersion, Credentials, Region},
    types::SendMessageBatchRequestEntry,
};
use devservers::{
    FaultyServer,
    faulty::Fault,
    moto::{BUCKET, Moto, REGION, Turn, Uploads},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::or_skip;

use crate::{
    cdn,
    metrics::Scrape,
    pictures,
    presigned::{created, put, settled},
    support::{CLIENT, Service, Setup, eventually},
};

/// A bucket that tells a queue of new objects.
struct Events {
    moto: Turn,
    uploads: Uploads,
    sqs: aws_sdk_sqs::Client,
    spool: tempfile::TempDir,
}

impl Events {
    fn start(test: &str) -> Option<Self> {
        let moto = or_skip(test, Moto::turn())?;
        let uploads = moto.uploads(5).unwrap();
        uploads.tell_of(Some("uploads/")).unwrap();
        let sqs = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .endpoint_url(moto.endpoint())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .credentials_provider(Credentials::new("id", "sentinel-secret", None, None, "test"));
        let sqs = aws_sdk_sqs::Client::from_conf(sqs.build());
        Some(Self { moto, uploads, sqs, spool: tempfile::tempdir().unwrap() })
    }

    /// The worker is told of uploads by events alone.
    fn use_by(&self, setup: Setup) -> Setup {
        let mut setup = setup
            .var("STORAGE_BACKEND", "s3")
            .var("S3_BUCKET", BUCKET)
            .var("S3_REGION", REGION)
            .var("S3_ENDPOINT", self.moto.endpoint())
            .var("S3_ACCESS_KEY_ID", "id")
            .var("S3_SECRET_ACCESS_KEY", "sentinel-secret")
            .var("SPOOL_DIR", self.spool.path().display())
            .var("QUEUE_URL", &self.uploads.queue)
            .var("PENDING_LOOK_SECONDS", 604_800);
        setup.vars.remove("UPLOAD_DIR");
        cdn::use_by(setup)
    }

    /// What a command prints that has the settings of a service.
    fn worker(&self, service: &Service, arguments: &[&str]) -> String {
        let setup = self.use_by(Setup::new(&service.database.url, Path::new("/nowhere")));
        let output = setup.command().arg("worker").args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    async fn until_idle(&self, service: &Service) {
        let idle = json!({ "jobs": [], "queue": { "waiting": 0, "in_flight": 0, "dead": 0 } });
        eventually("nothing waits", async || {
            serde_json::from_str::<Value>(&self.worker(service, &["status", "--json"])).unwrap() == idle
        })
        .await;
    }
}

#[tokio::test]
async fn an_upload_is_made_ready_by_its_event_and_downloaded_at_a_url_for_cloudfront() {
    let test = "an_upload_is_made_ready_by_its_event_and_downloaded_at_a_url_for_cloudfront";
    let Some(events) = Events::start(test) else { return };
    let counted = |setup| events.use_by(setup).var("METRICS_PORT", 0);
    let mut service = Service::start_with(counted).await.sign_in().await;
    let mut ids = Vec::new();
    for side in 20..24 {
        let body = json!({ "content_type": "image/png", "file_name": "a.png" });
        let call = service.request(Method::POST, "/api/image/v1/upload/create-presigned-url").json(&body);
        let upload: Value = call.send().await.unwrap().json().await.unwrap();
        let (id, url) = (upload["image_id"].as_str().unwrap(), upload["upload_url"].as_str().unwrap());
        let put = CLIENT.put(url).header("content-type", "image/png").body(pictures::png(side, 10));
        assert_eq!(put.send().await.unwrap().status(), StatusCode::OK, "{upload}");
        ids.push(id.to_owned());
    }
    for id in &ids {
        eventually("the upload is ready", async || {
            service.json(&format!("/api/image/v1/upload/{id}?wait=20")).await["status"] == "ready"
        })
        .await;
    }
    let call = service.request(Method::POST, "/api/image/v1/download/get-signed-urls");
    let urls: Value = call.json(&json!({ "image_ids": ids })).send().await.unwrap().json().await.unwrap();
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    for (id, item) in ids.iter().zip(urls["items"].as_array().unwrap()) {
        assert_eq!(item["image_id"], *id);
        let (path, expires) = cdn::verified(item["download_url"].as_str().unwrap());
        assert_eq!(events.uploads.content_type(&path).unwrap().as_deref(), Some("image/png"), "{path}");
        assert!((now + 299..=now + 600).contains(&expires), "{expires} is at most ten minutes after {now}");
        let format = time::format_description::well_known::Rfc3339;
        let told = time::OffsetDateTime::parse(item["expires_at"].as_str().unwrap(), &format).unwrap();
        assert_eq!(told.unix_timestamp(), expires);
    }

    // The events of the objects that the worker has stored itself are no uploads.
    events.until_idle(&service).await;
    events.sqs.send_message().queue_url(&events.uploads.dead).message_body("malformed").send().await.unwrap();
    assert!(events.worker(&service, &["status"]).ends_with("0 waiting, 0 in flight, 1 in the dead-letter queue\n"));
    let scrape = Scrape::of(&service.process).await;
    for (state, messages) in [("waiting", 0.0), ("in_flight", 0.0), ("dead", 1.0)] {
        assert_eq!(scrape.get(&format!(r#"media_queue_messages{{state="{state}"}}"#)), messages);
    }
    let moved = "0 jobs are tried again\n1 messages moved from the dead-letter queue\n";
    assert_eq!(events.worker(&service, &["redrive"]), moved);
    service.process.logged("a malformed message of the queue is deleted").await;
    events.until_idle(&service).await;
    service.process.logged("the queue has a test event: the bucket tells it of new objects").await;

    service.process.signal("-TERM");
    assert!(service.process.ended().await.success());
    assert!(!service.process.log().iter().any(|line| line.contains("sentinel-secret")), "the log has no secrets");
}

#[tokio::test]
async fn a_worker_goes_on_when_its_queue_is_back() {
    let Some(events) = Events::start("a_worker_goes_on_when_its_queue_is_back") else { return };
    let away = Arc::new(AtomicBool::new(true));
    let is_away = away.clone();
    let proxy = FaultyServer::start(&events.moto.endpoint(), move |_, _| match is_away.load(Ordering::Relaxed) {
        true => Fault::Error(503, "ServiceUnavailable"),
        false => Fault::None,
    });
    let url = events.uploads.queue.replace(&events.moto.endpoint(), &proxy.endpoint);
    let behind = |setup| events.use_by(setup).var("QUEUE_URL", &url).var("METRICS_PORT", 0);
    let service = Service::start_with(behind).await.sign_in().await;
    let (id, upload) = created(&service, "image/png").await;
    assert_eq!(put(&upload, "image/png", &pictures::png(40, 30)).await.status(), StatusCode::OK);
    service.process.logged("cannot receive from the queue").await;
    let scrape = Scrape::of(&service.process).await;
    assert!(!scrape.series.keys().any(|series| series.starts_with("media_queue_messages")), "{:?}", scrape.series);
    assert_eq!(service.json("/api/health/readiness").await["status"], "ready", "all else works");

    away.store(false, Ordering::Relaxed);
    assert_eq!(settled(&service, &id).await["status"], "ready");
}

#[tokio::test]
async fn an_upload_whose_event_came_before_its_row_is_found() {
    let Some(events) = Events::start("an_upload_whose_event_came_before_its_row_is_found") else { return };
    let often = |setup| events.use_by(setup).var("PENDING_LOOK_SECONDS", 1);
    let service = Service::start_with(often).await.sign_in().await;
    let id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    events.uploads.put_object(&format!("uploads/{id}"), "image/png", &pictures::png(40, 30)).unwrap();
    events.until_idle(&service).await;
    let added = "WITH added AS (
                     INSERT INTO media (id, status, name, declared_type, uploader, listed_at)
                     SELECT $1, 'pending', 'a', 'image/png', id, 'epoch' FROM account LIMIT 1 RETURNING id, uploader)
                 INSERT INTO presigned_upload (media, account, expires_at, look_at)
                 SELECT id, uploader, now() + interval '5 minutes', now() FROM added";
    assert_eq!(sqlx::query(added).bind(id).execute(&service.pool).await.unwrap().rows_affected(), 1);
    assert_eq!(settled(&service, id).await["status"], "ready");
}

/// With `--thorough`, 10,000 events of 200 objects, of which the bucket itself tells, too.
#[tokio::test]
async fn a_burst_of_repeated_events_in_any_order_makes_each_upload_ready_once() {
    let test = "a_burst_of_repeated_events_in_any_order_makes_each_upload_ready_once";
    let Some(events) = Events::start(test) else { return };
    let is_thorough = std::env::var_os("TEST_THOROUGH").is_some();
    let (count, repeats) = if is_thorough { (200, 50) } else { (40, 25) };
    let off = |setup| events.use_by(setup).var("EMBEDDED_WORKER", "off").var("MAX_PENDING_UPLOADS", 1000);
    let service = Service::start_with(off).await.sign_in().await;
    let mut ids = Vec::new();
    for side in 0..count {
        let (id, url) = created(&service, "image/png").await;
        assert_eq!(put(&url, "image/png", &pictures::png(20 + side, 10)).await.status(), StatusCode::OK);
        ids.push(id);
    }
    // A step that has no divisor in common with the number of all visits each once, far from the one before it.
    let all = ids.len() * repeats;
    let records: Vec<_> = (0..all).map(|at| record(&ids[at * 7919 % all % ids.len()])).collect();
    let messages: Vec<_> =
        records.chunks(10).map(|records| format!(r#"{{"Records":[{}]}}"#, records.join(","))).collect();
    for (at, batch) in messages.chunks(10).enumerate() {
        let entries = batch.iter().enumerate().map(|(number, body)| {
            let entry = SendMessageBatchRequestEntry::builder().id(format!("{at}-{number}")).message_body(body);
            entry.build().unwrap()
        });
        let sent =
            events.sqs.send_message_batch().queue_url(&events.uploads.queue).set_entries(Some(entries.collect()));
        assert!(sent.send().await.unwrap().failed().is_empty());
    }

    let _worker = events.use_by(Setup::new(&service.database.url, service.folder.path())).spawn_command("worker");
    eventually("all are ready", async || {
        let ready = "SELECT count(*) FROM media WHERE status = 'ready'";
        sqlx::query_scalar::<_, i64>(ready).fetch_one(&service.pool).await.unwrap() == i64::from(count)
    })
    .await;
    events.until_idle(&service).await;
    assert_eq!(service.rows().await, i64::from(count));
    let failed = "SELECT count(*) FROM media WHERE status <> 'ready' OR failure IS NOT NULL";
    assert_eq!(sqlx::query_scalar::<_, i64>(failed).fetch_one(&service.pool).await.unwrap(), 0);
}

/// What S3 says of an original in an event.
fn record(id: &str) -> String {
    format!(
        r#"{{"eventName":"ObjectCreated:Put","s3":{{"bucket":{{"name":"media"}},"object":{{"key":"uploads/{id}"}}}}}}"#
    )
}
