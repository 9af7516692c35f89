//! What a deploy sends beside its work: messages to those that deploy.yaml names, and spans.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use devservers::http::{HttpServer, Request, Response};
use serde_json::{Value, json};
use testkit::Project;

fn bodies(server: &HttpServer) -> Vec<Value> {
    server.asked().iter().map(|request: &Request| serde_json::from_slice(&request.body).unwrap()).collect()
}

#[test]
fn a_deploy_tells_how_it_ends_and_no_receiver_can_fail_it() {
    let project = Project::fixture();
    let refuses = Arc::new(AtomicBool::new(false));
    let refusing = Arc::clone(&refuses);
    let server = HttpServer::start(move |_| Response::new(if refusing.load(Ordering::SeqCst) { 503 } else { 200 }));
    let collector = HttpServer::start(|_| Response::new(200));
    let notify =
        "notify:\n  - { url_env: HOOK, secret_env: HOOK_SECRET, events: [started, live, unchanged, restored] }\n";
    project.write("deploy.yaml", &(project.read("deploy.yaml") + notify));
    project.gate(5);
    project.commit("Notify");
    let deploy = |code: i32| {
        let mut command = project.command(&["deploy"]);
        command
            .env("HOOK", format!("http://{}/hooks/to-keep", server.address))
            .env("HOOK_SECRET", "signs-what-is-sent");
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", collector.address));
        command.env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20of-the-collector");
        command.env("TRACEPARENT", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        testkit::Ran::of(&mut command).expect(code)
    };
    let ran = deploy(0);
    let told = bodies(&server);
    assert_eq!(told.iter().map(|body| &body["type"]).collect::<Vec<_>>(), ["deploy.started", "deploy.live"]);
    assert_eq!(told[1]["data"]["version"], json!(project.head()));
    for secret in ["to-keep", "signs-what-is-sent", "of-the-collector"] {
        assert!(!ran.stderr.contains(secret), "{}", ran.stderr);
    }

    let [export] = &collector.asked()[..] else { panic!("one request has all spans") };
    assert_eq!((export.path.as_str(), export.header("authorization")), ("/v1/traces", Some("Bearer of-the-collector")));
    let export: Value = serde_json::from_slice(&export.body).unwrap();
    let spans = export["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
    assert_eq!((&spans[0]["name"], &spans[0]["parentSpanId"]), (&json!("deploy"), &json!("00f067aa0ba902b7")));
    assert!(spans.iter().all(|span| span["traceId"] == "4bf92f3577b34da6a3ce929d0e0e4736"), "{spans:#?}");
    let steps: Vec<&str> = spans[1..].iter().map(|span| span["name"].as_str().unwrap()).collect();
    assert!(["build", "gate", "switch", "record"].iter().all(|step| steps.contains(step)), "{steps:?}");
    assert!(spans[1..].iter().all(|span| span["parentSpanId"] == spans[0]["spanId"]), "{spans:#?}");

    deploy(0);
    assert_eq!(bodies(&server)[3]["type"], "deploy.unchanged");

    // Neither gets it, and the deploy ends as it would without them.
    refuses.store(true, Ordering::SeqCst);
    project.edit("deploy.yaml", "timeout: 5", "timeout: 1");
    project.commit_behaviour("unready");
    let host = server.address.split(':').next().unwrap();
    let ran = deploy(30);
    let says = [
        format!("{host} was not told of this: started (it answered 503 Service Unavailable)"),
        format!("{host} was not told of this: restored (it answered 503"),
    ];
    let ran = ran.says(&says.each_ref().map(String::as_str));
    assert!(!ran.stderr.contains("to-keep"), "{}", ran.stderr);
    let spans = bodies(&collector)[2]["resourceSpans"][0]["scopeSpans"][0]["spans"].clone();
    let failed = spans.as_array().unwrap().iter().find(|span| span["name"] == "gate").unwrap();
    assert_eq!(failed["status"]["code"], 2);
}
