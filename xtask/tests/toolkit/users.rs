//! Other users of the machine, and the two less privileged ones that root's deploy makes use of: PostgreSQL's and the
//! service's. They try what they can, as processes of theirs; see [`crate::intruder`].

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{Mode, chmod, chown};
use testkit::{Project, Ran, machine, skipped, until};

use crate::intruder::{Intruder, User};

/// A user of this machine without any right. A number is enough to be one.
const STRANGER: User = User { uid: 60_500, gid: 60_500 };

/// What only root may read.
const SENTINEL: &str = "r00ts-sentinel";

/// The fixture with a database, in a folder that other users may pass. None, after a note, where the test cannot run.
fn project(test: &str) -> Option<Project> {
    if !machine::is_root() || !cfg!(target_os = "linux") {
        skipped(test, "it takes root on Linux, to be several users");
        return None;
    }
    let project = Project::of("fixture", |project| {
        let database = r#"{"name": "DATABASE_URL", "help": "The database", "kind": "text", "values": [], "default": null,
            "required": true, "secret": true, "supplied_by": "postgres"},"#;
        project.edit("settings.json", "\"settings\": [", &format!("\"settings\": [{database}"));
    });
    Some(project)
}

#[test]
fn no_other_user_reads_writes_or_holds_anything_of_an_environment_whatever_the_umask() {
    let Some(project) = project("no_other_user_reads_writes_or_holds_anything_of_an_environment_whatever_the_umask")
    else {
        return;
    };
    let intruder = Intruder::new(&project);
    for umask in ["000", "002", "022", "077"] {
        Ran::of(&mut project.under(umask, &["deploy"])).expect(0);
        let (service, database) = users(&project);
        let seen = intruder.tries(&project, STRANGER);
        assert_eq!(seen, intruder.controls(), "umask {umask}: what another user can do");
        let own = |seen: Vec<String>, own: &[&str]| {
            let is_own =
                |line: &String| own.iter().any(|part| line.contains(part)) || intruder.controls().contains(line);
            seen.into_iter().filter(|line| !is_own(line)).collect::<Vec<_>>()
        };
        let strange = own(
            intruder.tries(&project, service),
            &["/releases/", "/data/data", "/postgres/run/.s.PGSQL", "process bin/fixture"],
        );
        assert!(strange.is_empty(), "umask {umask}: what the service can do besides: {strange:#?}");
        let strange = own(intruder.tries(&project, database), &["/postgres/", "process postgres"]);
        assert!(strange.is_empty(), "umask {umask}: what PostgreSQL can do besides: {strange:#?}");
        project.ok(&["stop"]);
        fs_err::remove_dir_all(project.root.join(".deploy")).unwrap();
    }
}

#[test]
fn a_link_that_a_lesser_user_plants_overwrites_gives_away_and_shows_nothing_of_root() {
    let Some(project) = project("a_link_that_a_lesser_user_plants_overwrites_gives_away_and_shows_nothing_of_root")
    else {
        return;
    };
    project.ok(&["deploy"]);
    let (service, database) = users(&project);
    let victim = project.root.join("victim");
    fs_err::write(&victim, SENTINEL).unwrap();
    chmod(&victim, Mode::from_raw_mode(0o600)).unwrap();
    let plant = |user: User, path: &str| {
        let path = project.deployed(path);
        drop(fs_err::remove_file(&path));
        fs_err::os::unix::fs::symlink(&victim, &path).unwrap();
        fs_err::os::unix::fs::lchown(&path, Some(user.uid), Some(user.gid)).unwrap();
    };
    for path in ["data/postgresql.conf", "data/current_logfiles", "log/zz.log", "log/server-99.log", "run/planted"] {
        plant(database, &format!("postgres/{path}"));
    }
    plant(service, "data/data/planted");
    let mut said = String::new();
    let mut say = |args: &[&str]| {
        let ran = project.run(args);
        said.push_str(&ran.stdout);
        said.push_str(&ran.stderr);
        ran
    };
    project.commit("Second");
    say(&["deploy"]).expect(0);
    say(&["stop"]).expect(0);
    // A start that reads what is there: leftovers of a server, its version, its log.
    for path in ["data/postmaster.pid", "log/start.log", "run/.s.PGSQL.5432.lock"] {
        plant(database, &format!("postgres/{path}"));
    }
    for args in [&["doctor"][..], &["deploy", "--dry-run"], &["deploy"], &["status"], &["logs"]] {
        say(args);
    }
    say(&["stop"]);
    plant(database, "postgres/data/PG_VERSION");
    say(&["deploy"]).expect(1);
    say(&["doctor"]);
    assert!(!said.contains(SENTINEL), "{said}");
    let meta = fs_err::metadata(&victim).unwrap();
    assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777), (0, 0, 0o600));
    assert_eq!(fs_err::read_to_string(&victim).unwrap(), SENTINEL);
}

