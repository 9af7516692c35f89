//! Registries that answer what no registry answers: without end, byte by byte, in circles, with another length, or with the
//! wish for a password.

use super::*;

/// The error of a request to the server at this address. A request takes no longer than this.
async fn error_of<T>(
    address: &str,
    timeout: Duration,
    request: impl AsyncFnOnce(Repository) -> Result<T>,
) -> RegistryError {
    drop(rustls::crypto::ring::default_provider().install_default());
    let credentials = credentials(address, Some(PASSWORD)).await;
    let repository = Repository::with_timeout(&reference(address), credentials, &Patience::default(), timeout).unwrap();
    request(repository).await.err().expect("the answer is refused")
}

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_registry_that_answers_nothing_or_byte_by_byte_is_given_up() {
    // The system accepts connections for it.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let drips = HttpServer::start(|_| Response::new(200).body("application/json", "[").dripping());
    for address in [silent.local_addr().unwrap().to_string(), drips.address.clone()] {
        let error = error_of(&address, SHORT, async |repository| repository.tags().await).await;
        assert!(matches!(error, RegistryError::Unreachable { .. }), "{error:?}");
        assert!(error.to_string().contains("no complete response within 300ms"), "{error}");
    }
    assert_eq!(drips.asked().len(), 1);
}

#[tokio::test]
async fn a_response_that_ends_before_its_length_is_an_error() {
    let body = r#"{"schemaVersion":2,"manifests":[]}"#;
    let server = HttpServer::start(move |_| {
        Response::new(200).body("application/vnd.oci.image.index.v1+json", body).announcing(body.len() + 1)
    });
    let error = error_of(&server.address, LONG, async |repository| repository.manifest("one").await).await;
    assert!(matches!(error, RegistryError::Unreachable { .. }), "{error:?}");
    // What comes after the announced length is not read.
    let server = HttpServer::start(move |_| {
        let digest = digest_of(body.as_bytes());
        let response = Response::new(200).header("Docker-Content-Digest", &digest);
        response.body("application/vnd.oci.image.index.v1+json", body).announcing(body.len() - 1)
    });
    let error = error_of(&server.address, LONG, async |repository| repository.manifest("one").await).await;
    assert!(error.to_string().contains("the registry announced"), "{error}");
}

