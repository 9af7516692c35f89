//! Who may ask, how often, what fits, and what fails.

use std::io::ErrorKind;
use std::time::Duration;

use devservers::github::Fault;
use devservers::http::ask;
use serde_json::{Value, json};

use super::client::Client;

#[test]
fn a_token_is_needed_and_it_needs_permissions_and_requests() {
    let mut client = Client::new();
    client.repository.commit("main", "one");
    let url = client.github.url();
    assert_eq!(ask(&url, "GET", "/repos/acme/shop", &[("User-Agent", "t")], "").unwrap().status, 401);
    client.token = "ghp_unknown".to_owned();
    client.refused(401, "GET", "", Value::Null);
    client.token = client.github.workflow_token(&["contents:read"]);
    assert_eq!(client.get("")["default_branch"], "main");
    let refused = client.refused(403, "POST", "/releases", json!({"tag_name": "v1"}));
    assert_eq!(refused["message"], "Resource not accessible by integration");
    client.refused(403, "GET", "//user", Value::Null);
    client.github.limit(&client.token, 1, Duration::from_secs(60));
    client.get("");
    let answer = client.send("GET", "", &Value::Null);
    assert_eq!((answer.status, answer.header("x-ratelimit-remaining")), (403, Some("0")));
    assert!(answer.text().contains("API rate limit exceeded"));
    client.token = client.github.owner_token();
    assert_eq!(client.get("//user")["login"], "deployer");
    assert!(client.get("//rate_limit")["rate"]["remaining"].as_u64().unwrap() > 4000);
}

#[test]
fn lists_come_in_pages_and_unchanged_answers_as_304() {
    let client = Client::new();
    client.repository.commit("main", "one");
    for number in 1..=5 {
        client.ok("POST", "/releases", json!({"tag_name": format!("v{number}")}));
    }
    let first = client.send("GET", "/releases?per_page=2", &Value::Null);
    let link = first.header("link").unwrap();
    let next = format!("<{}/repos/acme/shop/releases?per_page=2&page=2>; rel=\"next\"", client.github.url());
    assert!(link.contains(&next), "{link}");
    let last = client.send("GET", "/releases?per_page=2&page=3", &Value::Null);
    assert!(
        last.header("link").unwrap().contains("rel=\"prev\"") && !last.head.contains("rel=\"next\""),
        "{}",
        last.head
    );
    assert_eq!(serde_json::from_slice::<Value>(&last.body).unwrap()[0]["tag_name"], "v1");
    let token = format!("Bearer {}", client.token);
    let headers =
        [("Authorization", token.as_str()), ("User-Agent", "t"), ("If-None-Match", first.header("etag").unwrap())];
    let again = ask(&client.github.url(), "GET", "/repos/acme/shop/releases?per_page=2", &headers, "").unwrap();
    assert_eq!((again.status, again.body.len()), (304, 0));
}

#[test]
fn calls_fail_once_as_a_test_wants_it() {
    let client = Client::new();
    client.repository.commit("main", "one");
    let body = |tag: &str| json!({ "tag_name": tag });
    client.github.fail_after(1, "POST /releases", Fault::Status(502));
    client.ok("POST", "/releases", body("v1"));
    client.refused(502, "POST", "/releases", body("v2"));
    client.ok("POST", "/releases", body("v2"));
    client.github.fail("*", Fault::RateLimit(Duration::from_secs(3)));
    let limited = client.send("GET", "/releases", &Value::Null);
    assert_eq!((limited.status, limited.header("x-ratelimit-remaining")), (403, Some("0")));
    client.github.fail("*", Fault::SecondaryRateLimit(Duration::from_secs(7)));
    assert_eq!(client.send("GET", "/releases", &Value::Null).header("retry-after"), Some("7"));
    client.github.fail("POST /releases", Fault::Unprocessable("Validation Failed".to_owned()));
    client.refused(422, "POST", "/releases", body("v3"));

    client.github.fail("POST /releases", Fault::CutBefore);
    assert!(client.try_send("POST", "/releases", &body("v3")).is_err());
    client.github.fail("POST /releases", Fault::CutAfter);
    assert!(client.try_send("POST", "/releases", &body("v4")).is_err());
    client.github.fail("POST /releases", Fault::StatusAfter(500));
    client.refused(500, "POST", "/releases", body("v5"));
    let tags: Vec<Value> = client.repository.releases().iter().map(|release| release["tag_name"].clone()).collect();
    assert_eq!(tags, ["v1", "v2", "v4", "v5"], "those that were taken");
    assert_eq!(client.github.calls().last().unwrap(), "POST /repos/acme/shop/releases 0");
}

#[test]
fn a_call_that_times_out_ends_with_its_client() {
    let client = Client::new();
    client.github.fail("*", Fault::TimeOut);
    let address = client.github.url().trim_start_matches("http://").to_owned();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let request = "GET /repos/acme/shop HTTP/1.1\r\nUser-Agent: t\r\n\r\n";
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let error = std::io::Read::read(&mut stream, &mut [0]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
}

#[test]
fn what_does_not_fit_the_description_fails_the_test() {
    let client = Client::new();
    client.repository.commit("main", "one");
    client.refused(400, "GET", "/no-such-thing", Value::Null);
    client.refused(400, "GET", "/releases?per-page=2", Value::Null);
    client.refused(400, "POST", "/releases", json!({"tag": "v1"}));
    client.refused(400, "POST", "/releases", json!({"tag_name": "v1", "pre_release": true}));
    client.refused(400, "GET", "/releases?page=two", Value::Null);
    let violations = client.github.violations();
    assert_eq!(violations.len(), 6, "{violations:#?}");
    assert!(violations[4].contains("pre_release"), "{violations:#?}");
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(client)));
    let message = dropped.unwrap_err();
    assert!(message.downcast_ref::<String>().unwrap().contains("no-such-thing"));
}
