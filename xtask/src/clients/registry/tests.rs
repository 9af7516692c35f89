mod hostile;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::credentials::Sources;
use super::*;
use crate::clients::patience::Patience;
use devservers::http::{HttpServer, Response};
use devservers::registry::Tokens;
use devservers::registry::{DockerRegistry, Image, Login, PASSWORD, USER, digest_of};

const NAME: &str = "group/service";

async fn credentials(address: &str, password: Option<&str>) -> Credentials {
    let host = reference(address).host().clone();
    let username = password.map(|_| USER.to_owned());
    let sources = Sources { username, password: password.map(Into::into), ..Sources::default() };
    Credentials::find(&host, &sources).await.unwrap()
}

fn reference(address: &str) -> Reference {
    format!("{address}/{NAME}").parse().unwrap()
}

async fn open(address: &str, password: Option<&str>) -> Repository {
    drop(rustls::crypto::ring::default_provider().install_default());
    Repository::new(&reference(address), credentials(address, password).await, &Patience::default()).unwrap()
}

fn image<'a>(tags: &'a [&'a str], created: &'a str) -> Image<'a> {
    Image { tags, created, version: "abc", layer: 1000 }
}

#[tokio::test]
async fn an_image_is_found_read_tagged_and_deleted() {
    let Some(registry) = testkit::or_skip("registry round trip", DockerRegistry::start(Login::Password)) else {
        return;
    };
    let repository = open(&registry.address, Some(PASSWORD)).await;
    repository.check().await.unwrap();
    assert_eq!(repository.digest_of("one").await.unwrap(), None);
    assert_eq!(repository.tags().await.unwrap(), [""; 0]);

    let digest = registry.push(NAME, &image(&["one"], "2026-01-01T00:00:00Z"));
    assert_eq!(repository.digest_of("one").await.unwrap().as_ref(), Some(&digest));
    let manifest = repository.manifest("one").await.unwrap();
    assert_eq!((&manifest.digest, &digest_of(&manifest.bytes)), (&digest, &digest));
    let manifest::Content::Image(parts) = &manifest.content else { panic!("{manifest:?}") };
    assert!(parts.is_image());
    assert_eq!(parts.size(), parts.config.size + 1000);
    let config = repository.config(parts).await.unwrap();
    assert_eq!(config.label("org.opencontainers.image.version"), Some("abc"));
    assert_eq!((config.config.user.as_str(), config.history.len()), ("10001", 2));

    repository.tag(&manifest, "two").await.unwrap();
    assert_eq!(repository.digest_of("two").await.unwrap().as_ref(), Some(&digest));
    assert_eq!(repository.tags().await.unwrap(), ["one", "two"]);
    repository.delete(&digest).await.unwrap();
    assert_eq!(repository.digest_of("two").await.unwrap(), None);
    assert!(matches!(repository.delete(&digest).await, Err(RegistryError::NotFound { .. })));
    assert!(matches!(repository.manifest("one").await, Err(RegistryError::NotFound { .. })));
}

#[tokio::test]
async fn an_index_has_the_image_of_a_platform() {
    let Some(registry) = testkit::or_skip("registry index", DockerRegistry::start(Login::Open)) else { return };
    let images = [image(&[], "2026-01-01T00:00:00Z"), image(&[], "2026-01-02T00:00:00Z")];
    let (digest, children) = registry.push_index(NAME, &["one"], &images);
    registry.push_cache(NAME, "cache");
    let repository = open(&registry.address, None).await;
    let index = repository.manifest("one").await.unwrap();
    assert_eq!(index.digest, digest);
    assert_eq!(index.for_platform("linux/arm64").unwrap().digest, children[1]);
    assert_eq!(index.for_platform("linux/s390x"), None);
    let cache = repository.manifest("cache").await.unwrap();
    assert_eq!(cache.children().count(), 0);
    assert_eq!(cache.for_platform("linux/amd64"), None);
}

