//! Giving a media another file.

use reqwest::{Method, Response, StatusCode, multipart};
use serde_json::{Value, json};

use crate::{
    accounts::{json_of, waits_for_a_lock},
    pictures,
    support::{CLIENT, Service, Setup, eventually},
};

fn form(bytes: &[u8]) -> multipart::Form {
    multipart::Form::new().part("file", multipart::Part::bytes(bytes.to_vec()).file_name("new.png"))
}

async fn put(service: &Service, id: &str, version: &str, form: multipart::Form) -> Response {
    let request = service.request(Method::PUT, &format!("/api/media/{id}/file"));
    request.header("if-match", version).multipart(form).send().await.unwrap()
}

async fn code(response: Response) -> (u16, String) {
    let (status, body) = json_of(response).await;
    (status.as_u16(), body["error"]["code"].as_str().unwrap_or_default().to_owned())
}

async fn removals(service: &Service) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM removal").fetch_one(&service.pool).await.unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[tokio::test]
async fn a_replaced_file_is_served_in_the_place_of_the_old_one_and_the_rest_stays() {
    let service = Service::signed_in().await;
    let (_, old) = service.upload(&pictures::jpeg(300, 200), "old.jpg", "image/jpeg").await;
    let id = text(&old["id"]);
    let change = json!({ "name": "kept", "description": "kept too", "tags": ["x"] });
    assert_eq!(service.change(id, &change).await.status(), StatusCode::OK);
    // What another process is doing with the old file.
    let job = "INSERT INTO job (media, kind, due_at, claim) VALUES ($1, 'process', now() + interval '1 day', gen_random_uuid())";
    sqlx::query(job).bind(id).execute(&service.pool).await.unwrap();
    sqlx::query("UPDATE media SET ocr_text = 'of the old file'").execute(&service.pool).await.unwrap();

    let png = pictures::png(90, 60);
    let response = put(&service, id, "\"2\"", form(&png)).await;
    assert_eq!(response.headers()["etag"], "\"3\"");
    let (status, new) = json_of(response).await;
    assert_eq!((status, &new["duplicate"]), (StatusCode::OK, &json!(false)), "{new}");
    for (field, value) in [
        ("id", old["id"].clone()),
        ("name", json!("kept")),
        ("description", json!("kept too")),
        ("tags", json!(["x"])),
        ("created_at", old["created_at"].clone()),
        ("mime_type", json!("image/png")),
        ("size", json!(png.len())),
        ("width", json!(90)),
        ("height", json!(60)),
        ("ocr_text", Value::Null),
        ("version", json!(3)),
        ("status", json!("ready")),
    ] {
        assert_eq!(new[field], value, "{field}");
    }
    assert!(service.get(text(&new["file_url"])).await.bytes().await.unwrap() == png);
    let thumbnail = service.get(text(&new["thumbnail_url"])).await.bytes().await.unwrap();
    assert_eq!(pictures::decode_webp(&thumbnail).width(), 90);
    for url in ["file_url", "thumbnail_url", "clipboard_url"] {
        assert_ne!(new[url], old[url]);
        assert_eq!(service.get(text(&old[url])).await.status(), StatusCode::NOT_FOUND, "{url}");
    }
    assert_eq!((service.stored().len(), removals(&service).await), (3, 0));
    let jobs: i64 = sqlx::query_scalar("SELECT count(*) FROM job").fetch_one(&service.pool).await.unwrap();
    assert_eq!(jobs, 0, "the job on the old file has ended");

    let late = put(&service, id, "\"2\"", form(&pictures::png(91, 60))).await;
    assert_eq!(code(late).await, (412, "other_version".into()));
    let nowhere = put(&service, "01ARZ3NDEKTSV4RRFFQ69G5FAV", "*", form(&png)).await;
    assert_eq!(code(nowhere).await, (404, "not_found".into()));
    assert_eq!(code(put(&service, "x", "*", form(&png)).await).await, (404, "not_found".into()));

    // A media whose file was rejected is ready with one that is not.
    sqlx::query("UPDATE media SET status = 'failed', failure = 'corrupt_image'").execute(&service.pool).await.unwrap();
    let (status, mended) = json_of(put(&service, id, "*", form(&pictures::png(92, 60))).await).await;
    assert_eq!((status, &mended["status"], &mended["failure"]), (StatusCode::OK, &json!("ready"), &Value::Null));
    let deleted = service.request(Method::DELETE, &format!("/api/media/{id}?permanent=true")).send().await.unwrap();
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    service.assert_nothing_stored("deleted").await;
}

