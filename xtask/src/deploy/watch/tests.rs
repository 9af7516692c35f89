use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use devservers::http::{HttpServer, Response};

use super::*;
use crate::report::{Audience, Report, Step};
use crate::secrets::Redactor;

/// A service that is ready but for the answers with these numbers, and the number of its answers.
fn service(fails: &'static [usize]) -> (Vec<Service>, Arc<AtomicUsize>) {
    drop(rustls::crypto::ring::default_provider().install_default());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = HttpServer::start(move |_| {
        let body = r#"{"status":"ready","version":"new"}"#;
        match fails.contains(&count.fetch_add(1, Ordering::SeqCst)) {
            true => Response::new(503).body("text/plain", "no database"),
            false => Response::new(200).body("application/json", body),
        }
    });
    (vec![Service::new(format!("http://{}/ready", server.address)).unwrap()], asked)
}

async fn watched(services: &[Service], condition: Condition, stop: &Stop) -> (Result<Watched, String>, Vec<String>) {
    let report = Report::new(Audience::Plain, false, Redactor::default());
    let asked = Asked::new(&report);
    let condition = async || condition.clone();
    let step = report.begin(Step::Watch);
    let ended = watch(services, condition, "new", Duration::from_secs(1), &asked, &step, stop).await;
    (ended.map_err(|failure| format!("{:#}", failure.into_error())), asked.lines())
}

#[tokio::test]
async fn one_answer_that_is_lost_is_no_fall() {
    let (services, asked) = service(&[0]);
    let (_sender, stop) = Stop::channel();
    let watched = watched(&services, Condition::Ready, &stop).await.0.unwrap();
    assert_eq!((watched.summary().as_str(), watched.cut), ("ready for 1 s", None));
    assert!(asked.load(Ordering::SeqCst) >= 3);
}

#[tokio::test]
async fn a_readiness_that_falls_is_a_failure() {
    let (services, _) = service(&[1, 2]);
    let (_sender, stop) = Stop::channel();
    let (ended, answers) = watched(&services, Condition::Ready, &stop).await;
    let error = ended.unwrap_err();
    assert!(error.contains("new was ready, and is not any more; http://127.0.0.1:"), "{error}");
    assert!(error.contains("no database") && error.contains("(asked twice); the platform says ready"), "{error}");
    assert!(answers.last().unwrap().contains("2 times"), "{answers:?}");
}

#[tokio::test]
async fn an_error_of_the_platform_is_a_failure() {
    let (services, asked) = service(&[]);
    let (_sender, stop) = Stop::channel();
    let error = watched(&services, Condition::Error("it restarts".to_owned()), &stop).await.0.unwrap_err();
    assert_eq!(error, "new was ready, and then the platform says error: it restarts");
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_request_to_stop_cuts_it_short() {
    let (services, _) = service(&[]);
    let (sender, stop) = Stop::channel();
    sender.send("Ctrl-C");
    let watched = watched(&services, Condition::Ready, &stop).await.0.unwrap();
    assert_eq!(watched.cut.as_deref(), Some("the watch was cut short by Ctrl-C after 0 of 1 s"));
}