#[tokio::test]
async fn a_wrong_password_is_an_error_with_its_source() {
    let Some(registry) = testkit::or_skip("registry wrong password", DockerRegistry::start(Login::Password)) else {
        return;
    };
    for (password, source) in [(Some("not-the-password"), "REGISTRY_PASSWORD"), (None, "no credentials")] {
        let repository = open(&registry.address, password).await;
        for outcome in [repository.check().await, repository.digest_of("one").await.map(drop)] {
            let error = outcome.unwrap_err();
            assert!(matches!(error, RegistryError::Unauthorized { .. }), "{error}");
            let text = error.to_string();
            assert!(
                text.contains(source) && text.contains("docker login") && !text.contains("not-the-password"),
                "{text}"
            );
        }
    }
}

#[tokio::test]
async fn a_registry_that_refuses_to_delete_is_an_error() {
    let Some(registry) = testkit::or_skip("registry without deletion", DockerRegistry::start_with(Login::Open, false))
    else {
        return;
    };
    let digest = registry.push(NAME, &image(&["one"], "2026-01-01T00:00:00Z"));
    let repository = open(&registry.address, None).await;
    let error = repository.delete(&digest).await.unwrap_err();
    assert!(matches!(error, RegistryError::DeletionRefused { .. }), "{error}");
    assert_eq!(registry.head(NAME, "one").0, 200);
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_again_when_it_has_ended() {
    // The first is already past its end, with more than the minute that registries forgive, and says nothing of it.
    let tokens = Tokens::start(vec![(-300, 3600), (600, 3600)]);
    let Some(registry) = testkit::or_skip("registry with tokens", DockerRegistry::start(Login::Token(tokens))) else {
        return;
    };
    let digest = registry.push(NAME, &image(&["one"], "2026-01-01T00:00:00Z"));
    let Login::Token(tokens) = &registry.login else { unreachable!() };
    let repository = open(&registry.address, Some(PASSWORD)).await;
    for _ in 0..3 {
        assert_eq!(repository.digest_of("one").await.unwrap().as_ref(), Some(&digest));
        assert_eq!(tokens.asked().len(), 2);
    }
    repository.check().await.unwrap();
    let manifest = repository.manifest("one").await.unwrap();
    repository.tag(&manifest, "two").await.unwrap();
    repository.delete(&digest).await.unwrap();
    // One for each kind of access.
    assert_eq!(tokens.asked().len(), 5);
}

#[tokio::test]
async fn a_token_that_ends_in_the_middle_of_work_is_replaced_and_one_that_allows_too_little_is_not() {
    let given = Mutex::new(0);
    let tokens = HttpServer::start(move |_| {
        let mut given = given.lock().unwrap();
        *given += 1;
        Response::new(200).body("application/json", format!(r#"{{"token":"t{given}","expires_in":3600}}"#))
    });
    let (realm, good) = (format!("http://{}/", tokens.address), Arc::new(Mutex::new("t1")));
    let accepted = Arc::clone(&good);
    let server = HttpServer::start(move |request| {
        let good = *accepted.lock().unwrap();
        let error = if good == "none" { "insufficient_scope" } else { "invalid_token" };
        let challenge = format!("Bearer realm=\"{realm}\",service=\"s\",error=\"{error}\"");
        match request.header("authorization") == Some(&format!("Bearer {good}")) {
            true => Response::new(200).body("application/json", r#"{"tags":["a"]}"#),
            false => Response::new(401).header("WWW-Authenticate", &challenge),
        }
    });
    let repository = open(&server.address, Some(PASSWORD)).await;
    for (now, asked) in [("t1", 1), ("t1", 1), ("t2", 2)] {
        *good.lock().unwrap() = now;
        assert_eq!(repository.tags().await.unwrap(), ["a"]);
        assert_eq!(tokens.asked().len(), asked);
    }
    assert_eq!(server.asked().len(), 2 + 1 + 2);
    *good.lock().unwrap() = "none";
    assert!(matches!(repository.tags().await, Err(RegistryError::Unauthorized { .. })));
    assert_eq!(tokens.asked().len(), 3);
    let scope = tokens.asked()[0].query("scope").unwrap().to_owned();
    assert_eq!(scope, "repository%3Agroup%2Fservice%3Apull");
}

#[tokio::test]
async fn a_registry_that_rejects_a_password_is_asked_for_its_challenge() {
    let tokens = HttpServer::start(|_| Response::new(200).body("application/json", r#"{"access_token":"t"}"#));
    let challenge = format!("Basic realm=\"x\", Bearer realm=\"http://{}/\",service=\"s\"", tokens.address);
    let server = HttpServer::start(move |request| match request.header("authorization") {
        Some("Bearer t") => Response::new(200).body("application/json", r#"{"tags":["a"]}"#),
        Some(_) => Response::new(403),
        None => Response::new(401).header("WWW-Authenticate", &challenge),
    });
    let repository = open(&server.address, Some(PASSWORD)).await;
    assert_eq!(repository.tags().await.unwrap(), ["a"]);
    assert!(tokens.asked()[0].header("authorization").unwrap().starts_with("Basic "));
    assert_eq!(repository.tags().await.unwrap(), ["a"]);
    assert_eq!((server.asked().len(), tokens.asked().len()), (4, 1), "the token is kept for a minute");
}

#[tokio::test]
async fn tokens_that_live_for_seconds_are_not_kept() {
    let tokens = Tokens::start(vec![(5, 5)]);
    let Some(registry) = testkit::or_skip("registry with short tokens", DockerRegistry::start(Login::Token(tokens)))
    else {
        return;
    };
    registry.push(NAME, &image(&["one"], "2026-01-01T00:00:00Z"));
    let Login::Token(tokens) = &registry.login else { unreachable!() };
    let repository = open(&registry.address, Some(PASSWORD)).await;
    for asked in 1..4 {
        assert!(repository.digest_of("one").await.unwrap().is_some());
        assert_eq!(tokens.asked().len(), asked);
    }
}

#[tokio::test]
async fn an_identity_token_is_exchanged_and_a_wrong_password_is_an_error() {
    let login = Login::Token(Tokens::start(vec![(600, 600)]));
    let Some(registry) = testkit::or_skip("registry with identity tokens", DockerRegistry::start(login)) else {
        return;
    };
    let digest = registry.push(NAME, &image(&["one"], "2026-01-01T00:00:00Z"));
    let folder = tempfile::tempdir().unwrap();
    let config = format!(r#"{{"auths": {{"{}": {{"identitytoken": "sentinel-identity"}}}}}}"#, registry.address);
    fs_err::write(folder.path().join("config.json"), config).unwrap();
    let docker = Some(camino::Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap());
    let name = reference(&registry.address);
    drop(rustls::crypto::ring::default_provider().install_default());
    let found = Credentials::find(name.host(), &Sources { docker, ..Sources::default() }).await.unwrap();
    let repository = Repository::new(&name, found, &Patience::default()).unwrap();
    assert_eq!(repository.digest_of("one").await.unwrap(), Some(digest));

    let error = open(&registry.address, Some("not-the-password")).await.check().await.unwrap_err().to_string();
    assert!(error.contains("token server") && error.contains("wrong password"), "{error}");
}

#[tokio::test]
async fn with_a_password_a_lookup_is_one_request() {
    let digest = digest_of(b"x");
    let answered = digest.clone();
    let server = HttpServer::start(move |_| {
        let index = "application/vnd.oci.image.index.v1+json";
        Response::new(200).header("content-type", index).header("Docker-Content-Digest", &answered)
    });
    let repository = open(&server.address, Some(PASSWORD)).await;
    let began = Instant::now();
    assert_eq!(repository.digest_of("one").await.unwrap(), Some(digest));
    assert!(began.elapsed() < Duration::from_secs(5));
    let asked = server.asked();
    assert_eq!((asked.len(), asked[0].method.as_str()), (1, "HEAD"));
    let accept = asked[0].header("accept").unwrap();
    for media_type in ["oci.image.index.v1", "oci.image.manifest.v1", "manifest.list.v2", "distribution.manifest.v2"] {
        assert!(accept.contains(media_type), "{accept}");
    }
}

#[tokio::test]
async fn tags_are_read_page_by_page_and_not_from_elsewhere() {
    let server = HttpServer::start(|request| {
        let page = request.query("last").unwrap_or("0").parse::<u32>().unwrap();
        let body = format!(r#"{{"name":"{NAME}","tags":["t{page}"]}}"#);
        let response = Response::new(200).body("application/json", body);
        let link = format!("</v2/{NAME}/tags/list?last={}&n=1>; rel=\"next\"", page + 1);
        if page < 2 { response.header("Link", &link) } else { response }
    });
    assert_eq!(open(&server.address, None).await.tags().await.unwrap(), ["t0", "t1", "t2"]);

    let elsewhere = HttpServer::start(|_| Response::new(200).body("application/json", "{}"));
    let link = format!("<http://{}/v2/>; rel=\"next\"", elsewhere.address);
    let server =
        HttpServer::start(move |_| Response::new(200).body("application/json", r#"{"tags":[]}"#).header("Link", &link));
    let error = open(&server.address, Some(PASSWORD)).await.tags().await.unwrap_err().to_string();
    assert!(error.contains("next page"), "{error}");
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn a_server_that_is_not_a_registry_is_an_error() {
    let html = HttpServer::start(|_| Response::new(200).body("text/html; charset=utf-8", "<html>Sign in</html>"));
    let not_found = HttpServer::start(|_| Response::new(404).body("text/html", "<html>nothing here</html>"));
    let endless = HttpServer::start(|_| Response::new(200).body("application/json", vec![b' '; 65536]).endless());
    let no_challenge = HttpServer::start(|_| Response::new(401));
    for server in [html, not_found, endless, no_challenge] {
        let repository = open(&server.address, Some(PASSWORD)).await;
        let outcomes = [
            repository.check().await,
            repository.digest_of("one").await.map(drop),
            repository.tags().await.map(drop),
            repository.manifest("one").await.map(drop),
        ];
        for (number, outcome) in outcomes.into_iter().enumerate() {
            let error = outcome.expect_err(&number.to_string());
            let other = number == 3 && error.to_string().contains("not a manifest");
            assert!(matches!(error, RegistryError::NotARegistry { .. }) || other, "{number}: {error:?}");
            assert!(error.to_string().contains(&server.address), "{error}");
        }
    }
}

#[tokio::test]
async fn a_registry_that_is_not_running_is_an_error() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let error = open(&free, None).await.digest_of("one").await.unwrap_err();
    assert!(matches!(error, RegistryError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains(&free) && error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn transient_errors_are_retried_and_permanent_ones_are_not() {
    let server = |statuses: Vec<u16>| {
        let statuses = Mutex::new(statuses);
        HttpServer::start(move |_| {
            let mut statuses = statuses.lock().unwrap();
            let status = if statuses.len() > 1 { statuses.remove(0) } else { statuses[0] };
            Response::new(status).header("Retry-After", "0").body("application/json", r#"{"tags":["a"]}"#)
        })
    };
    let passing = server(vec![429, 503, 200]);
    assert_eq!(open(&passing.address, None).await.tags().await.unwrap(), ["a"]);
    assert_eq!(passing.asked().len(), 3);
    let lasting = server(vec![500]);
    assert!(open(&lasting.address, None).await.tags().await.unwrap_err().to_string().contains("500"));
    assert_eq!(lasting.asked().len(), 4);
    let mistake = server(vec![400]);
    assert!(open(&mistake.address, None).await.tags().await.unwrap_err().to_string().contains("400"));
    assert_eq!(mistake.asked().len(), 1);
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect_to_another_host() {
    let bytes = br#"{"schemaVersion":2,"manifests":[]}"#;
    let storage = HttpServer::start(move |request| match request.path.as_str() {
        "/challenge" => Response::new(401).header("WWW-Authenticate", "Basic realm=\"give\""),
        _ => Response::new(200).body("application/vnd.oci.image.index.v1+json", bytes),
    });
    let to = |path: &str| format!("http://{}{path}", storage.address);
    let (blob, challenge) = (to("/blob"), to("/challenge"));
    let server = HttpServer::start(move |request| {
        let location = if request.path.ends_with("/one") { &blob } else { &challenge };
        Response::new(307).header("Location", location)
    });
    let repository = open(&server.address, Some(PASSWORD)).await;
    assert_eq!(repository.manifest("one").await.unwrap().digest, digest_of(bytes));
    assert!(matches!(repository.manifest("two").await, Err(RegistryError::Unauthorized { .. })));
    assert!(server.asked().iter().all(|request| request.header("authorization").is_some()));
    assert_eq!(storage.asked().len(), 2);
    assert!(storage.asked().iter().all(|request| request.header("authorization").is_none()));
    // Writing is never sent on.
    let error = repository.delete(&digest_of(b"x")).await.unwrap_err().to_string();
    assert!(error.contains("elsewhere"), "{error}");
}

#[tokio::test]
async fn a_token_server_without_tls_gets_nothing() {
    for realm in
        ["http://tokens.example.org/", "ftp://tokens.example.org/", "nonsense", "https://me@tokens.example.org/"]
    {
        let challenge = format!("Bearer realm=\"{realm}\",service=\"s\",scope=\"repository:x:pull\"");
        let server = HttpServer::start(move |_| Response::new(401).header("WWW-Authenticate", &challenge));
        let error = open(&server.address, Some(PASSWORD)).await.digest_of("one").await.unwrap_err().to_string();
        assert!(error.contains("token server"), "{error}");
        assert_eq!(server.asked().len(), 1);
    }
    // Nor does one that sends it on.
    let elsewhere = HttpServer::start(|_| Response::new(200).body("application/json", r#"{"token":"t"}"#));
    let location = format!("http://{}/", elsewhere.address);
    let tokens = HttpServer::start(move |_| Response::new(307).header("Location", &location));
    let challenge = format!("Bearer realm=\"http://{}/\"", tokens.address);
    let server = HttpServer::start(move |_| Response::new(401).header("WWW-Authenticate", &challenge));
    assert!(open(&server.address, Some(PASSWORD)).await.digest_of("one").await.is_err());
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn content_that_does_not_match_its_digest_is_refused() {
    let bytes = br#"{"schemaVersion":2,"manifests":[]}"#;
    let server = HttpServer::start(move |_| {
        let response = Response::new(200).body("application/vnd.oci.image.index.v1+json", bytes);
        response.header("Docker-Content-Digest", &digest_of(b"other"))
    });
    let repository = open(&server.address, None).await;
    for reference in ["one".to_owned(), digest_of(b"another")] {
        let error = repository.manifest(&reference).await.unwrap_err().to_string();
        assert!(error.contains("announced"), "{error}");
    }
}

#[tokio::test]
async fn control_characters_of_a_registry_do_not_reach_the_terminal() {
    let body = "{\"errors\":[{\"code\":\"BAD\",\"message\":\"a\\u001b[2Jb\"}]}";
    let server = HttpServer::start(move |_| Response::new(400).body("application/json", body));
    let error = open(&server.address, None).await.tags().await.unwrap_err().to_string();
    assert!(error.contains("BAD") && !error.contains('\u{1b}'), "{error:?}");
}

#[tokio::test]
async fn text_of_a_registry_is_validated_before_it_is_part_of_a_url() {
    for tag in ["../../../other", "a/b", "a?x", "\u{e4}\u{e4}", "", "a\\u001b"] {
        let body = format!("{{\"tags\":[\"{tag}\"]}}");
        let server = HttpServer::start(move |_| Response::new(200).body("application/json", body.clone()));
        let repository = open(&server.address, None).await;
        assert!(repository.tags().await.is_err(), "{tag}");
        assert!(repository.manifest(tag).await.is_err() && repository.delete(tag).await.is_err(), "{tag}");
        assert_eq!(server.asked().len(), 1);
    }
}
