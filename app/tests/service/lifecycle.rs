//! Starting, dying and starting again.

use std::time::Duration;

use reqwest::StatusCode;

use crate::{
    pictures,
    proxy::Proxy,
    raw::{self, Connection},
    support::{Database, Service, Setup, eventually, files_below},
};

#[tokio::test]
async fn instances_that_start_together_migrate_once() {
    let (database, folder) = (Database::create().await, tempfile::tempdir().unwrap());
    let mut starting: Vec<_> = (0..4).map(|_| Setup::new(&database.url, folder.path()).spawn()).collect();
    for process in &mut starting {
        process.listening().await;
    }
    let applied: i64 =
        sqlx::query_scalar("SELECT count(*) FROM _sqlx_migrations").fetch_one(&database.pool().await).await.unwrap();
    let migrations = fs_err::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap().count();
    assert_eq!(applied, migrations as i64);

    let again = Setup::new(&database.url, folder.path()).command().arg("migrate").output().unwrap();
    assert!(again.status.success(), "{again:?}");
}

#[tokio::test]
async fn a_release_starts_on_a_newer_schema_but_not_on_an_edited_one() {
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
    assert!(String::from_utf8_lossy(&refused.stderr).contains("migrating the database"), "{refused:?}");
}

#[tokio::test]
async fn it_waits_for_a_database_that_starts_later_and_not_for_one_that_refuses() {
    let (database, folder) = (Database::create().await, tempfile::tempdir().unwrap());
    let proxy = Proxy::new(&database.url, false).await;
    let mut process = Setup::new(&proxy.url, folder.path()).spawn();
    eventually("it says that it waits", async || process.log().iter().any(|line| line.contains("does not answer yet")))
        .await;
    proxy.mend();
    process.listening().await;

    let nowhere = database.url.replace("/test_", "/no_such_database_");
    let refused = Setup::new(&nowhere, folder.path()).command().arg("serve").output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(!String::from_utf8_lossy(&refused.stderr).contains("does not answer yet"), "{refused:?}");
}

/// Sends the head and half of the body of an upload, and waits until the service has begun to write it.
async fn half_an_upload(service: &Service, body: &[u8], head: &[u8]) -> Connection {
    let mut connection = Connection::open(&service.process.address).await.unwrap();
    connection.send(head).await.unwrap();
    connection.send(&body[..body.len() / 2]).await.unwrap();
    let started = async || {
        service
            .stored()
            .iter()
            .any(|path| path.ends_with("original") && path.metadata().is_ok_and(|file| file.len() > 0))
    };
    eventually("the upload is under way", started).await;
    connection
}

#[tokio::test]
async fn what_a_killed_process_leaves_is_removed_by_the_next_start() {
    let mut service = Service::signed_in().await;
    let (status, media) = service.upload(&pictures::png(40, 30), "kept.png", "image/png").await;
    assert_eq!(status, StatusCode::CREATED);
    let kept = service.stored();
    assert_eq!(kept.len(), 2);
    let (head, body) = raw::upload(&service.token, &pictures::jpeg(900, 600));
    let _connection = half_an_upload(&service, &body, &head).await;
    service.process.signal("-KILL");
    service.process.ended().await;

    // Two more that died later: one before its row, one after it.
    let (root, before) = (service.folder.path(), "01ARZ3NDEKTSV4RRFFQ69G5FAV");
    let after = media["id"].as_str().unwrap();
    for id in [before, after] {
        fs_err::create_dir_all(root.join("incoming/dead").join(id)).unwrap();
    }
    for orphan in [format!("uploads/{before}"), format!("thumbs/{before}.webp")] {
        fs_err::write(root.join(orphan), "orphan").unwrap();
    }
    assert_ne!(service.stored(), kept);

    service.process = Setup::new(&service.database.url, root).start().await;
    assert_eq!(service.stored(), kept, "what has a row is there, and nothing else");
    assert_eq!(files_below(&root.join("incoming")).len(), 2, "the door and the living process's lock");
    assert_eq!(service.get(media["file_url"].as_str().unwrap()).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_start_leaves_the_uploads_of_a_living_instance_alone_and_a_stop_finishes_them() {
    let mut service = Service::signed_in().await;
    let picture = pictures::jpeg(900, 600);
    let (head, body) = raw::upload(&service.token, &picture);
    let mut connection = half_an_upload(&service, &body, &head).await;

    let _other = Setup::new(&service.database.url, service.folder.path()).start().await;
    service.process.signal("-TERM");
    let stopping = async || service.process.log().iter().any(|line| line.contains("stopping"));
    eventually("the service is stopping", stopping).await;

    connection.send(&body[body.len() / 2..]).await.unwrap();
    let answer = connection.answer().await.unwrap();
    assert_eq!((answer.status, answer.is_last()), (201, true), "{answer:?}");
    drop(connection);
    let status = tokio::time::timeout(Duration::from_secs(9), service.process.ended()).await;
    assert!(status.expect("it does not wait when nothing is left to wait for").success());
    assert_eq!((service.rows().await, service.stored().len()), (1, 2));
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing() {
    let service = Service::signed_in().await;
    let (head, body) = raw::upload(&service.token, &pictures::jpeg(900, 600));
    drop(half_an_upload(&service, &body, &head).await);
    eventually("nothing is left", async || service.stored().is_empty()).await;
    assert_eq!(service.rows().await, 0);
}
