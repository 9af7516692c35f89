use std::collections::BTreeMap;

use devservers::http::{HttpServer, Response};
use ring::hmac;
use serde_json::{Value, json};

use super::*;
use crate::config::Config;
use crate::release::Source;
use crate::report::Audience;
use crate::secrets::Redactor;
use crate::signals::Stop;
use crate::state::history::Kind;

const SECRET: &str = "a-signing-secret-of-the-tests";

struct Project {
    root: tempfile::TempDir,
    config: Config,
}

/// A project whose deploy.yaml has these receivers.
fn project(receivers: &str) -> Project {
    let root = tempfile::tempdir().unwrap();
    let yaml = format!("notify: {receivers}\n{}", crate::config::EXAMPLE);
    let mut config = Config::parse(&yaml).unwrap();
    config.root = root.path().to_owned().try_into().unwrap();
    Project { root, config }
}

impl Project {
    fn env(&self, values: &[(&str, &str)]) -> Env<'_> {
        let text: String = values.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        let file = self.root.path().join(".env.local");
        fs_err::write(&file, text).unwrap();
        fs_err::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let report = Report::new(Audience::Plain, false, Redactor::default());
        Env::find(&self.config, "local", &report, &Stop::channel().1).unwrap()
    }
}

fn url(server: &HttpServer) -> String {
    format!("http://{}", server.address)
}

fn record(outcome: Outcome, error: Option<&str>) -> Record {
    let mut record = Record::begin("20260101T000000Z-abcdef".to_owned(), Kind::Deploy, "local", 1);
    let subject = "Say <!channel> & *more*, @everyone".to_owned();
    record.source = Some(Source { commit: "0".repeat(40), version: "0".repeat(12), subject, branch: None });
    record.address = Some("https://shop.example.com".to_owned());
    record.end(outcome, error.map(str::to_owned));
    record
}

fn install_crypto() {
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// Runs a run to its end, and returns what the server got: headers and bodies.
async fn told(env: &Env<'_>, server: &HttpServer, record: &Record) -> Vec<(BTreeMap<String, String>, String)> {
    install_crypto();
    let notifier = Notifier::of(env);
    notifier.started(record);
    notifier.ended(record, None, false).await;
    let header = |request: &devservers::http::Request, name: &str| request.header(name).map(str::to_owned);
    let names = ["webhook-id", "webhook-timestamp", "webhook-signature", "content-type"];
    let asked = server.asked().into_iter().map(|request| {
        let headers = names.iter().filter_map(|name| Some(((*name).to_owned(), header(&request, name)?))).collect();
        (headers, String::from_utf8(request.body.clone()).unwrap())
    });
    asked.collect()
}

#[tokio::test]
async fn every_message_is_signed_over_its_id_time_and_body() {
    let server = HttpServer::start(|_| Response::new(204));
    let project = project("[{ url_env: HOOK, secret_env: HOOK_SECRET, events: [started, live] }]");
    let url = format!("{}/hooks/1?token=x", url(&server));
    let env = project.env(&[("HOOK", &url), ("HOOK_SECRET", SECRET)]);
    let told = told(&env, &server, &record(Outcome::Live, None)).await;
    assert_eq!(told.len(), 2, "{told:?}");
    for (headers, body) in &told {
        let signed = format!("{}.{}.{body}", headers["webhook-id"], headers["webhook-timestamp"]);
        let encoded = headers["webhook-signature"].strip_prefix("v1,").unwrap();
        let tag = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, encoded).unwrap();
        hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), signed.as_bytes(), &tag).unwrap();
    }
    let bodies: Vec<Value> = told.iter().map(|(_, body)| serde_json::from_str(body).unwrap()).collect();
    assert_eq!((&bodies[0]["type"], &bodies[1]["type"]), (&json!("deploy.started"), &json!("deploy.live")));
    assert_eq!(bodies[1]["data"]["address"], "https://shop.example.com");
    assert_eq!(bodies[1]["data"]["version"], "000000000000");
    assert_ne!(told[0].0["webhook-id"], told[1].0["webhook-id"]);
}

