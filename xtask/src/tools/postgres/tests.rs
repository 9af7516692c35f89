//! Real servers, with installed programs and with embedded ones.

mod faults;
mod scratch;
mod users;

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use camino::{Utf8Path, Utf8PathBuf};
use scratch::{Scratch, installed, postmaster};
use secrecy::{ExposeSecret as _, SecretString};
use testkit::until;

use super::*;
use crate::tools::platform;

#[tokio::test]
async fn a_found_server_keeps_its_data() {
    life(Choice::Found).await;
}

#[tokio::test]
async fn an_embedded_server_keeps_its_data() {
    life(Choice::Embedded).await;
}

async fn life(choice: Choice) {
    let Some(installation) = installed(choice).await else { return };
    let scratch = Scratch::new();
    let server = scratch.ensure(&installation).await.unwrap();
    server.create_database("a \"name\"").await.unwrap();
    server.create_database("a \"name\"").await.unwrap();
    let client = server.client("a \"name\"").await.unwrap();
    client.batch_execute("CREATE TABLE kept (word text); INSERT INTO kept VALUES ('Äiti')").await.unwrap();
    let kept = "SELECT word FROM kept WHERE word ILIKE 'äITI'";
    assert_eq!(client.query_one(kept, &[]).await.unwrap().get::<_, String>(0), "Äiti");
    let checksums = client.query_one("SHOW data_checksums", &[]).await.unwrap();
    assert_eq!(checksums.get::<_, String>(0), "on");

    let running = postmaster(&scratch.folder);
    let again = scratch.ensure(&installation).await.unwrap();
    assert_eq!(postmaster(&scratch.folder), running, "a running server is reused");
    drop(again);
    server.stop().await.unwrap();
    server.stop().await.unwrap();
    assert!(!server.is_running().await);
    // The process that writes the log ends last.
    until("its log is whole", || server.log_tail(1).contains("database system is shut down"));

    let found = Server::find(&installation, scratch.spec()).await.unwrap().unwrap();
    assert!(!found.is_running().await, "finding starts nothing");
    let server = scratch.ensure(&installation).await.unwrap();
    let client = server.client("a \"name\"").await.unwrap();
    assert_eq!(client.query_one(kept, &[]).await.unwrap().get::<_, String>(0), "Äiti");
}

/// The same as an ordinary user, if these tests run as root. It uses a copy of this program, because other users may have no access
/// to its folder.
#[tokio::test]
async fn an_ordinary_user_has_servers_too() {
    if !platform::is_root() {
        return;
    }
    let nobody = platform::find_user("nobody").await.unwrap().unwrap();
    let scratch = Scratch::new();
    let home = scratch.folder.parent().unwrap().to_owned();
    let program = home.join("tests");
    fs_err::copy(std::env::current_exe().unwrap(), &program).unwrap();
    std::os::unix::fs::chown(&home, Some(nobody.uid), Some(nobody.gid)).unwrap();
    let tests =
        ["a_found_server_keeps_its_data", "an_embedded_server_keeps_its_data", "a_throwaway_is_gone_when_dropped"];
    crate::tools::cmd::Cmd::new(program)
        .args(["--exact", "--nocapture"])
        .args(tests.map(|test| format!("tools::postgres::tests::{test}")))
        .dir(&home)
        .env("HOME", home.as_str())
        .env("TMPDIR", home.as_str())
        .user(nobody.uid, nobody.gid)
        .run()
        .await
        .unwrap();
}

#[tokio::test]
async fn only_its_user_has_access_and_it_has_no_network() {
    let Some(installation) = installed(Choice::Auto).await else { return };
    let scratch = Scratch::new();
    let server = scratch.ensure(&installation).await.unwrap();
    let layout = server.layout();
    for folder in [layout.home.join("data"), layout.home.join("log"), layout.sockets.clone()] {
        assert_eq!(fs_err::metadata(&folder).unwrap().mode() & 0o777, 0o700, "{folder}");
    }
    let client = server.client("postgres").await.unwrap();
    for (setting, value) in [("listen_addresses", ""), ("password_encryption", "scram-sha-256")] {
        let row = client.query_one(&format!("SHOW {setting}"), &[]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), value);
    }
    let methods = client.query_one("SELECT string_agg(DISTINCT auth_method, ' ') FROM pg_hba_file_rules", &[]).await;
    assert_eq!(methods.unwrap().get::<_, String>(0), "scram-sha-256");
}

