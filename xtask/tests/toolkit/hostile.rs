//! A tree that others wrote. A command that only looks runs nothing of it, shows nothing that it links to, and writes nothing.

mod traps;

use std::path::Path;
use std::process::{Command, Stdio};

use fs_err::os::unix::fs::symlink;

use testkit::Project;

use self::traps::{Traps, hostile};
use crate::dry_run::{differences, snapshot};

/// What is in the files that the tree has links to.
const SENTINEL: &str = "sentinel-9b1c7e";

#[test]
fn a_look_at_a_hostile_tree_runs_nothing_of_it_and_writes_nothing() {
    let traps = Traps::new();
    let project = hostile(&traps);
    let local: &[&[&str]] = &[
        &["--help"],
        &["--version"],
        &["completions", "bash"],
        &["doctor"],
        &["status"],
        &["history"],
        &["logs"],
        &["lock", "status"],
        &["deploy", "--dry-run"],
        &["rollback", "--dry-run"],
        &["render", "--check"],
    ];
    let remote: &[&[&str]] = &[
        &["doctor", "production"],
        &["history", "production"],
        &["image", "list", "production"],
        &["image", "inspect", "production"],
        &["image", "prune", "production", "--dry-run"],
        &["bootstrap", "state", "production", "--check"],
    ];
    let (root, bare) = (&project.root, &project.root.join("bare"));
    let remote = if cfg!(feature = "cloud") { remote } else { &[] };
    let before = [snapshot(root), snapshot(&traps.at("home")), snapshot(&traps.at("tmp"))].concat();
    let look = |folder: &Path, args: &[&str]| {
        let ran = traps.run(&project, folder, args);
        assert!(matches!(ran.code, Some(0 | 1 | 2 | 10 | 21 | 31)), "{args:?}: {ran:?}");
        let deceives = |c: char| c.is_control() && !matches!(c, '\n' | '\t') || c == '\u{202e}';
        for text in [&ran.stdout, &ran.stderr] {
            assert!(!text.contains(deceives), "{args:?}: {text:?}");
        }
        traps.caught_nothing(args);
    };
    for args in local {
        look(root, args);
        look(bare, args);
    }
    // At once, because each tries again and again to reach a server.
    std::thread::scope(|scope| remote.iter().for_each(|args| drop(scope.spawn(|| look(root, args)))));
    let after = [snapshot(root), snapshot(&traps.at("home")), snapshot(&traps.at("tmp"))].concat();
    assert_eq!(differences(&before, &after), Vec::<String>::new());
    // The traps work: git itself springs one.
    let status = Command::new("git")
        .arg("status")
        .current_dir(&project.root)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.unwrap();
    assert!(traps.at("marks").exists());
}

/// Replaces a path of the project by a link.
fn link(project: &Project, path: &str, target: &str) {
    let path = project.root.join(path);
    if path.is_dir() {
        fs_err::remove_dir_all(&path).unwrap();
    } else {
        fs_err::remove_file(&path).ok();
    }
    symlink(target, path).unwrap();
}

