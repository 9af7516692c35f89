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

fn list(digest_of: &[u8]) -> String {
    let other = "0".repeat(64);
    format!("{other}  tofu_{VERSION}_plan9_386.zip\n{}  {}\n", hex::encode(Sha256::digest(digest_of)), name())
}

/// A host of releases with this list and this archive; nothing else is there.
fn releases(list: Option<String>, archive: Vec<u8>) -> String {
    drop(rustls::crypto::ring::default_provider().install_default());
    let server = HttpServer::start(move |request| {
        let at = format!("/v{VERSION}/");
        match (request.path.strip_prefix(&at), &list) {
            (Some(path), Some(list)) if path == format!("tofu_{VERSION}_SHA256SUMS") => {
                Response::new(200).body("text/plain", list.clone())
            }
            (Some(path), _) if path == name() => Response::new(200).body("application/zip", archive.clone()),
            _ => Response::new(404),
        }
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

#[tokio::test]
async fn a_release_is_installed_once() {
    let whole = archive(&PROGRAM.replace("VERSION", VERSION));
    let at = releases(Some(list(&whole)), whole);
    let cache = Cache::new();
    let program = install(cache.path(), &at, |_| {}).await.unwrap();
    assert_eq!(program, place(cache.path()));
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
    let at = releases(Some(list(&whole)), whole);
    let cache = Cache::new();
    let (one, other) = tokio::join!(install(cache.path(), &at, |_| {}), install(cache.path(), &at, |_| {}));
    assert_eq!(one.unwrap(), other.unwrap());
    assert_eq!(cache.programs(), ["tofu"]);
}

/// The error of an installation that must fail and leave nothing.
async fn refused(list: String, archive: Vec<u8>) -> String {
    let (at, cache) = (releases(Some(list), archive), Cache::new());
    let mut built = false;
    let error = install(cache.path(), &at, |line| built |= line.contains("building")).await.unwrap_err();
    assert!(!built, "a wrong release is not replaced by a build");
    assert_eq!(cache.programs(), [""; 0]);
    format!("{error:#}")
}

#[tokio::test]
async fn an_archive_with_another_digest_is_refused() {
    let whole = archive(&PROGRAM.replace("VERSION", VERSION));
    let said = refused(list(b"something else"), whole.clone()).await;
    assert!(said.contains("but the release lists") && said.contains("cargo xtask setup"), "{said}");
    // Half of the download arrived.
    let said = refused(list(&whole), whole[..whole.len() / 2].to_vec()).await;
    assert!(said.contains("but the release lists"), "{said}");
    // The release itself has half of an archive.
    let half = whole[..whole.len() / 2].to_vec();
    let said = refused(list(&half), half).await;
    assert!(said.contains("read the release's archive"), "{said}");
    // Another version, and a program that does not run here.
    let other = archive(&PROGRAM.replace("VERSION", "1.2.3"));
    let said = refused(list(&other), other).await;
    assert!(said.contains("is version 1.2.3"), "{said}");
    let none = archive("\u{7f}ELF of another machine");
    let said = refused(list(&none), none).await;
    assert!(said.contains("run the new program"), "{said}");
}

#[tokio::test]
async fn a_missing_archive_is_not_replaced_by_a_build() {
    let (cache, listed) = (Cache::new(), list(b"x"));
    drop(rustls::crypto::ring::default_provider().install_default());
    let server = HttpServer::start(move |request| match request.path.ends_with("SHA256SUMS") {
        true => Response::new(200).body("text/plain", listed.clone()),
        false => Response::new(404),
    });
    let error = install(cache.path(), &format!("http://{}", server.address), |_| {}).await.unwrap_err();
    assert!(format!("{error:#}").contains("404"), "{error:#}");
}

#[tokio::test]
async fn a_release_that_cannot_be_downloaded_says_why() {
    let whole = archive(PROGRAM);
    let at = releases(Some(list(&whole)), whole.clone());
    let absent = async |at: &str, system: &str, processor: &str| match fetch(at, system, processor).await.unwrap() {
        Release::Absent(why) => why,
        Release::Archive(_) => panic!("there is none"),
    };
    let why = absent(&at, "haiku", "x86_64").await;
    assert!(why.contains("no program for haiku on x86_64"), "{why}");
    assert!(fetch(&at, "plan9", "386").await.is_err(), "its archive is listed and not there");
    let why = absent(&releases(None, whole), "linux", "x86_64").await;
    assert!(why.contains("SHA256SUMS") && why.contains("404"), "{why}");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let why = absent(&format!("http://{closed}"), "linux", "x86_64").await;
    assert!(why.contains("cannot be downloaded"), "{why}");
}
