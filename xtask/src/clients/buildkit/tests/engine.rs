//! By the BuildKit inside the machine's Docker engine.

use secrecy::SecretString;

use super::super::*;
use super::scratch::{Engine, Name, Scratch, Seen, build, engine, unique};
use crate::clients::docker::PushError;
use devservers::OwnEngine;
use devservers::registry::{DockerRegistry, Login, PASSWORD, USER};
use testkit::{or_skip, test_name};

#[tokio::test]
async fn steps_are_told_as_they_happen_and_cached_ones_are_marked() {
    let Some(engine) = engine().await else { return };
    let name = Name::new(&engine, "");
    let builder = Builder::Engine(engine.clone());
    let mut scratch = Scratch::new("ARG WHO\nRUN echo hello $WHO && echo bye >&2");
    scratch.args.insert("WHO".to_owned(), unique());
    scratch.labels.insert("org.example.kind".to_owned(), "a \"test\", 100 %".to_owned());

    let (built, seen) = build(&builder, &scratch, Output::Keep(&name.name)).await;
    let built = built.unwrap();
    assert!(Seen::has(&seen.started, "RUN echo hello"), "{seen:?}");
    assert!(Seen::has(&seen.done, "RUN echo hello"), "{seen:?}");
    assert!(seen.lines.contains(&format!("hello {}", scratch.args["WHO"])), "{seen:?}");
    assert!(seen.lines.contains(&"bye".to_owned()), "{seen:?}");

    let image = engine.image(&name.name).await.unwrap().unwrap();
    assert_eq!(image.id, built.digest);
    assert_eq!(image.labels["org.example.kind"], "a \"test\", 100 %");
    assert!(built.layers[0].instruction.contains("COPY base/"), "{built:?}");
    assert!(built.layers[0].unpacked > 1_000_000, "{built:?}");

    let (again, seen) = build(&builder, &scratch, Output::Keep(&name.name)).await;
    assert_eq!(again.unwrap().digest, built.digest);
    assert!(Seen::has(&seen.cached, "RUN echo hello"), "{seen:?}");
    assert!(!Seen::has(&seen.started, "RUN echo hello"), "{seen:?}");
}

#[tokio::test]
async fn a_secret_reaches_its_step_and_nothing_else() {
    let Some(engine) = engine().await else { return };
    let name = Name::new(&engine, "");
    let sentinel = format!("sentinel-{}", unique());
    let length = sentinel.len();
    let mut scratch = Scratch::new(&format!(
        "RUN --mount=type=secret,id=token : {}; s=$(cat /run/secrets/token); echo it has ${{#s}} of {length} > /said; \
         cat /said",
        unique()
    ));
    scratch.secrets.insert("token".to_owned(), SecretString::from(sentinel.as_str()));
    let (built, seen) = build(&Builder::Engine(engine.clone()), &scratch, Output::Keep(&name.name)).await;
    built.unwrap();
    assert!(seen.lines.contains(&format!("it has {length} of {length}")), "{seen:?}");
    assert!(!format!("{seen:?}").contains(&sentinel));
    let saved = std::process::Command::new("docker").args(["save", &name.name]).output().unwrap().stdout;
    assert!(saved.windows(7).any(|window| window == b"it has "), "the archive is of this image");
    assert!(!saved.windows(sentinel.len()).any(|window| window == sentinel.as_bytes()));
    let history = std::process::Command::new("docker").args(["history", "--no-trunc", &name.name]).output().unwrap();
    assert!(!String::from_utf8(history.stdout).unwrap().contains(&sentinel));
}

#[tokio::test]
async fn compressed_sizes_are_those_of_a_push() {
    let Some(engine) = engine().await else { return };
    let Some(registry) = or_skip(&test_name(), DockerRegistry::start(Login::Open)) else { return };
    let name = Name::new(&engine, &format!("{}/", registry.address));
    let scratch = Scratch::new(&format!("RUN echo {} > /one", unique()));
    let (built, _) = build(&Builder::Engine(engine.clone()), &scratch, Output::Keep(&name.name)).await;
    let counted = engine.compressed_layers(&name.name).await.unwrap();
    let plain = built.unwrap().layers;
    assert_eq!(counted.len(), plain.len());
    let digest = engine.push(&name.name, None, |_, _| {}).await.unwrap();
    let (repository, _) = name.name.rsplit_once(':').unwrap();
    let path = repository.trim_start_matches(&registry.address);
    drop(rustls::crypto::ring::default_provider().install_default());
    let manifest = reqwest::Client::new().get(format!("http://{}/v2{path}/manifests/{digest}", registry.address));
    let manifest = manifest.header("accept", "application/vnd.docker.distribution.manifest.v2+json");
    let manifest: serde_json::Value = manifest.send().await.unwrap().json().await.unwrap();
    for (layer, pushed) in counted.iter().zip(manifest["layers"].as_array().unwrap()) {
        let (ours, pushed) = (layer.compressed.unwrap() as f64, pushed["size"].as_f64().unwrap());
        assert!((ours / pushed - 1.0).abs() < 0.02 || (ours - pushed).abs() < 200.0, "{ours} of {pushed}");
    }
}