#[test]
fn what_an_earlier_toolkit_left_as_root_and_open_is_the_service_s_and_closed_after_the_next_deploy() {
    let Some(project) = project("what_an_earlier_toolkit_left_as_root_and_open_is_the_service_s") else { return };
    project.ok(&["deploy"]);
    let first = project.head();
    project.commit("Second");
    project.ok(&["deploy"]);
    project.ok(&["stop"]);
    let upload = project.deployed("data/data/upload");
    fs_err::write(&upload, "kept").unwrap();
    for path in
        walk(&project.root.join(".deploy")).into_iter().filter(|path| !path.starts_with(project.deployed("postgres")))
    {
        chown(&path, Some(rustix::fs::Uid::ROOT), Some(rustix::fs::Gid::ROOT)).unwrap();
        let name = path.file_name().unwrap();
        // No toolkit left these open.
        let private = ["secrets.env", "fingerprint.key", "upload"].iter().any(|private| name == *private);
        chmod(&path, Mode::from_raw_mode(if private { 0o600 } else { 0o777 })).unwrap();
    }
    project.ok(&["deploy"]);
    let (service, _) = users(&project);
    let (folder, file) = (fs_err::metadata(project.deployed("data/data")).unwrap(), fs_err::metadata(&upload).unwrap());
    assert_eq!((folder.uid(), folder.mode() & 0o777, file.uid()), (service.uid, 0o700, service.uid));
    assert_eq!(fs_err::read_to_string(&upload).unwrap(), "kept");
    let intruder = Intruder::new(&project);
    assert_eq!(intruder.tries(&project, STRANGER), intruder.controls());
    project.ok(&["rollback", "--to", &first]);
    assert_eq!(project.serves(), Some(first));
    // A crash restarts it as the same user, and it ends with its supervisor.
    project.get("/crash");
    until("it is started again", || project.get("/pid").is_some_and(|pid| uid(pid.parse().unwrap()) == service.uid));
    let pid: u32 = project.get("/pid").unwrap().parse().unwrap();
    machine::signal(project.supervisor(), rustix::process::Signal::KILL);
    until("the service ends with its supervisor", || !machine::lives(pid));
}

/// One that starts every service as itself: it would start the next release as root.
#[test]
fn a_supervisor_of_an_earlier_toolkit_is_replaced() {
    let Some(project) = project("a_supervisor_of_an_earlier_toolkit_is_replaced") else { return };
    project.ok(&["deploy"]);
    let (earlier, socket) = (project.supervisor(), project.deployed("run/control.sock"));
    let moved = socket.with_extension("moved");
    fs_err::rename(&socket, &moved).unwrap();
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), UnixStream::connect(&moved).unwrap());
            let (mut requests, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut requests, &mut to_server));
            std::thread::spawn(move || {
                let (mut answers, mut client, mut greeting) = (BufReader::new(server), client, String::new());
                answers.read_line(&mut greeting)?;
                assert!(greeting.contains(r#","sets_user":true"#), "{greeting}");
                client.write_all(greeting.replace(r#","sets_user":true"#, "").as_bytes())?;
                std::io::copy(&mut answers, &mut client)?;
                client.shutdown(std::net::Shutdown::Both)
            });
        }
    });
    let second = project.commit("Second");
    project.ok(&["deploy"]);
    assert!(!machine::lives(earlier), "the earlier supervisor runs on");
    assert_eq!((project.serves(), project.services().len()), (Some(second), 1));
    users(&project);
}

