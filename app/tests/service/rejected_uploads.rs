//! Rejected uploads: the error code, and that nothing of the upload is stored.

use reqwest::{Method, StatusCode, multipart};
use serde_json::Value;

use crate::{
    pictures,
    raw_http::{self, Connection},
    support::Service,
};

/// In bytes; small, so that exceeding it is fast.
const MAX_UPLOAD: usize = 300_000;

async fn service() -> Service {
    let service = Service::start_with(|setup| setup.var("MAX_UPLOAD_BYTES", MAX_UPLOAD)).await;
    service.sign_in().await
}

#[tokio::test]
async fn invalid_images_are_rejected() {
    let service = service().await;
    let (jpeg, png, gif) = (pictures::jpeg(120, 80), pictures::png(120, 80), pictures::gif(120, 80, 3));
    let webp = pictures::webp(120, 80);
    let cut = |bytes: &[u8], percent: usize| bytes[..bytes.len() * percent / 100].to_vec();
    let html = b"<html><script>alert(1)</script></html>".to_vec();
    let cases: Vec<(&str, Vec<u8>, &str, u16, &str)> = vec![
        ("an empty file", vec![], "image/png", 400, "empty_file"),
        ("HTML", html, "image/png", 415, "unsupported_type"),
        (
            "SVG",
            b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(),
            "image/svg+xml",
            415,
            "unsupported_type",
        ),
        ("SVG called PNG", b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(), "image/png", 415, "unsupported_type"),
        ("a PDF", b"%PDF-1.7\n1 0 obj".to_vec(), "image/jpeg", 415, "unsupported_type"),
        ("BMP", b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0".to_vec(), "image/bmp", 415, "unsupported_type"),
        ("a truncated JPEG", cut(&jpeg, 60), "image/jpeg", 422, "corrupt_image"),
        ("a JPEG without its last bytes", cut(&jpeg, 98), "image/jpeg", 422, "corrupt_image"),
        ("a JPEG truncated in its header", jpeg[..100].to_vec(), "image/jpeg", 422, "corrupt_image"),
        (
            "a truncated progressive JPEG",
            cut(&pictures::progressive_jpeg(120, 80), 60),
            "image/jpeg",
            422,
            "corrupt_image",
        ),
        ("a truncated PNG", cut(&png, 60), "image/png", 422, "corrupt_image"),
        ("a truncated WebP", cut(&webp, 60), "image/webp", 422, "corrupt_image"),
        ("a GIF truncated in its second frame", cut(&gif, 50), "image/gif", 422, "corrupt_image"),
        ("one pixel", pictures::png(1, 1), "image/png", 422, "too_small"),
        ("one row", pictures::jpeg(40, 1), "image/jpeg", 422, "too_small"),
        ("a JPEG of 50 megapixels", pictures::jpeg_claiming(8000, 6250), "image/jpeg", 422, "too_many_pixels"),
        ("a PNG of 144 megapixels", pictures::png_claiming(12_000, 12_000, 8, 2), "image/png", 422, "too_many_pixels"),
        ("a PNG of 4295 megapixels", pictures::png_claiming(65_535, 65_535, 8, 2), "image/png", 422, "too_many_pixels"),
        (
            "a PNG with 8 bytes per pixel",
            pictures::png_claiming(6300, 6300, 16, 6),
            "image/png",
            422,
            "too_many_pixels",
        ),
    ];
    for (case, bytes, declared, status, code) in cases {
        let (got, response) = service.upload(&bytes, "a", declared).await;
        assert_eq!((got.as_u16(), response["error"]["code"].as_str()), (status, Some(code)), "{case}: {response}");
        service.assert_nothing_stored(case).await;
    }
}

#[tokio::test]
async fn frames_with_too_many_pixels_are_rejected() {
    let service = Service::start_with(|setup| setup.var("MAX_PIXELS", 1000)).await.sign_in().await;
    let (status, response) = service.upload(&pictures::gif(30, 30, 100), "a", "image/gif").await;
    assert_eq!(status, StatusCode::CREATED, "{response}");
    let (status, response) = service.upload(&pictures::gif(40, 30, 2), "a", "image/gif").await;
    assert_eq!((status.as_u16(), response["error"]["code"].as_str()), (422, Some("too_many_pixels")));
}

#[tokio::test]
async fn invalid_forms_are_rejected() {
    let service = service().await;
    let file = || multipart::Part::bytes(pictures::png(8, 8)).file_name("a.png");
    let form = multipart::Form::new;
    let named = |name: &str| form().part("file", file()).text("name", name.to_owned());
    let cases = [
        ("no file", form().text("name", "a"), 400, "missing_file"),
        ("no name", named(""), 400, "invalid_name"),
        ("a path", named("../a.png"), 400, "invalid_name"),
        ("a Windows path", named("c:\\a.png"), 400, "invalid_name"),
        ("the parent folder", named(".."), 400, "invalid_name"),
        ("a NUL", named("a\0b"), 400, "invalid_name"),
        ("a line break", named("a\nb"), 400, "invalid_name"),
        ("256 characters", named(&"é".repeat(256)), 400, "invalid_name"),
        ("a file name that is a path", form().part("file", file().file_name("../../etc/passwd")), 400, "invalid_name"),
        (
            "a long description",
            form().part("file", file()).text("description", "x".repeat(2001)),
            400,
            "invalid_description",
        ),
        (
            "a huge description",
            form().part("file", file()).text("description", "x".repeat(20_000)),
            400,
            "bad_multipart",
        ),
        ("two files", form().part("file", file()).part("file", file()), 400, "bad_multipart"),
        ("an unknown part", form().part("file", file()).text("other", "x"), 400, "bad_multipart"),
        ("a name that is not text", form().part("name", multipart::Part::bytes(vec![0xff])), 400, "bad_multipart"),
    ];
    for (case, form, status, code) in cases {
        let (got, response) = service.upload_form(form).await;
        assert_eq!((got.as_u16(), response["error"]["code"].as_str()), (status, Some(code)), "{case}: {response}");
        service.assert_nothing_stored(case).await;
    }
    for (content_type, body) in [("application/json", "{}"), ("multipart/form-data; boundary=x", "--x\r\nnot a form")] {
        let request = service.request(Method::POST, "/api/media").header("content-type", content_type);
        let response = request.body(body).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(response.json::<Value>().await.unwrap()["error"]["code"], "bad_multipart");
    }
    service.assert_nothing_stored("bodies that are not a form").await;
}

#[tokio::test]
async fn files_over_the_size_limit_are_rejected_with_and_without_content_length() {
    let service = service().await;
    let address = &service.process.address;
    for (case, length) in [("just over", MAX_UPLOAD + 1), ("far over", 40 * MAX_UPLOAD)] {
        let file = vec![7; length];
        let (head, body) = raw_http::upload(&service.token, &file);
        let mut connection = Connection::open(address).await.unwrap();
        connection.send(&head).await.unwrap();
        // Most clients send the whole body before they read the response, which a connection reset must not discard.
        connection.send(&body).await.unwrap();
        let response = connection.response().await.unwrap();
        assert_eq!((response.status, response.body.contains("\"too_large\"")), (413, true), "{case}: {response:?}");
        service.assert_nothing_stored(case).await;

        let mut connection = Connection::open(address).await.unwrap();
        let head = format!("{}transfer-encoding: chunked\r\n\r\n", raw_http::upload_head(&service.token));
        connection.send(head.as_bytes()).await.unwrap();
        for chunk in body.chunks(16 * 1024) {
            let frame = [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat();
            connection.send(&frame).await.unwrap();
        }
        connection.send(b"0\r\n\r\n").await.unwrap();
        let response = connection.response().await.unwrap();
        assert_eq!(
            (response.status, response.body.contains("\"too_large\"")),
            (413, true),
            "{case}, chunked: {response:?}"
        );
        service.assert_nothing_stored(case).await;
    }
}
