//! Presigned uploads when workers are killed, the store is away, clients do two things at once or nothing at all.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use devservers::{FaultyServer, faulty::Fault};
use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{Postgres, Transaction};

use crate::{
    database::waiting,
    pictures,
    presigned::{CREATE, answer, complete, create, created, other_member, put, settled},
    storage::{BUCKET, Bucket},
    support::{CLIENT, Service, Setup, eventually, files_below},
};

/// A proxy before the store that does this with the requests that begin so, each after this many of the same.
fn proxy(bucket: &Bucket, request: &'static str, after: usize, fault: Fault) -> FaultyServer {
    FaultyServer::start(&bucket.server.endpoint(), move |line, before| {
        if line.starts_with(request) && before == after { fault } else { Fault::None }
    })
}

/// A lock for which a worker waits that has got this far.
async fn lock(service: &Service, sql: String) -> Transaction<'static, Postgres> {
    let mut lock = service.pool.begin().await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut *lock).await.unwrap();
    lock
}

/// Instead of waiting for the ends of claims and of pauses.
async fn due_at_once(service: &Service) {
    sqlx::query("UPDATE job SET attempts = 0, due_at = now()").execute(&service.pool).await.unwrap();
}

/// The parts of uploads that the store has not put together.
fn parts(bucket: &Bucket) -> Vec<PathBuf> {
    files_below(&bucket.server.bucket(BUCKET).join(".sgwtmp/multipart"))
}

/// One upload, whose workers are killed one after the other, each a step further than the one before it.
#[tokio::test]
async fn a_worker_that_is_killed_at_any_step_is_followed_by_one_that_goes_on() {
    let test = "a_worker_that_is_killed_at_any_step_is_followed_by_one_that_goes_on";
    let Some(bucket) = Bucket::start(test) else { return };
    let off = |setup| bucket.use_by(setup).var("EMBEDDED_WORKER", "off");
    let service = Service::start_with(off).await.sign_in().await;
    let setup = || bucket.use_by(Setup::new(&service.database.url, service.folder.path()));
    let picture = pictures::jpeg(300, 200);
    let (id, url) = created(&service, "image/jpeg").await;
    assert_eq!(put(&url, "image/jpeg", &picture).await.status(), StatusCode::OK);
    assert_eq!(complete(&service, &id).await.0, StatusCode::OK);

    let sha256 = hex::encode(ring::digest::digest(&ring::digest::SHA256, &picture));
    let accepting = format!("SELECT pg_advisory_xact_lock(hashtextextended('{sha256}', 0))");
    let ready = "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
                     $$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN OLD; END $$;
                 CREATE TRIGGER wait BEFORE DELETE ON job FOR EACH ROW EXECUTE FUNCTION wait()";
    // The request in which a worker is killed, or else the lock for which it waits.
    let steps = [
        ("HEAD /media/uploads/", 0, Fault::Silent, None),
        ("GET /media/uploads/", 0, Fault::Silent, None),
        ("GET /media/uploads/", 1, Fault::Silent, None),
        ("PUT /media/uploads/", 0, Fault::Silent, None),
        ("PUT /media/uploads/", 0, Fault::Unanswered, None),
        ("accepting the bytes", 0, Fault::None, Some(accepting)),
        ("DELETE /media/uploads/", 0, Fault::Silent, None),
        ("PUT /media/thumbs/", 0, Fault::Silent, None),
        ("PUT /media/thumbs/", 0, Fault::Unanswered, None),
        ("PUT /media/clipboard/", 0, Fault::Unanswered, None),
        ("becoming ready", 0, Fault::None, Some("SELECT pg_advisory_xact_lock(1)".to_owned())),
    ];
    sqlx::raw_sql(ready).execute(&service.pool).await.unwrap();
    for (request, after, fault, sql) in steps {
        let proxy = proxy(&bucket, request, after, fault);
        let lock = match &sql {
            Some(sql) => Some(lock(&service, sql.clone()).await),
            None => None,
        };
        due_at_once(&service).await;
        let (before, prefix) = (bucket.objects(), request.trim_start_matches("PUT /media/"));
        let mut worker = setup().var("S3_ENDPOINT", &proxy.endpoint).spawn_command("worker");
        eventually(&format!("a worker is at {request} {fault:?}"), async || match (&lock, fault) {
            (Some(_), _) => !waiting(&service.pool).await.is_empty(),
            (None, Fault::Unanswered) => {
                bucket.objects().iter().any(|key| key.starts_with(prefix) && !before.contains(key))
            }
            (None, _) => proxy.count(request) > after,
        })
        .await;
        worker.signal("-KILL");
        worker.ended().await;
        assert_eq!(service.json(&format!("/api/image/v1/upload/{id}")).await["status"], "pending", "{request}");
    }

    // What the killed ones have stored, and no row names, is due for removal in an hour.
    sqlx::query("UPDATE removal SET due_at = now()").execute(&service.pool).await.unwrap();
    due_at_once(&service).await;
    let _worker = setup().spawn_command("worker");
    assert_eq!(settled(&service, &id).await["status"], "ready");
    let file: String =
        sqlx::query_scalar("SELECT file FROM media WHERE id = $1").bind(&id).fetch_one(&service.pool).await.unwrap();
    let objects = [format!("clipboard/{file}.png"), format!("thumbs/{file}.webp"), format!("uploads/{file}")];
    eventually("nothing else is stored", async || bucket.objects() == objects).await;
}

