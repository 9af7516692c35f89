//! The web UI's files, as `STATIC_DIR` has them.

use reqwest::{Method, StatusCode, header::HeaderMap};

use crate::support::{CLIENT, Database, Setup};

const INDEX: &str = "<!doctype html><head><title>UI</title></head>";

#[tokio::test]
async fn the_ui_is_served_with_its_cache_rules_its_policy_and_deep_links() {
    let database = Database::create().await;
    let folder = tempfile::tempdir().unwrap();
    let site = folder.path().join("site");
    fs_err::create_dir_all(site.join("assets")).unwrap();
    for (name, content) in [
        ("index.html", INDEX),
        ("robots.txt", "User-agent: *"),
        ("app.webmanifest", "{}"),
        ("sw.js", "export {}"),
        ("assets/app-1a2b.js", "export {}"),
        ("assets/app-1a2b.js.br", "as brotli"),
        ("assets/app-1a2b.js.gz", "as gzip"),
    ] {
        fs_err::write(site.join(name), content).unwrap();
    }
    fs_err::write(folder.path().join("secret.txt"), "outside").unwrap();
    let setup = Setup::new(&database.url, &folder.path().join("uploads")).var("STATIC_DIR", site.display());
    let service = setup.start().await;
    let ask = async |method: Method, path: &str, headers: &[(&str, &str)]| {
        let request = CLIENT.request(method, format!("http://{}{path}", service.address));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let response = request.send().await.unwrap();
        (response.status(), response.headers().clone(), response.text().await.unwrap())
    };
    let text = |headers: &HeaderMap, name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());

    for path in ["/index.html", "/./index.html"] {
        let (status, headers, body) = ask(Method::GET, path, &[]).await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, INDEX), "{path}");
        assert!(text(&headers, "content-security-policy").unwrap().contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(text(&headers, "referrer-policy").unwrap(), "no-referrer");
    }
    for path in ["/", "/m/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/settings?theme=dark"] {
        let (status, headers, body) = ask(Method::GET, path, &[]).await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, INDEX), "{path}");
        assert_eq!(text(&headers, "cache-control").unwrap(), "no-cache");
        let policy = text(&headers, "content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(text(&headers, "x-content-type-options").unwrap(), "nosniff");
        assert_eq!(text(&headers, "referrer-policy").unwrap(), "no-referrer");
        let tag = text(&headers, "etag").unwrap();
        let (status, _, body) = ask(Method::GET, path, &[("if-none-match", &tag)]).await;
        assert_eq!((status, body.as_str()), (StatusCode::NOT_MODIFIED, ""));
        let (status, headers, body) = ask(Method::HEAD, path, &[]).await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, ""));
        assert_eq!(text(&headers, "content-length").unwrap(), INDEX.len().to_string());
    }

    for (accepted, encoding, content) in
        [("", None, "export {}"), ("gzip", Some("gzip"), "as gzip"), ("gzip, br", Some("br"), "as brotli")]
    {
        let (status, headers, body) = ask(Method::GET, "/assets/app-1a2b.js", &[("accept-encoding", accepted)]).await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, content));
        assert_eq!(text(&headers, "content-encoding").as_deref(), encoding);
        assert_eq!(text(&headers, "cache-control").unwrap(), "public, max-age=31536000, immutable");
        assert_eq!(text(&headers, "vary").unwrap(), "accept-encoding");
        assert_eq!(text(&headers, "content-type").unwrap(), "text/javascript");
    }
    for (path, content_type) in [("/app.webmanifest", "application/manifest+json"), ("/sw.js", "text/javascript")] {
        let (status, headers, _) = ask(Method::GET, path, &[]).await;
        assert_eq!((status, text(&headers, "content-type").unwrap().as_str()), (StatusCode::OK, content_type));
        assert_eq!(text(&headers, "cache-control").unwrap(), "no-cache", "{path}");
        assert!(text(&headers, "content-security-policy").unwrap().contains("manifest-src 'self'"), "{path}");
    }
    let (status, headers, _) = ask(Method::GET, "/robots.txt", &[]).await;
    assert_eq!((status, text(&headers, "cache-control").unwrap().as_str()), (StatusCode::OK, "no-cache"));
    assert_eq!(text(&headers, "last-modified"), None);

    for (method, path) in [
        (Method::GET, "/assets/gone-1a2b.js"),
        (Method::GET, "/favicon.ico"),
        (Method::GET, "/api"),
        (Method::GET, "/api/unknown"),
        (Method::GET, "/%2e%2e/secret.txt"),
        (Method::GET, "/assets/..%2f..%2fsecret.txt"),
        (Method::GET, &format!("/assets/{}.js", "a".repeat(300))),
        (Method::GET, &format!("/{}x.js", "a/".repeat(3000))),
        (Method::POST, "/settings"),
    ] {
        let (status, headers, body) = ask(method.clone(), path, &[]).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{method} {path}: {body}");
        assert_eq!(text(&headers, "content-type").unwrap(), "application/json", "{method} {path}");
    }
}

#[tokio::test]
async fn a_folder_without_the_ui_is_told_at_the_start() {
    let database = Database::create().await;
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::new(&database.url, &folder.path().join("uploads")).var("STATIC_DIR", folder.path().display());
    let output = setup.command().arg("serve").output().unwrap();
    assert!(!output.status.success());
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("cannot serve STATIC_DIR") && log.contains("index.html"), "{log}");
    fs_err::write(folder.path().join("index.html"), "<!doctype html><title>UI</title>").unwrap();
    let output = setup.command().arg("serve").output().unwrap();
    assert!(!output.status.success());
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("cannot serve STATIC_DIR") && log.contains("has no </head>"), "{log}");
}