#[tokio::test]
async fn a_file_that_is_rejected_changes_nothing() {
    let service = Service::start_with(|setup| setup.var("MAX_UPLOAD_BYTES", 100_000)).await.sign_in().await;
    let picture = pictures::jpeg(300, 200);
    let (_, media) = service.upload(&picture, "old.jpg", "image/jpeg").await;
    let (id, stored) = (text(&media["id"]), service.stored());
    let cut = &pictures::png(90, 60)[..80];
    let twice = form(&pictures::png(9, 9)).part("file", multipart::Part::bytes(pictures::png(9, 9)));
    for (form, expected) in [
        (form(b"no picture"), (415, "unsupported_type")),
        (form(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), (415, "unsupported_type")),
        (form(cut), (422, "corrupt_image")),
        (form(&pictures::png_claiming(60_000, 60_000, 8, 2)), (422, "too_many_pixels")),
        (form(b""), (400, "empty_file")),
        (form(&[0xff; 100_001]), (413, "too_large")),
        (multipart::Form::new(), (400, "bad_multipart")),
        (form(b"x").text("name", "x"), (400, "bad_multipart")),
        (multipart::Form::new().text("name", "x"), (400, "bad_multipart")),
        (twice, (400, "bad_multipart")),
    ] {
        let response = put(&service, id, "\"1\"", form).await;
        assert_eq!(code(response).await, (expected.0, expected.1.to_owned()));
    }
    let json = service.request(Method::PUT, &format!("/api/media/{id}/file")).json(&json!({})).send().await.unwrap();
    assert_eq!(code(json).await, (400, "bad_multipart".into()));
    sqlx::query("UPDATE media SET status = 'pending'").execute(&service.pool).await.unwrap();
    let response = put(&service, id, "*", form(&pictures::png(9, 9))).await;
    assert_eq!(code(response).await, (409, "pending".into()));
    sqlx::query("UPDATE media SET status = 'ready'").execute(&service.pool).await.unwrap();

    let mut now = service.json(&format!("/api/media/{id}")).await;
    now["duplicate"] = false.into();
    assert_eq!(now, media);
    assert!(service.get(text(&media["file_url"])).await.bytes().await.unwrap() == picture);
    assert_eq!((service.stored(), removals(&service).await), (stored, 0));
}

#[tokio::test]
async fn bytes_that_the_gallery_has_are_told() {
    let service = Service::signed_in().await;
    let (one, other) = (pictures::png(10, 9), pictures::png(11, 9));
    let (_, media) = service.upload(&one, "a.png", "image/png").await;
    let (_, another) = service.upload(&other, "b.png", "image/png").await;
    let id = text(&media["id"]);
    let (status, same) = json_of(put(&service, id, "\"1\"", form(&one)).await).await;
    assert_eq!((status, &same["duplicate"], &same["version"]), (StatusCode::OK, &json!(true), &json!(1)));
    assert_eq!(same["file_url"], media["file_url"]);

    let (status, taken) = json_of(put(&service, id, "\"1\"", form(&other)).await).await;
    assert_eq!((status, &taken["error"]["code"]), (StatusCode::CONFLICT, &json!("duplicate")));
    assert!(text(&taken["error"]["message"]).contains(text(&another["id"])), "{taken}");
    // What is in the trash is not told of, as in an upload.
    service.delete(text(&another["id"])).await;
    assert_eq!(put(&service, id, "\"1\"", form(&other)).await.status(), StatusCode::OK);
    // The bytes that it had are free.
    let (status, again) = service.upload(&one, "a.png", "image/png").await;
    assert_eq!((status, &again["duplicate"]), (StatusCode::CREATED, &json!(false)));
}