#[tokio::test]
async fn a_closed_registry_takes_a_push_with_the_right_password_only() {
    let Some(engine) = engine().await else { return };
    let Some(registry) = or_skip(&test_name(), DockerRegistry::start(Login::Password)) else { return };
    let name = Name::new(&engine, &format!("{}/", registry.address));
    let scratch = Scratch::new(&format!("RUN echo {} > /one", unique()));
    build(&Builder::Engine(engine.clone()), &scratch, Output::Keep(&name.name)).await.0.unwrap();

    let credentials = |password: &str| Credentials { user: USER.to_owned(), password: password.into() };
    let wrong = engine.push(&name.name, Some(&credentials("wrong")), |_, _| {}).await;
    assert!(matches!(wrong, Err(PushError::Unauthorized { .. })), "{wrong:?}");
    let none = engine.push(&name.name, None, |_, _| {}).await;
    assert!(matches!(none, Err(PushError::Unauthorized { .. })), "{none:?}");
    let mut bytes = 0;
    let digest = engine.push(&name.name, Some(&credentials(PASSWORD)), |now, _| bytes = bytes.max(now)).await.unwrap();
    assert!(digest.starts_with("sha256:") && bytes > 100_000, "{digest} {bytes}");
    let digests = engine.image(&name.name).await.unwrap().unwrap().digests;
    assert!(digests.iter().any(|known| known.ends_with(&digest)), "{digests:?}");
    let nobody = engine.push(&name.name.replace(&registry.address, "127.0.0.1:1"), None, |_, _| {}).await;
    assert!(matches!(nobody, Err(PushError::Other { .. })), "that name is no image here: {nobody:?}");
    let away = Name { engine: engine.clone(), name: name.name.replace(&registry.address, "127.0.0.1:1") };
    build(&Builder::Engine(engine.clone()), &scratch, Output::Keep(&away.name)).await.0.unwrap();
    let away = engine.push(&away.name, None, |_, _| {}).await;
    assert!(matches!(away, Err(PushError::Network { .. })), "{away:?}");
}

#[tokio::test]
async fn an_engine_that_knows_nothing_takes_layers_from_the_image_that_was_pushed() {
    let Some(first) = or_skip(&test_name(), OwnEngine::start(None)) else { return };
    let Some(registry) = or_skip(&test_name(), DockerRegistry::start_beside(first.pid())) else { return };
    let name = format!("{}/team/it:one", registry.address);
    let mut scratch = Scratch::new("RUN echo one > /one && date +%N > /when");
    scratch.cache = Some((name.clone(), true));
    let mut ids = Vec::new();
    for round in ["fills", "uses"] {
        let engine = Engine::connect(Some(&first.address())).await.unwrap();
        let builder = Builder::Engine(engine.clone());
        assert!(!builder.capabilities().await.unwrap().registry_cache);
        let (built, seen) = build(&builder, &scratch, Output::Keep(&name)).await;
        ids.push(built.unwrap().digest);
        assert_eq!(Seen::has(&seen.cached, "RUN echo"), round == "uses", "{round}: {seen:?}");
        assert_eq!(Seen::has(&seen.failed, "importing cache"), round == "fills", "nothing is there yet: {seen:?}");
        engine.push(&name, None, |_, _| {}).await.unwrap();
        // Now the registry alone knows it.
        engine.remove(&name).await.unwrap();
        assert!(engine.image(&name).await.unwrap().is_none());
        let host = first.address();
        let prune = ["--host", &host, "builder", "prune", "--all", "--force"];
        let pruned = std::process::Command::new("docker").env("DOCKER_BUILDKIT", "0").args(prune).output().unwrap();
        assert!(pruned.status.success(), "{pruned:?}");
    }
    assert_eq!(ids[0], ids[1]);
}
