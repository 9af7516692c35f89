//! Against a server that keeps the issues of a repository.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};

use devservers::http::{HttpServer, Request, Response};
use serde_json::{Value, json};

use super::*;
use crate::clients::patience::Patience;
use crate::report::{Audience, Report};
use crate::secrets::Redactor;

type Issues = Arc<Mutex<Vec<Value>>>;

fn answer(issues: &Issues, request: &Request) -> Response {
    let mut issues = issues.lock().unwrap();
    let body = || serde_json::from_slice::<Value>(&request.body).unwrap();
    let json = |status: u16, body: &Value| Response::new(status).body("application/json", body.to_string());
    let path = request.path.strip_prefix("/repos/some/shop/issues").unwrap();
    match request.method.as_str() {
        "GET" => {
            let is_open = |issue: &&Value| issue["state"] == "open" && issue["labels"][0] == "drift:production";
            assert!(request.query("labels") == Some("drift%3Aproduction"), "{}", request.path);
            json(200, &Value::Array(issues.iter().filter(is_open).cloned().collect()))
        }
        "POST" => {
            let mut issue = body();
            let number = issues.len() + 1;
            issue["number"] = number.into();
            issue["state"] = "open".into();
            issue["created_at"] = "2026-01-02T03:04:05Z".into();
            issue["html_url"] = format!("https://github.com/some/shop/issues/{number}").into();
            issues.push(issue.clone());
            json(201, &issue)
        }
        "PATCH" => {
            let number: usize = path.trim_start_matches('/').parse().unwrap();
            let issue = &mut issues[number - 1];
            for (key, value) in body().as_object().unwrap() {
                issue[key] = value.clone();
            }
            json(200, issue)
        }
        other => panic!("{other} {}", request.path),
    }
}

/// A repository that has these issues.
fn repository(with: &[Value]) -> (Issues, GitHub, HttpServer) {
    let issues: Issues = Arc::new(Mutex::new(with.to_vec()));
    let kept = Arc::clone(&issues);
    let server = HttpServer::start(move |request| answer(&kept, request));
    (issues, github(&server), server)
}

fn github(server: &HttpServer) -> GitHub {
    drop(rustls::crypto::ring::default_provider().install_default());
    let patience = Patience::new(Report::new(Audience::Plain, false, Redactor::default()));
    let api = format!("http://{}", server.address);
    GitHub::new(&api, "some/shop", &"token".into(), &patience).unwrap()
}

fn finding(differences: &[&str]) -> Finding<'static> {
    Finding {
        project: "shop",
        environment: "production",
        differences: differences.iter().map(|text| (*text).to_owned()).collect(),
        since: "0123456789ab went live, 2026-01-01 00:00:00Z".to_owned(),
        adopt: "write what is there into infra and commit it, then: cargo xtask deploy production".to_owned(),
        revert: "git checkout 0123 && cargo xtask deploy production".to_owned(),
    }
}

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

#[tokio::test]
async fn one_issue_is_opened_updated_and_closed() {
    let (issues, github, server) = repository(&[]);
    let now = at("2026-01-02T03:04:05Z");
    assert_eq!(keep(&github, &finding(&[]), now).await.unwrap(), Kept::None);
    let page = "https://github.com/some/shop/issues/1".to_owned();
    let first = finding(&["stack     scaleway_container.app was changed outside of OpenTofu: min_scale"]);
    assert_eq!(keep(&github, &first, now).await.unwrap(), Kept::Opened(page.clone()));
    insta::assert_snapshot!(issues.lock().unwrap()[0]["body"].as_str().unwrap());

    let later = at("2026-01-03T00:00:00Z");
    assert_eq!(keep(&github, &first, later).await.unwrap(), Kept::Unchanged(page.clone()));
    let written = server.asked().iter().filter(|request| request.method != "GET").count();
    assert_eq!(written, 1, "what is true already is not written again");
    let second = finding(&["service   https://shop.example.com is not ready"]);
    assert_eq!(keep(&github, &second, later).await.unwrap(), Kept::Updated(page.clone()));
    assert!(issues.lock().unwrap()[0]["body"].as_str().unwrap().contains("found 2026-01-02 03:04 UTC"));
    assert_eq!(keep(&github, &finding(&[]), later).await.unwrap(), Kept::Closed(page));
    let all = issues.lock().unwrap().clone();
    assert_eq!((all.len(), &all[0]["state"], &all[0]["state_reason"]), (1, &json!("closed"), &json!("completed")));
    assert_eq!(keep(&github, &finding(&[]), later).await.unwrap(), Kept::None);
}

#[tokio::test]
async fn a_second_issue_is_closed_and_that_of_a_person_is_left() {
    let issue = |number: u64, body: &str| {
        json!({
            "number": number, "title": "t", "body": body, "state": "open", "labels": ["drift:production"],
            "created_at": "2026-01-01T00:00:00Z", "html_url": format!("https://github.com/some/shop/issues/{number}"),
        })
    };
    let mark = finding(&[]).mark();
    let person = issue(1, "Why does it drift?");
    let (issues, github, _server) = repository(&[person.clone(), issue(2, &mark), issue(3, &mark)]);
    let kept = keep(&github, &finding(&["stack     x was deleted"]), at("2026-01-02T00:00:00Z")).await.unwrap();
    assert_eq!(kept, Kept::Updated("https://github.com/some/shop/issues/2".to_owned()));
    let all = issues.lock().unwrap().clone();
    assert_eq!((&all[0], &all[1]["state"], &all[2]["state"]), (&person, &json!("open"), &json!("closed")));
    assert!(all[2]["body"].as_str().unwrap().contains("The same as #2."));
}

#[tokio::test]
async fn of_two_that_are_opened_at_once_the_older_one_stays() {
    let (issues, looked, both) = (Issues::default(), AtomicUsize::new(0), Barrier::new(2));
    let kept = Arc::clone(&issues);
    let server = HttpServer::start(move |request| {
        // Both have looked before one is opened.
        let answered = (request.method == "GET").then(|| answer(&kept, request));
        if answered.is_some() && looked.fetch_add(1, Ordering::SeqCst) < 2 {
            both.wait();
        }
        answered.unwrap_or_else(|| answer(&kept, request))
    });
    let (github, finding, now) = (github(&server), finding(&["stack     x was deleted"]), at("2026-01-02T03:04:05Z"));
    let (one, other) = tokio::join!(keep(&github, &finding, now), keep(&github, &finding, now));
    let mut kept = [one.unwrap(), other.unwrap()];
    kept.sort_by_key(|kept| matches!(kept, Kept::Unchanged(_)));
    let page = "https://github.com/some/shop/issues/1".to_owned();
    assert_eq!(kept, [Kept::Opened(page.clone()), Kept::Unchanged(page)]);
    let all = issues.lock().unwrap().clone();
    let states: Vec<&Value> = all.iter().map(|issue| &issue["state"]).collect();
    assert_eq!(states, ["open", "closed"]);
    assert!(all[0]["body"].as_str().unwrap().contains("x was deleted"));
}
