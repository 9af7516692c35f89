//! Real servers, by the programs found on this machine and by the embedded ones.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use secrecy::{ExposeSecret as _, SecretString};

use super::*;
use crate::tool::platform;

const PASSWORD: &str = "sentinel p@ss/wörd'\"\\ %41";

/// The folder that a test run as a child of another works in.
const CHILD_FOLDER: &str = "XTASK_TEST_FOLDER";

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
    assert!(server.log_tail(3).contains("database system is shut down"), "{}", server.log_tail(3));

    let found = Server::find(&installation, scratch.wanted()).await.unwrap().unwrap();
    assert!(!found.is_running().await, "finding starts nothing");
    let server = scratch.ensure(&installation).await.unwrap();
    let client = server.client("a \"name\"").await.unwrap();
    assert_eq!(client.query_one(kept, &[]).await.unwrap().get::<_, String>(0), "Äiti");
}

/// The same as an ordinary user, where these tests run as root: by a copy of this program, as its own folder may be
/// closed to others.
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
    crate::tool::cmd::Cmd::new(program)
        .args(["--exact", "--nocapture"])
        .args(tests.map(|test| format!("tool::postgres::tests::{test}")))
        .dir(&home)
        .env("HOME", home.as_str())
        .env("TMPDIR", home.as_str())
        .user(nobody.uid, nobody.gid)
        .run()
        .await
        .unwrap();
}

#[tokio::test]
async fn only_its_user_may_enter_and_nobody_by_network() {
    let Some(installation) = installed(Choice::Auto).await else { return };
    let scratch = Scratch::new();
    let server = scratch.ensure(&installation).await.unwrap();
    let place = server.place();
    for folder in [place.home.join("data"), place.home.join("log"), place.sockets.clone()] {
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
    let scratch = Scratch::of(&["long"; 30].join("/"));
    let server = scratch.ensure(&installation).await.unwrap();
    let place = server.place().clone();
    assert!(place.sockets.starts_with("/tmp") && !place.sockets.starts_with(&place.home), "{place:?}");
    assert_eq!(fs_err::metadata(&place.sockets).unwrap().mode() & 0o777, 0o700);
    server.stop().await.unwrap();
    fs_err::remove_dir_all(&place.sockets).unwrap();
    // Somebody else's folder under that name is not taken.
    std::os::unix::fs::symlink("/tmp", &place.sockets).unwrap();
    let error = scratch.ensure(&installation).await.err().unwrap();
    fs_err::remove_file(&place.sockets).unwrap();
    assert!(error.to_string().contains("is not a folder of this server's user"), "{error:#}");
}

#[tokio::test]
async fn roots_own_folder_is_left_for_one_of_the_system() {
    if !platform::is_root() {
        return;
    }
    for choice in [Choice::Found, Choice::Embedded] {
        let Some(installation) = installed(choice).await else { continue };
        let scratch = Scratch::new();
        let closed = scratch.folder.parent().unwrap();
        fs_err::set_permissions(closed, std::fs::Permissions::from_mode(0o700)).unwrap();
        let server = scratch.ensure(&installation).await.unwrap();
        let place = server.place().clone();
        assert!(place.home.starts_with(platform::SYSTEM_STATE), "{place:?}");
        assert_eq!(place.link.as_deref(), Some(scratch.folder.as_path()));
        let again = scratch.ensure(&installation).await.unwrap();
        assert_eq!(*again.place(), place, "deciding again comes to the same");
        again.stop().await.unwrap();
        fs_err::remove_dir_all(&place.home).unwrap();
    }
}

#[tokio::test]
async fn a_killed_beginning_is_begun_anew() {
    let Some(installation) = installed(Choice::Auto).await else { return };
    let scratch = Scratch::new();
    let mut child = child("child_ensures", &scratch.folder);
    let is_staging = || {
        let entries = scratch.folder.read_dir_utf8().into_iter().flatten().flatten();
        entries.into_iter().any(|entry| entry.path().join("data/base").exists())
    };
    until("initdb is at work", is_staging);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!scratch.folder.join("data").exists());
    scratch.ensure(&installation).await.unwrap();
    let leftovers = scratch.folder.read_dir_utf8().unwrap().flatten();
    let leftovers: Vec<String> = leftovers.map(|entry| entry.file_name().to_owned()).collect();
    assert!(!leftovers.iter().any(|name| name.starts_with("init-")), "{leftovers:?}");
}

#[tokio::test]
async fn several_at_once_come_to_one_server() {
    let Some(installation) = installed(Choice::Auto).await else { return };
    let scratch = Scratch::new();
    let mut other = child("child_ensures", &scratch.folder);
    let (one, two) = tokio::join!(scratch.ensure(&installation), scratch.ensure(&installation));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert!(other.wait().unwrap().success());
    one.create_database("shared").await.unwrap();
    two.client("shared").await.unwrap();
}

