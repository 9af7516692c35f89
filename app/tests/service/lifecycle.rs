//! Startup, crashes and recovery.

use std::time::{Duration, SystemTime};

use reqwest::StatusCode;

use crate::{
    pictures,
    proxy::Proxy,
    raw_http::{self, Connection},
    support::{Database, Service, Setup, eventually},
};

#[tokio::test]
async fn instances_that_start_together_apply_each_migration_once() {
    let all = sqlx::migrate!();
    let mut before_the_last = sqlx::migrate!();
    before_the_last.migrations.to_mut().pop();
    for earlier in [None, Some(before_the_last)] {
        let (database, folder) = (Database::create().await, tempfile::tempdir().unwrap());
        let pool = database.pool().await;
        if let Some(earlier) = earlier {
            earlier.run(&pool).await.unwrap();
        }
        let mut starting: Vec<_> = (0..8).map(|_| Setup::new(&database.url, folder.path()).spawn()).collect();
        for process in &mut starting {
            process.listening().await;
        }
        let applied: Vec<i64> =
            sqlx::query_scalar("SELECT version FROM _sqlx_migrations ORDER BY version").fetch_all(&pool).await.unwrap();
        assert_eq!(applied, all.iter().map(|migration| migration.version).collect::<Vec<_>>());

        let again = Setup::new(&database.url, folder.path()).command().arg("migrate").output().unwrap();
        assert!(again.status.success(), "{again:?}");
    }
}

#[tokio::test]
async fn the_service_starts_with_unknown_migrations_but_not_with_edited_ones() {
    let (database, folder) = (Database::create().await, tempfile::tempdir().unwrap());
    drop(Setup::new(&database.url, folder.path()).start().await);
    let pool = database.pool().await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (99990101000000, 'of a newer release', true, '\\x00', 1)";
    sqlx::query(newer).execute(&pool).await.unwrap();
    drop(Setup::new(&database.url, folder.path()).start().await);

    let edited = "UPDATE _sqlx_migrations SET checksum = '\\x00' WHERE version = 1";
    sqlx::query(edited).execute(&pool).await.unwrap();
    let refused = Setup::new(&database.url, folder.path()).command().arg("serve").output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("cannot migrate the database"), "{refused:?}");
}

#[tokio::test]
async fn startup_waits_for_the_database_but_fails_at_once_if_it_rejects_the_connection() {
    let (database, folder) = (Database::create().await, tempfile::tempdir().unwrap());
    let proxy = Proxy::new(&database.url, false).await;
    let mut process = Setup::new(&proxy.url, folder.path()).spawn();
    eventually("the log says that the service retries", async || {
        process.log().iter().any(|line| line.contains("not reachable yet"))
    })
    .await;
    proxy.restore();
    process.listening().await;

    let nowhere = database.url.replace("/test_", "/no_such_database_");
    let refused = Setup::new(&nowhere, folder.path()).command().arg("serve").output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(!String::from_utf8_lossy(&refused.stderr).contains("not reachable yet"), "{refused:?}");
}

/// Sends the head and half of the body of an upload, and waits until the service has written some of it.
async fn send_half_an_upload(service: &Service, body: &[u8], head: &[u8]) -> Connection {
    let mut connection = Connection::open(&service.process.address).await.unwrap();
    connection.send(head).await.unwrap();
    connection.send(&body[..body.len() / 2]).await.unwrap();
    let started = async || service.received().iter().any(|path| path.metadata().is_ok_and(|file| file.len() > 0));
    eventually("the upload is in progress", started).await;
    connection
}

#[tokio::test]
async fn a_start_deletes_what_a_killed_process_was_receiving_once_it_is_old() {
    let mut service = Service::signed_in().await;
    let (status, media) = service.upload(&pictures::png(40, 30), "kept.png", "image/png").await;
    assert_eq!(status, StatusCode::CREATED);
    let kept = service.stored();
    assert_eq!(kept.len(), 3);
    let (head, body) = raw_http::upload(&service.token, &pictures::jpeg(900, 600));
    let _connection = send_half_an_upload(&service, &body, &head).await;
    service.process.signal("-KILL");
    service.process.ended().await;
    let left = service.received();
    assert_eq!(left.len(), 1);

    // It could be another instance's.
    service.process = Setup::new(&service.database.url, service.folder.path()).start().await;
    assert_eq!(service.received(), left);
    let old = SystemTime::now() - Duration::from_secs(2 * 60 * 60);
    fs_err::File::open(&left[0]).unwrap().file().set_modified(old).unwrap();
    service.process = Setup::new(&service.database.url, service.folder.path()).start().await;
    eventually("the worker has deleted it", async || service.received().is_empty()).await;
    assert_eq!(service.stored(), kept);
    assert_eq!(service.get(media["file_url"].as_str().unwrap()).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn uploads_in_progress_survive_the_start_of_another_instance_and_finish_before_a_shutdown() {
    let mut service = Service::signed_in().await;
    let picture = pictures::jpeg(900, 600);
    let (head, body) = raw_http::upload(&service.token, &picture);
    let mut connection = send_half_an_upload(&service, &body, &head).await;

    let _other = Setup::new(&service.database.url, service.folder.path()).start().await;
    service.process.signal("-TERM");
    let stopping = async || service.process.log().iter().any(|line| line.contains("stopping"));
    eventually("the service is stopping", stopping).await;

    connection.send(&body[body.len() / 2..]).await.unwrap();
    let response = connection.response().await.unwrap();
    assert_eq!((response.status, response.closes_connection()), (201, true), "{response:?}");
    drop(connection);
    let status = tokio::time::timeout(Duration::from_secs(9), service.process.ended()).await;
    assert!(status.expect("the shutdown does not wait once all requests have ended").success());
    assert_eq!((service.rows().await, service.stored().len()), (1, 3));
}

#[tokio::test]
async fn an_upload_whose_client_disconnects_leaves_nothing() {
    let service = Service::signed_in().await;
    let (head, body) = raw_http::upload(&service.token, &pictures::jpeg(900, 600));
    drop(send_half_an_upload(&service, &body, &head).await);
    eventually("the received file is deleted", async || service.stored().is_empty()).await;
    assert_eq!(service.rows().await, 0);
}
