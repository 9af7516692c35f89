//! The queue: what becomes of an upload when processes die, stores fail and clients repeat themselves.

use reqwest::{Method, StatusCode, multipart};
use serde_json::Value;

use crate::{
    pictures,
    support::{Service, Setup, eventually},
};

const ID: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

/// Inserts what a process that died in the middle of an upload has left, with a job that is due.
async fn interrupted(service: &Service, original: Option<&[u8]>) {
    // Before the job, of which the worker is told at once.
    if let Some(original) = original {
        fs_err::write(service.folder.path().join("uploads").join(ID), original).unwrap();
    }
    sqlx::raw_sql(
        "INSERT INTO media (id, status, name, size, sha256, uploader)
             SELECT '01ARZ3NDEKTSV4RRFFQ69G5FAV', 'pending', 'a.png', 1, sha256(''), id FROM account LIMIT 1;
         INSERT INTO job (media, kind, attempts, claim) VALUES ('01ARZ3NDEKTSV4RRFFQ69G5FAV', 'process', 1, gen_random_uuid())",
    )
    .execute(&service.pool)
    .await
    .unwrap();
}

async fn jobs(service: &Service) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM job WHERE kind = 'process'").fetch_one(&service.pool).await.unwrap()
}

async fn status(service: &Service) -> Value {
    service.json(&format!("/api/media/{ID}")).await["status"].take()
}

