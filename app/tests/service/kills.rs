//! The lifecycle of a media when processes are killed at any step of an upload, and when the store fails in between. In the end
//! the row is ready or gone, and the bucket has exactly the objects of the rows.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
    mpsc,
};

use devservers::{FaultyServer, faulty::Fault};
use reqwest::{Method, StatusCode, multipart};
use serde_json::json;

use crate::{
    database::{expire_claims, waiting},
    pictures,
    storage::{Bucket, storage},
    support::{Process, Service, Setup, eventually},
};

/// Where a process is stopped.
#[derive(Clone, Copy, Debug)]
enum Point {
    /// The file is received, and has no row yet.
    BeforeTheRow,
    /// Before it stores the object whose key begins with this.
    Before(&'static str),
    /// The object is stored, which the process does not know yet.
    After(&'static str),
    /// All objects are stored; the row is not ready yet.
    BeforeReady,
}

use Point::{After, Before, BeforeReady, BeforeTheRow};

impl Point {
    /// A proxy before the store that stops a process here.
    fn proxy(self, bucket: &Bucket) -> FaultyServer {
        let (prefix, fault) = match self {
            Before(prefix) => (format!("PUT /media/{prefix}"), Fault::Silent),
            After(prefix) => (format!("PUT /media/{prefix}"), Fault::Unanswered),
            BeforeTheRow | BeforeReady => (String::new(), Fault::None),
        };
        let is_it = move |line: &str| !prefix.is_empty() && line.starts_with(&prefix);
        FaultyServer::start(&bucket.server.endpoint(), move |line, _| if is_it(line) { fault } else { Fault::None })
    }

    /// Waits until a process is there. The bucket has the objects of this many media beside.
    async fn reached(self, bucket: &Bucket, media: usize, proxy: &FaultyServer, service: &Service) {
        eventually(&format!("{self:?} is reached"), async || match self {
            Before(prefix) => proxy.count(&format!("PUT /media/{prefix}")) > 0,
            After(prefix) => bucket.objects().iter().filter(|key| key.starts_with(prefix)).count() > media,
            BeforeTheRow | BeforeReady => !waiting(&service.pool).await.is_empty(),
        })
        .await;
    }
}

fn behind(bucket: &Bucket, proxy: &FaultyServer, setup: Setup) -> Setup {
    bucket.use_by(setup).var("S3_ENDPOINT", &proxy.endpoint)
}

async fn kill(mut process: Process) {
    process.signal("-KILL");
    process.ended().await;
}

fn upload(service: &Service, side: u32) -> reqwest::RequestBuilder {
    // It has a thumbnail and a picture for the clipboard.
    let part = multipart::Part::bytes(pictures::jpeg(side, 200)).file_name("a.jpg");
    service.request(Method::POST, "/api/media").multipart(multipart::Form::new().part("file", part))
}

/// Waits until the queue is empty, and asserts that there are this many media with all of their objects, and nothing else.
async fn assert_whole(bucket: &Bucket, service: &Service, media: usize, case: &str) {
    let count = async |sql: &'static str| sqlx::query_scalar::<_, i64>(sql).fetch_one(&service.pool).await.unwrap();
    eventually(&format!("{case}: the work is done"), async || {
        count("SELECT (SELECT count(*) FROM job) + (SELECT count(*) FROM removal)").await == 0
    })
    .await;
    let ready: Vec<String> = sqlx::query_scalar("SELECT id FROM media WHERE status = 'ready' ORDER BY id")
        .fetch_all(&service.pool)
        .await
        .unwrap();
    assert_eq!((ready.len(), service.rows().await), (media, media as i64), "{case}");
    let mut keys: Vec<String> = ready
        .iter()
        .flat_map(|id| [format!("clipboard/{id}.png"), format!("thumbs/{id}.webp"), format!("uploads/{id}")])
        .collect();
    keys.sort();
    assert_eq!(bucket.objects(), keys, "{case}");
    let check = storage(&bucket.use_by(Setup::new(&service.database.url, service.folder.path())), &["check"]);
    assert!(check.status.success(), "{case}: {check:?}");
}

#[tokio::test]
async fn what_a_killed_process_leaves_is_finished_or_removed() {
    let Some(bucket) = Bucket::start("what_a_killed_process_leaves_is_finished_or_removed") else { return };
    let mut service = Service::start_with(|setup| bucket.use_by(setup)).await.sign_in().await;
    let new =
        |service: &Service| Setup::new(&service.database.url, service.folder.path()).var("EMBEDDED_WORKER", "off");
    // Where the process with the upload is killed, where the worker that goes on with it is killed, and what there is in the end.
    let cases = [
        (BeforeTheRow, None, 0),
        (Before("uploads"), None, 0),
        (After("uploads"), None, 1),
        (After("uploads"), Some(Before("thumbs")), 1),
        (Before("thumbs"), Some(After("thumbs")), 1),
        (After("thumbs"), None, 1),
        (Before("clipboard"), Some(BeforeReady), 1),
        (After("clipboard"), None, 1),
        (BeforeReady, Some(After("clipboard")), 1),
    ];
    let mut media = 0;
    for (number, (first, second, added)) in cases.into_iter().enumerate() {
        let case = format!("{first:?}, {second:?}");
        let proxy = first.proxy(&bucket);
        service.process = behind(&bucket, &proxy, new(&service)).start().await;
        let lock = lock(&service, first).await;
        let request = tokio::spawn(upload(&service, 300 + number as u32).send());
        first.reached(&bucket, media, &proxy, &service).await;
        service.process.signal("-KILL");
        service.process.ended().await;
        assert!(request.await.unwrap().is_err(), "{case}: there was an answer");
        drop(lock);

        if let Some(second) = second {
            let proxy = second.proxy(&bucket);
            let worker = behind(&bucket, &proxy, new(&service)).spawn_command("worker");
            let lock = self::lock(&service, second).await;
            // Instead of waiting for the end of the claim.
            expire_claims(&service.pool).await;
            second.reached(&bucket, media, &proxy, &service).await;
            kill(worker).await;
            drop(lock);
        }
        let _worker = bucket.use_by(new(&service)).spawn_command("worker");
        expire_claims(&service.pool).await;
        media += added;
        assert_whole(&bucket, &service, media, &case).await;
    }
}

/// A lock for which a process waits at this point.
async fn lock(service: &Service, point: Point) -> Option<sqlx::Transaction<'static, sqlx::Postgres>> {
    let sql = match point {
        BeforeTheRow => "LOCK TABLE media IN SHARE ROW EXCLUSIVE MODE",
        // Renewals and claims are let through, but no end of a job.
        BeforeReady => {
            "CREATE OR REPLACE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN OLD; END $$;
             CREATE OR REPLACE TRIGGER wait BEFORE DELETE ON job FOR EACH ROW EXECUTE FUNCTION wait()"
        }
        Before(_) | After(_) => return None,
    };
    let mut lock = service.pool.begin().await.unwrap();
    if matches!(point, BeforeReady) {
        sqlx::raw_sql(sql).execute(&service.pool).await.unwrap();
        sqlx::query("SELECT pg_advisory_xact_lock(1)").execute(&mut *lock).await.unwrap();
    } else {
        sqlx::raw_sql(sql).execute(&mut *lock).await.unwrap();
    }
    Some(lock)
}

#[tokio::test]
async fn a_store_that_fails_between_original_and_thumbnail_is_tried_again() {
    let test = "a_store_that_fails_between_original_and_thumbnail_is_tried_again";
    let Some(bucket) = Bucket::start(test) else { return };
    let (failing, refused) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (fails, counted) = (failing.clone(), refused.clone());
    let proxy = FaultyServer::start(&bucket.server.endpoint(), move |line, before| match line {
        line if !line.starts_with("PUT /media/thumbs") => Fault::None,
        _ if fails.load(Ordering::Relaxed) => {
            counted.fetch_add(1, Ordering::Relaxed);
            Fault::Error(500, "InternalError")
        }
        _ if before < 2 => Fault::Error(503, "SlowDown"),
        _ => Fault::None,
    });
    let service = Service::start_with(|setup| behind(&bucket, &proxy, setup)).await.sign_in().await;
    let slow = upload(&service, 300).send().await.unwrap();
    assert_eq!(slow.status(), StatusCode::CREATED, "the store asked to slow down");

    failing.store(true, Ordering::Relaxed);
    let pending = upload(&service, 301).send().await.unwrap();
    assert_eq!(pending.status(), StatusCode::ACCEPTED);
    assert_eq!(pending.json::<serde_json::Value>().await.unwrap()["status"], json!("pending"));
    let before = refused.load(Ordering::Relaxed);
    eventually("the worker has tried again", async || {
        due_at_once(&service).await;
        refused.load(Ordering::Relaxed) > before
    })
    .await;
    failing.store(false, Ordering::Relaxed);
    eventually("the worker has succeeded", async || {
        due_at_once(&service).await;
        service.json("/api/media?limit=1").await["items"][0]["status"] == "ready"
    })
    .await;
    assert_whole(&bucket, &service, 2, "after an outage").await;
}

/// Instead of waiting for the pauses between attempts.
async fn due_at_once(service: &Service) {
    sqlx::query("UPDATE job SET due_at = now() WHERE claim IS NULL").execute(&service.pool).await.unwrap();
}

#[tokio::test]
async fn of_two_workers_with_the_same_job_the_one_that_lost_its_claim_changes_nothing() {
    let test = "of_two_workers_with_the_same_job_the_one_that_lost_its_claim_changes_nothing";
    let Some(bucket) = Bucket::start(test) else { return };
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let proxy = FaultyServer::start(&bucket.server.endpoint(), move |line, _| {
        if line.starts_with("PUT /media/clipboard") {
            // Until the test goes on, or has failed.
            released.lock().unwrap().recv().ok();
        }
        Fault::None
    });
    let slow = |setup| behind(&bucket, &proxy, setup).var("EMBEDDED_WORKER", "off");
    let service = Service::start_with(slow).await.sign_in().await;
    let request = tokio::spawn(upload(&service, 300).send());
    eventually("the first is in the middle", async || proxy.count("PUT /media/clipboard") == 1).await;
    let _worker = bucket.use_by(Setup::new(&service.database.url, service.folder.path())).spawn_command("worker");
    expire_claims(&service.pool).await;
    assert_whole(&bucket, &service, 1, "by the second").await;
    let row = async || {
        let row = "SELECT md5(media::text) FROM media";
        sqlx::query_scalar::<_, String>(row).fetch_one(&service.pool).await.unwrap()
    };
    let before = row().await;
    release.send(()).unwrap();
    let answer = request.await.unwrap().unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED, "its client is told of what the second has done");
    assert_eq!(row().await, before);
    assert_whole(&bucket, &service, 1, "after the first").await;
}

