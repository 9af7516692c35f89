//! Uploads that are continued after a cut connection: tus 1.0, by hand and by tus-js-client.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::{
    pictures,
    raw_http::Connection,
    support::{Service, eventually},
};

async fn send(service: &Service, method: Method, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
    let mut request = service.request(method, path).header("tus-resumable", "1.0.0").body(body.to_vec());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

async fn create(service: &Service, length: usize, name: &str) -> String {
    let metadata = format!("filetype aW1hZ2UvcG5n,filename {}", BASE64_STANDARD.encode(name));
    let length = length.to_string();
    let headers = [("upload-length", length.as_str()), ("upload-metadata", metadata.as_str())];
    let created = send(service, Method::POST, "/api/uploads", &headers, b"").await;
    assert_eq!(created.status(), StatusCode::CREATED);
    assert!(created.headers()["upload-expires"].to_str().unwrap().ends_with(" GMT"));
    created.headers()["location"].to_str().unwrap().to_owned()
}

async fn append(service: &Service, path: &str, offset: usize, bytes: &[u8], more: &[(&str, &str)]) -> Response {
    let offset = offset.to_string();
    let mut headers = vec![("upload-offset", offset.as_str()), ("content-type", "application/offset+octet-stream")];
    headers.extend(more);
    send(service, Method::PATCH, path, &headers, bytes).await
}

async fn offset(service: &Service, path: &str) -> (StatusCode, String) {
    let head = send(service, Method::HEAD, path, &[], b"").await;
    let offset = head.headers().get("upload-offset").map_or("", |value| value.to_str().unwrap()).to_owned();
    (head.status(), offset)
}

/// As long as a part is being sent, nobody knows whether it stays.
#[tokio::test]
async fn a_part_that_is_cut_off_again_was_never_added() {
    let service = Service::signed_in().await;
    let picture = pictures::jpeg(300, 200);
    let path = create(&service, picture.len(), "a.jpg").await;
    let mut connection = Connection::open(&service.process.address).await.unwrap();
    let head = format!(
        "PATCH {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ntus-resumable: 1.0.0\r\nupload-offset: 0\r\n\
         upload-checksum: sha1 {}\r\ncontent-type: application/offset+octet-stream\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n",
        service.token,
        BASE64_STANDARD.encode([0; 20]),
        picture.len()
    );
    connection.send(&[head.as_bytes(), &picture, b"\r\n"].concat()).await.unwrap();
    let all = picture.len().to_string();
    eventually("all bytes have arrived", async || offset(&service, &path).await.1 == all).await;
    assert_eq!(service.rows().await, 0);
    connection.send(b"0\r\n\r\n").await.unwrap();
    assert_eq!(connection.response().await.unwrap().status, 460);
    assert_eq!(offset(&service, &path).await.1, "0");
    assert_eq!(append(&service, &path, 0, &picture, &[]).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(service.rows().await, 1);
}

#[tokio::test]
async fn an_upload_in_parts_goes_on_where_the_last_part_ended() {
    let service = Service::signed_in().await;
    let picture = pictures::jpeg(900, 600);
    let path = create(&service, picture.len(), "Loma ☀.jpg").await;
    assert_eq!(offset(&service, &path).await, (StatusCode::OK, "0".to_owned()));
    let first = append(&service, &path, 0, &picture[..1000], &[]).await;
    assert_eq!((first.status(), first.headers()["upload-offset"].to_str().unwrap()), (StatusCode::NO_CONTENT, "1000"));

    // A part at another place, with another type, with a wrong checksum, or beyond the end changes nothing.
    assert_eq!(append(&service, &path, 0, &picture[..10], &[]).await.status(), StatusCode::CONFLICT);
    let untyped = send(&service, Method::PATCH, &path, &[("upload-offset", "1000")], b"x").await;
    assert_eq!(untyped.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let wrong = format!("sha1 {}", BASE64_STANDARD.encode([0; 20]));
    let wrong = append(&service, &path, 1000, &picture[1000..2000], &[("upload-checksum", &wrong)]).await;
    assert_eq!(wrong.status().as_u16(), 460);
    let long = append(&service, &path, 1000, &[&picture[1000..], b"x"].concat(), &[]).await;
    assert_eq!(long.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(offset(&service, &path).await.1, "1000");

    // The connection is cut in the middle of a part: what has arrived counts.
    let mut connection = Connection::open(&service.process.address).await.unwrap();
    let head = format!(
        "PATCH {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ntus-resumable: 1.0.0\r\nupload-offset: 1000\r\n\
         content-type: application/offset+octet-stream\r\ncontent-length: {}\r\n\r\n",
        service.token,
        picture.len() - 1000
    );
    connection.send(head.as_bytes()).await.unwrap();
    connection.send(&picture[1000..3000]).await.unwrap();
    eventually("the bytes have arrived", async || offset(&service, &path).await.1 == "3000").await;
    let locked = append(&service, &path, 3000, &picture[3000..], &[]).await;
    assert_eq!(locked.status(), StatusCode::LOCKED);
    drop(connection);

    // The service is killed and starts again.
    let service = service.restart().await;
    let digest = ring::digest::digest(&ring::digest::SHA256, &picture[3000..]);
    let right = format!("sha256 {}", BASE64_STANDARD.encode(digest));
    let last = append(&service, &path, 3000, &picture[3000..], &[("upload-checksum", &right)]).await;
    assert_eq!(last.status(), StatusCode::NO_CONTENT, "{:?}", last.text().await);
    let id = last.headers()["upload-media"].to_str().unwrap().to_owned();
    let media = service.json(&format!("/api/media/{id}")).await;
    assert_eq!((&media["name"], &media["status"]), (&json!("Loma ☀.jpg"), &json!("ready")));
    assert!(service.get(media["file_url"].as_str().unwrap()).await.bytes().await.unwrap() == picture);
    assert_eq!(offset(&service, &path).await, (StatusCode::OK, picture.len().to_string()));
    assert_eq!(service.received().len(), 0, "its file is in the storage only");

    assert_eq!(send(&service, Method::DELETE, &path, &[], b"").await.status(), StatusCode::NO_CONTENT);
    assert_eq!(offset(&service, &path).await.0, StatusCode::NOT_FOUND);
    assert_eq!(service.json(&format!("/api/media/{id}")).await["status"], "ready");
}

#[tokio::test]
async fn what_is_rejected_is_told_with_the_last_part_and_gone() {
    let service = Service::signed_in().await;
    let text = b"not a picture at all";
    let path = create(&service, text.len(), "a.png").await;
    let refused = append(&service, &path, 0, text, &[]).await;
    assert_eq!(refused.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(refused.json::<Value>().await.unwrap()["error"]["code"], "unsupported_type");
    assert_eq!(offset(&service, &path).await.0, StatusCode::NOT_FOUND);
    assert_eq!((service.received().len(), service.rows().await), (0, 0));
}

#[tokio::test]
async fn bad_creations_are_refused_and_others_do_not_see_an_upload() {
    let service = Service::signed_in().await;
    let long = (10_485_760 + 1).to_string();
    for (headers, status) in [
        (vec![], 400),
        (vec![("upload-length", "0")], 400),
        (vec![("upload-length", "-1")], 400),
        (vec![("upload-length", long.as_str())], 413),
        (vec![("upload-length", "5"), ("upload-metadata", "filename !")], 400),
        (vec![("upload-length", "5"), ("upload-metadata", "filename YS9i")], 400),
    ] {
        let refused = send(&service, Method::POST, "/api/uploads", &headers, b"").await;
        assert_eq!(refused.status().as_u16(), status, "{headers:?}");
    }
    let path = create(&service, 5, "a.png").await;
    let other = sqlx::query("UPDATE resumable_upload SET expires_at = now() - interval '1 second'");
    other.execute(&service.pool).await.unwrap();
    assert_eq!(offset(&service, &path).await.0, StatusCode::NOT_FOUND, "it has expired");
    let service = service.restart().await;
    eventually("the worker has deleted its file", async || service.received().is_empty()).await;

    let options = service.request(Method::OPTIONS, "/api/uploads").send().await.unwrap();
    assert_eq!(options.headers()["tus-max-size"], "10485760");
    for number in 0..100 {
        create(&service, 5, &format!("{number}.png")).await;
    }
    let full = send(&service, Method::POST, "/api/uploads", &[("upload-length", "5")], b"").await;
    assert_eq!(full.status(), StatusCode::TOO_MANY_REQUESTS);
}

/// tus-js-client as browsers have it, unchanged, through a connection that is cut twice.
#[tokio::test]
async fn tus_js_client_continues_an_upload() {
    let test = "resumable::tus_js_client_continues_an_upload";
    let Some(folder) = testkit::or_skip(test, devservers::tus_client::install()) else { return };
    let service = Service::signed_in().await;
    let picture = pictures::jpeg(1200, 900);
    let file = service.folder.path().join("picture.jpg");
    fs_err::write(&file, &picture).unwrap();
    let script = r#"
        const tus = require('tus-js-client'), fs = require('fs');
        const [endpoint, token, file] = process.argv.slice(1);
        let cuts = 0;
        const upload = new tus.Upload(fs.createReadStream(file), {
            endpoint, chunkSize: 20000, uploadSize: fs.statSync(file).size, retryDelays: [0, 0, 0],
            headers: { authorization: `Bearer ${token}` }, metadata: { filename: 'picture.jpg', filetype: 'image/jpeg' },
            onChunkComplete(size, accepted) { if (accepted > 20000 && cuts++ === 0) { upload.abort().then(() => upload.start()); } },
            onError(error) { console.error(error.message); process.exit(1); },
            onSuccess() { console.log(cuts); },
        });
        upload.start();
    "#;
    let mut command = tokio::process::Command::new("node");
    command.args(["-e", script, &format!("http://{}/api/uploads", service.process.address), &service.token]);
    command.arg(&file).current_dir(folder).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(60), command.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).trim().parse::<u32>().unwrap() > 0, "it was cut: {output:?}");
    let page = service.json("/api/media").await;
    assert_eq!(page["items"][0]["name"], "picture.jpg");
    let stored = service.get(page["items"][0]["file_url"].as_str().unwrap()).await.bytes().await.unwrap();
    assert!(stored == picture);
}