#[tokio::test]
async fn pages_of_tags_in_a_circle_or_without_end_are_an_error() {
    let circle = HttpServer::start(|_| {
        let link = format!("</v2/{NAME}/tags/list?last=a&n=1>; rel=\"next\"");
        Response::new(200).header("Link", &link).body("application/json", r#"{"tags":["a"]}"#)
    });
    let error = error_of(&circle.address, LONG, async |repository| repository.tags().await).await;
    assert!(error.to_string().contains("in a circle"), "{error}");
    assert_eq!(circle.asked().len(), 2);

    let endless = HttpServer::start(|request| {
        let page = request.query("last").unwrap_or("0").parse::<u32>().unwrap();
        let link = format!("</v2/{NAME}/tags/list?last={}&n=1>; rel=\"next\"", page + 1);
        let tags: Vec<String> = (0..10_000).map(|tag| format!("t{page}-{tag}")).collect();
        let body = serde_json::json!({ "tags": tags }).to_string();
        Response::new(200).header("Link", &link).body("application/json", body)
    });
    let error = error_of(&endless.address, LONG, async |repository| repository.tags().await).await;
    assert!(error.to_string().contains("more than 100000"), "{error}");
    assert_eq!(endless.asked().len(), 11);
}

#[tokio::test]
async fn redirects_without_end_or_to_another_scheme_are_an_error() {
    let server = HttpServer::start(|request| {
        assert!(request.path.contains("tags"));
        Response::new(307).header("Location", "/v2/tags")
    });
    let error = error_of(&server.address, LONG, async |repository| repository.tags().await).await;
    assert!(error.to_string().contains("redirects more than 5 times"), "{error}");
    assert_eq!(server.asked().len(), 6);
    for location in ["file:///etc/passwd", "http://registry.example.org/", "ftp://127.0.0.1/"] {
        let server = HttpServer::start(move |_| Response::new(307).header("Location", location));
        let error = error_of(&server.address, LONG, async |repository| repository.manifest("one").await).await;
        assert!(error.to_string().contains("less secure"), "{location}: {error}");
        assert_eq!(server.asked().len(), 1);
    }
}

#[tokio::test]
async fn a_registry_that_asks_for_patience_again_and_again_is_given_up() {
    let busy = HttpServer::start(|_| Response::new(503).header("Retry-After", "9"));
    let error = error_of(&busy.address, SHORT, async |repository| repository.manifest("one").await).await;
    assert!(matches!(error, RegistryError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("no answer within 1.2s"), "{error}");
    assert_eq!(busy.asked().len(), 1);
}

#[tokio::test]
async fn a_registry_that_never_accepts_a_token_is_asked_three_times() {
    let tokens = HttpServer::start(|_| Response::new(200).body("application/json", r#"{"token":"t"}"#));
    let challenge = format!("Bearer realm=\"http://{}/\",error=\"invalid_token\"", tokens.address);
    let server = HttpServer::start(move |_| Response::new(401).header("WWW-Authenticate", &challenge));
    let error = error_of(&server.address, LONG, async |repository| repository.tags().await).await;
    assert!(matches!(error, RegistryError::Unauthorized { .. }), "{error:?}");
    assert_eq!((server.asked().len(), tokens.asked().len()), (3, 2));
}

#[tokio::test]
async fn the_password_is_not_sent_to_the_token_server_of_another_host() {
    for realm in ["https://tokens.example.org/token", "https://127.0.0.1.example.org/", "https://auth.docker.io/token"]
    {
        let challenge = format!("Bearer realm=\"{realm}\",service=\"s\"");
        let server = HttpServer::start(move |_| Response::new(401).header("WWW-Authenticate", &challenge));
        let error = error_of(&server.address, LONG, async |repository| repository.tags().await).await;
        assert!(matches!(error, RegistryError::ForeignTokenServer { .. }), "{error:?}");
        let host = realm.split('/').nth(2).unwrap();
        assert!(error.to_string().contains(&format!("set REGISTRY_TOKEN_HOST={host}")), "{error}");
        assert_eq!(server.asked().len(), 1);
    }
}

#[tokio::test]
async fn a_token_without_end_is_an_error() {
    let tokens = HttpServer::start(|_| Response::new(200).body("application/json", vec![b' '; 65536]).endless());
    let challenge = format!("Bearer realm=\"http://{}/\"", tokens.address);
    let server = HttpServer::start(move |_| Response::new(401).header("WWW-Authenticate", &challenge));
    let error = error_of(&server.address, LONG, async |repository| repository.tags().await).await;
    assert!(error.to_string().contains("more than 128 KiB") && error.to_string().contains(&tokens.address), "{error}");
}

#[tokio::test]
async fn an_index_with_thousands_of_entries_is_refused() {
    let entry = serde_json::json!({ "digest": digest_of(b"x"), "size": 1 });
    let body = serde_json::json!({ "schemaVersion": 2, "manifests": vec![entry; 2001] }).to_string();
    let server =
        HttpServer::start(move |_| Response::new(200).body("application/vnd.oci.image.index.v1+json", body.clone()));
    let error = error_of(&server.address, LONG, async |repository| repository.manifest("one").await).await;
    assert!(error.to_string().contains("2001 entries"), "{error}");
}

#[tokio::test]
async fn of_a_thousand_errors_five_are_shown() {
    let error = serde_json::json!({ "code": "DENIED", "message": "x".repeat(500) });
    let body = serde_json::json!({ "errors": vec![error; 1000] }).to_string();
    let server = HttpServer::start(move |_| Response::new(400).body("application/json", body.clone()));
    let error = error_of(&server.address, LONG, async |repository| repository.tags().await).await.to_string();
    assert!(error.matches("DENIED").count() == 5 && error.len() < 2000, "{} bytes", error.len());
}
