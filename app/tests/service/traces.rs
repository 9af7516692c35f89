//! Traces, as a collector of OpenTelemetry receives them.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
};

use axum::{Json, Router, http::HeaderMap, routing::post};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    pictures,
    support::{CLIENT, Service, eventually},
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// What a collector has received: the headers and the body of each request.
#[derive(Clone)]
struct Collector {
    endpoint: String,
    requests: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let collector = Self { endpoint, requests: Arc::default() };
        let requests = collector.requests.clone();
        let receive = async move |headers: HeaderMap, Json(body): Json<Value>| {
            requests.lock().unwrap().push((headers, body));
            Json(json!({}))
        };
        let router = Router::new().route("/v1/traces", post(receive));
        tokio::spawn(async move { axum::serve(listener, router).await });
        collector
    }

    fn spans(&self) -> Vec<Value> {
        let requests = self.requests.lock().unwrap();
        let scopes = requests.iter().flat_map(|(_, body)| body["resourceSpans"][0]["scopeSpans"].as_array().unwrap());
        scopes.flat_map(|scope| scope["spans"].as_array().unwrap()).cloned().collect()
    }

    /// Waits for a span of this name, and for those that ended before it.
    async fn span(&self, name: &str) -> Value {
        let find = || self.spans().into_iter().find(|span| span["name"] == name);
        eventually(name, async || find().is_some()).await;
        find().unwrap()
    }
}

fn attributes(span: &Value) -> HashMap<&str, &Value> {
    let all = span["attributes"].as_array().unwrap().iter();
    all.map(|pair| (pair["key"].as_str().unwrap(), pair["value"].as_object().unwrap().values().next().unwrap()))
        .collect()
}