#[tokio::test]
async fn data_of_another_version_gets_its_own_programs_or_a_clear_error() {
    let Some(embedded) = installed(Choice::Embedded).await else { return };
    let scratch = Scratch::new();
    scratch.ensure(&embedded).await.unwrap().stop().await.unwrap();
    let Some(found) = installed(Choice::Found).await else { return };
    let server = scratch.ensure(&found).await.unwrap();
    assert_eq!(server.installation().major, embedded.major);
    server.stop().await.unwrap();

    fs_err::write(scratch.folder.join("data/PG_VERSION"), "9\n").unwrap();
    let error = scratch.ensure(&found).await.err().unwrap().to_string();
    assert!(error.contains("is of PostgreSQL 9") && error.contains(&found.version), "{error}");
    fs_err::write(scratch.folder.join("data/PG_VERSION"), "17\n").unwrap();
}

#[tokio::test]
async fn another_password_is_an_error() {
    let Some(installation) = installed(Choice::Auto).await else { return };
    let scratch = Scratch::new();
    let _running = scratch.ensure(&installation).await.unwrap();
    let other = SecretString::from("another");
    let error = Server::ensure(&installation, Wanted { password: &other, ..scratch.wanted() }).await.err().unwrap();
    assert!(format!("{error:#}").contains("password authentication failed"), "{error:#}");
}

#[tokio::test]
async fn a_process_number_that_came_again_is_not_trusted() {
    let Some(installation) = installed(Choice::Auto).await else { return };
    let scratch = Scratch::new();
    let server = scratch.ensure(&installation).await.unwrap();
    let pid = postmaster(&scratch.folder).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    until("the killed server is gone", || is_gone(pid));
    let own = std::process::id();
    for file in [scratch.folder.join("data/postmaster.pid"), scratch.folder.join("run/.s.PGSQL.5432.lock")] {
        let text = fs_err::read_to_string(&file).unwrap();
        let (_, rest) = text.split_once('\n').unwrap();
        fs_err::write(&file, format!("{own}\n{rest}")).unwrap();
    }
    assert!(!server.is_running().await);
    server.stop().await.unwrap();
    scratch.ensure(&installation).await.unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_password_is_in_no_argument_and_no_log() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let Some(installation) = installed(Choice::Auto).await else { return };
    let scratch = Scratch::new();
    let over = std::sync::Arc::new(AtomicBool::new(false));
    let (is_over, folder) = (over.clone(), scratch.folder.clone());
    let watch = std::thread::spawn(move || {
        let mut seen = std::collections::BTreeSet::new();
        while !is_over.load(Ordering::Relaxed) {
            for process in Utf8Path::new("/proc").read_dir_utf8().unwrap().flatten() {
                let line = fs_err::read(process.path().join("cmdline")).unwrap_or_default();
                seen.insert(String::from_utf8_lossy(&line).into_owned());
            }
        }
        seen.retain(|line| line.contains(folder.as_str()) || line.contains("sentinel p@ss"));
        seen
    });
    let server = scratch.ensure(&installation).await.unwrap();
    let client = server.client("postgres").await.unwrap();
    let failing = format!("ALTER ROLE no_such_role PASSWORD $${PASSWORD}$$");
    client.batch_execute(&failing).await.unwrap_err();
    server.stop().await.unwrap();
    over.store(true, Ordering::Relaxed);
    let seen = watch.join().unwrap();
    assert!(seen.iter().any(|line| line.contains("initdb")), "initdb was seen at work: {seen:?}");
    assert!(!seen.iter().any(|line| line.contains("sentinel p@ss")), "{seen:?}");
    let log = server.log_tail(usize::MAX);
    assert!(log.contains("no_such_role") && !log.contains("sentinel"), "{log}");
    let grep = Command::new("grep").args(["-rl", "sentinel p@ss", scratch.folder.as_str()]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&grep.stdout), "", "no file has it");
}

#[tokio::test]
async fn the_address_is_percent_encoded() {
    let Some(installation) = installed(Choice::Auto).await else { return };
    let scratch = Scratch::new();
    let server = scratch.ensure(&installation).await.unwrap();
    let url = server.url("a/b?c");
    let socket = server.place().sockets.as_str().replace('/', "%2F").replace('-', "%2D").replace('.', "%2E");
    let password = "sentinel%20p%40ss%2Fw%C3%B6rd%27%22%5C%20%2541";
    let expected = format!("postgres://owner:{password}@localhost/a%2Fb%3Fc?host={socket}");
    assert_eq!(url.expose_secret(), expected);
}

