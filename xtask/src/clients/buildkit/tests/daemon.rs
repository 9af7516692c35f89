//! By a `buildkitd`.

use bollard_buildkit_proto::moby::buildkit::v1::{BuildHistoryEvent, BuildHistoryRequest};
use futures_util::TryStreamExt as _;

use super::super::*;
use super::scratch::{REVISION, SOURCE, Scratch, Seen, build, unique};
use crate::clients::patience::Patience;
use crate::clients::registry::Repository;
use crate::clients::registry::credentials::Credentials as RegistryCredentials;
use crate::clients::registry::manifest::{Content, ImageManifest};
use devservers::Buildkitd;
use devservers::registry::{DockerRegistry, Login, PASSWORD, USER};
use testkit::{or_skip, test_name};

async fn connect(daemon: &Buildkitd) -> Builder {
    Builder::connect(Some(&daemon.address()), None).await.unwrap()
}

#[tokio::test]
async fn the_same_built_twice_has_the_same_digest() {
    let Some(daemon) = or_skip(&test_name(), Buildkitd::start()) else { return };
    let builder = connect(&daemon).await;
    let capabilities = builder.capabilities().await.unwrap();
    assert!(capabilities.registry_cache && capabilities.name.starts_with("buildkitd v"), "{capabilities:?}");
    let mut scratch = Scratch::new("RUN echo one > /one && date +%N\nARG WHO\nRUN echo $WHO > /two");
    scratch.args.insert("WHO".to_owned(), "somebody".to_owned());
    scratch.labels.insert("a".to_owned(), "b".to_owned());
    let (first, seen) = build(&builder, &scratch, Output::Keep("example:one")).await;
    let first = first.unwrap();
    assert!(Seen::has(&seen.done, "RUN echo one"), "{seen:?}");
    let time = seen.lines.clone();
    assert_eq!(first.layers.len(), 3);
    for layer in &first.layers {
        assert!(layer.compressed.unwrap() > 0 && layer.unpacked > layer.compressed.unwrap(), "{first:?}");
    }

    scratch.no_cache = true;
    let (second, seen) = build(&builder, &scratch, Output::Keep("example:one")).await;
    assert!(Seen::has(&seen.done, "RUN echo one"), "it ran again: {seen:?}");
    assert_ne!(seen.lines, time);
    assert_eq!(second.unwrap(), first);
}

#[tokio::test]
async fn it_pushes_with_a_password_and_says_the_digest_of_the_registry() {
    let Some(daemon) = or_skip(&test_name(), Buildkitd::start()) else { return };
    let Some(registry) = or_skip(&test_name(), DockerRegistry::start(Login::Password)) else { return };
    let builder = connect(&daemon).await;
    let mut scratch =
        Scratch::new("RUN --mount=type=secret,id=token cat /run/secrets/token > /dev/null; echo one > /one");
    let sentinel = "sentinel-token-of-the-build";
    scratch.secrets.insert("token".to_owned(), SecretString::from(sentinel));
    let name = format!("{}/team/it:one", registry.address);
    let (refused, _) = build(&builder, &scratch, Output::Push(&name)).await;
    assert!(matches!(refused, Err(BuildError::Unauthorized(_))), "{refused:?}");

    scratch.auth.insert(registry.address.clone(), Credentials { user: USER.to_owned(), password: PASSWORD.into() });
    let (built, _) = build(&builder, &scratch, Output::Push(&name)).await;
    let built = built.unwrap();
    assert_eq!(built.layers.len(), 2);
    drop(rustls::crypto::ring::default_provider().install_default());
    let head = reqwest::Client::new().head(format!("http://{}/v2/team/it/manifests/one", registry.address));
    let head = head.basic_auth(USER, Some(PASSWORD)).header("accept", "application/vnd.oci.image.index.v1+json");
    let head = head.send().await.unwrap();
    assert_eq!(head.headers()["docker-content-digest"], built.digest.as_str());
    // What it keeps of every build, and shows to all who may build (`docker buildx history`), has no secret.
    let asked = BuildHistoryRequest { early_exit: true, ..BuildHistoryRequest::default() };
    let records = builder.control().await.unwrap().listen_build_history(asked).await.unwrap().into_inner();
    let records: Vec<BuildHistoryEvent> = records.try_collect().await.unwrap();
    let records = format!("{records:?}");
    assert!(records.contains("dockerfile.v0") && records.contains(&built.digest), "{records}");
    assert!(!records.contains(sentinel) && !records.contains(PASSWORD), "{records}");
}