#[tokio::test]
async fn of_two_replacements_of_a_version_one_is_done_and_who_reads_the_old_file_gets_all_of_it() {
    let service = Service::start_with(|setup| setup.var("MAX_UPLOAD_BYTES", 40 << 20)).await.sign_in().await;
    // What follows the end of a picture does not harm it, and fits into no socket's buffer.
    let mut large = pictures::jpeg(300, 200);
    large.extend(std::iter::repeat_n(0, 30 << 20));
    let (status, media) = service.upload(&large, "a.jpg", "image/jpeg").await;
    assert_eq!(status, StatusCode::CREATED, "{media}");
    let id = text(&media["id"]);
    let reading = service.get(text(&media["file_url"])).await;
    assert_eq!(reading.status(), StatusCode::OK);

    let (one, other) = (pictures::png(10, 9), pictures::png(11, 9));
    let (first, second) =
        tokio::join!(put(&service, id, "\"1\"", form(&one)), put(&service, id, "\"1\"", form(&other)));
    let mut statuses = [first.status().as_u16(), second.status().as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
    eventually("what the other one stored is removed", async || {
        service.stored().len() == 3 && removals(&service).await == 0
    })
    .await;
    assert!(reading.bytes().await.unwrap() == large);
    assert_eq!(service.get(text(&media["file_url"])).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_process_that_dies_while_it_replaces_a_file_leaves_the_old_one() {
    let mut service = Service::signed_in().await;
    let (picture, new) = (pictures::located(&pictures::jpeg(300, 200)), pictures::located(&pictures::jpeg(90, 60)));
    let (_, media) = service.upload(&picture, "a.jpg", "image/jpeg").await;
    let (url, stored) = (text(&media["file_url"]), service.stored());
    assert_eq!(stored.len(), 4, "one of them is as it was received");

    // The lock that the replacement takes once its objects are complete.
    let mut lock = service.pool.begin().await.unwrap();
    let name = hex::encode(ring::digest::digest(&ring::digest::SHA256, &new));
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))").bind(name).execute(&mut *lock).await.unwrap();
    let path = format!("http://{}/api/media/{}/file", service.process.address, text(&media["id"]));
    let replacing = tokio::spawn(CLIENT.put(path).bearer_auth(&service.token).multipart(form(&new)).send());
    waits_for_a_lock(&service).await;
    assert_eq!((service.stored().len(), removals(&service).await), (8, 2));
    assert_eq!(service.get(url).await.status(), StatusCode::OK, "until then the old one is served");
    service.process.signal("-KILL");
    service.process.ended().await;
    replacing.await.unwrap().unwrap_err();
    lock.rollback().await.unwrap();

    sqlx::query("UPDATE removal SET due_at = now()").execute(&service.pool).await.unwrap();
    service.process = Setup::new(&service.database.url, service.folder.path()).start().await;
    eventually("the new objects are removed", async || service.stored() == stored).await;
    assert_eq!(service.get(url).await.status(), StatusCode::OK);
    let original = service.get(&format!("/api/media/{}/original", text(&media["id"]))).await;
    assert!(original.bytes().await.unwrap() == picture);
}

#[tokio::test]
async fn a_replacement_whose_database_connection_ends_leaves_the_old_file_and_nothing_else() {
    let service = Service::signed_in().await;
    let (_, media) = service.upload(&pictures::png(10, 9), "a.png", "image/png").await;
    let (id, stored, new) = (text(&media["id"]), service.stored(), pictures::png(11, 9));
    let mut lock = service.pool.begin().await.unwrap();
    let name = hex::encode(ring::digest::digest(&ring::digest::SHA256, &new));
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))").bind(name).execute(&mut *lock).await.unwrap();
    let end = async {
        waits_for_a_lock(&service).await;
        let waiting = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        sqlx::query(waiting).execute(&service.pool).await.unwrap();
    };
    let (ended, ()) = tokio::join!(put(&service, id, "*", form(&new)), end);
    assert!(ended.status().is_server_error());
    lock.rollback().await.unwrap();
    assert_eq!((service.stored(), removals(&service).await), (stored, 0));
    assert_eq!(service.json(&format!("/api/media/{id}")).await["file_url"], media["file_url"]);
    assert_eq!(put(&service, id, "*", form(&new)).await.status(), StatusCode::OK, "and it can be done again");
}

