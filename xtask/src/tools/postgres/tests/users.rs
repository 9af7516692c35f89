//! Two users of the machine, root's and the server's, and two roles of the server, its superuser and the service's.

use std::os::unix::fs::{MetadataExt as _, chown};

use super::scratch::{Scratch, installed};
use super::*;
use crate::tools::cmd::Cmd;

/// What a service may have made while it was the superuser: something of each kind.
const MADE: &str = "
CREATE SCHEMA inner_one;
CREATE TABLE inner_one.plain (id serial PRIMARY KEY, number bigint GENERATED ALWAYS AS IDENTITY, words text);
CREATE TABLE parted (day date NOT NULL) PARTITION BY RANGE (day);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE SEQUENCE counts;
CREATE VIEW seen AS SELECT words FROM inner_one.plain;
CREATE MATERIALIZED VIEW kept AS SELECT words FROM inner_one.plain;
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TYPE pair AS (a int, b int);
CREATE TYPE span AS RANGE (subtype = float8);
CREATE DOMAIN \"a b\" AS text CHECK (VALUE <> '');
CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT 2 * n';
CREATE PROCEDURE nothing() LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE total (int) (SFUNC = int4pl, STYPE = int);
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq);
CREATE COLLATION bytes FROM \"C\";
CREATE STATISTICS related ON id, number FROM inner_one.plain;
CREATE TEXT SEARCH DICTIONARY stem (TEMPLATE = simple);
CREATE TEXT SEARCH CONFIGURATION words (COPY = simple);
SELECT lo_create(4711);
CREATE EXTENSION pg_trgm;
";

/// The service can change and remove all of it.
const REMOVED: &str = "
ALTER TABLE inner_one.plain ADD COLUMN more int;
INSERT INTO inner_one.plain (words) VALUES ('one');
SELECT lo_unlink(4711);
DROP TEXT SEARCH CONFIGURATION words;
DROP TEXT SEARCH DICTIONARY stem;
DROP STATISTICS related;
DROP COLLATION bytes;
DROP OPERATOR === (int, int);
DROP AGGREGATE total (int);
DROP PROCEDURE nothing;
DROP FUNCTION twice;
DROP DOMAIN \"a b\";
DROP TYPE span;
DROP TYPE pair;
DROP TYPE mood;
DROP MATERIALIZED VIEW kept;
DROP VIEW seen;
DROP SEQUENCE counts;
DROP TABLE parted_1;
DROP TABLE parted;
DROP SCHEMA inner_one CASCADE;
";

#[tokio::test]
async fn the_service_owns_its_database_and_may_do_nothing_else() {
    for choice in [Choice::Found, Choice::Embedded] {
        let Some(installation) = installed(choice).await else { return };
        let scratch = Scratch::new();
        let server = scratch.ensure(&installation).await.unwrap();
        server.create_database("shop").await.unwrap();
        let service = server.service_client("shop").await.unwrap();
        service.batch_execute("CREATE TABLE sold (id int); CREATE EXTENSION pg_trgm; DROP TABLE sold").await.unwrap();
        for refused in [
            "CREATE DATABASE another",
            "CREATE ROLE another",
            "COPY (SELECT 1) TO PROGRAM 'true'",
            "SELECT pg_read_file('postgresql.auto.conf')",
            "ALTER SYSTEM SET work_mem = '1GB'",
            "SET session_replication_role = replica",
        ] {
            let error = service.batch_execute(refused).await.unwrap_err();
            assert_eq!(error.code().unwrap().code(), "42501", "{refused}: {error:?}");
        }
        for closed in ["postgres", "template1"] {
            let error = format!("{:#}", server.service_client(closed).await.unwrap_err());
            assert!(error.contains("permission denied for database"), "{error}");
        }
    }
}

