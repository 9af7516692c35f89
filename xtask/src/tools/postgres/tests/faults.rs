//! Killed processes, concurrent starts, other versions, other passwords.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::scratch::{PASSWORD, Scratch, installed, is_gone, postmaster};
use super::*;
use testkit::until;

/// The folder of a test that runs as the child of another.
const CHILD_FOLDER: &str = "XTASK_TEST_FOLDER";

#[tokio::test]
async fn an_interrupted_creation_is_repeated() {
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
async fn concurrent_starts_share_one_server() {
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
async fn a_reused_process_id_is_not_the_postmaster() {
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

#[tokio::test]
async fn the_throwaway_of_a_killed_process_is_removed() {
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
    let error = Server::ensure(&installation, ServerSpec { password: &other, ..scratch.spec() }).await.err().unwrap();
    assert!(format!("{error:#}").contains("password authentication failed"), "{error:#}");
}

#[tokio::test]
async fn child_ensures() {
    let Ok(folder) = std::env::var(CHILD_FOLDER) else { return };
    let password = SecretString::from(PASSWORD);
    let spec = ServerSpec { folder: Utf8Path::new(&folder), project: "xtask-test", role: "owner", password: &password };
    Server::ensure(&locate(Choice::Auto).await.unwrap().unwrap(), spec).await.unwrap();
}

#[tokio::test]
async fn child_throws_away() {
    let Ok(folder) = std::env::var(CHILD_FOLDER) else { return };
    let throwaway = Throwaway::start(Choice::Auto).await.unwrap();
    fs_err::create_dir_all(&folder).unwrap();
    fs_err::write(format!("{folder}/told"), format!("{}\n", throwaway.server().layout().home)).unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
}

/// Runs one of the two tests above in its own process.
fn child(test: &str, folder: &Utf8Path) -> Child {
    // The name of a test leaves its crate out.
    let (_, module) = module_path!().split_once("::").unwrap();
    let name = format!("{module}::{test}");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &name]).env(CHILD_FOLDER, folder).stdout(Stdio::null());
    command.spawn().unwrap()
}