#[tokio::test]
async fn another_process_finishes_what_a_dead_one_has_stored() {
    let service = Service::signed_in().await;
    interrupted(&service, Some(&pictures::png(40, 30))).await;
    eventually("it is ready", async || status(&service).await == "ready").await;
    assert_eq!(jobs(&service).await, 0);
    let media = service.json(&format!("/api/media/{ID}")).await;
    assert_eq!(service.get(media["thumbnail_url"].as_str().unwrap()).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn an_upload_that_was_not_stored_vanishes_because_its_client_has_no_answer() {
    let service = Service::signed_in().await;
    interrupted(&service, None).await;
    eventually("the row is gone", async || service.rows().await == 0).await;
    service.assert_nothing_stored("interrupted").await;
}

#[tokio::test]
async fn a_file_that_no_decoder_takes_is_failed_with_the_reason_and_removed() {
    let service = Service::signed_in().await;
    let png = pictures::png(400, 300);
    interrupted(&service, Some(&png[..png.len() / 4])).await;
    eventually("it has failed", async || status(&service).await == "failed").await;
    assert_eq!(service.json(&format!("/api/media/{ID}")).await["failure"], "corrupt_image");
    eventually("its file is gone", async || service.stored().is_empty()).await;
}

#[tokio::test]
async fn a_deleted_media_takes_its_job_along() {
    let service = Service::start_with(|setup| setup.var("EMBEDDED_WORKER", "off")).await.sign_in().await;
    interrupted(&service, Some(&pictures::png(40, 30))).await;
    let gone = service.request(Method::DELETE, &format!("/api/media/{ID}?permanent=true")).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    assert_eq!((jobs(&service).await, service.stored().len()), (0, 0));
}

/// A worker ends its job, then writes what has become of the media. A request that locks the two the other way round would wait for the
/// worker, and the worker for it.
#[tokio::test]
async fn a_request_about_a_media_waits_for_the_worker_that_ends_its_job() {
    let service = Service::start_with(|setup| setup.var("EMBEDDED_WORKER", "off")).await.sign_in().await;
    for path in [format!("/api/media/{ID}/thumbnails"), format!("/api/media/{ID}?permanent=true")] {
        interrupted(&service, Some(&pictures::png(40, 30))).await;
        sqlx::query("UPDATE media SET status = 'failed', failure = 'processing_failed', listed_at = now()")
            .execute(&service.pool)
            .await
            .unwrap();
        let mut worker = service.pool.begin().await.unwrap();
        sqlx::query("UPDATE job SET claim = NULL").execute(&mut *worker).await.unwrap();
        let is_deletion = path.ends_with("permanent=true");
        let request = service.request(if is_deletion { Method::DELETE } else { Method::POST }, &path).send();
        let waits = eventually("the request waits", async || {
            let waiting = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')";
            sqlx::query_scalar(waiting).fetch_one(&service.pool).await.unwrap()
        });
        let end = async {
            waits.await;
            sqlx::query("UPDATE media SET updated_at = now()").execute(&mut *worker).await.unwrap();
            worker.commit().await.unwrap();
        };
        let (answer, ()) = tokio::join!(request, end);
        let expected = if is_deletion { StatusCode::NO_CONTENT } else { StatusCode::ACCEPTED };
        assert_eq!(answer.unwrap().status(), expected);
        sqlx::query("DELETE FROM media").execute(&service.pool).await.unwrap();
    }
}

#[tokio::test]
async fn a_worker_of_its_own_does_what_the_service_leaves() {
    let service = Service::start_with(|setup| setup.var("EMBEDDED_WORKER", "off")).await.sign_in().await;
    interrupted(&service, Some(&pictures::png(40, 30))).await;
    assert_eq!(status(&service).await, "pending");
    let mut worker = Setup::new(&service.database.url, service.folder.path()).spawn_command("worker");
    eventually("it is ready", async || status(&service).await == "ready").await;
    worker.signal("-TERM");
    assert!(worker.ended().await.success());
}

#[tokio::test]
async fn a_job_that_fails_too_often_is_quarantined_and_can_be_tried_again() {
    let service = Service::signed_in().await;
    // What is stored under the thumbnail's key is a folder, so each attempt fails to store it.
    let blocked = service.folder.path().join(format!("thumbs/{ID}.webp"));
    fs_err::create_dir_all(blocked.join("x")).unwrap();
    interrupted(&service, Some(&pictures::png(40, 30))).await;
    eventually("the attempts are over", async || {
        // Instead of waiting for the pauses between attempts.
        sqlx::query("UPDATE job SET due_at = now() WHERE claim IS NULL").execute(&service.pool).await.unwrap();
        status(&service).await == "failed"
    })
    .await;
    assert_eq!(service.json(&format!("/api/media/{ID}")).await["failure"], "processing_failed");
    let (attempts, error): (i32, String) =
        sqlx::query_as("SELECT attempts, last_error FROM job").fetch_one(&service.pool).await.unwrap();
    assert_eq!(attempts, 4, "{error}");

    fs_err::remove_dir_all(blocked).unwrap();
    let again = service.request(Method::POST, &format!("/api/media/{ID}/thumbnails")).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::ACCEPTED);
    eventually("it is ready", async || status(&service).await == "ready").await;
}

/// The whole way of a clip and of a text, with the programs of this machine.
#[tokio::test]
async fn a_clip_gets_a_poster_and_the_text_of_a_picture_is_found() {
    let test = "work::a_clip_gets_a_poster_and_the_text_of_a_picture_is_found";
    let path = std::env::var("PATH").unwrap();
    let service = Service::start_with(|setup| setup.var("PATH", &path)).await.sign_in().await;
    let features = service.json("/api/health/readiness").await["features"].take();
    if features["video"] != "on" || features["ocr"] != "on" {
        return testkit::skipped(test, &format!("this machine lacks programs: {features}"));
    }
    let clip = service.folder.path().join("clip.mp4");
    let source = "-v error -f lavfi -i testsrc2=size=320x180:rate=25:duration=2 -pix_fmt yuv420p -c:v libx264";
    let made = std::process::Command::new("ffmpeg").args(source.split(' ')).arg(&clip).status().unwrap();
    assert!(made.success());
    let (status, media) = service.upload(&fs_err::read(&clip).unwrap(), "clip.mp4", "video/mp4").await;
    assert_eq!(status, StatusCode::CREATED, "{media}");
    assert_eq!(
        (
            &media["type"],
            &media["mime_type"],
            &media["width"],
            &media["duration_ms"],
            &media["codec"],
            &media["has_audio"]
        ),
        (&"video".into(), &"video/mp4".into(), &320.into(), &2000.into(), &"h264".into(), &false.into())
    );
    assert_eq!(media["clipboard_url"], Value::Null);
    assert_eq!(service.get(media["thumbnail_url"].as_str().unwrap()).await.status(), StatusCode::OK);
    assert_eq!(service.json("/api/media?type=video").await["items"][0]["id"], media["id"]);

    let text = service.folder.path().join("text.png");
    let draw = "drawtext=text='Tervetuloa saunaan':fontsize=64:x=40:y=40:fontcolor=black";
    let source = ["-v", "error", "-f", "lavfi", "-i", "color=white:size=900x160", "-vf", draw, "-frames:v", "1"];
    assert!(std::process::Command::new("ffmpeg").args(source).arg(&text).status().unwrap().success());
    let (_, picture) = service.upload(&fs_err::read(&text).unwrap(), "a.png", "image/png").await;
    eventually("its text is found by a Finnish stem", async || {
        service.json("/api/media?q=saunassa").await["items"][0]["id"] == picture["id"]
    })
    .await;
}

#[tokio::test]
async fn the_same_bytes_are_kept_once_and_a_repeated_request_is_answered_like_the_first() {
    let service = Service::signed_in().await;
    let upload = async |bytes: &[u8], key: Option<&str>| {
        let part = multipart::Part::bytes(bytes.to_vec()).file_name("a.png");
        let mut request =
            service.request(Method::POST, "/api/media").multipart(multipart::Form::new().part("file", part));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let response = request.send().await.unwrap();
        (response.status(), response.json::<Value>().await.unwrap())
    };
    let (one, other) = (pictures::png(20, 20), pictures::png(21, 20));
    let (status, first) = upload(&one, Some("\"k1\"")).await;
    assert_eq!((status, &first["duplicate"]), (StatusCode::CREATED, &false.into()));
    let (status, repeated) = upload(&one, Some("k1")).await;
    assert_eq!((status, &repeated["id"], &repeated["duplicate"]), (StatusCode::CREATED, &first["id"], &false.into()));
    let (status, duplicate) = upload(&one, None).await;
    assert_eq!((status, &duplicate["id"], &duplicate["duplicate"]), (StatusCode::OK, &first["id"], &true.into()));
    let (status, reused) = upload(&other, Some("k1")).await;
    assert_eq!(
        (status, &reused["error"]["code"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &"idempotency_key_reused".into())
    );
    assert_eq!((service.rows().await, service.stored().len()), (1, 3));

    // Of ten at once, one is added.
    let answers = futures_util::future::join_all((0..10).map(|_| upload(&other, None))).await;
    let created = answers.iter().filter(|(_, media)| media["duplicate"] == false).count();
    assert_eq!((created, service.rows().await), (1, 2), "{answers:?}");

    // What is in the trash does not stand in the way.
    service.delete(first["id"].as_str().unwrap()).await;
    let (status, anew) = upload(&one, None).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_ne!(anew["id"], first["id"]);
}
