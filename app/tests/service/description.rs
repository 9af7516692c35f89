//! The API's description: served, printed, and true of the running service.

use std::{collections::BTreeSet, path::Path, process::Stdio};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    pictures,
    support::{PASSWORD, Service},
};

#[tokio::test]
async fn the_description_is_served_and_printed_and_has_every_route() {
    let service = Service::start().await;
    let answer = service.get("/api/openapi.json").await;
    assert_eq!(answer.headers()["content-type"], "application/json");
    let tag = answer.headers()["etag"].clone();
    let served: Value = answer.json().await.unwrap();

    let again = service.request(Method::GET, "/api/openapi.json").header("if-none-match", &tag).send().await.unwrap();
    assert_eq!((again.status(), again.headers()["etag"].clone()), (StatusCode::NOT_MODIFIED, tag));
    let other =
        service.request(Method::GET, "/api/openapi.json").header("if-none-match", "\"x\"").send().await.unwrap();
    assert_eq!(other.status(), StatusCode::OK);

    // Without settings: it needs no running service.
    let printed = std::process::Command::new(env!("CARGO_BIN_EXE_app")).arg("openapi").env_clear().output().unwrap();
    assert!(printed.status.success());
    assert_eq!(serde_json::from_slice::<Value>(&printed.stdout).unwrap(), served);

    let mut described = BTreeSet::new();
    for (path, item) in served["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            described.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    let routes: BTreeSet<_> = include_str!("routes.txt").lines().map(|line| line.replace("{*", "{")).collect();
    assert_eq!(described, routes);
}

#[tokio::test]
async fn a_body_that_is_no_object_is_rejected() {
    let service = Service::signed_in().await;
    // serde also reads structs from arrays.
    let answer = service.request(Method::POST, "/api/invites").json(&json!([null, null])).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert_eq!(answer.json::<Value>().await.unwrap()["error"]["code"], "bad_json");
}

/// Makes requests of the description, right and wrong ones, and compares the answers with it. `schemathesis.toml` says what is
/// not compared, and why.
#[tokio::test(flavor = "multi_thread")]
async fn the_service_answers_as_it_is_described() {
    let test = "the_service_answers_as_it_is_described";
    if testkit::or_skip(test, devservers::schemathesis::install()).is_none() {
        return;
    }
    let service = Service::signed_in().await;
    let (_, media) = service.upload(&pictures::png(20, 10), "a.png", "image/png").await;
    service.change(media["id"].as_str().unwrap(), &json!({ "tags": ["a"], "description": "sauna" })).await;
    let description = service.folder.path().with_extension("json");
    fs_err::write(&description, service.get("/api/openapi.json").await.bytes().await.unwrap()).unwrap();

    let check = "import json, sys; from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR as v; \
                 v.validate(json.load(open(sys.argv[1])))";
    let mut validator = devservers::schemathesis::python().unwrap();
    let validated = validator.args(["-c", check]).arg(&description).output().unwrap();
    assert!(validated.status.success(), "not OpenAPI 3.1: {}", String::from_utf8_lossy(&validated.stderr));

    // What ends the session of the request has one of its own.
    let ends = ["/api/auth/logout", "/api/sessions/{id}"];
    let skip: Vec<&str> = ends.iter().flat_map(|path| ["--exclude-path", path]).collect();
    run(&service, &description, &service.token, &[&["--phases=coverage,fuzzing"], &skip[..]].concat()).await;
    for path in ends {
        let log_in = json!({ "username": "first", "password": PASSWORD });
        let log_in = service.request(Method::POST, "/api/auth/login").json(&log_in).send().await.unwrap();
        let session: Value = log_in.json().await.unwrap();
        run(&service, &description, session["token"].as_str().unwrap(), &["--phases=fuzzing", "--include-path", path])
            .await;
    }
    // After these, which revoke API keys.
    let key = json!({ "name": "a", "scopes": ["read", "upload", "manage"] });
    let key = service.request(Method::POST, "/api/api-keys").json(&key).send().await.unwrap();
    let key: Value = key.json().await.unwrap();
    run(&service, &description, key["token"].as_str().unwrap(), &["--phases=fuzzing"]).await;
    fs_err::remove_file(&description).unwrap();
}

async fn run(service: &Service, description: &Path, token: &str, args: &[&str]) {
    // It keeps what it has found in the folder that it runs in.
    let (own, folder) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/service"), tempfile::tempdir().unwrap());
    for file in ["schemathesis.toml", "schemathesis_hooks.py"] {
        fs_err::copy(own.join(file), folder.path().join(file)).unwrap();
    }
    let mut program = devservers::schemathesis::program().unwrap();
    program.args(["--config-file", "schemathesis.toml", "run"]).arg(description).args(args);
    program
        .arg(format!("--url=http://{}", service.process.address))
        .arg(format!("--header=Authorization: Bearer {token}"));
    program.env("SCHEMATHESIS_HOOKS", "schemathesis_hooks").current_dir(folder.path()).stdin(Stdio::null());
    let ran = tokio::task::spawn_blocking(move || program.output().unwrap()).await.unwrap();
    assert!(ran.status.success(), "{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
}