#[tokio::test]
async fn a_long_path_has_its_socket_elsewhere() {
    let Some(installation) = installed(Choice::Auto).await else { return };
    let scratch = Scratch::of(&["long"; 30].join("-"));
    let server = scratch.ensure(&installation).await.unwrap();
    let layout = server.layout().clone();
    assert!(layout.sockets.starts_with("/tmp") && !layout.sockets.starts_with(&layout.home), "{layout:?}");
    assert_eq!(fs_err::metadata(&layout.sockets).unwrap().mode() & 0o777, 0o700);
    // It runs, and its socket is lost, as where a program removes old files of /tmp.
    fs_err::remove_dir_all(&layout.sockets).unwrap();
    // Another user took its name meanwhile.
    std::os::unix::fs::symlink("/tmp", &layout.sockets).unwrap();
    let again = scratch.ensure(&installation).await.unwrap();
    let elsewhere = again.layout().sockets.clone();
    assert_ne!(elsewhere, layout.sockets);
    again.stop().await.unwrap();
    fs_err::remove_file(&layout.sockets).unwrap();
    fs_err::remove_dir_all(&elsewhere).unwrap();
}

#[tokio::test]
async fn a_folder_of_root_becomes_a_link_to_a_system_folder() {
    if !platform::is_root() {
        return;
    }
    for choice in [Choice::Found, Choice::Embedded] {
        let Some(installation) = installed(choice).await else { continue };
        let scratch = Scratch::new();
        let closed = scratch.folder.parent().unwrap();
        fs_err::set_permissions(closed, std::fs::Permissions::from_mode(0o700)).unwrap();
        let server = scratch.ensure(&installation).await.unwrap();
        let layout = server.layout().clone();
        assert!(layout.home.starts_with(platform::SYSTEM_STATE), "{layout:?}");
        assert_eq!(layout.link.as_deref(), Some(scratch.folder.as_path()));
        let again = scratch.ensure(&installation).await.unwrap();
        assert_eq!(*again.layout(), layout, "it is idempotent");
        again.stop().await.unwrap();
        fs_err::remove_dir_all(&layout.home).unwrap();
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_password_is_in_no_argument_and_no_log() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let Some(installation) = installed(Choice::Auto).await else { return };
    let mut scratch = Scratch::new();
    // Only those of this test: `ps` shows other processes, too.
    let needle = format!("sentinel {}", std::process::id());
    scratch.password = SecretString::from(needle.clone());
    let over = std::sync::Arc::new(AtomicBool::new(false));
    let (is_over, folder, secret) = (over.clone(), scratch.folder.clone(), needle.clone());
    let watch = std::thread::spawn(move || {
        let mut seen = std::collections::BTreeSet::new();
        while !is_over.load(Ordering::Relaxed) {
            for process in Utf8Path::new("/proc").read_dir_utf8().unwrap().flatten() {
                let line = fs_err::read(process.path().join("cmdline")).unwrap_or_default();
                seen.insert(String::from_utf8_lossy(&line).into_owned());
            }
        }
        seen.retain(|line| line.contains(folder.as_str()) || line.contains(&secret));
        seen
    });
    let server = scratch.ensure(&installation).await.unwrap();
    let client = server.client("postgres").await.unwrap();
    let failing = format!("ALTER ROLE no_such_role PASSWORD '{needle}'");
    client.batch_execute(&failing).await.unwrap_err();
    server.stop().await.unwrap();
    over.store(true, Ordering::Relaxed);
    let seen = watch.join().unwrap();
    assert!(seen.iter().any(|line| line.contains("initdb")), "initdb was seen at work: {seen:?}");
    assert!(!seen.iter().any(|line| line.contains(&needle)), "{seen:?}");
    until("its log is whole", || server.log_tail(1).contains("database system is shut down"));
    let log = server.log_tail(usize::MAX);
    assert!(log.contains("no_such_role") && !log.contains(&needle), "{log}");
    let grep = std::process::Command::new("grep").args(["-rl", &needle, scratch.folder.as_str()]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&grep.stdout), "", "no file has it");
}

#[tokio::test]
async fn the_address_is_percent_encoded() {
    let Some(installation) = installed(Choice::Auto).await else { return };
    let scratch = Scratch::new();
    let server = scratch.ensure(&installation).await.unwrap();
    let url = server.url("a/b?c");
    let socket = server.layout().sockets.as_str().replace('/', "%2F").replace('-', "%2D").replace('.', "%2E");
    let password = "sentinel%20p%40ss%2Fw%C3%B6rd%27%22%5C%20%2541";
    let expected = format!("postgres://owner:{password}@localhost/a%2Fb%3Fc?host={socket}");
    assert_eq!(url.expose_secret(), expected);
}

#[tokio::test]
async fn a_dropped_throwaway_is_removed() {
    let Some(installation) = installed(Choice::Auto).await else { return };
    let throwaway = Throwaway::start_with(&installation).await.unwrap();
    let home = throwaway.server().layout().home.clone();
    throwaway.server().create_database("one").await.unwrap();
    throwaway.server().client("one").await.unwrap().batch_execute("CREATE EXTENSION pg_trgm").await.unwrap();
    let pid = postmaster(&home).unwrap().as_raw_pid();
    let panicked = tokio::spawn(async move {
        let _held = throwaway;
        panic!("on purpose");
    });
    assert!(panicked.await.is_err());
    assert!(!home.exists());
    assert_eq!(platform::command_line(pid).await, None);
}