#[tokio::test]
async fn a_worker_that_is_told_to_stop_gives_its_job_back() {
    let Some(bucket) = Bucket::start("a_worker_that_is_told_to_stop_gives_its_job_back") else { return };
    let proxy = Before("thumbs").proxy(&bucket);
    let first = After("uploads").proxy(&bucket);
    let setup = |setup| behind(&bucket, &first, setup).var("EMBEDDED_WORKER", "off");
    let mut service = Service::start_with(setup).await.sign_in().await;
    let request = tokio::spawn(upload(&service, 300).send());
    After("uploads").reached(&bucket, 0, &first, &service).await;
    service.process.signal("-KILL");
    service.process.ended().await;
    assert!(request.await.unwrap().is_err());

    let new = || Setup::new(&service.database.url, service.folder.path());
    let mut worker = behind(&bucket, &proxy, new()).spawn_command("worker");
    expire_claims(&service.pool).await;
    Before("thumbs").reached(&bucket, 0, &proxy, &service).await;
    worker.signal("-TERM");
    assert!(worker.ended().await.success());
    let job = "SELECT claim IS NULL AND due_at <= now() AND attempts = 1 FROM job";
    assert!(sqlx::query_scalar::<_, bool>(job).fetch_one(&service.pool).await.unwrap(), "given back, uncounted");
    let _worker = bucket.use_by(new()).spawn_command("worker");
    assert_whole(&bucket, &service, 1, "by the next").await;
}
