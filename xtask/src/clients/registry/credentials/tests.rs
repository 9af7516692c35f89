use std::time::Instant;

use secrecy::ExposeSecret as _;

use super::*;
use crate::clients::registry::reference::Reference;

fn host(name: &str) -> Host {
    format!("{name}/a").parse::<Reference>().unwrap().host().clone()
}

fn docker(config: &str) -> (tempfile::TempDir, Sources) {
    let folder = tempfile::tempdir().unwrap();
    fs_err::write(folder.path().join("config.json"), config).unwrap();
    let docker = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    (folder, Sources { docker: Some(docker), ..Sources::default() })
}

fn shown(credentials: &Credentials) -> String {
    match credentials.login() {
        None => "nobody".to_owned(),
        Some(Login::Password { username, password }) => format!("{username}:{}", password.expose_secret()),
        Some(Login::IdentityToken(token)) => format!("token {}", token.expose_secret()),
    }
}

/// A helper program that is the shell script `body`.
fn helper(body: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let (script, path) = (folder.path().join("script"), folder.path().join("docker-credential-test"));
    fs_err::write(&script, format!("#!/bin/sh\n{body}\n")).unwrap();
    // A program that this process had open for writing cannot be started while a child that another test forks then has it.
    let installed = std::process::Command::new("install").args(["-m", "755"]).args([&script, &path]).status();
    assert!(installed.unwrap().success());
    let program = path.to_str().unwrap().to_owned();
    (folder, program)
}

#[tokio::test]
async fn dockers_configuration_is_found_by_every_form_of_its_keys() {
    // user:pass:word, user:pass
    let config = r#"{"auths": {
        "https://index.docker.io/v1/": {"auth": "dXNlcjpwYXNzOndvcmQ="},
        "ghcr.io": {"auth": "dXNlcjpwYXNz"},
        "https://quay.io/v2/": {"username": "q", "password": "p"},
        "gcr.io": {"identitytoken": "t", "auth": "PHRva2VuPjo="},
        "empty.example.org": {}
    }, "HttpHeaders": {"x": "y"}}"#;
    let (_folder, sources) = docker(config);
    for (name, expected) in [
        ("docker.io", "user:pass:word"),
        ("ghcr.io", "user:pass"),
        ("quay.io", "q:p"),
        ("gcr.io", "token t"),
        ("empty.example.org", "nobody"),
        ("other.example.org", "nobody"),
        ("ghcr.io:444", "nobody"),
    ] {
        let credentials = Credentials::find(&host(name), &sources).await.unwrap();
        assert_eq!(shown(&credentials), expected, "{name}");
        assert!(!format!("{credentials:?}").contains("pass:word"));
    }
}

