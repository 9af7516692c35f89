//! Uploads that pass the service by: a signed URL, the store, the worker's validation; and signed downloads.

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    access::session_token,
    pictures,
    storage::Bucket,
    support::{CLIENT, Service, eventually},
};

pub(crate) const CREATE: &str = "/api/image/v1/upload/create-presigned-url";

pub(crate) async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

pub(crate) async fn create(service: &Service, body: Value) -> (StatusCode, Value) {
    answer(service.request(Method::POST, CREATE).json(&body)).await
}

/// The id and the URL of a new upload.
pub(crate) async fn created(service: &Service, content_type: &str) -> (String, String) {
    let (status, upload) = create(service, json!({ "content_type": content_type, "file_name": "a" })).await;
    assert_eq!(status, StatusCode::CREATED, "{upload}");
    (upload["image_id"].as_str().unwrap().to_owned(), upload["upload_url"].as_str().unwrap().to_owned())
}

pub(crate) async fn put(url: &str, content_type: &str, bytes: &[u8]) -> Response {
    CLIENT.put(url).header("content-type", content_type).body(bytes.to_vec()).send().await.unwrap()
}

pub(crate) async fn complete(service: &Service, id: &str) -> (StatusCode, Value) {
    answer(service.request(Method::POST, &format!("/api/image/v1/upload/{id}/complete"))).await
}

/// What becomes of an upload, as the service tells a client that waits.
pub(crate) async fn settled(service: &Service, id: &str) -> Value {
    let mut upload = Value::Null;
    eventually("the upload is settled", async || {
        upload = service.json(&format!("/api/image/v1/upload/{id}?wait=50")).await;
        upload["status"] != "pending"
    })
    .await;
    upload
}

/// The token of another member.
pub(crate) async fn other_member(service: &Service) -> String {
    let account: Uuid =
        sqlx::query_scalar("INSERT INTO account (username, password_hash) VALUES ('other', 'none') RETURNING id")
            .fetch_one(&service.pool)
            .await
            .unwrap();
    let session =
        "INSERT INTO session (account, user_agent, expires_at) VALUES ($1, '', now() + interval '1 day') RETURNING id";
    session_token(account, sqlx::query_scalar(session).bind(account).fetch_one(&service.pool).await.unwrap())
}

