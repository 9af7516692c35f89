//! Migrations: no rollback crosses an irreversible one, and released ones do not change.

use testkit::Project;

#[test]
fn a_rollback_across_an_irreversible_migration_is_refused() {
    let project = Project::fixture();
    let first = project.head();
    project.ok(&["deploy"]);
    project.write("migrations/0002_drop.sql", "-- irreversible\nDROP TABLE notes;\n");
    let second = project.commit("Drop");
    project.ok(&["deploy", "--dry-run"]).says(&["migration: 0002_drop.sql, irreversible"]);
    project.ok(&["deploy"]).says(&["migration 0002_drop.sql, irreversible"]);
    let third = project.commit("Third");
    project.ok(&["deploy"]);
    project.ok(&["rollback"]);
    assert_eq!(project.serves(), Some(second.clone()));
    let records = project.records();
    for args in [&["rollback"][..], &["rollback", "--to", &first], &["rollback", "--dry-run"]] {
        project.run(args).expect(21).says(&["0002_drop.sql", &first, "cargo xtask deploy"]);
    }
    assert_eq!(project.serves(), Some(second));
    assert_eq!(project.records(), records);
    // A deploy of a newer commit works.
    project.ok(&["rollback", "--to", &third]);
    assert_eq!(project.serves(), Some(third));
}

#[test]
fn a_migration_that_changed_after_its_release_is_refused() {
    let project = Project::fixture();
    let first = project.head();
    project.ok(&["deploy"]);
    project.write("migrations/0001_notes.sql", "CREATE TABLE notes (id bigint, text text);\n");
    project.commit("Changed");
    project.run(&["deploy"]).expect(21).says(&["0001_notes.sql has changed", &first, "a new migration"]);
    assert_eq!(project.serves(), Some(first));
    assert_eq!(project.records()[0]["outcome"], "failed");
    project.git(&["revert", "--no-edit", "HEAD"]);
    project.write("migrations/0002_text.sql", "ALTER TABLE notes ADD COLUMN text text;\n");
    let version = project.commit("Added");
    project.ok(&["deploy"]);
    assert_eq!(project.serves(), Some(version));
}

#[test]
fn a_new_migration_that_comes_before_a_released_one_is_refused() {
    let project = Project::fixture();
    project.write("migrations/0003_text.sql", "ALTER TABLE notes ADD COLUMN text text;\n");
    let first = project.commit("Third");
    project.ok(&["deploy"]);
    project.write("migrations/0002_late.sql", "CREATE TABLE late (id int);\n");
    project.commit("Second");
    project
        .run(&["deploy"])
        .expect(21)
        .says(&["0002_late.sql is new, but its number comes before 0003_text.sql", &first]);
    assert_eq!(project.serves(), Some(first));
    project.git(&["mv", "migrations/0002_late.sql", "migrations/0004_late.sql"]);
    let version = project.commit("Fourth");
    project.ok(&["deploy"]);
    assert_eq!(project.serves(), Some(version));
}

#[test]
fn a_deploy_of_an_older_commit_across_an_irreversible_migration_is_refused() {
    let project = Project::fixture();
    let first = project.head();
    project.ok(&["deploy"]);
    project.write("migrations/0002_text.sql", "ALTER TABLE notes ADD COLUMN text text;\n");
    let second = project.commit("Add");
    project.ok(&["deploy"]);
    project.write("migrations/0003_drop.sql", "  -- Irreversible\nDROP TABLE notes;\n");
    let third = project.commit("Drop");
    project.ok(&["deploy"]);
    project.git(&["checkout", "--quiet", &second]);
    project.run(&["deploy"]).expect(21).says(&["0003_drop.sql of", "cannot be undone", &second]);
    assert_eq!(project.serves(), Some(third));
    project.git(&["checkout", "--quiet", "main"]);
    project.ok(&["deploy"]).says(&["unchanged"]);

    // A reversible migration does not prevent it.
    let other = Project::fixture();
    other.write("migrations/0002_text.sql", "ALTER TABLE notes ADD COLUMN text text;\n");
    other.commit("Add");
    other.ok(&["deploy"]);
    other.git(&["checkout", "--quiet", "HEAD~1"]);
    other.ok(&["deploy"]).says(&["migration 0002_text.sql is not in this version"]);
    assert_ne!(other.head(), first);
}
