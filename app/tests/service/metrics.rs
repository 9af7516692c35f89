//! Metrics, as Prometheus scrapes them.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::{Method, StatusCode};

use crate::{
    pictures,
    proxy::Proxy,
    support::{CLIENT, Database, Process, Service, Setup, eventually},
};

/// A scrape: the types of all metrics, and the value of each series.
pub(crate) struct Scrape {
    types: BTreeMap<String, String>,
    pub(crate) series: BTreeMap<String, f64>,
}

impl Scrape {
    pub(crate) async fn of(process: &Process) -> Self {
        let address = process.logged("serving metrics").await["address"].as_str().unwrap().to_owned();
        Self::at(&address).await.unwrap()
    }

    async fn at(address: &str) -> reqwest::Result<Self> {
        let response = CLIENT.get(format!("http://{address}/metrics")).send().await?;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
        Ok(Self::parse(&response.text().await?))
    }

    /// Reads the text format strictly, as the OpenMetrics specification has it.
    fn parse(text: &str) -> Self {
        let mut scrape = Self { types: BTreeMap::new(), series: BTreeMap::new() };
        let text = text.strip_suffix("# EOF\n").expect("a scrape ends with # EOF");
        let mut metric = String::new();
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                metric = help.split_once(' ').expect("a name and a help").0.to_owned();
                continue;
            }
            if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert_eq!(name, metric, "the type follows the help");
                let name = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
                assert_eq!(scrape.types.insert(name, kind.to_owned()), None, "a metric is declared once");
                continue;
            }
            let (series, value) = line.rsplit_once(' ').expect(line);
            let name = series.split('{').next().unwrap();
            let suffix = name.strip_prefix(&metric).unwrap_or_else(|| panic!("{line} is below {metric}"));
            assert!(["", "_total", "_sum", "_count", "_bucket"].contains(&suffix), "{line}");
            assert_eq!(scrape.series.insert(series.to_owned(), value.parse().unwrap()), None, "{line}");
        }
        scrape
    }

    pub(crate) fn get(&self, series: &str) -> f64 {
        *self.series.get(series).unwrap_or_else(|| panic!("{series} is not in {:#?}", self.series))
    }
}

