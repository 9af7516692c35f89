//! The way back: a release starts again on the schema that a newer one left, or the deploy of the newer one is refused.
//!
//! The service migrates a real database with sqlx. Its dependencies are compiled once, into a target folder that these tests and
//! later runs share.

use std::path::Path;
use std::process::Command;

use testkit::{Project, Ran, until};

/// A ledger, deployed, that behaves like this. Its package has a name of its own, because cargo takes packages of one name in
/// two folders for one. With the dependency versions of this workspace's lock file, which are already downloaded.
fn deployed(package: &str, behaviour: &str) -> Project {
    let project = Project::of("ledger", |project| {
        project.edit("Cargo.toml", "\"ledger\"", &format!("\"{package}\""));
        project.edit("deploy.yaml", "package: ledger", &format!("package: {package}"));
        let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock");
        fs_err::copy(lock, project.root.join("Cargo.lock")).unwrap();
        let mut prune = Command::new(env!("CARGO"));
        prune.args(["update", "--workspace", "--offline", "--quiet"]).current_dir(&project.root);
        assert!(prune.status().unwrap().success());
        project.write("src/behaviour.txt", behaviour);
    });
    deploy(&project, &[]).expect(0);
    project
}

fn deploy(project: &Project, args: &[&str]) -> Ran {
    let mut command = project.command(&["deploy"]);
    command.args(args).env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("ledger"));
    Ran::of(&mut command)
}

fn migration(project: &Project, name: &str, sql: &str) -> String {
    project.write(&format!("migrations/{name}"), sql);
    project.commit(name)
}

#[test]
fn a_release_that_starts_on_the_new_schema_can_come_back() {
    let project = deployed("ledger-back", "lenient");
    let first = project.head();
    let second = migration(&project, "0002_size.sql", "ALTER TABLE entry ADD COLUMN size bigint NOT NULL DEFAULT 0;\n");
    project.ok(&["deploy", "--dry-run"]).says(&[&format!("way back: {first} would be started on the new schema")]);
    deploy(&project, &[]).expect(0).says(&[
        &format!("{first} starts on the new schema"),
        &format!("undo     cargo xtask rollback local     ({first} is kept)"),
    ]);
    let record = &project.records()[0];
    assert_eq!(record["way_back"]["trial"], "starts");
    assert_eq!(record["way_back"]["version"], first);
    // The trial had a database and folders of its own.
    assert_eq!(project.get("/rows").as_deref(), Some("0"));
    project.ok(&["rollback", "--dry-run"]).says(&[&format!("{first} is kept and can serve again")]);
    project.ok(&["rollback"]).says(&[&format!("undo     cargo xtask rollback local --to {second}")]);
    assert_eq!(project.serves(), Some(first.clone()));
    project.get("/crash");
    until("it starts again on the newer schema", || project.serves() == Some(first.clone()));
    project.ok(&["rollback", "local", "--to", &second]);
    assert_eq!(project.serves(), Some(second));
}

#[test]
fn a_release_that_refuses_the_new_schema_is_found_before_anything_changes() {
    let project = deployed("ledger-strict", "strict");
    let first = project.head();
    let services = project.services();
    project.write("src/behaviour.txt", "unready");
    let second = migration(&project, "0002_size.sql", "ALTER TABLE entry ADD COLUMN size bigint;\n");
    let says = [
        "no way back",
        &format!("{first} does not start on the schema that 0002_size.sql leaves"),
        "migration 2 was previously applied but is missing",
        "set_ignore_missing(true)",
        "cargo xtask deploy local --no-way-back",
    ];
    let refused = deploy(&project, &[]).expect(21).says(&says);
    assert!(!refused.stderr.contains("undo"), "{}", refused.stderr);
    let record = &project.records()[0];
    assert_eq!(record["outcome"], "failed");
    assert!(record["way_back"]["trial"]["fails"].as_str().unwrap().contains("previously applied"), "{record}");
    // Nothing was migrated: the release that serves starts again after a crash.
    assert_eq!(project.services(), services);
    project.get("/crash");
    until("it starts again", || project.serves() == Some(first.clone()));

    // Asked for, it goes on, and says what that means.
    project.write("src/behaviour.txt", "strict");
    let third = project.commit("Ready");
    let went_on = deploy(&project, &["--no-way-back"]).expect(0).says(&["no way back"]);
    assert!(!went_on.stderr.contains("undo"), "{}", went_on.stderr);
    for args in [&["rollback"][..], &["rollback", "--dry-run"], &["rollback", "--to", &first]] {
        project.run(args).expect(21).says(&["0002_size.sql", &first, "previously applied but is missing"]);
    }
    assert_eq!(project.serves(), Some(third.clone()));
    assert_ne!(second, third);

    // Between releases with that migration, there is a way back.
    let fourth = project.commit("Fourth");
    deploy(&project, &[]).expect(0).says(&[&format!("({third} is kept)")]);
    project.ok(&["rollback"]);
    assert_eq!(project.serves(), Some(third));
    assert_ne!(project.serves(), Some(fourth));
}

#[test]
fn a_schema_that_the_queries_of_the_serving_release_do_not_fit_is_found() {
    let project = deployed("ledger-renamed", "lenient");
    let first = project.head();
    migration(&project, "0002_text.sql", "ALTER TABLE entry RENAME COLUMN text TO words;\n");
    deploy(&project, &[]).expect(21).says(&[&format!("{first} does not start"), "column 'text' does not exist"]);
    // Marked, it is not tried, and nothing offers to undo it.
    project.edit("src/main.rs", "count(text)", "count(words)");
    migration(&project, "0002_text.sql", "-- irreversible\nALTER TABLE entry RENAME COLUMN text TO words;\n");
    let ran = deploy(&project, &[]).expect(0);
    assert!(!ran.stderr.contains("undo"), "{}", ran.stderr);
    assert_eq!(project.records()[0]["way_back"], serde_json::Value::Null);
}
