//! Answers that are compressed, and those that must not be.

use std::io::Read as _;

use flate2::read::GzDecoder;
use reqwest::{Method, Response, StatusCode, header::HeaderMap};
use serde_json::{Value, json};

use crate::{pictures, support::Service};

async fn get(service: &Service, path: &str, accepted: &str) -> Response {
    let answer = service.request(Method::GET, path).header("accept-encoding", accepted).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    answer
}

/// `Content-Encoding`, `Vary` and the first byte of `ETag`.
fn said(headers: &HeaderMap) -> [Option<&str>; 3] {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap());
    [text("content-encoding"), text("vary"), text("etag").map(|tag| &tag[..1])]
}

#[tokio::test]
async fn json_is_compressed_for_clients_that_take_gzip_unless_it_is_secret_or_has_a_strong_tag() {
    let service = Service::signed_in().await;
    let (_, media) = service.upload(&pictures::png(40, 30), "a.png", "image/png").await;
    let id = media["id"].as_str().unwrap();
    let long = json!({ "name": "ä".repeat(255), "description": "a long description ".repeat(100) });
    assert_eq!(service.change(id, &long).await.status(), StatusCode::OK);

    let plain = get(&service, "/api/media", "identity").await;
    assert_eq!(said(plain.headers()), [None, Some("accept-encoding"), None]);
    let plain = plain.bytes().await.unwrap();
    for accepted in ["gzip", "br, gzip;q=0.5"] {
        let packed = get(&service, "/api/media", accepted).await;
        assert_eq!(said(packed.headers()), [Some("gzip"), Some("accept-encoding"), None], "{accepted}");
        let (packed, mut unpacked) = (packed.bytes().await.unwrap(), Vec::new());
        GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).unwrap();
        assert!(unpacked == plain && packed.len() < plain.len() / 2, "{} of {}", packed.len(), plain.len());
    }
    for refused in ["gzip;q=0", "br"] {
        assert_eq!(get(&service, "/api/media", refused).await.bytes().await.unwrap(), plain, "{refused}");
    }

    let described = get(&service, "/api/openapi.json", "gzip").await;
    assert_eq!(said(described.headers()), [Some("gzip"), Some("accept-encoding"), Some("W")]);

    // `If-Match` compares the tag of a media.
    let one = get(&service, &format!("/api/media/{id}"), "gzip").await;
    assert_eq!(said(one.headers()), [None, None, Some("\"")]);
    assert!(one.content_length().unwrap() > 1024);
    assert_eq!(said(get(&service, "/api/health/liveness", "gzip").await.headers()), [None, None, None]);
    let file = get(&service, media["thumbnail_url"].as_str().unwrap(), "gzip").await;
    assert_eq!(said(file.headers()), [None, None, Some("\"")]);
    assert_eq!(said(get(&service, "/api/events", "gzip").await.headers()), [None, None, None]);

    // The list of a share must be in no cache: the links in it open files.
    let shared = json!({ "items": [id], "title": "ä".repeat(200) });
    let shared = service.request(Method::POST, "/api/shares").json(&shared).send().await.unwrap();
    let token = shared.json::<Value>().await.unwrap()["token"].as_str().unwrap().to_owned();
    let list = get(&service, &format!("/api/shared/{token}"), "gzip").await;
    assert_eq!(said(list.headers()), [None, None, None]);
    assert!(list.content_length().unwrap() > 1024);
}