#[tokio::test]
async fn a_presigned_upload_becomes_a_media_and_its_url_changes_nothing_after_that() {
    let test = "a_presigned_upload_becomes_a_media_and_its_url_changes_nothing_after_that";
    let Some(bucket) = Bucket::start(test) else { return };
    let service = Service::start_with(|setup| bucket.use_by(setup)).await.sign_in().await;
    let picture = pictures::jpeg(300, 200);
    let body = json!({ "content_type": "image/jpeg", "file_name": "a.jpg", "content_length": picture.len() });
    let (status, upload) = create(&service, body).await;
    assert_eq!(status, StatusCode::CREATED, "{upload}");
    let names: Vec<_> = upload.as_object().unwrap().keys().collect();
    assert_eq!(names, ["expires_at", "image_id", "upload_url"]);
    let (id, url) = (upload["image_id"].as_str().unwrap(), upload["upload_url"].as_str().unwrap());
    assert!(url.contains(&format!("/media/uploads/{id}?")) && url.contains("X-Amz-Expires=300"), "{url}");
    let pending = json!({ "image_id": id, "status": "pending", "failure": null, "duplicate_of": null, "size": null });
    assert_eq!(service.json(&format!("/api/image/v1/upload/{id}")).await, pending);
    assert_eq!(service.json("/api/media").await["items"], json!([]), "it is listed once it was received");
    let (status, error) = complete(&service, id).await;
    assert_eq!((status, &error["error"]["code"]), (StatusCode::CONFLICT, &json!("not_uploaded")));
    let download = format!("/api/image/v1/download/get-signed-url/{id}");
    assert_eq!(service.get(&download).await.status(), StatusCode::NOT_FOUND);

    assert_eq!(put(url, "text/html", &picture).await.status(), StatusCode::FORBIDDEN, "the type is signed");
    assert_eq!(put(url, "image/jpeg", &picture[1..]).await.status(), StatusCode::FORBIDDEN, "the length is signed");
    let stored = put(url, "image/jpeg", &picture).await;
    assert_eq!(stored.status(), StatusCode::OK);
    let path = format!("/api/image/v1/upload/{id}/complete");
    let (status, error) = answer(service.request(Method::POST, &path).header("if-match", "\"0\"")).await;
    assert_eq!((status, &error["error"]["code"]), (StatusCode::PRECONDITION_FAILED, &json!("other_file")));
    let told = service.request(Method::POST, &path).header("if-match", &stored.headers()["etag"]);
    assert_eq!(answer(told).await.0, StatusCode::OK);
    let ready =
        json!({ "image_id": id, "status": "ready", "failure": null, "duplicate_of": null, "size": picture.len() });
    assert_eq!(settled(&service, id).await, ready);

    assert_eq!(service.json("/api/media").await["items"][0]["id"], id);
    let media = service.json(&format!("/api/media/{id}")).await;
    assert_eq!(
        (&media["name"], &media["mime_type"], &media["width"]),
        (&json!("a.jpg"), &json!("image/jpeg"), &json!(300))
    );
    let thumbnail = CLIENT.get(media["thumbnail_url"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(thumbnail.headers()["content-type"], "image/webp");
    let file: String =
        sqlx::query_scalar("SELECT file FROM media WHERE id = $1").bind(id).fetch_one(&service.pool).await.unwrap();
    let objects = [format!("clipboard/{file}.png"), format!("thumbs/{file}.webp"), format!("uploads/{file}")];
    eventually("the client's object is removed", async || bucket.objects() == objects).await;

    // The URL is still valid: what is put there is not served, and is removed once the URL has expired.
    let other = vec![7; picture.len()];
    assert_eq!(put(url, "image/jpeg", &other).await.status(), StatusCode::OK);
    assert_eq!(complete(&service, id).await, (StatusCode::OK, ready));
    let signed = service.json(&download).await;
    assert_eq!(signed["image_id"], id);
    assert!(signed["download_url"].as_str().unwrap().contains("X-Amz-Expires=600"), "{signed}");
    let served = CLIENT.get(signed["download_url"].as_str().unwrap()).send().await.unwrap();
    assert!(served.bytes().await.unwrap() == picture);
    let due: Vec<bool> = sqlx::query_scalar("SELECT due_at > now() + interval '1 hour' FROM removal WHERE file = $1")
        .bind(id)
        .fetch_all(&service.pool)
        .await
        .unwrap();
    assert_eq!(due, [true]);

    let unknown = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    let list = async |ids: Value| {
        let request = service.request(Method::POST, "/api/image/v1/download/get-signed-urls");
        answer(request.json(&json!({ "image_ids": ids }))).await
    };
    let (status, urls) = list(json!([id, unknown, id])).await;
    assert_eq!((status, &urls["not_found"]), (StatusCode::OK, &json!([unknown])));
    assert_eq!(urls["items"].as_array().unwrap().len(), 1);
    for bad in [json!([]), json!(vec![unknown; 51]), json!([id.to_lowercase()])] {
        assert_eq!(list(bad).await.0, StatusCode::BAD_REQUEST);
    }

    let other = other_member(&service).await;
    for (method, path) in [(Method::GET, format!("/api/image/v1/upload/{id}")), (Method::POST, path)] {
        let request = CLIENT.request(method, format!("http://{}{path}", service.process.address)).bearer_auth(&other);
        assert_eq!(request.send().await.unwrap().status(), StatusCode::NOT_FOUND, "of another account: {path}");
    }
}

#[tokio::test]
async fn what_is_not_as_it_was_declared_is_refused_with_a_reason_and_removed() {
    let Some(bucket) = Bucket::start("what_is_not_as_it_was_declared_is_refused_with_a_reason_and_removed") else {
        return;
    };
    let limits = |setup| bucket.use_by(setup).var("MAX_UPLOAD_BYTES", 20_000).var("MAX_PENDING_UPLOADS", 2);
    let service = Service::start_with(limits).await.sign_in().await;
    let jpeg = pictures::jpeg(40, 30);
    let huge = [jpeg.clone(), vec![0; 20_000]].concat();
    for (content_type, bytes, failure) in [
        ("image/png", &jpeg[..], "other_type"),
        ("image/gif", b"<html>", "unsupported_type"),
        ("image/jpeg", &[], "empty_file"),
        ("image/jpeg", &huge, "too_large"),
        ("image/jpeg", &jpeg[..jpeg.len() / 2], "corrupt_image"),
    ] {
        let (id, url) = created(&service, content_type).await;
        assert_eq!(put(&url, content_type, bytes).await.status(), StatusCode::OK, "{failure}");
        assert_eq!(complete(&service, &id).await.0, StatusCode::OK);
        assert_eq!(settled(&service, &id).await["failure"], failure);
        eventually("nothing of it is stored", async || bucket.objects().is_empty()).await;
    }

    let long = "ä".repeat(256);
    for (content_type, name, code) in [
        ("image/jpeg; charset=utf-8", "a", "invalid_content_type"),
        ("IMAGE/JPEG", "a", "invalid_content_type"),
        ("image/*", "a", "invalid_content_type"),
        ("image/svg+xml", "a", "invalid_content_type"),
        ("", "a", "invalid_content_type"),
        ("image/jpeg", "", "invalid_name"),
        ("image/jpeg", "a\u{7}", "invalid_name"),
        ("image/jpeg", &long, "invalid_name"),
    ] {
        let (status, error) = create(&service, json!({ "content_type": content_type, "file_name": name })).await;
        assert_eq!(
            (status, &error["error"]["code"]),
            (StatusCode::BAD_REQUEST, &json!(code)),
            "{content_type:?} {name:?}"
        );
    }
    for body in [json!({}), json!({ "content_type": "image/png", "file_name": "a", "content_length": 0 })] {
        assert_eq!(create(&service, body).await.0, StatusCode::BAD_REQUEST);
    }
    let longest = json!({ "content_type": "image/avif", "file_name": &long["ä".len()..] });
    for status in [StatusCode::CREATED, StatusCode::CREATED, StatusCode::TOO_MANY_REQUESTS] {
        assert_eq!(create(&service, longest.clone()).await.0, status);
    }
}

#[tokio::test]
async fn uploads_that_no_client_has_told_of_are_found_and_those_that_never_arrive_are_deleted() {
    let test = "uploads_that_no_client_has_told_of_are_found_and_those_that_never_arrive_are_deleted";
    let Some(bucket) = Bucket::start(test) else { return };
    let often = |setup| bucket.use_by(setup).var("PENDING_LOOK_SECONDS", 1);
    let service = Service::start_with(often).await.sign_in().await;
    let picture = pictures::png(40, 30);
    let (id, url) = created(&service, "image/png").await;
    let (lost, _) = created(&service, "image/png").await;
    sqlx::query("UPDATE presigned_upload SET expires_at = now() - interval '11 minutes' WHERE media = $1")
        .bind(&lost)
        .execute(&service.pool)
        .await
        .unwrap();
    assert_eq!(put(&url, "image/png", &picture).await.status(), StatusCode::OK);
    assert_eq!(settled(&service, &id).await["status"], "ready");
    eventually("the lost one is deleted", async || {
        service.get(&format!("/api/image/v1/upload/{lost}")).await.status() == StatusCode::NOT_FOUND
    })
    .await;

    let (again, url) = created(&service, "image/png").await;
    assert_eq!(put(&url, "image/png", &picture).await.status(), StatusCode::OK);
    let duplicate = settled(&service, &again).await;
    assert_eq!((&duplicate["failure"], &duplicate["duplicate_of"]), (&json!("duplicate"), &json!(id)));
    assert_eq!(service.json("/api/media").await["items"].as_array().unwrap().len(), 1);
    eventually("the client's objects are removed", async || bucket.objects().len() == 3).await;
}

#[tokio::test]
async fn a_file_is_sent_in_parts_of_which_the_client_learns_what_is_missing() {
    let Some(bucket) = Bucket::start("a_file_is_sent_in_parts_of_which_the_client_learns_what_is_missing") else {
        return;
    };
    let service =
        Service::start_with(|setup| bucket.use_by(setup).var("MAX_UPLOAD_BYTES", 10 << 20)).await.sign_in().await;
    let begin = async |length: usize| {
        let body = json!({ "content_type": "image/jpeg", "file_name": "large.jpg", "content_length": length });
        answer(service.request(Method::POST, "/api/image/v1/upload/multipart").json(&body)).await
    };
    assert_eq!(begin((10 << 20) + 1).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    // A decoder ends before the zeros.
    let picture = [pictures::jpeg(60, 40), vec![0; 9 << 20]].concat();
    let (status, upload) = begin(picture.len()).await;
    assert_eq!(
        (status, &upload["part_size"], &upload["part_count"]),
        (StatusCode::CREATED, &json!(8 << 20), &json!(2))
    );
    let id = upload["image_id"].as_str().unwrap();
    let path = format!("/api/image/v1/upload/{id}/parts");
    let sign = async |numbers: Value| {
        answer(service.request(Method::POST, &path).json(&json!({ "part_numbers": numbers }))).await
    };
    for bad in [json!([]), json!([0]), json!([3])] {
        assert_eq!(sign(bad).await.0, StatusCode::BAD_REQUEST);
    }
    let (_, urls) = sign(json!([2, 1])).await;
    let url = |at: usize| urls["items"][at]["upload_url"].as_str().unwrap();
    let (first, second) = picture.split_at(8 << 20);
    assert_eq!(put(url(0), "image/jpeg", &second[1..]).await.status(), StatusCode::FORBIDDEN, "the size is signed");
    assert_eq!(put(url(0), "image/jpeg", second).await.status(), StatusCode::OK);
    let arrived = service.json(&path).await;
    assert_eq!(arrived["items"].as_array().unwrap().len(), 1);
    assert_eq!((&arrived["items"][0]["part_number"], &arrived["items"][0]["size"]), (&json!(2), &json!(second.len())));
    let (status, error) = complete(&service, id).await;
    assert_eq!((status, &error["error"]["code"]), (StatusCode::CONFLICT, &json!("not_uploaded")));

    assert_eq!(put(url(1), "image/jpeg", first).await.status(), StatusCode::OK);
    assert_eq!(complete(&service, id).await.0, StatusCode::OK);
    let ready = settled(&service, id).await;
    assert_eq!((&ready["status"], &ready["size"]), (&json!("ready"), &json!(picture.len())));
    assert_eq!(service.get(&path).await.status(), StatusCode::NOT_FOUND, "there are no parts any more");

    let (_, upload) = begin(picture.len()).await;
    let path = format!("/api/image/v1/upload/{}", upload["image_id"].as_str().unwrap());
    assert_eq!(service.request(Method::DELETE, &path).send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(service.get(&path).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn without_a_store_the_service_takes_the_file_at_the_url_that_it_has_signed() {
    let service = Service::signed_in().await;
    let picture = pictures::webp(40, 30);
    let (id, path) = created(&service, "image/webp").await;
    assert!(path.starts_with(&format!("/api/uploads/{id}?token=")), "{path}");
    let url = format!("http://{}{path}", service.process.address);
    let (_, other) = created(&service, "image/webp").await;
    let forged = format!("http://{}/api/uploads/{id}?{}", service.process.address, other.split_once('?').unwrap().1);
    assert_eq!(put(&forged, "image/webp", &picture).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(put(&url, "image/png", &picture).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(put(&url, "image/webp", b"").await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(service.stored(), Vec::<std::path::PathBuf>::new());

    assert_eq!(put(&url, "image/webp", &picture).await.status(), StatusCode::OK);
    assert_eq!(settled(&service, &id).await["status"], "ready");
    assert_eq!(put(&url, "image/webp", &picture).await.status(), StatusCode::NOT_FOUND, "it is settled");
    let signed = service.json(&format!("/api/image/v1/download/get-signed-url/{id}")).await;
    let served = service.get(signed["download_url"].as_str().unwrap()).await;
    assert!(served.bytes().await.unwrap() == picture);
    let body = json!({ "content_type": "image/webp", "file_name": "a", "content_length": 1 });
    let (status, error) = answer(service.request(Method::POST, "/api/image/v1/upload/multipart").json(&body)).await;
    assert_eq!((status, &error["error"]["code"]), (StatusCode::CONFLICT, &json!("no_bucket")));
    eventually("the client's file is removed", async || service.stored().len() == 3).await;
    assert!(!service.folder.path().join("uploads").join(&id).exists());
}
