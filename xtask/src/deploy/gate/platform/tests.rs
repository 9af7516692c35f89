use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use devservers::http::{HttpServer, Response};

use super::*;
use crate::report::{Audience, Report, Step};
use crate::secrets::Redactor;

const LIMITS: Gate =
    Gate { timeout: Duration::from_secs(30), watch: Duration::ZERO, no_progress: Duration::from_secs(30) };
const SOON: Duration = Duration::from_millis(300);

fn says(status: &str, version: &str) -> Response {
    Response::new(if status == "ready" { 200 } else { 503 })
        .body("application/json", format!(r#"{{"status":"{status}","version":"{version}"}}"#))
}

/// A service that gives these answers, the last one again and again, and the number of its answers.
fn service(answers: Vec<Response>) -> (Service, Arc<AtomicUsize>) {
    drop(rustls::crypto::ring::default_provider().install_default());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = HttpServer::start(move |_| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        answers[number.min(answers.len() - 1)].clone()
    });
    (Service::new(format!("http://{}/ready", server.address)).unwrap(), asked)
}

/// How the gate ends where the platform says these, the last one again and again.
async fn gate(service: &Service, platform: Vec<Condition>, limits: Gate) -> (Result<Readiness, String>, Vec<String>) {
    let report = Report::new(Audience::Plain, false, Redactor::default());
    let asked = Asked::new(&report);
    let platform = RefCell::new(platform);
    let condition = async || {
        let mut platform = platform.borrow_mut();
        if platform.len() > 1 { platform.remove(0) } else { platform[0].clone() }
    };
    let ended = ready(service, condition, "new", &limits, &asked, &report.begin(Step::Gate)).await;
    (ended.map_err(|error| format!("{error:#}")), asked.lines())
}

#[tokio::test]
async fn it_takes_three_ready_answers_in_a_row() {
    let new = || says("ready", "new");
    let (service, asked) =
        service(vec![new(), new(), says("ready", "old"), new(), new(), says("unready", "new"), new()]);
    assert_eq!(gate(&service, vec![Condition::Ready], LIMITS).await.0.unwrap().version, "new");
    assert_eq!(asked.load(Ordering::SeqCst), 9);
}

#[tokio::test]
async fn a_service_that_is_ready_waits_for_its_platform() {
    let updating = Condition::Other("updating".to_owned());
    let (service, asked) = service(vec![says("ready", "new")]);
    let platform = vec![updating.clone(), updating.clone(), updating.clone(), updating.clone(), Condition::Ready];
    gate(&service, platform, LIMITS).await.0.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 7);
    let limits = Gate { timeout: SOON, ..LIMITS };
    let error = gate(&service, vec![updating], limits).await.0.unwrap_err();
    assert!(error.contains("the platform says updating; the service: version new is ready"), "{error}");
}

#[tokio::test]
async fn a_platform_that_has_given_up_fails_it_at_once() {
    let (service, asked) = service(vec![Response::new(502)]);
    let platform = vec![Condition::Other("creating".to_owned()), Condition::Error("no such image".to_owned())];
    let (ended, answers) = gate(&service, platform, LIMITS).await;
    let error = ended.unwrap_err();
    assert!(error.contains("the platform says error: no such image") && error.contains("502"), "{error}");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    assert!(answers.iter().any(|line| line.contains("the platform says error: no such image")), "{answers:?}");
}

#[tokio::test]
async fn a_cold_start_is_no_failure() {
    let html = Response::new(503).body("text/html", "<h1>starting</h1>");
    let (service, _) = service(vec![Response::new(502), html, Response::new(500), says("ready", "new")]);
    gate(&service, vec![Condition::Ready], LIMITS).await.0.unwrap();
}

#[tokio::test]
async fn it_fails_when_nothing_moves() {
    let (service, _) = service(vec![says("unready", "new")]);
    let limits = Gate { no_progress: SOON, ..LIMITS };
    let (ended, answers) = gate(&service, vec![Condition::Ready], limits).await;
    let error = ended.unwrap_err();
    assert!(
        error.contains("nothing has moved for 0 s (`gate.no_progress`): the platform says ready; the service:"),
        "{error}"
    );
    assert!(error.contains("version new says unready"), "{error}");
    assert_eq!(answers.len(), 2, "{answers:?}");
}

#[tokio::test]
async fn an_old_version_that_still_answers_is_named() {
    let (service, _) = service(vec![says("ready", "old")]);
    let error = gate(&service, vec![Condition::Ready], Gate { timeout: SOON, ..LIMITS }).await.0.unwrap_err();
    assert!(error.contains("version old is ready, instead of new: either an older container still answers"), "{error}");
}

#[tokio::test]
async fn where_the_platform_cannot_be_asked_the_service_decides() {
    let (service, _) = service(vec![says("ready", "new")]);
    let (ended, answers) = gate(&service, vec![Condition::NotAsked("no key".to_owned())], LIMITS).await;
    ended.unwrap();
    assert!(answers[0].contains("the platform could not be asked: no key"), "{answers:?}");
}
