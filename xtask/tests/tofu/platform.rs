//! The APIs of Scaleway and Cloudflare, as far as the toolkit asks them about what OpenTofu does not see.

use std::sync::{Arc, Mutex};

use serde_json::json;

use devservers::http::{HttpServer, Request, Response};

/// A server with both APIs. A test decides what they answer.
pub struct Platform {
    server: HttpServer,
    answers: Arc<Mutex<Answers>>,
}

/// What the APIs answer. At first, all is well.
pub struct Answers {
    /// The status and the error message of every container.
    pub container: (&'static str, &'static str),
    /// The status and the error message of every custom domain. None: there is no such domain.
    pub domain: Option<(&'static str, &'static str)>,
    /// Whether the r2.dev subdomain of every bucket is enabled.
    pub open: bool,
    /// Whether a server before it says that it is not there.
    pub away: bool,
}

impl Platform {
    pub fn start() -> Self {
        let answers = Answers { container: ("ready", ""), domain: Some(("ready", "")), open: false, away: false };
        let answers = Arc::new(Mutex::new(answers));
        let kept = Arc::clone(&answers);
        Self { server: HttpServer::start(move |request| answer(&kept.lock().unwrap(), request)), answers }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// Changes the answers.
    pub fn set(&self, change: impl FnOnce(&mut Answers)) {
        change(&mut self.answers.lock().unwrap());
    }

    /// The paths that were asked.
    pub fn asked(&self) -> Vec<String> {
        self.server.asked().into_iter().map(|request| request.path).collect()
    }
}

fn answer(answers: &Answers, request: &Request) -> Response {
    if answers.away {
        return Response::new(503);
    }
    let json = |body: serde_json::Value| Response::new(200).body("application/json", body.to_string());
    if request.path.starts_with("/containers/v1/regions/") {
        assert!(request.header("x-auth-token").is_some_and(|key| key.starts_with("sentinel")));
        let (status, message) = answers.container;
        return match answers.domain {
            _ if request.path.contains("/fr-par/containers/") => {
                json(json!({ "status": status, "error_message": message }))
            }
            Some((status, message)) => {
                json(json!({ "hostname": "media.example.org", "status": status, "error_message": message }))
            }
            None => Response::new(404),
        };
    }
    assert!(request.path.ends_with("/domains/managed"), "{}", request.path);
    assert!(request.header("authorization").is_some_and(|token| token.starts_with("Bearer sentinel")));
    assert_eq!(request.header("cf-r2-jurisdiction"), Some("eu"));
    json(
        json!({ "success": true, "errors": [], "result": { "bucketId": "b", "domain": "pub-b.r2.dev", "enabled": answers.open } }),
    )
}
