use super::*;

fn script(name: &str, sql: &str) -> Script {
    Script { file: format!("migrations/{name}"), sql: sql.to_owned() }
}

fn found(sql: &str) -> Vec<String> {
    lint(&[script("0002_b.sql", sql)]).unwrap().0.iter().map(ToString::to_string).collect()
}

#[test]
fn findings_have_line_rule_and_the_safe_way() {
    let problems = found(
        "-- Comment.\nSET LOCAL lock_timeout = '2s';\nCREATE INDEX media_name ON media (name);\n\
         ALTER TABLE media DROP COLUMN tags;\nALTER TABLE media RENAME COLUMN name TO title;\n\
         ALTER TABLE media ALTER COLUMN size TYPE numeric;\n",
    );
    insta::assert_snapshot!(problems.join("\n"));
}

#[test]
fn a_lock_without_a_time_limit_is_found_once() {
    let problems = found("ALTER TABLE media ADD COLUMN a text;\nALTER TABLE media ADD COLUMN b text;\n");
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].starts_with("migrations/0002_b.sql:1:1: require-lock-timeout: "), "{problems:#?}");
    assert!(problems[0].contains("SET LOCAL lock_timeout = '2s'"), "{problems:#?}");
    assert!(found("SET LOCAL lock_timeout = '2s';\nALTER TABLE media ADD COLUMN a text;\n").is_empty());
}

#[test]
fn what_is_done_to_a_new_table_is_no_finding() {
    let create = "CREATE TABLE album (id bigint PRIMARY KEY, name text);\nCREATE INDEX album_name ON album (name);\n\
                  ALTER TABLE album ADD COLUMN owner text NOT NULL;\n";
    assert!(found(create).is_empty(), "{:#?}", found(create));
    // One that may have been there already is not new.
    assert!(!found(&create.replace("TABLE album (", "TABLE IF NOT EXISTS album (")).is_empty());
    let later = script("0003_c.sql", "ALTER TABLE album ADD CHECK (name <> '');\nDROP TABLE media;\n");
    let (problems, _) = lint(&[script("0002_b.sql", create), later]).unwrap();
    let places: Vec<_> = problems.iter().map(|problem| problem.at.clone().unwrap()).collect();
    let drop = || ("migrations/0003_c.sql".to_owned(), 2, 1);
    assert_eq!(places, [drop(), drop()], "the lock of DROP TABLE, and what it takes away: {problems:#?}");
}

#[test]
fn an_index_is_made_concurrently_outside_of_a_transaction() {
    let alone = "-- no-transaction\nCREATE INDEX CONCURRENTLY media_name ON media (name);\n";
    assert!(found(alone).is_empty(), "{:#?}", found(alone));
    let inside = found("SET LOCAL lock_timeout = '2s';\nCREATE INDEX CONCURRENTLY media_name ON media (name);\n");
    assert!(inside[0].contains("ban-concurrent-index-creation-in-transaction"), "{inside:#?}");
    assert!(inside[0].contains("-- no-transaction"), "{inside:#?}");
}

#[test]
fn a_finding_is_lifted_by_a_comment_with_a_reason_only() {
    let with = |comment: &str| found(&format!("SET LOCAL lock_timeout = '2s';\n{comment}\nDROP TABLE media;\n"));
    assert!(with("-- squawk-ignore ban-drop-table -- release 12 stopped using it").is_empty());
    assert!(with("/* squawk-ignore ban-drop-table -- release 12 stopped using it */").is_empty());
    let bare = with("-- squawk-ignore ban-drop-table");
    assert_eq!(bare.len(), 1, "{bare:#?}");
    assert!(
        bare[0].contains("0002_b.sql:2:1: this gives no reason: -- squawk-ignore ban-drop-table -- REASON"),
        "{bare:#?}"
    );
    let every = with("-- squawk-ignore-file");
    assert!(every[0].contains("name the rules"), "{every:#?}");
    let unknown = with("-- squawk-ignore ban-drop-tables -- gone");
    assert!(unknown.iter().any(|problem| problem.contains("unknown name ban-drop-tables")), "{unknown:#?}");
    assert!(unknown.iter().any(|problem| problem.contains("ban-drop-table: ")), "{unknown:#?}");
}

#[test]
fn what_the_linter_cannot_read_is_said() {
    let (problems, notices) = lint(&[script("0002_b.sql", "SELECT 1;\nALTER TABEL media;\n")]).unwrap();
    assert!(problems.is_empty(), "PostgreSQL says it: {problems:#?}");
    let Some(Notice::Warning(text)) = notices.first() else { panic!("{:?}", notices.len()) };
    assert!(text.starts_with("migrations/0002_b.sql:2: the linter cannot read this"), "{text}");
}
