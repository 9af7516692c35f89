//! A server in the place of the bucket's that answers what it wants.

use std::sync::atomic::{AtomicUsize, Ordering};

use devservers::http::{HttpServer, Request, Response};
use devservers::raw::{RawServer, Then};

use crate::place::at;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/xml\r\netag: \"x\"\r\n";

/// A page of keys after which there is always another one.
fn page(number: usize) -> Response {
    let body = format!(
        "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>{number}</NextContinuationToken>\
         <Contents><Key>shop/a/{number}</Key></Contents></ListBucketResult>"
    );
    Response::new(200).body("application/xml", body)
}

#[tokio::test]
async fn a_list_without_an_end_is_an_error() {
    let asked = AtomicUsize::new(0);
    let server = HttpServer::start(move |_: &Request| page(asked.fetch_add(1, Ordering::Relaxed)));
    let error = at(&format!("http://{}", server.address), "a").list("").await.unwrap_err().to_string();
    assert!(error.contains("more than 1000 pages"), "{error}");
    assert_eq!(server.asked().len(), 1000);
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let other = HttpServer::start(|_: &Request| Response::new(200).header("etag", "\"x\"").body("text/plain", "x"));
    for to in [format!("http://{}/b/k", other.address), "file:///etc/passwd".to_owned(), "/".to_owned()] {
        for status in [301, 302, 303, 307, 308] {
            let to = to.clone();
            let server = HttpServer::start(move |_: &Request| Response::new(status).header("location", &to));
            let store = at(&format!("http://{}", server.address), "a");
            store.get("key").await.unwrap_err();
            store.list("").await.unwrap_err();
            store.put_if_absent("key", b"x").await.unwrap_err();
        }
    }
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn answers_that_are_none_are_errors() {
    let deep = "<a>".repeat(300_000);
    for (first, then) in [
        (format!("{OK}\r\n"), Then::Endless(b"<a>".repeat(10_000))),
        (OK.to_owned(), Then::Endless(b"a: b\r\n".repeat(1000))),
        (format!("{OK}content-length: {}\r\n\r\n{deep}", deep.len()), Then::Close),
        (format!("{OK}content-length: 12\r\n\r\n<ListBucket>"), Then::Close),
        ("HTTP/1.1 500 Broken\r\ncontent-length: 99999999999999999999\r\n\r\n".to_owned(), Then::Close),
        ("SSH-2.0-OpenSSH_9.2\r\n".to_owned(), Then::Close),
    ] {
        let server = RawServer::start(first.clone(), then);
        let store = at(&format!("http://{}", server.address), "a");
        let listed = store.list("").await;
        // What is no list has no keys, or is an error; it is never read for long.
        assert!(listed.as_ref().map_or(true, Vec::is_empty), "{first:.60}: {listed:?}");
    }
    // An object that is larger than what is read, and one that is shorter than it says.
    for (first, then) in [
        (format!("{OK}\r\n"), Then::Endless(vec![0; 1 << 20])),
        (format!("{OK}content-length: 90\r\n\r\nshort"), Then::Close),
    ] {
        let server = RawServer::start(first, then);
        at(&format!("http://{}", server.address), "a").get("key").await.unwrap_err();
    }
}
