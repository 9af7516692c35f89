//! The query cache and the migrations of a service that uses sqlx, against real PostgreSQL servers.
//!
//! The service's dependencies are compiled once, into a target folder that these tests and later runs share.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

use rustix::process::Signal;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::schema;
use testkit::{Project, Ran, Running, machine, until};

const LIB: &str = "src/lib.rs";
const WIDTH: &str = "migrations/0002_width.sql";

/// The shop, with the dependency versions of this workspace's lock file, which are already downloaded.
fn unprepared() -> Project {
    Project::of("queries", |project| {
        let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock");
        fs_err::copy(lock, project.root.join("Cargo.lock")).unwrap();
        let mut prune = Command::new(env!("CARGO"));
        prune.args(["update", "--workspace", "--offline", "--quiet"]).current_dir(&project.root);
        assert!(prune.status().unwrap().success());
    })
}

/// The shop with its query cache committed. The cache is prepared once.
fn prepared() -> Project {
    static CACHE: OnceLock<Vec<(String, String)>> = OnceLock::new();
    let cache = CACHE.get_or_init(|| {
        let project = unprepared();
        run(&project, &["sqlx", "prepare"]).expect(0);
        files(&project).into_iter().map(|(name, _, text)| (name, text)).collect()
    });
    let project = unprepared();
    for (name, text) in cache {
        project.write(&format!(".sqlx/{name}"), text);
    }
    project.commit("Prepared");
    project
}

fn command(project: &Project, args: &[&str]) -> Command {
    let mut command = project.command(args);
    command.env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("queries"));
    // No database listens there, so a command that uses it fails.
    command.env("DATABASE_URL", "postgres://nobody:secret@127.0.0.1:1/nowhere");
    command
}

fn run(project: &Project, args: &[&str]) -> Ran {
    Ran::of(&mut command(project, args))
}

/// Name, time and content of every file of the cache.
fn files(project: &Project) -> Vec<(String, SystemTime, String)> {
    below(&project.root.join(".sqlx"))
}

