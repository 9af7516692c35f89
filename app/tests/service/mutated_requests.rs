//! Requests whose headers and forms are damaged or hostile: each gets an answer that is no fault of the service.

use fastrand::Rng;
use reqwest::{Method, StatusCode, header::HeaderValue};
use testkit::test_seed;

use crate::{mutated::mutate, pictures, support::Service};

/// Of each kind.
const REQUESTS: u64 = 150;

/// A header's value, changed; what no header may contain is left out.
fn changed(random: &mut Rng, values: &[&str]) -> HeaderValue {
    let [value, other] = [(); 2].map(|()| random.choice(values).unwrap_or(&""));
    let mut bytes = value.as_bytes().to_vec();
    match random.u8(..4) {
        0 => {}
        1 if !bytes.is_empty() => bytes.truncate(random.usize(..bytes.len())),
        2 => bytes = bytes.repeat(random.usize(1..50)),
        _ => {
            let at = random.usize(..=bytes.len());
            let inserted = random.choice(["", "-", ",", "=", "18446744073709551616", "\"", "W/", " ", "\u{fc}", other]);
            bytes.splice(at..at, inserted.unwrap_or_default().bytes());
        }
    }
    bytes.retain(|byte| (b' '..0x7f).contains(byte) || *byte >= 0x80);
    bytes.truncate(4000);
    HeaderValue::from_bytes(&bytes).unwrap()
}

#[tokio::test]
async fn mutated_ranges_and_conditions_get_the_right_bytes_or_none() {
    let service = Service::signed_in().await;
    let picture = pictures::jpeg(64, 48);
    let (_, media) = service.upload(&picture, "a.jpg", "image/jpeg").await;
    let path = media["file_url"].as_str().unwrap();
    let tag = service.get(path).await.headers()["etag"].to_str().unwrap().to_owned();
    let ranges = ["bytes=0-9", "bytes=5-", "bytes=-7", "bytes=0-0,5-9", "bytes=9-1", "bytes=-0", "bytes=99999999-"];
    let conditions = [tag.as_str(), "*", "\"other\"", "W/\"x\", \"y\"", "Sun, 29 Nov 2026 19:00:00 GMT"];
    let mut random = Rng::with_seed(test_seed());
    for number in 0..REQUESTS {
        let range = changed(&mut random, &ranges);
        let names = ["if-range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "x-none"];
        let name = random.choice(names).unwrap_or("x-none");
        let condition = changed(&mut random, &conditions);
        let case = format!("number {number}: range {range:?}, {name} {condition:?}");
        let request = service.request(Method::GET, path).header("range", range).header(name, condition);
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await.unwrap();
        match status {
            StatusCode::OK => assert!(body == picture, "{case}"),
            StatusCode::PARTIAL_CONTENT => {
                let range = headers["content-range"].to_str().unwrap().strip_prefix("bytes ").unwrap();
                let (range, size) = range.split_once('/').unwrap();
                let (first, last) = range.split_once('-').unwrap();
                let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
                assert!(size == picture.len().to_string() && body == picture[first..=last], "{case}");
            }
            StatusCode::NOT_MODIFIED => assert!(body.is_empty(), "{case}"),
            StatusCode::PRECONDITION_FAILED | StatusCode::RANGE_NOT_SATISFIABLE => {}
            other => panic!("{other}, {case}"),
        }
    }
}

#[tokio::test]
async fn mutated_forms_are_no_fault_of_the_service() {
    let service = Service::signed_in().await;
    let form = [
        b"--edge\r\ncontent-disposition: form-data; name=\"name\"\r\n\r\nLoma\r\n".as_slice(),
        b"--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.png\"\r\ncontent-type: image/png\r\n\r\n",
        &pictures::png(8, 8),
        b"\r\n--edge--\r\n",
    ]
    .concat();
    let mut random = Rng::with_seed(test_seed());
    for number in 0..REQUESTS {
        let body = mutate(&mut random, &form, &form);
        let boundaries = ["edge", "\"edge\"", "", "edge\"", "--edge", "=", "edge;x=y"];
        let boundary = if random.bool() { "edge" } else { random.choice(boundaries).unwrap_or("edge") };
        let request = service.request(Method::POST, "/api/media");
        let request = request.header("content-type", format!("multipart/form-data; boundary={boundary}")).body(body);
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let is_answer =
            status.is_success() || (status.is_client_error() && answer.text().await.unwrap().contains("code"));
        assert!(is_answer, "number {number}, boundary {boundary}: {status}");
    }
}

#[tokio::test]
async fn mutated_uploads_in_parts_are_no_fault_of_the_service() {
    let service = Service::signed_in().await;
    let picture = pictures::png(8, 8);
    let length = picture.len().to_string();
    let lengths = [length.as_str(), "0", "1", "-1", "9223372036854775807", "18446744073709551615"];
    let metadata = ["filename YS5wbmc=", "filename YS5wbmc=,filetype aW1hZ2UvcG5n", "filename", "filename =", ","];
    let checksums = ["sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", "sha256 AAAA", "md5 AA==", "sha1"];
    let mut random = Rng::with_seed(test_seed());
    let mut path = "/api/uploads/00000000000000000000000000".to_owned();
    for number in 0..REQUESTS {
        let create = service.request(Method::POST, "/api/uploads").header("tus-resumable", "1.0.0");
        let create = create.header("upload-length", changed(&mut random, &lengths));
        let created = create.header("upload-metadata", changed(&mut random, &metadata)).send().await.unwrap();
        let status = created.status();
        assert!(status == StatusCode::CREATED || status.is_client_error(), "number {number}: {status}");
        if status == StatusCode::CREATED {
            path = created.headers()["location"].to_str().unwrap().to_owned();
        }
        let append = service.request(Method::PATCH, &path).header("tus-resumable", changed(&mut random, &["1.0.0"]));
        let append = append.header("content-type", "application/offset+octet-stream");
        let append = append.header("upload-offset", changed(&mut random, &lengths));
        let append = append.header("upload-checksum", changed(&mut random, &checksums));
        let appended = append.body(picture[..random.usize(..=picture.len())].to_vec()).send().await.unwrap();
        let status = appended.status();
        let is_answer = status == StatusCode::NO_CONTENT || status.is_client_error();
        assert!(is_answer, "number {number}: {status} {}", appended.text().await.unwrap());
    }
}
