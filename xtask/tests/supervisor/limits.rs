//! Secrets, logs and long paths.

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::UnixStream;

use crate::site::{Site, deploy, get, kill, version, version_that};
use xtask::supervisor::folder::socket_folder;
use xtask::supervisor::service_log;

const SENTINEL: &str = "sentinel-4f1d\"with quotes";

#[tokio::test]
async fn a_secret_reaches_the_service_and_nothing_else() {
    let site = Site::new();
    let mut connection = site.launch().await;
    let mut spec = version("one");
    spec.secrets.insert("FIXTURE_SECRET".to_owned(), SENTINEL.to_owned());
    deploy(&mut connection, &spec).await;
    assert!(site.service_log().contains("secret: [redacted]"), "the service printed it");

    #[cfg(target_os = "linux")]
    for process in fs_err::read_dir("/proc").unwrap() {
        // Most entries are not processes, and a process may exit during the loop.
        let arguments = fs_err::read(process.unwrap().path().join("cmdline")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&arguments).contains("sentinel-4f1d"));
    }
    let mut spec = version_that("two", "exit");
    spec.secrets.insert("FIXTURE_SECRET".to_owned(), SENTINEL.to_owned());
    connection.candidate(&spec).await.unwrap();
    let exit = connection.exited().await.unwrap();
    assert!(exit.tail.iter().any(|line| line == "secret: [redacted]"), "{:?}", exit.tail);
    connection.stop().await.unwrap();

    let mut folders = vec![site.state_dir.clone()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir_utf8().unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path().to_owned());
            } else if entry.file_name() != "xtask" {
                let text = fs_err::read(entry.path()).unwrap();
                assert!(!String::from_utf8_lossy(&text).contains("sentinel-4f1d"), "{}", entry.path());
            }
        }
    }
}

#[tokio::test]
async fn the_service_gets_its_own_environment_and_not_the_supervisors() {
    let site = Site::new();
    let mut connection = site.launch().await;
    deploy(&mut connection, &version("one")).await;
    let log = site.service_log();
    let names = log.lines().find_map(|line| line.split_once(" | names: ").map(|(_, names)| names)).unwrap();
    let expected = ["PATH", "HOME", "TMPDIR", "LANG", "FIXTURE_SERVICE", "FIXTURE_VERSION", "LISTEN_FDS", "LISTEN_PID"];
    for name in names.split(' ') {
        // macOS adds a variable to every process.
        assert!(expected.contains(&name) || name.starts_with("__CF"), "{names}");
    }
    assert!(names.contains("LISTEN_PID") && names.contains("PATH"), "{names}");
}

#[tokio::test]
async fn a_flood_of_output_is_rotated_and_does_not_block_the_service() {
    let site = Site::new();
    let mut connection = site.launch().await;
    deploy(&mut connection, &version("one")).await;
    // 40 MB before it listens.
    let candidate = connection.candidate(&version_that("two", "flood")).await.unwrap();
    for _ in 0..10 {
        assert_eq!(connection.status().await.unwrap().lost_log_writes, 0);
        assert_eq!(get(connection.about().listen, "/").await.unwrap(), "one");
    }
    assert_eq!(get(candidate.address, "/").await.unwrap(), "two");

    let path = service_log(&site.state_dir);
    let rotated = [1, 2, 3].map(|number| format!("{path}.{number}"));
    for path in rotated.iter().map(String::as_str).chain([path.as_str()]) {
        assert!(fs_err::metadata(path).unwrap().len() <= 10 << 20, "{path}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_drops_log_lines_and_does_not_stop_the_service() {
    let site = Site::new();
    fs_err::create_dir_all(site.state_dir.join("logs")).unwrap();
    fs_err::os::unix::fs::symlink("/dev/full", service_log(&site.state_dir)).unwrap();
    let mut connection = site.launch().await;
    deploy(&mut connection, &version("one")).await;
    assert!(connection.status().await.unwrap().lost_log_writes > 0);
    assert_eq!(get(connection.about().listen, "/").await.unwrap(), "one");
}

#[tokio::test]
async fn a_state_folder_with_a_long_path_works() {
    let site = Site::below("long/".repeat(30));
    let mut connection = site.launch().await;
    deploy(&mut connection, &version("one")).await;
    let folder = socket_folder(&site.state_dir).unwrap();
    assert!(folder.starts_with("/tmp") && folder.join("control.sock").exists(), "{folder}");
    connection.stop().await.unwrap();
    fs_err::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn every_message_has_the_protocol_version() {
    let site = Site::new();
    let connection = site.launch().await;
    let socket = socket_folder(&site.state_dir).unwrap().join("control.sock");
    let stream = UnixStream::connect(&socket).await.unwrap();
    let hello = BufReader::new(stream).lines().next_line().await.unwrap().unwrap();
    assert!(hello.starts_with(r#"{"protocol":1,"#), "{hello}");
    drop(connection);
}

#[tokio::test]
async fn a_supervisor_of_another_protocol_version_is_an_error() {
    use std::io::Write as _;
    let site = Site::new();
    let socket = socket_folder(&site.state_dir).unwrap().join("control.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let answer = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"{\"protocol\":2,\"body\":\"news\"}\n").unwrap();
    });
    let error = xtask::supervisor::client::connect(&site.state_dir).await.err().unwrap();
    let text = format!("{error:#}");
    assert!(text.contains("protocol 2") && text.contains("kill"), "{text}");
    answer.join().unwrap();
}

#[tokio::test]
async fn a_killed_supervisor_leaves_no_listener() {
    let site = Site::new();
    let mut connection = site.launch().await;
    kill(connection.about().pid, Signal::KILL).unwrap();
    assert!(connection.exited().await.is_err());
    assert!(xtask::supervisor::client::connect(&site.state_dir).await.unwrap().is_none());
}