/// A scanner of BuildKit's protocol, which finds nothing.
const SCANNER: &str = r#"ENTRYPOINT ["/bin/sh", "-c", "echo '{\"_type\":\"https://in-toto.io/Statement/v0.1\",\"predicateType\":\"https://spdx.dev/Document\",\"predicate\":{\"spdxVersion\":\"SPDX-2.3\",\"packages\":[]}}' > $BUILDKIT_SCAN_DESTINATION/sbom.spdx.json"]"#;

#[tokio::test]
async fn what_is_attached_leaves_the_image_as_it_is() {
    let Some(daemon) = or_skip(&test_name(), Buildkitd::start()) else { return };
    let Some(registry) = or_skip(&test_name(), DockerRegistry::start(Login::Open)) else { return };
    let builder = connect(&daemon).await;
    let (scanner, name) = (format!("{}/team/scanner", registry.address), format!("{}/team/it:one", registry.address));
    let (pushed, _) = build(&builder, &Scratch::new(SCANNER), Output::Push(&format!("{scanner}:1"))).await;
    let mut scratch =
        Scratch::new("RUN --mount=type=secret,id=token cat /run/secrets/token > /dev/null; echo one > /one");
    scratch.secrets.insert("token".to_owned(), SecretString::from("sentinel-token-of-the-build"));
    let (alone, _) = build(&builder, &scratch, Output::Keep(&name)).await;
    scratch.scanner = Some(format!("{scanner}@{}", pushed.unwrap().digest));
    let (built, _) = build(&builder, &scratch, Output::Push(&name)).await;
    let (alone, built) = (alone.unwrap(), built.unwrap());
    // Measured are the layers of the image alone.
    assert_eq!(built.layers, alone.layers);

    drop(rustls::crypto::ring::default_provider().install_default());
    let (reference, anonymous) = (name.parse().unwrap(), RegistryCredentials::anonymous());
    let repository = Repository::new(&reference, anonymous, &Patience::default()).unwrap();
    let index = repository.manifest(&built.digest).await.unwrap();
    assert_eq!(index.for_platform("linux/amd64").unwrap().digest, alone.digest);
    let attached: Vec<String> = index.attestations_of(&alone.digest).map(|child| child.digest.clone()).collect();
    let [attached] = attached.as_slice() else { panic!("{attached:?}") };
    let Content::Image(ImageManifest { layers: attached, .. }) = repository.manifest(attached).await.unwrap().content
    else {
        panic!("it is an index")
    };
    let predicates: Vec<&str> = attached.iter().filter_map(|statement| statement.predicate()).collect();
    assert_eq!(predicates, ["https://spdx.dev/Document", "https://slsa.dev/provenance/v1"]);
    let text = async |digest: &str| {
        let url = format!("http://{}/v2/team/it/blobs/{digest}", registry.address);
        reqwest::get(url).await.unwrap().text().await.unwrap()
    };
    let provenance = text(&attached[1].digest).await;
    for part in [SOURCE, REVISION, alone.digest.trim_start_matches("sha256:"), "cat /run/secrets/token"] {
        assert!(provenance.contains(part), "{part}: {provenance}");
    }
    assert!(!provenance.contains("sentinel"), "{provenance}");
    assert!(text(&attached[0].digest).await.contains("SPDX-2.3"));
}