#[tokio::test]
async fn chats_get_their_form_and_no_mention() {
    let server = HttpServer::start(|_| Response::new(200));
    let project = project("[{ url_env: HOOK, format: slack }, { url_env: HOOK, format: discord }]");
    let env = project.env(&[("HOOK", &url(&server))]);
    let told = told(&env, &server, &record(Outcome::Failed, Some("no space left\nmore"))).await;
    let bodies: Vec<Value> = told.iter().map(|(_, body)| serde_json::from_str(body).unwrap()).collect();
    let slack = bodies.iter().find_map(|body| body["text"].as_str()).unwrap();
    assert_eq!(
        slack.lines().collect::<Vec<_>>(),
        [
            "*my-service → local*: deploy failed, nothing changed for users, `000000000000` Say &lt;!channel&gt; &amp; *more*, @everyone",
            "> no space left"
        ]
    );
    let discord = bodies.iter().find(|body| body["content"].is_string()).unwrap();
    assert_eq!(discord["allowed_mentions"], json!({ "parse": [] }));
    assert!(discord["content"].as_str().unwrap().contains(r"Say \<!channel\> & \*more\*"), "{discord}");
    assert!(told.iter().all(|(headers, _)| !headers.contains_key("webhook-signature")), "no secret, no signature");
}

#[tokio::test]
async fn nothing_secret_is_sent() {
    let server = HttpServer::start(|_| Response::new(200));
    let project = project("[{ url_env: HOOK, secret_env: HOOK_SECRET }]");
    let env = project.env(&[("HOOK", &url(&server)), ("HOOK_SECRET", SECRET)]);
    env.report.redactor().learn_value(&SecretString::from("correct-horse-battery"));
    let told = told(&env, &server, &record(Outcome::Failed, Some("refused: correct-horse-battery"))).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(!told[0].1.contains("correct-horse"), "{}", told[0].1);
    assert!(!told[0].1.contains(SECRET), "{}", told[0].1);
}

#[tokio::test]
async fn a_receiver_that_fails_is_not_asked_twice_and_redirects_are_not_followed() {
    install_crypto();
    let other = HttpServer::start(|_| Response::new(200));
    let location = url(&other);
    let server = HttpServer::start(move |_| Response::new(307).header("location", &location));
    let webhook = |url: &str| Webhook::new(&SecretString::from(url), None).unwrap();
    let error = webhook(&format!("{}/secret-path", url(&server))).post("msg", 1, "{}".to_owned()).await.unwrap_err();
    assert_eq!(error.to_string(), "it answered 307, and redirects are not followed");
    assert!(other.asked().is_empty());
    let gone = HttpServer::start(|_| Response::new(500));
    let url = format!("{}/secret-path", url(&gone));
    assert!(webhook(&url).post("msg", 1, "{}".to_owned()).await.unwrap_err().to_string().contains("500"));
    // Where nothing listens.
    let error = webhook("http://127.0.0.1:1/secret-path").post("msg", 1, "{}".to_owned()).await.unwrap_err();
    assert!(!format!("{error:#}").contains("secret-path"), "{error:#}");
}

#[tokio::test]
async fn addresses_in_the_clear_are_refused() {
    let project = project("[{ url_env: HOOK, format: slack }]");
    let env = project.env(&[("HOOK", "http://hooks.example.com/1")]);
    let Err(error) = webhook(&env, &project.config.notify[0]) else { panic!("it was accepted") };
    assert_eq!(error.to_string(), "the value of HOOK is no address with https");
    let env = project.env(&[]);
    let Err(error) = webhook(&env, &project.config.notify[0]) else { panic!("it was accepted") };
    assert_eq!(error.to_string(), "HOOK is not set; put it into .env.local or into the environment");
}

#[test]
fn a_receiver_is_checked_with_the_file() {
    let refused = |receivers: &str| {
        Config::parse(&format!("notify: {receivers}\n{}", crate::config::EXAMPLE)).unwrap_err().to_string()
    };
    insta::assert_snapshot!(
        [
            refused("[{ url: 'http://hooks.example.com/1', format: slack }]"),
            refused("[{ url: 'https://a.example.com/1' }]"),
            refused("[{ format: discord }]"),
            refused("[{ url_env: HOOK, format: slack, events: [lives] }]"),
        ]
        .join("\n---\n")
    );
}