fn nanoseconds(span: &Value, name: &str) -> u128 {
    span[name].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_request_is_a_trace_with_its_job_its_storage_calls_and_its_queries() {
    let collector = Collector::start().await;
    let service = Service::start_with(|setup| {
        setup
            .var("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint)
            .var("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20sentinel-collector")
            .var("OTEL_SERVICE_NAME", "pictures")
    })
    .await
    .sign_in()
    .await;
    let part = reqwest::multipart::Part::bytes(pictures::jpeg(200, 100)).file_name("sentinel-name.jpg");
    let upload = service.request(Method::POST, "/api/media").header("traceparent", format!("00-{TRACE}-{PARENT}-01"));
    let upload = upload.multipart(reqwest::multipart::Form::new().part("file", part)).send().await.unwrap();
    assert_eq!(upload.status(), StatusCode::CREATED);
    // What is not sampled, and probes, are not traced.
    let unsampled = format!("00-{}-{PARENT}-00", "1".repeat(32));
    service.request(Method::GET, "/api/media/facets").header("traceparent", unsampled).send().await.unwrap();
    service.get("/api/health/readiness").await;
    let secret = format!("/sentinel-path/{}?token=sentinel-query", service.token);
    CLIENT.get(format!("http://{}{secret}", service.process.address)).send().await.unwrap();

    let unmatched = collector.span("GET").await;
    assert_eq!((&unmatched["parentSpanId"], &unmatched["status"]["code"]), (&json!(""), &json!(0)));
    assert_ne!(unmatched["traceId"], TRACE);
    let all = collector.spans();
    let spans: Vec<_> = all.iter().filter(|span| span["traceId"] == TRACE).collect();
    let named =
        |name: &str| *spans.iter().find(|span| span["name"] == name).unwrap_or_else(|| panic!("{name}: {spans:#?}"));
    let root = named("POST /api/media");
    assert_eq!((&root["parentSpanId"], &root["kind"]), (&json!(PARENT), &json!(2)));
    let expected = [
        ("http.request.method", json!("POST")),
        ("http.route", json!("/api/media")),
        ("http.response.status_code", json!("201")),
    ];
    assert_eq!(attributes(root), expected.iter().map(|(name, value)| (*name, value)).collect());
    let job = named("job process");
    assert_eq!((&job["parentSpanId"], &job["kind"]), (&root["spanId"], &json!(5)));
    assert_eq!(attributes(job)["job.outcome"], "done");
    assert_eq!(named("decode image/jpeg")["parentSpanId"], job["spanId"]);
    assert_eq!(
        (&named("storage put_file")["parentSpanId"], &named("storage put_file")["kind"]),
        (&root["spanId"], &json!(3))
    );
    assert_eq!(named("storage put_bytes")["parentSpanId"], job["spanId"]);
    let queries: Vec<_> = spans.iter().filter(|span| attributes(span).contains_key("db.system.name")).collect();
    assert!(queries.iter().any(|query| query["parentSpanId"] == root["spanId"]), "{queries:#?}");
    assert!(queries.iter().any(|query| query["parentSpanId"] == job["spanId"]), "{queries:#?}");

    let ids: HashSet<_> = spans.iter().map(|span| span["spanId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), spans.len(), "each has an id of its own");
    for span in &spans {
        let parent = span["parentSpanId"].as_str().unwrap();
        assert!(parent == PARENT || ids.contains(parent), "{span}");
        assert!(nanoseconds(span, "startTimeUnixNano") <= nanoseconds(span, "endTimeUnixNano"), "{span}");
    }
    assert!(all.iter().all(|span| !span["name"].as_str().unwrap().contains("health")), "probes are not traced");
    assert!(all.iter().all(|span| span["traceId"] != "1".repeat(32)), "what the caller does not sample is not traced");

    let requests = collector.requests.lock().unwrap().clone();
    for (headers, body) in &requests {
        assert_eq!(headers["authorization"], "Bearer sentinel-collector");
        assert_eq!(headers["content-type"], "application/json");
        let text = body.to_string();
        assert!(!text.contains("sentinel") && !text.contains(&service.token), "{text}");
        let resource = json!([
            { "key": "service.name", "value": { "stringValue": "pictures" } },
            { "key": "service.version", "value": { "stringValue": "test" } },
        ]);
        assert_eq!(body["resourceSpans"][0]["resource"]["attributes"], resource);
    }

    // The log names the trace: in the line of each request, and in those inside of it.
    let log: Vec<Value> = service.process.log().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let line = log.iter().find(|line| line["message"] == "request" && line["trace_id"] == TRACE);
    assert_eq!(line.unwrap()["path"], "/api/media");
    assert!(
        log.iter()
            .filter(|line| line["message"] == "request")
            .all(|line| line["trace_id"].as_str().unwrap().len() == 32)
    );
}

#[tokio::test]
async fn lines_of_the_log_inside_of_a_request_name_it() {
    for traced in [false, true] {
        let collector = Collector::start().await;
        let service = Service::start_with(|setup| {
            if traced { setup.var("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint) } else { setup }
        })
        .await
        .sign_in()
        .await;
        let broken = reqwest::multipart::Part::bytes(pictures::png(40, 40)[..200].to_vec()).file_name("a.png");
        let upload = service.request(Method::POST, "/api/media").header("x-request-id", "the-upload");
        let upload = upload.header("traceparent", format!("00-{TRACE}-{PARENT}-01"));
        upload.multipart(reqwest::multipart::Form::new().part("file", broken)).send().await.unwrap();
        let rejected = service.process.logged("rejected").await;
        let span = json!({ "name": "request", "request_id": "the-upload", "trace_id": TRACE });
        assert_eq!(rejected["span"], span, "traced: {traced}");
    }
}

#[tokio::test]
async fn a_collector_that_is_away_or_hangs_slows_no_request() {
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // It accepts connections, and never answers.
    let hangs = format!("http://{}", hanging.local_addr().unwrap());
    for endpoint in ["http://127.0.0.1:1", &hangs] {
        let mut service =
            Service::start_with(|setup| setup.var("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).var("METRICS_PORT", 0))
                .await
                .sign_in()
                .await;
        for _ in 0..300 {
            assert_eq!(service.get("/api/media").await.status(), StatusCode::OK);
        }
        if endpoint != hangs {
            service.process.logged("the collector does not take spans: they are lost").await;
            let metrics = service.process.logged("serving metrics").await["address"].as_str().unwrap().to_owned();
            let metrics = CLIENT.get(format!("http://{metrics}/metrics")).send().await.unwrap().text().await.unwrap();
            let lost = metrics.lines().find_map(|line| line.strip_prefix("media_trace_spans_total{outcome=\"lost\"} "));
            assert!(lost.unwrap().parse::<u64>().unwrap() > 0);
        }
        service.process.signal("-TERM");
        assert!(service.process.ended().await.success());
    }
}