#[tokio::test]
async fn an_empty_daemon_takes_every_layer_from_the_registry() {
    let Some(registry) = or_skip(&test_name(), DockerRegistry::start(Login::Open)) else { return };
    let mut scratch = Scratch::new(&format!(
        "FROM base AS early\nRUN echo {} > /early\nFROM base\nCOPY --from=early /early /late",
        unique()
    ));
    scratch.cache = Some((format!("{}/team/cache:layers", registry.address), true));
    let mut digests = Vec::new();
    for round in ["fills", "uses"] {
        let Some(daemon) = or_skip(&test_name(), Buildkitd::start()) else { return };
        let (built, seen) = build(&connect(&daemon).await, &scratch, Output::Keep("example:one")).await;
        digests.push(built.unwrap().digest);
        // A layer of a stage that is in no image: only `mode=max` has it.
        let list = if round == "uses" { &seen.cached } else { &seen.done };
        assert!(Seen::has(list, "COPY --from=early"), "{round}: {seen:?}");
        assert_eq!(Seen::has(&seen.done, "RUN echo"), round == "fills", "{round}: {seen:?}");
    }
    assert_eq!(digests[0], digests[1]);
}

#[tokio::test]
async fn thousands_of_files_stream() {
    let Some(daemon) = or_skip(&test_name(), Buildkitd::start()) else { return };
    let builder = connect(&daemon).await;
    stream_files(&builder, "buildkitd").await;
    if let Some(engine) = super::scratch::engine().await {
        stream_files(&Builder::Engine(engine), "engine").await;
    }
}

/// 5,000 files of a real commit by `git archive`. The figures are told; a test does not judge them.
async fn stream_files(builder: &Builder, what: &str) {
    let folder = tempfile::tempdir().unwrap();
    let git = |args: &[&str]| {
        let mut git = testkit::git(folder.path());
        git.args(["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]).args(args);
        assert!(git.output().unwrap().status.success(), "{args:?}");
    };
    let mut noise = vec![0; 64 << 10];
    for number in 0..5000 {
        getrandom::fill(&mut noise[..64]).unwrap();
        let path = folder.path().join(format!("files/{}", number % 50));
        fs_err::create_dir_all(&path).unwrap();
        fs_err::write(path.join(number.to_string()), &noise).unwrap();
    }
    fs_err::write(folder.path().join("Dockerfile"), "FROM scratch\nCOPY files/0/0 /\n").unwrap();
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "one"]);
    let archive = || {
        let mut git = tokio::process::Command::from(testkit::git(folder.path()));
        git.args(["archive", "HEAD"]).stdout(std::process::Stdio::piped());
        git.spawn().unwrap()
    };
    let began = std::time::Instant::now();
    let bytes = tokio::io::copy(&mut archive().stdout.take().unwrap(), &mut tokio::io::sink()).await.unwrap();
    let alone = began.elapsed();
    let scratch = Scratch::new("");
    let mut child = archive();
    let end = std::sync::Arc::new(std::sync::Mutex::new(None));
    let seen_end = std::sync::Arc::clone(&end);
    let stdout = tokio_util::io::InspectReader::new(child.stdout.take().unwrap(), move |_: &[u8]| {
        *seen_end.lock().unwrap() = Some(std::time::Instant::now());
    });
    let request = Request { context: Box::pin(stdout), ..scratch.request() };
    let began = std::time::Instant::now();
    let mut loading = std::time::Duration::ZERO;
    let name = format!("xtask-test-{}:one", unique());
    let built = builder.build(request, Output::Keep(&name), |event| {
        if let Event::Done(step, took) = event {
            eprintln!("{what}: {} {took:?}", step.name);
            loading = loading.max(took);
        }
    });
    assert_eq!(built.await.unwrap().layers.len(), 1);
    let streamed = end.lock().unwrap().unwrap() - began;
    eprintln!(
        "{what}: {bytes} bytes; git archive alone {alone:?}; streamed in {streamed:?} ({:.0} MB/s); build {:?}",
        bytes as f64 / streamed.as_secs_f64() / 1e6,
        began.elapsed()
    );
    if let Builder::Engine(engine) = builder {
        engine.remove(&name).await.unwrap();
    }
}