#[tokio::test]
async fn what_the_superuser_made_is_the_service_s_afterwards() {
    for choice in [Choice::Found, Choice::Embedded] {
        let Some(installation) = installed(choice).await else { return };
        let scratch = Scratch::new();
        let server = scratch.ensure(&installation).await.unwrap();
        server.client("postgres").await.unwrap().batch_execute("CREATE DATABASE shop").await.unwrap();
        let superuser = server.client("shop").await.unwrap();
        superuser.batch_execute(MADE).await.unwrap();
        for _ in 0..2 {
            server.create_database("shop").await.unwrap();
        }
        // The release that serves until the next one does is the superuser, and may go on.
        superuser.batch_execute("CREATE TABLE late (id int)").await.unwrap();
        server.create_database("shop").await.unwrap();
        let service = server.service_client("shop").await.unwrap();
        service.batch_execute(REMOVED).await.unwrap();
        service.batch_execute("DROP TABLE late; SELECT similarity('a', 'b')").await.unwrap();
    }
}

#[tokio::test]
async fn a_link_in_the_server_s_folders_leads_to_nothing_of_root() {
    let Some(installation) = installed(Choice::Auto).await else { return };
    if !platform::is_root() {
        return;
    }
    let scratch = Scratch::new();
    let server = scratch.ensure(&installation).await.unwrap();
    let uid = server.layout().uid();
    let victim = scratch.folder.parent().unwrap().join("victim");
    fs_err::write(&victim, "17 r00ts-sentinel").unwrap();
    fs_err::set_permissions(&victim, std::fs::Permissions::from_mode(0o600)).unwrap();
    let plant = |path: &str| {
        let path = scratch.folder.join(path);
        drop(fs_err::remove_file(&path));
        fs_err::os::unix::fs::symlink(&victim, &path).unwrap();
        std::os::unix::fs::lchown(&path, Some(uid), Some(uid)).unwrap();
    };
    plant("log/zz.log");
    assert!(!server.log_tail(usize::MAX).contains("r00ts"));
    server.stop().await.unwrap();
    for path in ["data/postgresql.conf", "data/postmaster.pid", "run/.s.PGSQL.5432.lock", "log/start.log"] {
        plant(path);
    }
    let error = scratch.ensure(&installation).await.err();
    assert!(!error.is_some_and(|error| format!("{error:#}").contains("r00ts")));
    fs_err::remove_file(scratch.folder.join("data/postmaster.pid")).ok();
    fs_err::remove_file(scratch.folder.join("run/.s.PGSQL.5432.lock")).ok();
    scratch.ensure(&installation).await.unwrap().stop().await.unwrap();
    plant("data/PG_VERSION");
    let error = format!("{:#}", scratch.ensure(&installation).await.err().unwrap());
    assert!(!error.contains("r00ts"), "{error}");
    let meta = fs_err::metadata(&victim).unwrap();
    assert_eq!((meta.uid(), meta.mode() & 0o7777), (0, 0o600));
    assert_eq!(fs_err::read_to_string(&victim).unwrap(), "17 r00ts-sentinel");
    drop(fs_err::remove_file(scratch.folder.join("data/PG_VERSION")));
}

#[tokio::test]
async fn a_group_is_admitted_to_the_socket_and_no_other_user() {
    let Some(installation) = installed(Choice::Auto).await else { return };
    if !platform::is_root() {
        return;
    }
    let scratch = Scratch::new();
    let server = scratch.ensure(&installation).await.unwrap();
    let socket = server.layout().socket();
    let connects = async |uid: u32, gid: u32| {
        Cmd::new("test").args(["-w", socket.as_str()]).dir("/").user(uid, gid).succeeds().await.unwrap()
    };
    assert!(!connects(60_700, 60_700).await);
    for _ in 0..2 {
        server.admit(60_700).await.unwrap();
        scratch.ensure(&installation).await.unwrap();
        assert!(connects(60_700, 60_700).await && !connects(60_701, 60_701).await);
    }
    chown(scratch.folder.join("log"), Some(60_701), None).unwrap();
    let error = format!("{:#}", scratch.ensure(&installation).await.err().unwrap());
    assert!(error.contains("log belongs to user 60701, and this is user 0; remove it"), "{error}");
}