#[test]
fn a_link_of_the_tree_shows_no_file_outside_and_no_secret() {
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    // In the forms that the readers of these files repeat in their errors.
    fs_err::write(&secret, format!("{{\"{SENTINEL}\": \"{SENTINEL}\"}}\n")).unwrap();
    fs_err::write(outside.path().join("0009_x.sql"), SENTINEL).unwrap();
    let (secret, folder) = (secret.to_str().unwrap(), outside.path().to_str().unwrap());
    for (path, target, says) in [
        (".env.example", secret, "outside of the project"),
        (".env.example", ".env.production", "may hold secrets"),
        (".env.example", "notes.json", "is a link"),
        ("templates/env.example.j2", secret, "outside of the project"),
        ("templates/env.example.j2", "../.env.production", "may hold secrets"),
        ("templates", folder, "outside of the project"),
        ("settings.json", secret, "outside of the project"),
        ("settings.json", ".env.production", "may hold secrets"),
        ("deploy.yaml", secret, "outside of the project"),
        ("migrations", folder, "outside of the project"),
        ("migrations", ".deploy", "may hold secrets"),
        ("migrations/0001_notes.sql", secret, "outside of the project"),
        ("migrations/0001_notes.sql", "/dev/zero", "outside of the project"),
        ("Cargo.lock", secret, "outside of the project"),
        ("Cargo.lock", "/dev/zero", "outside of the project"),
        (".env.local", "/dev/zero", "is not a file"),
    ] {
        let project = Project::fixture();
        project.write(".env.production", &format!("{{\"{SENTINEL}\": \"{SENTINEL}\"}}\n"));
        project.write("notes.json", &format!("{{\"{SENTINEL}\": \"{SENTINEL}\"}}\n"));
        project.write(".deploy/0001.sql", SENTINEL);
        if path == "templates" {
            fs_err::write(outside.path().join("env.example.j2"), SENTINEL).unwrap();
        }
        link(&project, path, target);
        let mut said = String::new();
        for args in [&["render", "--check"][..], &["doctor"], &["deploy", "--dry-run"]] {
            let ran = project.run(args);
            assert!(!ran.stdout.contains(SENTINEL) && !ran.stderr.contains(SENTINEL), "{path} → {target}: {ran:?}");
            said.push_str(&ran.stdout);
            said.push_str(&ran.stderr);
        }
        assert!(said.contains(says), "{path} → {target}:\n{said}");
    }
}

#[test]
fn a_log_that_the_tree_brings_is_not_shown() {
    let project = Project::fixture();
    let secret = project.root.with_file_name("secret");
    fs_err::write(&secret, SENTINEL).unwrap();
    for (place, target) in [("service.log", "../../../../secret"), ("", "../..")] {
        fs_err::remove_dir_all(project.root.join(".deploy")).ok();
        fs_err::create_dir_all(project.root.join(".deploy/local")).unwrap();
        if place.is_empty() {
            fs_err::copy(&secret, project.root.join("service.log")).unwrap();
            symlink(target, project.root.join(".deploy/local/logs")).unwrap();
        } else {
            fs_err::create_dir_all(project.root.join(".deploy/local/logs")).unwrap();
            symlink(target, project.root.join(".deploy/local/logs").join(place)).unwrap();
        }
        let ran = project.run(&["logs"]).expect(1).says(&["outside of the project"]);
        assert!(!ran.stdout.contains(SENTINEL), "{ran:?}");
    }
}

#[test]
fn a_pipe_in_the_place_of_a_file_is_refused() {
    for path in [
        "settings.json",
        "Cargo.lock",
        "migrations/0001_notes.sql",
        ".env.example",
        "templates/env.example.j2",
        ".env.local",
    ] {
        let project = Project::fixture();
        let place = project.root.join(path);
        fs_err::remove_file(&place).ok();
        rustix::fs::mkfifoat(rustix::fs::CWD, &place, rustix::fs::Mode::RWXU).unwrap();
        let mut said = String::new();
        for args in [&["render", "--check"][..], &["doctor"], &["deploy", "--dry-run"]] {
            let ran = project.run(args);
            said.push_str(&ran.stdout);
            said.push_str(&ran.stderr);
        }
        let told = ["is not a file", "found a special file", "is no file, link or folder"];
        assert!(told.iter().any(|told| said.contains(told)), "{path}:\n{said}");
    }
}

#[test]
fn deep_and_aliased_yaml_is_refused() {
    let project = Project::fixture();
    for yaml in [
        format!("a: {}", "[".repeat(100_000)),
        format!("a: {}", "{a: ".repeat(60_000)),
        // Brackets whose ends are in comments.
        format!("a: {}", "[ #]\n".repeat(40_000)),
        format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), vec!["*a"; 40_000].join(",")),
        "- ".repeat(100_000),
    ] {
        project.write("deploy.yaml", &yaml);
        project.run(&["doctor"]).expect(2).says(&["deploy.yaml"]);
    }
}