#[tokio::test]
async fn a_scrape_has_what_happened() {
    let service = Service::start_with(|setup| setup.var("METRICS_PORT", 0)).await.sign_in().await;
    let (picture, broken) = (pictures::jpeg(300, 200), &pictures::png(40, 40)[..200]);
    let (_, added) = service.upload(&picture, "a.jpg", "image/jpeg").await;
    service.upload(&picture, "b.jpg", "image/jpeg").await;
    service.upload(broken, "c.png", "image/png").await;
    service.upload(b"a text", "d.txt", "text/plain").await;
    let id = added["id"].as_str().unwrap();
    for path in
        [&format!("/api/media/{id}"), "/api/media/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/made-up/1", "/made-up/2", "/metrics"]
    {
        service.get(path).await;
    }
    service.request(Method::from_bytes(b"BREW").unwrap(), "/api/media").send().await.unwrap();
    let mut stream = service.get("/api/events").await;
    assert!(stream.chunk().await.unwrap().is_some());

    let scrape = Scrape::of(&service.process).await;
    let documented = include_str!("../../METRICS.md").lines().filter_map(|line| line.strip_prefix("| `"));
    let documented: BTreeSet<_> = documented.map(|line| line.split('`').next().unwrap().to_owned()).collect();
    // No collector and no queue is named, so nothing is counted of them.
    let unnamed = ["media_trace_spans_total", "media_queue_messages"].map(str::to_owned);
    let named: BTreeSet<_> = scrape.types.keys().cloned().chain(unnamed).collect();
    assert_eq!(named, documented);
    let size = (2 * picture.len() + broken.len() + 6) as f64;
    for (series, expected) in [
        (r#"media_build_info{version="test"}"#, 1.0),
        ("media_event_streams", 1.0),
        (r#"media_events_total{event="look"}"#, 1.0),
        (r#"media_http_requests_total{method="POST",route="/api/media",status="2xx"}"#, 2.0),
        (r#"media_http_requests_total{method="POST",route="/api/media",status="4xx"}"#, 2.0),
        (r#"media_http_requests_total{method="GET",route="/api/media/{id}",status="2xx"}"#, 1.0),
        (r#"media_http_requests_total{method="GET",route="/api/media/{id}",status="4xx"}"#, 1.0),
        // The public port has no metrics.
        (r#"media_http_requests_total{method="GET",route="unmatched",status="4xx"}"#, 3.0),
        (r#"media_http_requests_total{method="other",route="/api/media",status="4xx"}"#, 1.0),
        (r#"media_http_request_duration_seconds_count{method="POST",route="/api/media"}"#, 4.0),
        (r#"media_http_request_duration_seconds_bucket{le="+Inf",method="POST",route="/api/media"}"#, 4.0),
        (r#"media_uploads_total{outcome="added"}"#, 1.0),
        (r#"media_uploads_total{outcome="duplicate"}"#, 1.0),
        (r#"media_uploads_total{outcome="rejected"}"#, 2.0),
        ("media_upload_bytes_total", size),
        (r#"media_job_attempts_total{kind="process",outcome="done"}"#, 1.0),
        (r#"media_job_attempts_total{kind="process",outcome="rejected"}"#, 1.0),
        (r#"media_job_duration_seconds_count{kind="process"}"#, 2.0),
        (r#"media_decode_duration_seconds_count{format="image/jpeg"}"#, 1.0),
        (r#"media_decode_duration_seconds_count{format="image/png"}"#, 1.0),
        (r#"media_storage_calls_total{operation="put_file",outcome="ok"}"#, 2.0),
        (r#"media_jobs{kind="process",state="due"}"#, 0.0),
        (r#"media_job_oldest_due_seconds{kind="ocr"}"#, 0.0),
    ] {
        assert_eq!(scrape.get(series), expected, "{series}");
    }
    assert!(scrape.get(r#"media_http_request_duration_seconds_sum{method="POST",route="/api/media"}"#) > 0.0);
    assert!(scrape.get(r#"media_database_connections{state="idle"}"#) >= 1.0);
    let resident = scrape.get("process_resident_memory_bytes");
    assert!((1e6..1e9).contains(&resident), "{resident} bytes");
    let open = std::fs::read_dir(format!("/proc/{}/fd", service.process.id())).unwrap().count() as f64;
    assert!((scrape.get("process_open_fds") - open).abs() <= 10.0, "{open} are open");
    assert!(scrape.get("process_max_fds") > 100.0 && scrape.get("process_cpu_seconds_total") > 0.0);
    assert!(scrape.series.keys().all(|series| !series.contains("made-up") && !series.contains("BREW")));
}

#[tokio::test]
async fn the_queue_of_all_instances_is_counted_and_left_out_without_the_database() {
    let (database, folder) = (Database::create().await, tempfile::tempdir().unwrap());
    let proxy = Proxy::new(&database.url, true).await;
    let setup = Setup::new(&proxy.url, folder.path()).var("METRICS_PORT", 0).var("EMBEDDED_WORKER", "off");
    let process = setup.start().await;
    let service = Service { process, folder, token: String::new(), pool: database.pool().await, database };
    let service = service.sign_in().await;
    for number in 0..4 {
        service.upload(&pictures::png(20 + number, 20), "a.png", "image/png").await;
    }
    for (state, due, claim, quarantined) in [
        ("due", "-1 hour", false, false),
        ("working", "1 minute", true, false),
        ("postponed", "1 minute", false, false),
        ("quarantined", "-1 hour", false, true),
    ] {
        let added = "INSERT INTO job (media, kind, due_at, claim, quarantined)
                     SELECT id, 'ocr', now() + $1::interval, CASE WHEN $2 THEN gen_random_uuid() END, $3
                     FROM media WHERE NOT EXISTS (SELECT FROM job WHERE media = id) LIMIT 1";
        let added = sqlx::query(added).bind(due).bind(claim).bind(quarantined).execute(&service.pool).await.unwrap();
        assert_eq!(added.rows_affected(), 1, "{state}");
    }
    let scrape = Scrape::of(&service.process).await;
    for state in ["due", "working", "postponed", "quarantined"] {
        assert_eq!(scrape.get(&format!(r#"media_jobs{{kind="ocr",state="{state}"}}"#)), 1.0);
        assert_eq!(scrape.get(&format!(r#"media_jobs{{kind="process",state="{state}"}}"#)), 0.0);
    }
    let oldest = scrape.get(r#"media_job_oldest_due_seconds{kind="ocr"}"#);
    assert!((3600.0..3700.0).contains(&oldest), "{oldest} s");

    proxy.cut();
    eventually("the queue is left out", async || {
        let scrape = Scrape::of(&service.process).await;
        !scrape.series.keys().any(|series| series.starts_with("media_job_oldest") || series.starts_with("media_jobs{"))
    })
    .await;
    proxy.restore();
}

#[tokio::test]
async fn a_worker_has_metrics_too_and_waits_for_the_port_of_the_process_before_it() {
    let mut service = Service::start_with(|setup| setup.var("METRICS_PORT", 0)).await;
    let address = service.process.logged("serving metrics").await["address"].as_str().unwrap().to_owned();
    let port = address.rsplit_once(':').unwrap().1;
    let setup = || Setup::new(&service.database.url, service.folder.path()).var("METRICS_PORT", port);
    let worker = setup().var("SERVICE_VERSION", "worker").spawn_command("worker");
    worker.logged("another process has the port of the metrics; waiting for it").await;
    assert!(Scrape::at(&address).await.unwrap().series.contains_key(r#"media_build_info{version="test"}"#));

    service.process.signal("-KILL");
    service.process.ended().await;
    let scrape = Scrape::of(&worker).await;
    assert_eq!(scrape.get(r#"media_build_info{version="worker"}"#), 1.0);
    assert_eq!(scrape.get(r#"media_jobs{kind="process",state="due"}"#), 0.0);
}