#[tokio::test]
async fn a_throwaway_is_gone_when_dropped() {
    let Some(installation) = installed(Choice::Auto).await else { return };
    let throwaway = Throwaway::start_with(&installation).await.unwrap();
    let home = throwaway.server().place().home.clone();
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

#[tokio::test]
async fn a_throwaway_of_a_killed_process_is_swept() {
    let Some(installation) = installed(Choice::Auto).await else { return };
    let scratch = Scratch::new();
    let mut child = child("child_throws_away", &scratch.folder);
    let told = scratch.folder.join("told");
    until("the child has its server", || fs_err::read_to_string(&told).is_ok_and(|text| text.ends_with('\n')));
    child.kill().unwrap();
    child.wait().unwrap();
    let home = Utf8PathBuf::from(fs_err::read_to_string(&told).unwrap().trim());
    let pid = postmaster(&home).unwrap().as_raw_pid();
    assert!(platform::command_line(pid).await.is_some(), "it survived its process");
    drop(Throwaway::start_with(&installation).await.unwrap());
    assert!(!home.exists());
    assert_eq!(platform::command_line(pid).await, None);
}

#[tokio::test]
#[ignore = "a child of other tests"]
async fn child_ensures() {
    let Ok(folder) = std::env::var(CHILD_FOLDER) else { return };
    let password = SecretString::from(PASSWORD);
    let wanted = Wanted { folder: Utf8Path::new(&folder), project: "xtask-test", role: "owner", password: &password };
    Server::ensure(&locate(Choice::Auto).await.unwrap().unwrap(), wanted).await.unwrap();
}

#[tokio::test]
#[ignore = "a child of other tests"]
async fn child_throws_away() {
    let Ok(folder) = std::env::var(CHILD_FOLDER) else { return };
    let throwaway = Throwaway::start(Choice::Auto).await.unwrap();
    fs_err::create_dir_all(&folder).unwrap();
    fs_err::write(format!("{folder}/told"), format!("{}\n", throwaway.server().place().home)).unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
}

/// A temporary folder that other users can reach, with a server in it that ends with the test.
struct Scratch {
    root: tempfile::TempDir,
    folder: Utf8PathBuf,
    password: SecretString,
}

impl Scratch {
    fn new() -> Self {
        Self::of("postgres")
    }

    fn of(inner: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        fs_err::set_permissions(root.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let folder = Utf8PathBuf::try_from(root.path().canonicalize().unwrap().join(inner)).unwrap();
        Self { root, folder, password: SecretString::from(PASSWORD) }
    }

    fn wanted(&self) -> Wanted<'_> {
        Wanted { folder: &self.folder, project: "xtask-test", role: "owner", password: &self.password }
    }

    async fn ensure(&self, installation: &Installation) -> anyhow::Result<Server> {
        Server::ensure(installation, self.wanted()).await
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(pid) = postmaster(&self.folder)
            && rustix::process::kill_process(pid, rustix::process::Signal::QUIT).is_ok()
        {
            until("the server has ended", || is_gone(pid));
        }
        assert!(self.root.path().exists());
    }
}

/// The process of the server in this folder.
fn postmaster(home: &Utf8Path) -> Option<rustix::process::Pid> {
    let text = fs_err::read_to_string(home.join("data/postmaster.pid")).ok()?;
    rustix::process::Pid::from_raw(text.lines().next()?.parse().ok()?)
}

/// Dead, or dead and waited for by nobody.
fn is_gone(pid: rustix::process::Pid) -> bool {
    let line = Command::new("ps").args(["-o", "stat=", "-p", &pid.as_raw_pid().to_string()]).output().unwrap().stdout;
    line.is_empty() || line.starts_with(b"Z")
}

/// The programs of this choice. A machine without them skips the test aloud, and fails it in CI.
async fn installed(choice: Choice) -> Option<Installation> {
    match locate_or_fetch(choice, |line| eprintln!("{line}")).await {
        Ok(installation) => Some(installation),
        Err(error) if std::env::var_os("CI").is_none() => {
            eprintln!("SKIPPED {}: {error:#}", std::thread::current().name().unwrap_or("a test"));
            None
        }
        Err(error) => panic!("{error:#}"),
    }
}

/// One of the tests above in a process of its own.
fn child(test: &str, folder: &Utf8Path) -> std::process::Child {
    let name = format!("tool::postgres::tests::{test}");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--ignored", &name]).env(CHILD_FOLDER, folder).stdout(Stdio::null());
    command.spawn().unwrap()
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(5));
    }
}
