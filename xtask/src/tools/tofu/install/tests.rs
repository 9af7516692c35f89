use std::io::Write as _;

use super::*;
use devservers::http::{HttpServer, Response};

/// A program that says its version, as OpenTofu does.
const PROGRAM: &str = "#!/bin/sh\necho '{ \"terraform_version\": \"VERSION\" }'\n";

/// This machine's archive, by its name.
fn name() -> String {
    format!("tofu_{VERSION}_{}_{}.zip", go_name(std::env::consts::OS), go_name(std::env::consts::ARCH))
}

fn archive(of: &str) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in [("README.md", "Read me"), ("tofu", of)] {
        archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn digest(of: &[u8]) -> String {
    hex::encode(Sha256::digest(of))
}

/// This machine's pin.
fn pin(digest: &str) -> [Pin<'_>; 1] {
    [(std::env::consts::OS, std::env::consts::ARCH, digest)]
}

/// A host of releases with this archive; nothing else is there.
fn releases(archive: Option<Vec<u8>>) -> String {
    drop(rustls::crypto::ring::default_provider().install_default());
    let at = format!("/v{VERSION}/{}", name());
    let server = HttpServer::start(move |request| match &archive {
        Some(archive) if request.path == at => Response::new(200).body("application/zip", archive.clone()),
        _ => Response::new(404),
    });
    format!("http://{}", server.address)
}

/// A cache, and what is in it by now.
struct Cache(tempfile::TempDir);

impl Cache {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Utf8Path {
        Utf8Path::from_path(self.0.path()).unwrap()
    }

    /// Everything that is a program or could be taken for one.
    fn programs(&self) -> Vec<String> {
        let there = fs_err::read_dir(place(self.path()).with_file_name("")).unwrap();
        there.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

#[test]
fn every_archive_is_pinned_by_a_sha_256() {
    for (_, _, digest) in ARCHIVES {
        assert!(digest.len() == 64 && digest.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')), "{digest}");
    }
}

#[tokio::test]
async fn a_release_is_installed_once() {
    let whole = archive(&PROGRAM.replace("VERSION", VERSION));
    let digest = digest(&whole);
    let at = releases(Some(whole));
    let cache = Cache::new();
    // As with an umask of 000: another user could put a program there.
    fs_err::set_permissions(cache.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let program = install_pinned(cache.path(), &at, &pin(&digest), |_| {}).await.unwrap();
    assert_eq!(program, place(cache.path()));
    let mode = |path: &Utf8Path| fs_err::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(cache.path()), mode(program.parent().unwrap())), (0o711, 0o755));
    assert_eq!(super::super::version_of(&program).await.unwrap(), VERSION);
    assert_eq!(fs_err::metadata(&program).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(cache.programs(), ["tofu"]);
    // Nothing is downloaded again.
    let again = install(cache.path(), "http://127.0.0.1:1", |line| panic!("{line}")).await.unwrap();
    assert_eq!(again, program);
}

#[tokio::test]
async fn two_processes_at_once_install_one() {
    let whole = archive(&PROGRAM.replace("VERSION", VERSION));
    let digest = digest(&whole);
    let (at, pin) = (releases(Some(whole)), pin(&digest));
    let cache = Cache::new();
    let (one, other) =
        tokio::join!(install_pinned(cache.path(), &at, &pin, |_| {}), install_pinned(cache.path(), &at, &pin, |_| {}));
    assert_eq!(one.unwrap(), other.unwrap());
    assert_eq!(cache.programs(), ["tofu"]);
}

/// The error of an installation that must fail and leave nothing.
async fn refused(pins: &[Pin<'_>], archive: Vec<u8>) -> String {
    let (at, cache) = (releases(Some(archive)), Cache::new());
    let mut built = false;
    let installed = install_pinned(cache.path(), &at, pins, |line| built |= line.contains("building")).await;
    let error = installed.unwrap_err();
    assert!(!built, "a wrong release is not replaced by a build");
    assert_eq!(cache.programs(), [""; 0]);
    format!("{error:#}")
}

#[tokio::test]
async fn a_release_that_was_replaced_is_refused() {
    // It has all that a release needs, and lists its own digest.
    let evil = archive(&PROGRAM.replace("VERSION", VERSION));
    let said = refused(&ARCHIVES, evil).await;
    assert!(said.contains("but the toolkit pins") && said.contains("nothing was installed"), "{said}");
}

#[tokio::test]
async fn an_archive_with_another_digest_is_refused() {
    let whole = archive(&PROGRAM.replace("VERSION", VERSION));
    // Half of the download arrived.
    let said = refused(&pin(&digest(&whole)), whole[..whole.len() / 2].to_vec()).await;
    assert!(said.contains("but the toolkit pins") && said.contains("cargo xtask setup"), "{said}");
    // The release itself has half of an archive.
    let half = whole[..whole.len() / 2].to_vec();
    let said = refused(&pin(&digest(&half)), half).await;
    assert!(said.contains("read the release's archive"), "{said}");
    // Another version, and a program that does not run here.
    let other = archive(&PROGRAM.replace("VERSION", "1.2.3"));
    let said = refused(&pin(&digest(&other)), other).await;
    assert!(said.contains("is version 1.2.3"), "{said}");
    let none = archive("\u{7f}ELF of another machine");
    let said = refused(&pin(&digest(&none)), none).await;
    assert!(said.contains("run the new program"), "{said}");
}

#[tokio::test]
async fn an_archive_without_end_is_not_read_to_its_end() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let server = HttpServer::start(|_| Response::new(200).body("application/zip", vec![0; 65536]).endless());
    let client = reqwest::Client::builder().build().unwrap();
    let error = download(&client, &format!("http://{}/", server.address), 1 << 20).await.unwrap_err();
    assert!(format!("{error:#}").contains("more than 1048576 bytes"), "{error:#}");
}

#[tokio::test]
async fn a_release_that_cannot_be_downloaded_says_why() {
    let absent =
        async |at: &str, system: &str, processor: &str| match fetch(at, &ARCHIVES, system, processor).await.unwrap() {
            Release::Absent(why) => why,
            Release::Archive(_) => panic!("there is none"),
        };
    let at = releases(None);
    let why = absent(&at, "haiku", "x86_64").await;
    assert!(why.contains("no archive of OpenTofu for haiku on x86_64"), "{why}");
    let why = absent(&at, "linux", "x86_64").await;
    assert!(why.contains("tofu_") && why.contains("404"), "{why}");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let why = absent(&format!("http://{closed}"), "linux", "x86_64").await;
    assert!(why.contains("cannot be downloaded"), "{why}");
}