#[tokio::test]
async fn what_is_handed_in_goes_first_and_is_whole() {
    let (_folder, mut sources) = docker(r#"{"auths": {"ghcr.io": {"auth": "dXNlcjpwYXNz"}}}"#);
    sources.scaleway_key = Some("key".into());
    assert_eq!(shown(&Credentials::find(&host("rg.fr-par.scw.cloud"), &sources).await.unwrap()), "nologin:key");
    assert_eq!(shown(&Credentials::find(&host("ghcr.io"), &sources).await.unwrap()), "user:pass");
    sources.password = Some("given".into());
    assert_eq!(shown(&Credentials::find(&host("rg.fr-par.scw.cloud"), &sources).await.unwrap()), "nologin:given");
    let half = Credentials::find(&host("ghcr.io"), &sources).await.unwrap_err().to_string();
    assert!(half.contains("REGISTRY_USERNAME is not"), "{half}");
    sources.username = Some("somebody".into());
    let credentials = Credentials::find(&host("ghcr.io"), &sources).await.unwrap();
    assert_eq!(
        (shown(&credentials).as_str(), credentials.source()),
        ("somebody:given", "REGISTRY_USERNAME and REGISTRY_PASSWORD")
    );
}

#[tokio::test]
async fn a_damaged_configuration_is_named_and_not_repeated() {
    let (_folder, sources) = docker(r#"{"auths": {"ghcr.io": {"auth": 5, "password": "sentinel"}}}"#);
    let error = format!("{:#}", Credentials::find(&host("ghcr.io"), &sources).await.unwrap_err());
    assert!(error.contains("config.json:1:") && !error.contains("sentinel"), "{error}");
    let (_folder, sources) = docker(r#"{"auths": {"ghcr.io": {"auth": "sentinel"}}}"#);
    let error = format!("{:#}", Credentials::find(&host("ghcr.io"), &sources).await.unwrap_err());
    assert!(error.contains("entry of ghcr.io") && !error.contains("sentinel"), "{error}");
    let missing = Sources { docker: Some("/nonexistent".into()), ..Sources::default() };
    assert_eq!(shown(&Credentials::find(&host("ghcr.io"), &missing).await.unwrap()), "nobody");
}

#[tokio::test]
async fn a_helper_that_is_missing_is_named() {
    let (_folder, sources) = docker(r#"{"credsStore": "a", "credHelpers": {"ghcr.io": "that-does-not-exist"}}"#);
    let error = format!("{:#}", Credentials::find(&host("ghcr.io"), &sources).await.unwrap_err());
    assert!(error.contains("docker-credential-that-does-not-exist") && error.contains("config.json"), "{error}");
    // What it says to type helps.
    let typed = error.split("type: ").nth(1).unwrap().split(';').next().unwrap();
    assert!(std::process::Command::new("sh").args(["-ec", typed]).status().unwrap().success(), "{typed}");
    assert_eq!(shown(&Credentials::find(&host("ghcr.io"), &sources).await.unwrap()), "nobody");
    let (_folder, sources) = docker(r#"{"credsStore": "secretservice"}"#);
    if let Err(error) = Credentials::find(&host("ghcr.io"), &sources).await {
        assert!(error.to_string().contains("apt-get install golang-docker-credential-helpers"), "{error}");
    }
}

#[tokio::test]
async fn a_helper_is_asked_on_its_standard_input() {
    let (_folder, program) =
        helper(r#"read -r key; echo "{\"ServerURL\":\"$key\",\"Username\":\"$key\",\"Secret\":\"s\"}""#);
    let login = run_helper(&program, "ghcr.io", HELPER_TIMEOUT).await.unwrap().unwrap();
    assert!(matches!(login, Login::Password { username, .. } if username == "ghcr.io"));
    let (_folder, program) = helper(r#"echo '{"ServerURL":"x","Username":"<token>","Secret":"s"}'"#);
    assert!(matches!(run_helper(&program, "x", HELPER_TIMEOUT).await.unwrap(), Some(Login::IdentityToken(_))));
    let (_folder, program) = helper("echo credentials not found in native keychain; exit 1");
    assert!(run_helper(&program, "x", HELPER_TIMEOUT).await.unwrap().is_none());
}

#[tokio::test]
async fn a_helper_that_fails_or_hangs_or_babbles_is_named() {
    let (_folder, program) = helper("echo the key ring is locked; exit 3");
    let error = run_helper(&program, "x", HELPER_TIMEOUT).await.unwrap_err().to_string();
    assert!(error.contains("docker-credential-test get") && error.contains("key ring is locked"), "{error}");

    let (_folder, program) = helper("echo sentinel");
    let error = run_helper(&program, "x", HELPER_TIMEOUT).await.unwrap_err().to_string();
    assert!(error.contains("docker-credential-test get") && !error.contains("sentinel"), "{error}");

    let (_folder, program) = helper("sleep 60 & wait");
    let began = Instant::now();
    let error = run_helper(&program, "x", Duration::from_millis(300)).await.unwrap_err().to_string();
    assert!(error.contains("docker-credential-test get") && error.contains("did not finish"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(30));
}