#[tokio::test]
async fn an_upload_waits_for_a_store_that_is_away_and_no_attempt_counts() {
    let Some(bucket) = Bucket::start("an_upload_waits_for_a_store_that_is_away_and_no_attempt_counts") else { return };
    let away = Arc::new(AtomicBool::new(false));
    let (is_away, was_read) = (away.clone(), AtomicBool::new(false));
    let proxy = FaultyServer::start(&bucket.server.endpoint(), move |line, _| {
        // It goes away while the worker reads the file.
        if line.starts_with("GET /media/uploads/") && !was_read.swap(true, Ordering::Relaxed) {
            is_away.store(true, Ordering::Relaxed);
        }
        if is_away.load(Ordering::Relaxed) { Fault::Error(503, "ServiceUnavailable") } else { Fault::None }
    });
    let behind = |setup| bucket.use_by(setup).var("S3_ENDPOINT", &proxy.endpoint);
    let service = Service::start_with(behind).await.sign_in().await;
    let (id, url) = created(&service, "image/png").await;
    assert_eq!(put(&url, "image/png", &pictures::png(40, 30)).await.status(), StatusCode::OK);
    assert_eq!(complete(&service, &id).await.0, StatusCode::OK);
    let job = async || {
        let job = "SELECT attempts, quarantined, last_error FROM job WHERE claim IS NULL AND last_error IS NOT NULL";
        sqlx::query_as::<_, (i32, bool, String)>(job).fetch_optional(&service.pool).await.unwrap()
    };
    eventually("the job is given back", async || job().await.is_some()).await;
    let (attempts, quarantined, error) = job().await.unwrap();
    assert_eq!((attempts, quarantined), (0, false), "{error}");
    service.process.logged("the storage is away; a job waits for it").await;
    assert_eq!(service.json(&format!("/api/image/v1/upload/{id}")).await["status"], "pending");

    away.store(false, Ordering::Relaxed);
    due_at_once(&service).await;
    assert_eq!(settled(&service, &id).await["status"], "ready");
}

#[tokio::test]
async fn of_many_requests_at_once_no_more_are_taken_than_may_be_pending() {
    let service = Service::start_with(|setup| setup.var("MAX_PENDING_UPLOADS", 3)).await.sign_in().await;
    let other = other_member(&service).await;
    let body = json!({ "content_type": "image/png", "file_name": "a" });
    let as_other = || async {
        let url = format!("http://{}{CREATE}", service.process.address);
        answer(CLIENT.post(url).bearer_auth(&other).json(&body)).await
    };
    // Those of both are in the same batches.
    let answers =
        join_all((0..16).map(|_| async { [create(&service, body.clone()).await.0, as_other().await.0] })).await;
    for account in [0, 1] {
        let count = |status: StatusCode| answers.iter().filter(|answer| answer[account] == status).count();
        assert_eq!((count(StatusCode::CREATED), count(StatusCode::TOO_MANY_REQUESTS)), (3, 13), "{answers:?}");
    }
}

/// The id of a new upload in parts, all of which but the last `missing` have arrived.
async fn begun(service: &Service, picture: &[u8], missing: usize) -> String {
    let body = json!({ "content_type": "image/jpeg", "file_name": "a.jpg", "content_length": picture.len() });
    let (status, upload) = answer(service.request(Method::POST, "/api/image/v1/upload/multipart").json(&body)).await;
    assert_eq!(status, StatusCode::CREATED, "{upload}");
    let id = upload["image_id"].as_str().unwrap().to_owned();
    let size = upload["part_size"].as_u64().unwrap() as usize;
    let numbers: Vec<_> = (1..=picture.len().div_ceil(size)).collect();
    let request = service.request(Method::POST, &format!("/api/image/v1/upload/{id}/parts"));
    let (_, urls) = answer(request.json(&json!({ "part_numbers": numbers }))).await;
    for (part, item) in picture.chunks(size).zip(urls["items"].as_array().unwrap()).take(numbers.len() - missing) {
        let stored = put(item["upload_url"].as_str().unwrap(), "image/jpeg", part).await;
        assert_eq!(stored.status(), StatusCode::OK);
    }
    id
}

#[tokio::test]
async fn parts_whose_client_says_nothing_more_become_a_media_and_those_of_a_deleted_one_are_removed() {
    let test = "parts_whose_client_says_nothing_more_become_a_media_and_those_of_a_deleted_one_are_removed";
    let Some(bucket) = Bucket::start(test) else { return };
    let often = |setup| bucket.use_by(setup).var("PENDING_LOOK_SECONDS", 1);
    let service = Service::start_with(often).await.sign_in().await;
    // A decoder ends before the zeros.
    let picture = [pictures::jpeg(60, 40), vec![0; 9 << 20]].concat();
    let id = begun(&service, &picture, 0).await;
    let ready = settled(&service, &id).await;
    assert_eq!((&ready["status"], &ready["size"]), (&json!("ready"), &json!(picture.len())));
    eventually("the store has put the parts together", async || parts(&bucket).is_empty()).await;

    let id = begun(&service, &picture, 1).await;
    assert!(!parts(&bucket).is_empty());
    let gone = service.request(Method::DELETE, &format!("/api/media/{id}?permanent=true")).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NO_CONTENT, "{}", gone.json::<Value>().await.unwrap_or_default());
    eventually("its parts are removed", async || parts(&bucket).is_empty()).await;
}