#[test]
fn a_checkout_that_only_root_may_enter_has_the_service_s_folders_elsewhere() {
    let Some(project) = project("a_checkout_that_only_root_may_enter_has_the_service_s_folders_elsewhere") else {
        return;
    };
    chmod(&project.root, Mode::from_raw_mode(0o700)).unwrap();
    let home = |name: &str| fs_err::read_link(project.deployed(name)).unwrap();
    project.ok(&["deploy"]).says(&["PostgreSQL's user may not enter", "the service's user may not enter"]);
    let moved = ["postgres", "data", "releases"].map(home);
    let removed = Removed(moved.to_vec());
    assert!(moved.iter().all(|folder| folder.starts_with("/var/lib")), "{moved:?}");
    let (service, _) = users(&project);
    assert!(!fs_err::read_to_string(format!("/proc/{}/status", service_pid(&project))).unwrap().contains("Uid:\t0"));
    let first = project.head();
    project.commit("Second");
    project.ok(&["deploy"]);
    project.ok(&["rollback"]);
    assert_eq!(project.serves(), Some(first));
    assert_eq!(users(&project).0.uid, service.uid);
    project.ok(&["stop"]);
    drop(removed);
}

/// As in a container that maps a single user.
#[test]
fn root_that_can_become_no_other_user_is_warned_that_the_service_runs_as_root() {
    let test = "root_that_can_become_no_other_user_is_warned_that_the_service_runs_as_root";
    let alone = ["--user", "--map-root-user"];
    if !Command::new("unshare").args(alone).arg("true").status().is_ok_and(|status| status.success()) {
        skipped(test, "no user namespace can be made (unshare of util-linux)");
        return;
    }
    let project = Project::fixture();
    let doctor = project.command(&["doctor"]);
    let mut command = Command::new("unshare");
    command.args(alone).arg(doctor.get_program()).args(doctor.get_args()).current_dir(&project.root);
    let said = Ran::of(&mut command).expect(0).stdout;
    assert!(said.contains("! user        the service runs as root"), "{said}");
}

#[test]
fn a_folder_that_the_user_chose_is_not_given_away_unasked() {
    let Some(project) = project("a_folder_that_the_user_chose_is_not_given_away_unasked") else { return };
    let uploads = project.root.join("uploads");
    fs_err::create_dir(&uploads).unwrap();
    project.write(".gitignore", "/target\n/.deploy\n/uploads\n");
    let gate = "gate: { timeout: 30 }";
    project.edit("deploy.yaml", gate, &format!("{gate}\n    settings: {{ DATA_DIR: {} }}", uploads.display()));
    project.commit("A folder of its own");
    let refused = project.run(&["deploy"]).expect(1).says(&["DATA_DIR is", "may not write there", "chown -R"]);
    assert_eq!(fs_err::metadata(&uploads).unwrap().uid(), 0);
    let fix = refused.stderr.lines().find_map(|line| line.split_once("→ chown")).expect("a command to type").1;
    assert!(Command::new("sh").args(["-c", &format!("chown{fix}")]).status().unwrap().success(), "{fix}");
    project.ok(&["deploy"]);
    assert_eq!(fs_err::metadata(&uploads).unwrap().uid(), users(&project).0.uid);
}

/// Folders outside of the project, removed at the end of a test.
struct Removed(Vec<PathBuf>);

impl Drop for Removed {
    fn drop(&mut self) {
        for folder in &self.0 {
            fs_err::remove_dir_all(folder).ok();
        }
    }
}

/// The users of the service and of PostgreSQL, which are neither root nor each other.
#[track_caller]
fn users(project: &Project) -> (User, User) {
    let service = service_pid(project);
    let status = fs_err::read_to_string(format!("/proc/{service}/status")).unwrap();
    let groups = status.lines().find_map(|line| line.strip_prefix("Groups:")).unwrap();
    assert_eq!(groups.trim(), "", "the service has further groups");
    let postgres = fs_err::metadata(project.deployed("postgres/data")).unwrap();
    let users = (User { uid: uid(service), gid: gid(service) }, User { uid: postgres.uid(), gid: postgres.gid() });
    assert!(users.0.uid != 0 && users.1.uid != 0 && users.0.uid != users.1.uid, "{users:?}");
    users
}

fn service_pid(project: &Project) -> u32 {
    project.get("/pid").expect("the service answers").parse().unwrap()
}

fn uid(pid: u32) -> u32 {
    fs_err::metadata(format!("/proc/{pid}")).map_or(0, |meta| meta.uid())
}

fn gid(pid: u32) -> u32 {
    fs_err::metadata(format!("/proc/{pid}")).unwrap().gid()
}

/// Everything below a folder, links as they are.
pub fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut all = vec![folder.to_owned()];
    for entry in fs_err::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            all.extend(walk(&entry.path()));
        } else if !entry.file_type().unwrap().is_symlink() {
            all.push(entry.path());
        }
    }
    all
}