fn below(folder: &Path) -> Vec<(String, SystemTime, String)> {
    let entries = fs_err::read_dir(folder).unwrap().map(Result::unwrap);
    let mut files: Vec<_> = entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, entry.metadata().unwrap().modified().unwrap(), fs_err::read_to_string(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// The name of the cache file whose query contains this text.
fn entry(project: &Project, part: &str) -> String {
    let found = files(project).into_iter().find(|(name, _, text)| name.starts_with("query-") && text.contains(part));
    found.unwrap().0
}

/// Adds the record of a live release of HEAD, with these migrations.
fn released(project: &Project, id: &str, token: u32) {
    let mut migrations: Vec<Value> = below(&project.root.join("migrations"))
        .into_iter()
        .map(|(name, _, text)| json!({ "name": name, "sha256": hex::encode(Sha256::digest(text)), "irreversible": false }))
        .collect();
    migrations.sort_by_key(|migration| migration["name"].as_str().unwrap().to_owned());
    let commit = project.git(&["rev-parse", "HEAD"]);
    let record = json!({
        "schema": 1, "id": id, "kind": "deploy", "environment": "local",
        "source": { "commit": commit, "version": &commit[..12], "subject": "", "branch": "main" },
        "digest": "sha256:00", "inputs": "", "plan": [], "migrations": migrations, "settings": {}, "secrets": {},
        "who": "test", "toolkit": "0.1.0", "token": token, "previous": null, "started": "2026-01-01T00:00:00Z",
        "ended": "2026-01-01T00:00:00Z", "steps": [], "outcome": "live", "error": null
    });
    project.write(&format!(".deploy/local/records/{id}.json"), &record.to_string());
}

#[test]
fn prepare_writes_the_cache_and_a_second_time_changes_nothing() {
    let project = unprepared();
    project.write(LIB, &project.read(LIB));
    let sources = below(&project.root.join("src"));
    let stale = run(&project, &["sqlx", "check"]).expect(1).says(&["src/lib.rs:7:", "not in the cache"]);
    assert!(!project.root.join(".sqlx").exists(), "a check changes nothing");
    let prepared = stale.type_it("type: ", &command(&project, &[])).expect(0);
    prepared.says(&["2 queries in .sqlx: 2 new, 0 changed, 0 gone", "2 migrations"]);
    let first = files(&project);
    assert_eq!(first.len(), 3, "{first:#?}");
    run(&project, &["sqlx", "prepare"]).expect(0).says(&["2 queries", "nothing has changed"]);
    assert_eq!(files(&project), first, "not even a file's time");
    run(&project, &["sqlx", "check"]).expect(0).says(&["2 queries fresh"]);
    assert_eq!(below(&project.root.join("src")), sources);
    let built = ["target", "src/target"].map(|folder| project.root.join(folder).exists());
    assert_eq!(built, [false, false], "it compiles in the target folder that cargo was given, in `sqlx`");
}

#[test]
fn a_changed_type_is_reported_at_the_query_and_prepare_fixes_it() {
    let project = prepared();
    project.edit(WIDTH, "bigint", "integer");
    let says =
        ["src/lib.rs:14:12: ", "column `width`: INT8, nullable → INT4, nullable", "SELECT code, width FROM purchase"];
    run(&project, &["sqlx", "check"]).expect(1).says(&says);
    let ran = Ran::of(command(&project, &["sqlx", "check"]).env("GITHUB_ACTIONS", "true")).expect(1);
    assert!(ran.stderr.contains("::error file=src/lib.rs,line=14,col=12::"), "{}", ran.stderr);

    let ended = Running::start(command(&project, &["sqlx", "check"]).arg("--json")).end().expect(1);
    let rules: Value = serde_json::from_str(include_str!("../../schema/event.json")).unwrap();
    for event in &ended.events {
        schema::check(&rules, event).unwrap_or_else(|wrong| panic!("{event}: {wrong}"));
    }
    let result = ended.events.iter().find(|event| event["state"] == "result").unwrap();
    let problem = &result["detail"]["problems"][0];
    assert_eq!((&problem["file"], &problem["line"]), (&json!("src/lib.rs"), &json!(14)), "{result:#}");

    let before = files(&project);
    run(&project, &["sqlx", "prepare"]).expect(0).says(&["0 new, 1 changed, 0 gone"]);
    let unchanged = entry(&project, "FROM customer");
    let of = |files: &[(String, SystemTime, String)]| files.iter().find(|(name, _, _)| *name == unchanged).cloned();
    assert_eq!(of(&files(&project)), of(&before), "the files of unchanged queries are not written");
    run(&project, &["sqlx", "check"]).expect(0);
}

#[test]
fn a_query_that_does_not_fit_the_schema_is_reported_and_the_cache_stays() {
    let project = prepared();
    let before = files(&project);
    project.edit(LIB, "SELECT id, name FROM", "SELECT id, nam FROM");
    for command in ["check", "prepare"] {
        let ran = run(&project, &["sqlx", command]).expect(1).says(&["src/lib.rs:7:", "column \"nam\" does not exist"]);
        assert!(!ran.stderr.contains("in no source"), "queries after the error were not described: {}", ran.stderr);
    }
    assert_eq!(files(&project), before);
}

#[test]
fn missing_and_superfluous_queries_are_named() {
    let project = prepared();
    fs_err::remove_file(project.root.join(".sqlx").join(entry(&project, "FROM purchase"))).unwrap();
    let other = r#"{ "db_name": "PostgreSQL", "query": "SELECT 1", "describe": {}, "hash": "00" }"#;
    project.write(".sqlx/query-00.json", other);
    let damaged = entry(&project, "FROM customer");
    project.write(&format!(".sqlx/{damaged}"), "{");
    let says = [
        "3 problems",
        "src/lib.rs:14:12: this query is not in the cache: SELECT code",
        ".sqlx/query-00.json:1:1: this query is in no source: SELECT 1",
        "src/lib.rs:7:30: the database describes this query differently: its file is damaged",
    ];
    run(&project, &["sqlx", "check"]).expect(1).says(&says);
    run(&project, &["sqlx", "prepare"]).expect(0).says(&["1 new, 1 changed, 1 gone"]);
    assert_eq!(project.git(&["status", "--porcelain"]), "", "it is as it was committed");
}

#[test]
fn a_deploy_with_a_matching_stamp_starts_no_database() {
    let project = prepared();
    project.ok(&["deploy", "--dry-run"]).says(&["queries: 2 fresh"]);
    // The build fails at once.
    let mut deploy = Running::start(command(&project, &["deploy", "--json"]).env("RUSTC", "/bin/false"));
    deploy.must("sqlx", "finished");
    let ended = deploy.end().expect(1);
    assert_eq!(ended.steps("failed"), ["build"]);
    let step = ended.events.iter().find(|event| event["step"] == "sqlx" && event["state"] == "finished").unwrap();
    assert_eq!(step["detail"]["text"], "2 queries fresh");

    // Without its stamp, the queries are checked against a database, and are fresh.
    fs_err::remove_file(project.root.join(".sqlx/prepared.json")).unwrap();
    project.ok(&["deploy", "--dry-run"]).says(&["queries: would be checked with a temporary database"]);
    run(&project, &["sqlx", "check"]).expect(1).says(&[".sqlx/prepared.json:1:1: .sqlx has no readable stamp"]);
    let mut deploy = Running::start(command(&project, &["deploy"]).arg("--json"));
    deploy.must("sqlx", "finished");
    deploy.signal(Signal::INT);
    let ended = deploy.end().expect(1);
    let warned = Ran { code: ended.code, stdout: String::new(), stderr: ended.texts("warning") };
    warned.type_it("type: ", &command(&project, &[])).expect(0);
    run(&project, &["sqlx", "check"]).expect(0);
}

#[test]
fn a_deploy_of_a_stale_cache_is_refused_before_anything_changes() {
    let project = prepared();
    project.edit(WIDTH, "bigint", "integer");
    project.commit("Narrower");
    project.ok(&["deploy", "--dry-run"]).says(&["prepared before a change of the migrations"]);
    let says = ["sqlx failed", "src/lib.rs:14:12: ", "INT8, nullable → INT4, nullable", "cargo xtask sqlx prepare"];
    let ran = Ran::of(command(&project, &["deploy"]).env("GITHUB_ACTIONS", "true")).expect(1).says(&says);
    assert!(ran.stderr.contains("::error file=src/lib.rs,line=14,col=12::"), "{}", ran.stderr);
    run(&project, &["deploy"]).expect(1).type_it("type: ", &command(&project, &[])).expect(0);
    run(&project, &["sqlx", "check"]).expect(0);
    for nothing in ["releases", "secrets.env", "data"] {
        assert!(!project.deployed(nothing).exists(), "{nothing}");
    }
    assert_eq!(project.records()[0]["outcome"], "failed");
}

#[test]
fn an_interrupted_prepare_leaves_the_cache_whole_and_no_server() {
    let project = prepared();
    project.edit(WIDTH, "bigint", "integer");
    let before = files(&project);
    // Servers run as another user, which needs access to the folder.
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    let temporary = tempfile::Builder::new().permissions(readable).tempdir().unwrap();
    let servers = || machine::processes_below(temporary.path());
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        let mut prepare = command(&project, &["sqlx", "prepare", "--json"]);
        let mut prepare = Running::start(prepare.env("TMPDIR", temporary.path()));
        prepare.must("sqlx", "started");
        until("cargo compiles", || {
            project.processes().iter().any(|process| process.command.contains("check --package"))
        });
        assert!(servers().iter().any(|process| process.command.contains("postgres")));
        if signal == Signal::KILL {
            prepare.kill();
        } else {
            prepare.signal(signal);
            prepare.end().expect(1);
            assert_eq!(servers(), [], "{signal:?}");
        }
        assert_eq!(files(&project), before, "{signal:?}");
    }
    // The next run deletes the leftovers of the killed one, although its cargo still runs.
    Ran::of(command(&project, &["sqlx", "prepare"]).env("TMPDIR", temporary.path())).expect(0).says(&["1 changed"]);
    until("nothing is left", || servers().is_empty());
    assert_eq!(below(temporary.path()), []);
}

#[test]
fn migrations_keep_their_numbers_and_their_texts() {
    let project = prepared();
    released(&project, "1", 1);
    project.write("migrations/0002_twice.sql", "SELECT 1;\n");
    project.write("migrations/late.sql", "SELECT 1;\n");
    let says =
        ["migrations/0002_width.sql:1:1: 0002_twice.sql has the same number", "migrations/late.sql:1:1: sqlx ignores"];
    run(&project, &["sqlx", "check"])
        .expect(1)
        .says(&says)
        .says(&["0002_twice.sql is new, but its number comes before 0002_width.sql"]);
    fs_err::remove_file(project.root.join("migrations/0002_twice.sql")).unwrap();
    fs_err::remove_file(project.root.join("migrations/late.sql")).unwrap();
    project.edit(WIDTH, "bigint", "integer");
    for command in ["check", "prepare"] {
        run(&project, &["sqlx", command]).expect(1).says(&["0002_width.sql has changed since", "a new migration"]);
    }
    project.git(&["checkout", "--quiet", "."]);
    project.write(
        "migrations/0003_wrong.sql",
        "CREATE TABLE fine (id int);\n\n-- Not here.\nALTER TABLE purchase\n    ADD COLUMN x wide;\n",
    );
    let says = [
        "migrations/0003_wrong.sql:5:1: this does not run on an empty database: type \"wide\" does not exist",
        "ALTER TABLE purchase …",
    ];
    run(&project, &["sqlx", "check"]).expect(1).says(&says);
}

#[test]
fn a_new_migration_runs_on_generated_rows() {
    let project = prepared();
    released(&project, "1", 1);
    // All of these migrations run on an empty database.
    project.write(
        "migrations/0003_owner.sql",
        "CREATE INDEX purchase_state ON purchase (state);\n\nALTER TABLE purchase ADD COLUMN owner text NOT NULL;\n",
    );
    let says = [
        "migrations/0003_owner.sql:3:1: this does not run on the schema of",
        "with 3 rows in each table",
        "column \"owner\" of relation \"purchase\" contains null values: ALTER TABLE purchase ADD COLUMN owner",
    ];
    run(&project, &["sqlx", "check"]).expect(1).says(&says);
    let before = files(&project);
    run(&project, &["sqlx", "prepare"]).expect(1).says(&says);
    assert_eq!(files(&project), before);

    project.edit("migrations/0003_owner.sql", "NOT NULL", "NOT NULL DEFAULT ''");
    project.write("migrations/0004_drop.sql", "ALTER TABLE purchase DROP COLUMN paid_at;\n");
    project.write("migrations/0005_mood.sql", "-- irreversible\nALTER TABLE customer DROP COLUMN mood;\n");
    let says = [
        "3 new migrations run on",
        "with rows in 2 tables",
        "migrations/0004_drop.sql:1: DROP COLUMN",
        "-- irreversible",
        "0005_mood.sql is irreversible",
    ];
    let ran = run(&project, &["sqlx", "prepare"]).expect(0).says(&says);
    assert!(!ran.stderr.contains("no rows"), "{}", ran.stderr);
}

#[test]
fn a_new_migration_is_looked_at_for_locks_before_it_is_merged() {
    let project = prepared();
    // No release is recorded; the main branch lacks these.
    project.git(&["checkout", "--quiet", "-b", "index"]);
    let index = "migrations/0003_state.sql";
    project.write(index, "SET LOCAL lock_timeout = '2s';\n\nCREATE INDEX purchase_state ON purchase (state);\n");
    project.write("migrations/0004_note.sql", "CREATE TABLE note (id bigint);\nCREATE INDEX note_id ON note (id);\n");
    run(&project, &["sqlx", "prepare"]).expect(0);
    project.commit("Index");
    let ran = Ran::of(command(&project, &["sqlx", "check"]).env("GITHUB_ACTIONS", "true")).expect(1).says(&[
        "1 problem with queries or migrations",
        "migrations/0003_state.sql:3:1: require-concurrent-index-creation: ",
        "begins with `-- no-transaction`",
        "-- squawk-ignore RULE -- REASON",
    ]);
    assert!(ran.stderr.contains("::error file=migrations/0003_state.sql,line=3,col=1::"), "{}", ran.stderr);

    project.edit(
        index,
        "CREATE INDEX",
        "-- squawk-ignore require-concurrent-index-creation -- a hundred rows\nCREATE INDEX",
    );
    run(&project, &["sqlx", "prepare"]).expect(0);
    run(&project, &["sqlx", "check"]).expect(0).says(&["2 new migrations run on main at "]);
    project.commit("Lifted");
    project.git(&["checkout", "--quiet", "main"]);
    run(&project, &["sqlx", "check"]).expect(0);
}

#[test]
fn a_new_migration_must_leave_the_released_queries_whole() {
    let project = prepared();
    released(&project, "1", 1);
    project.edit(LIB, "SELECT code, width", "SELECT code");
    project.edit(LIB, "row.width", "row.code");
    let file = "migrations/0003_width.sql";
    project.write(
        file,
        "SET LOCAL lock_timeout = '2s';\n-- squawk-ignore ban-drop-column -- not read\n\
         ALTER TABLE purchase DROP COLUMN width;\n",
    );
    run(&project, &["sqlx", "prepare"]).expect(0);
    run(&project, &["sqlx", "check"]).expect(1).says(&[
        "1 problem with queries or migrations",
        "migrations/0003_width.sql:1:1: this breaks a query of ",
        "column \"width\" does not exist",
        ".sqlx/query-",
        "SELECT code, width",
    ]);
    project.edit(file, "SET LOCAL", "-- irreversible\nSET LOCAL");
    run(&project, &["sqlx", "prepare"]).expect(0);
    run(&project, &["sqlx", "check"]).expect(0).says(&["0003_width.sql is irreversible"]);
}

#[test]
fn a_failure_on_the_values_of_generated_rows_is_a_warning() {
    let project = prepared();
    released(&project, "1", 1);
    project.write("migrations/0003_rule.sql", "ALTER TABLE customer ADD CHECK (name <> '001');\n");
    let says = [
        "0003_rule.sql:1:1: this fails on the schema of",
        "these rows are generated",
        "only if it can fail on real ones",
    ];
    run(&project, &["sqlx", "prepare"]).expect(0).says(&says);
}

#[test]
fn sqlx_commands_need_a_service_with_sqlx() {
    let project = Project::fixture();
    project.run(&["sqlx", "check"]).expect(2).says(&["Cargo.lock has no sqlx"]);
    project.edit("deploy.yaml", "  migrations: migrations\n", "");
    project.run(&["sqlx", "prepare"]).expect(2).says(&["deploy.yaml names no migrations of fixture"]);
}

#[test]
fn the_released_schema_comes_from_the_releases_commit() {
    let project = prepared();
    project.write("migrations/0003_note.sql", "CREATE TABLE note (id int PRIMARY KEY, body text);\n");
    project.commit("Note");
    released(&project, "1", 1);
    // An older release serves, but the migration was applied, so the schema has it.
    project.git(&["checkout", "--quiet", "HEAD~1"]);
    released(&project, "2", 2);
    project.write("migrations/0004_body.sql", "ALTER TABLE note ALTER COLUMN body SET NOT NULL;\n");
    let ran = run(&project, &["sqlx", "check"]).expect(1);
    let ran = ran.says(&["0004_body.sql:1:1: this does not run on an empty database"]);
    assert!(!ran.stderr.contains("neither in the tree"), "{}", ran.stderr);
    project.write("migrations/0004_body.sql", "ALTER TABLE IF EXISTS note ALTER COLUMN body SET NOT NULL;\n");
    run(&project, &["sqlx", "check"])
        .expect(1)
        .says(&["0004_body.sql:1:1:", "column \"body\" of relation \"note\" contains null values"]);
}

#[test]
fn a_deploy_tries_a_new_migration_although_the_cache_is_fresh() {
    let project = prepared();
    project.write("migrations/0003_owner.sql", "ALTER TABLE purchase ADD COLUMN owner text NOT NULL;\n");
    // No release is recorded yet.
    run(&project, &["sqlx", "prepare"]).expect(0);
    project.commit("Owner");
    project.git(&["checkout", "--quiet", "HEAD~1"]);
    released(&project, "1", 1);
    project.git(&["checkout", "--quiet", "main"]);
    let says = ["sqlx failed", "migrations/0003_owner.sql:1:1", "contains null values"];
    run(&project, &["deploy"]).expect(1).says(&says);
    assert_eq!(project.records()[0]["outcome"], "failed");
}

#[test]
fn a_sqlx_without_a_query_cache_is_named() {
    let project = unprepared();
    let lock = project.read("Cargo.lock");
    let after = lock.split("name = \"sqlx\"\n").nth(1).unwrap();
    let version = after.lines().next().unwrap();
    project.edit("Cargo.lock", &format!("name = \"sqlx\"\n{version}"), "name = \"sqlx\"\nversion = \"0.5.13\"");
    for command in ["prepare", "check"] {
        run(&project, &["sqlx", command]).expect(1).says(&["Cargo.lock has sqlx 0.5.13", "came with sqlx 0.7"]);
    }
    assert!(!project.root.join(".sqlx").exists());
}

#[test]
fn macros_that_left_no_description_are_no_success() {
    let project = unprepared();
    // Compiled by nobody, as the macros of a package whose answers went elsewhere.
    project.edit(LIB, "//! Queries", "#![cfg(any())]\n//! Queries");
    for command in ["prepare", "check"] {
        run(&project, &["sqlx", command]).expect(1).says(&["src/lib.rs:", "wrote no description of them"]);
    }
    assert!(!project.root.join(".sqlx").exists());
}

#[test]
fn a_build_without_a_cache_asks_a_migrated_database() {
    let project = unprepared();
    // The variable of the caller names a database that does not answer.
    let mut deploy = Running::start(command(&project, &["deploy"]).arg("--json"));
    deploy.must("build", "finished");
    deploy.signal(Signal::INT);
    deploy.end().expect(1);
    project.edit(WIDTH, "bigint", "wide");
    project.commit("Wrong");
    let says = ["build failed", "migrations/0002_width.sql:1:1", "type \"wide\" does not exist"];
    run(&project, &["deploy"]).expect(1).says(&says);
}
