//! Liveness, readiness, the home page, and the headers and errors of all responses.

use std::{
    io::{Read, Write},
    net::TcpListener,
};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    proxy::Proxy,
    support::{Database, Service, Setup, eventually},
};

#[tokio::test]
async fn the_home_page_and_errors_have_the_documented_content() {
    let service = Service::start_with(|setup| setup.var("SERVICE_VERSION", "v1<b>")).await;
    let page = service.get("/").await;
    assert_eq!(page.headers()["x-content-type-options"], "nosniff");
    assert!(page.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    let html = page.text().await.unwrap();
    let address = &service.process.address;
    assert!(
        html.contains("v1&lt;b&gt;") && html.contains(&format!("curl http://{address}/api/auth/register")),
        "{html}"
    );
    assert!(!html.contains("{{"), "{html}");

    let request = service.request(Method::GET, "/nowhere").header("x-request-id", "from-the-proxy.1");
    let response = request.send().await.unwrap();
    assert_eq!(
        (response.status(), &response.headers()["x-request-id"]),
        (StatusCode::NOT_FOUND, &"from-the-proxy.1".parse().unwrap())
    );
    let error = json!({ "code": "not_found", "message": "not found", "request_id": "from-the-proxy.1" });
    assert_eq!(response.json::<Value>().await.unwrap(), json!({ "error": error }));

    let request = service.request(Method::PUT, "/api/media").header("x-request-id", "no good: \"{}\"");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()["x-request-id"].len(), 26, "an id that is not safe to log is replaced");
    assert_eq!(response.json::<Value>().await.unwrap()["error"]["code"], "method_not_allowed");

    let request = service.request(Method::POST, "/api/auth/login").header("content-type", "application/json");
    let response = request.body(vec![b' '; 100_000]).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(response.json::<Value>().await.unwrap()["error"]["code"], "too_large");
}

#[tokio::test]
async fn readiness_depends_on_the_database_and_liveness_does_not() {
    let (database, folder) = (Database::create().await, tempfile::tempdir().unwrap());
    let proxy = Proxy::new(&database.url, true).await;
    let process = Setup::new(&proxy.url, folder.path()).start().await;
    let service = Service { process, folder, token: String::new(), pool: database.pool().await, database };
    let readiness = async || {
        let response = service.get("/api/health/readiness").await;
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };

    let ok = |name| json!({ "name": name, "status": "ok", "detail": null });
    // The test gives it no PATH.
    let features = json!({
        "video": "off: ffmpeg and ffprobe are not installed",
        "ocr": "off: Tesseract or its models for English and Finnish are not installed",
        "heif": "off: heif-convert is not installed",
        "fast-avif": "off: avifdec is not installed beside heif-convert, which takes AVIF several times as long",
    });
    let checks = [ok("database"), ok("storage")];
    let ready = json!({ "status": "ready", "version": "test", "checks": checks, "features": features });
    assert_eq!(readiness().await, (200, ready.clone()));

    proxy.cut();
    eventually("readiness responds with 503", async || readiness().await.0 == 503).await;
    let (_, unready) = readiness().await;
    assert_eq!((&unready["status"], &unready["checks"][0]["status"]), (&json!("unready"), &json!("failed")));
    assert_eq!(unready["checks"][1], ok("storage"));
    let alive = service.get("/api/health/liveness").await;
    assert_eq!(alive.status(), StatusCode::OK);
    assert_eq!(alive.json::<Value>().await.unwrap(), json!({ "status": "alive" }));

    proxy.restore();
    eventually("readiness responds with 200 again", async || readiness().await == (200, ready.clone())).await;
}

#[tokio::test]
async fn readiness_depends_on_the_storage() {
    let service = Service::start().await;
    let (uploads, away) = (service.folder.path().join("uploads"), service.folder.path().join("away"));
    fs_err::rename(&uploads, &away).unwrap();
    let failed = async || {
        let body: Value = service.get("/api/health/readiness").await.json().await.unwrap();
        body["checks"][1]["status"] == "failed"
    };
    eventually("the storage check fails", failed).await;
    fs_err::rename(&away, &uploads).unwrap();
    eventually("the storage check succeeds again", async || !failed().await).await;
}

#[tokio::test]
async fn the_health_command_checks_the_running_service() {
    let service = Service::start().await;
    let port = service.process.address.rsplit_once(':').unwrap().1.to_owned();
    let health = |host: &str, port: &str| {
        let setup = Setup::new(&service.database.url, service.folder.path()).var("HOST", host).var("PORT", port);
        let output = setup.command().arg("health").output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for host in ["127.0.0.1", "0.0.0.0"] {
        assert_eq!(health(host, &port), (Some(0), String::new()), "{host}");
    }

    // Another program listens on the port.
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    let answering = std::thread::spawn(move || {
        let mut stream = other.accept().unwrap().0;
        let read = stream.read(&mut [0; 1024]).unwrap();
        stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").unwrap();
        read
    });
    let (code, error) = health("127.0.0.1", &address.port().to_string());
    assert!(answering.join().unwrap() > 0);
    assert!(code == Some(1) && error.contains("the response is \"HTTP/1.1 404 Not Found\""), "{error}");

    // No program listens on the port.
    let (code, error) = health("127.0.0.1", &address.port().to_string());
    assert!(code == Some(1) && error.contains("health check of") && error.contains("refused"), "{error}");
}
