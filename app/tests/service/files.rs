//! Serving stored files.

use reqwest::{Method, StatusCode};

use crate::{
    pictures,
    raw_http::Connection,
    support::{Service, eventually},
};

#[tokio::test]
async fn files_support_ranges_and_caching_and_cannot_run_scripts() {
    let service = Service::signed_in().await;
    let picture = pictures::jpeg(300, 200);
    let (_, media) = service.upload(&picture, "a \"quoted\" näme.html", "image/jpeg").await;
    let path = media["file_url"].as_str().unwrap();

    let whole = service.get(path).await;
    let header = |name: &str| whole.headers()[name].to_str().unwrap();
    assert_eq!(header("content-type"), "image/jpeg");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("content-security-policy"), "default-src 'none'; sandbox");
    assert_eq!(header("cache-control"), "private, max-age=31536000, immutable");
    assert_eq!(
        header("content-disposition"),
        "inline; filename=\"a _quoted_ n_me.html.jpg\"; filename*=UTF-8''a%20%22quoted%22%20n%C3%A4me.html.jpg"
    );
    assert_eq!(header("accept-ranges"), "bytes");
    let tag = header("etag").to_owned();
    assert!(whole.bytes().await.unwrap() == picture);

    let part = service.request(Method::GET, path).header("range", "bytes=10-19").send().await.unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.headers()["content-range"], format!("bytes 10-19/{}", picture.len()).as_str());
    assert_eq!(part.headers()["content-security-policy"], "default-src 'none'; sandbox");
    assert_eq!(part.bytes().await.unwrap(), &picture[10..20]);

    let beyond = service.request(Method::GET, path).header("range", "bytes=9999999-").send().await.unwrap();
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(beyond.headers()["content-range"], format!("bytes */{}", picture.len()).as_str());

    let again =
        service.request(Method::GET, path).header("if-none-match", format!("\"x\", W/{tag}")).send().await.unwrap();
    assert_eq!((again.status(), again.headers()["etag"].to_str().unwrap()), (StatusCode::NOT_MODIFIED, tag.as_str()));

    let head = service.request(Method::HEAD, path).send().await.unwrap();
    assert_eq!(head.headers()["content-length"], picture.len().to_string().as_str());

    let changed = service.request(Method::GET, path).header("range", "bytes=10-19").header("if-range", "\"old\"");
    let changed = changed.send().await.unwrap();
    assert_eq!(changed.status(), StatusCode::OK);
    assert!(changed.bytes().await.unwrap() == picture);

    let failed = service.request(Method::GET, path).header("if-match", "\"old\"").send().await.unwrap();
    assert_eq!(failed.status(), StatusCode::PRECONDITION_FAILED);

    let (unversioned, _) = path.split_once('?').unwrap();
    let unversioned = service.get(unversioned).await;
    assert_eq!(unversioned.headers()["cache-control"], "private, no-cache");

    let thumbnail = service.get(media["thumbnail_url"].as_str().unwrap()).await;
    assert_ne!(thumbnail.headers()["etag"].to_str().unwrap(), tag);
}

#[tokio::test]
async fn paths_outside_the_storage_and_media_that_is_not_ready_are_not_found() {
    let service = Service::signed_in().await;
    let (_, media) = service.upload(&pictures::png(8, 8), "a.png", "image/png").await;
    let id = media["id"].as_str().unwrap();
    let secret = service.folder.path().join("uploads/secret");
    fs_err::write(&secret, "secret").unwrap();

    let mut connection = Connection::open(&service.process.address).await.unwrap();
    for path in [
        "/api/files/".to_owned(),
        "/api/files/uploads/".into(),
        "/api/files/uploads/secret".into(),
        "/api/files/uploads/../uploads/secret".into(),
        "/api/files/../../../../etc/passwd".into(),
        "/api/files/uploads/..%2f..%2f..%2f..%2fetc%2fpasswd".into(),
        "/api/files/uploads%2fsecret".into(),
        "/api/files/%2fetc%2fpasswd".into(),
        "/api/files//etc/passwd".into(),
        "/api/files/uploads/%2e%2e/secret".into(),
        format!("/api/files/uploads/{id}%00"),
        format!("/api/files/uploads/{id}%00.jpg"),
        format!("/api/files/uploads/{id}/"),
        format!("/api/files/uploads/..%5c{id}"),
        format!("/api/files/uploads/{}", id.to_lowercase()),
        format!("/api/files/thumbs/{id}"),
        format!("/api/files/incoming/{id}"),
        format!("/api/files/uploads/%ff{id}"),
    ] {
        let response = connection.get(&path).await.unwrap();
        assert!(response.status == 404 || (path.contains("%ff") && response.status == 400), "{path}: {response:?}");
        assert!(response.body.contains("\"error\""), "{path}: {response:?}");
    }

    let found = connection.get(&format!("/api/files/uploads/{id}")).await.unwrap();
    assert_eq!(found.status, 200);
    // Another instance changes the row.
    sqlx::query("UPDATE media SET status = 'pending'").execute(&service.pool).await.unwrap();
    for key in [format!("uploads/{id}"), format!("thumbs/{id}.webp")] {
        let path = format!("/api/files/{key}");
        eventually("media that is not ready is not served", async || service.get(&path).await.status() == 404).await;
    }
}

#[tokio::test]
async fn a_deleted_file_is_gone_at_once_and_a_large_one_arrives_whole() {
    let service = Service::signed_in().await;
    let picture = pictures::png(2000, 1500);
    assert!(picture.len() > 1_000_000, "it is read in pieces");
    let (_, media) = service.upload(&picture, "a.png", "image/png").await;
    let (path, id) = (media["file_url"].as_str().unwrap(), media["id"].as_str().unwrap());
    assert!(service.get(path).await.bytes().await.unwrap() == picture);
    let part = service.request(Method::GET, path).header("range", "bytes=200000-899999").send().await.unwrap();
    assert_eq!(part.headers()["content-length"], "700000");
    assert!(part.bytes().await.unwrap() == picture[200_000..900_000]);

    let deleted = service.request(Method::DELETE, &format!("/api/media/{id}?permanent=true")).send().await.unwrap();
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    assert_eq!(service.get(path).await.status(), StatusCode::NOT_FOUND);
}