#[tokio::test]
async fn a_replacement_that_takes_longer_than_its_objects_are_kept_changes_nothing() {
    let service = Service::signed_in().await;
    let (_, media) = service.upload(&pictures::png(10, 9), "a.png", "image/png").await;
    let (id, new) = (text(&media["id"]), pictures::png(11, 9));
    let mut lock = service.pool.begin().await.unwrap();
    let name = hex::encode(ring::digest::digest(&ring::digest::SHA256, &new));
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))").bind(name).execute(&mut *lock).await.unwrap();
    let release = async {
        waits_for_a_lock(&service).await;
        sqlx::query("UPDATE removal SET attempts = 1").execute(&service.pool).await.unwrap();
        lock.rollback().await.unwrap();
    };
    let (late, ()) = tokio::join!(put(&service, id, "*", form(&new)), release);
    assert_eq!(code(late).await, (500, "internal".into()));
    assert_eq!(service.json(&format!("/api/media/{id}")).await["file_url"], media["file_url"]);
    assert_eq!(service.get(text(&media["file_url"])).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_location_is_kept_from_others_in_a_replaced_file_too_and_goes_with_it() {
    let service = Service::signed_in().await;
    let (_, media) = service.upload(&pictures::png(10, 9), "a.png", "image/png").await;
    let id = text(&media["id"]);
    let picture = pictures::located(&pictures::jpeg(300, 200));
    let (_, located) = json_of(put(&service, id, "*", form(&picture)).await).await;
    assert_eq!(located["has_location"], true, "{located}");
    assert!(service.get(text(&located["file_url"])).await.bytes().await.unwrap() != picture);
    let original = service.get(&format!("/api/media/{id}/original")).await;
    assert!(original.bytes().await.unwrap() == picture);
    assert_eq!(service.stored().len(), 4);
    let (status, again) = json_of(put(&service, id, "*", form(&picture)).await).await;
    assert_eq!((status, &again["duplicate"]), (StatusCode::OK, &json!(true)), "as it was received");

    let png = pictures::png(11, 9);
    let (_, without) = json_of(put(&service, id, "*", form(&png)).await).await;
    assert_eq!(without["has_location"], false, "{without}");
    let original = service.get(&format!("/api/media/{id}/original")).await;
    assert!(original.bytes().await.unwrap() == png);
    assert_eq!((service.stored().len(), removals(&service).await), (3, 0));
}

#[tokio::test]
async fn the_text_of_a_replaced_file_is_recognised_anew() {
    let path = std::env::var("PATH").unwrap();
    let service = Service::start_with(|setup| setup.var("PATH", &path)).await.sign_in().await;
    let (_, media) = service.upload(&pictures::png(200, 90), "a.png", "image/png").await;
    let text_of = async |what: &str| {
        let sql = sqlx::AssertSqlSafe(format!("SELECT {what} FROM media"));
        sqlx::query_scalar::<_, bool>(sql).fetch_one(&service.pool).await.unwrap()
    };
    let features = service.json("/api/health/readiness").await["features"].take();
    if features["ocr"] != "on" {
        let test = "replace::the_text_of_a_replaced_file_is_recognised_anew";
        return testkit::skipped(test, &format!("this machine lacks programs: {features}"));
    }
    eventually("it is recognised", async || text_of("ocr_text IS NOT NULL").await).await;
    sqlx::query("UPDATE media SET ocr_text = 'of the old file'").execute(&service.pool).await.unwrap();
    let (status, new) = json_of(put(&service, text(&media["id"]), "*", form(&pictures::png(201, 90))).await).await;
    assert_eq!(status, StatusCode::OK, "{new}");
    assert_ne!(new["ocr_text"], "of the old file");
    eventually("it is recognised again", async || {
        text_of("ocr_text IS NOT NULL AND ocr_text <> 'of the old file'").await
    })
    .await;
}
