//! `--dry-run` changes no file, no file's time and no process.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::SystemTime;

use rustix::process::Signal;

use testkit::{Project, machine, until};

/// Name, mode, time and content.
pub type Entry = (String, u32, SystemTime, Vec<u8>);

/// All files below a folder, and the folder itself.
pub fn snapshot(folder: &Path) -> Vec<Entry> {
    let about = fs_err::symlink_metadata(folder).unwrap();
    let itself =
        (folder.to_str().unwrap().to_owned(), about.permissions().mode(), about.modified().unwrap(), Vec::new());
    let mut all = vec![itself];
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let about = fs_err::symlink_metadata(entry.path()).unwrap();
            let content = if about.is_file() { fs_err::read(entry.path()).unwrap() } else { Vec::new() };
            if about.is_dir() {
                folders.push(entry.path());
            }
            let name = entry.path().to_string_lossy().into_owned();
            all.push((name, about.permissions().mode(), about.modified().unwrap(), content));
        }
    }
    all.sort();
    all
}

/// The names of entries that differ.
pub fn differences(before: &[Entry], after: &[Entry]) -> Vec<String> {
    let only = |these: &[Entry], those: &[Entry]| -> Vec<String> {
        these.iter().filter(|entry| !those.contains(entry)).map(|(name, ..)| name.clone()).collect()
    };
    [only(before, after), only(after, before)].concat()
}

/// Runs a command and checks that it changed nothing.
fn changes_nothing(project: &Project, args: &[&str], code: i32, says: &[&str]) {
    let (before, processes) = (snapshot(&project.root), project.processes());
    project.run(args).expect(code).says(says);
    let after = snapshot(&project.root);
    assert_eq!(differences(&before, &after), Vec::<String>::new(), "{args:?}");
    assert_eq!(processes, project.processes(), "{args:?}");
}

#[test]
fn dry_runs_before_the_first_deploy() {
    let project = Project::fixture();
    changes_nothing(
        &project,
        &["deploy", "--dry-run"],
        0,
        &["start:", "migration: 0001_notes.sql", "nothing was changed"],
    );
    changes_nothing(&project, &["rollback", "--dry-run"], 2, &["nothing was deployed yet"]);
    for args in [&["status"][..], &["history"], &["lock", "status"], &["doctor"]] {
        project.ok(args);
        assert!(!project.root.join(".deploy").exists(), "{args:?}");
    }
    project.run(&["logs"]).expect(1).says(&["cargo xtask deploy"]);
    assert!(!project.root.join(".deploy").exists());
}

#[test]
fn of_what_serves() {
    let project = Project::fixture();
    let first = project.head();
    project.ok(&["deploy"]);
    let second = project.commit("Second");
    changes_nothing(&project, &["deploy", "--dry-run"], 0, &[&format!("{first} → {second}"), "nothing was changed"]);
    project.ok(&["deploy"]);
    changes_nothing(&project, &["rollback", "--dry-run"], 0, &[&format!("{second} ⇢ {first}"), "nothing was changed"]);
    changes_nothing(&project, &["rollback", "--dry-run", "--to", &first], 0, &["nothing was changed"]);
    changes_nothing(&project, &["deploy", "--dry-run"], 0, &["nothing was changed"]);
    project.write("src/behaviour.txt", "unready");
    changes_nothing(&project, &["deploy", "--dry-run"], 0, &["-dirty-", "nothing was changed"]);
}

#[test]
fn dry_runs_after_an_unfinished_deploy() {
    let project = Project::fixture();
    crate::lifecycle::waiting_build(&project);
    project.commit("A build that waits");
    let mut deploy = project.start(&["deploy"]);
    deploy.must("build", "started");
    until("the build waits", || project.root.join("target/waits").exists());
    deploy.kill();
    // The compiler, which would still write files.
    project.processes().iter().for_each(|process| machine::signal(process.pid, Signal::KILL));
    until("nothing runs", || project.processes().is_empty());
    changes_nothing(&project, &["deploy", "--dry-run"], 0, &["nothing was changed"]);
    assert!(project.ok(&["status"]).stdout.contains("--resume"));
    project.write("target/go", "");
    project.ok(&["deploy", "--resume"]);
}
