//! A pooler between the service and its database: PgBouncer in its modes.

use std::{os::unix::fs::MetadataExt as _, str::FromStr as _};

use devservers::PgBouncer;
use reqwest::StatusCode;
use sqlx::postgres::PgConnectOptions;
use testkit::or_skip;

use crate::{
    pictures,
    support::{Database, Service, Setup},
};

/// A PgBouncer before the server of the tests, and the address of a database there. `None` if this machine has none.
fn before(test: &str, database: &str, settings: &str) -> Option<(PgBouncer, String)> {
    let (url, options) = (reqwest::Url::parse(database).unwrap(), PgConnectOptions::from_str(database).unwrap());
    // Only the server's own user may enter that folder.
    let owner =
        options.get_socket().map(|folder| fs_err::metadata(folder).unwrap()).map(|folder| (folder.uid(), folder.gid()));
    let socket = options.get_socket().map(|folder| folder.to_str().unwrap());
    let host = socket.unwrap_or(options.get_host());
    let password = url.password().map(|password| format!(" password={password}")).unwrap_or_default();
    let (port, user) = (options.get_port(), url.username());
    let server = format!("host={host} port={port} user={user}{password}");
    let pooler = or_skip(test, PgBouncer::start(&server, settings, owner))?;
    let through = format!("postgres://{user}@127.0.0.1:{}{}", pooler.port, url.path());
    Some((pooler, through))
}

#[tokio::test]
async fn in_session_mode_everything_works() {
    let mut started = None;
    let through_it = |setup: Setup| {
        started = before("in_session_mode_everything_works", &setup.vars["DATABASE_URL"], "pool_mode = session");
        match &started {
            Some((_, url)) => setup.var("DATABASE_URL", url),
            None => setup,
        }
    };
    let service = Service::start_with(through_it).await.sign_in().await;
    let (status, media) = service.upload(&pictures::png(20, 10), "a.png", "image/png").await;
    assert_eq!(status, StatusCode::CREATED, "{media}");
    // Notifications come through, and so reach the worker.
    service.process.logged("listening for notifications").await;
    drop(service);
    drop(started);
}

#[tokio::test]
async fn in_transaction_mode_it_says_what_to_change() {
    let (database, folder) = (Database::create().await, tempfile::tempdir().unwrap());
    for settings in ["pool_mode = transaction", "pool_mode = transaction\ndefault_pool_size = 1"] {
        let started = before("in_transaction_mode_it_says_what_to_change", &database.url, settings);
        let Some((_pooler, url)) = started else { return };
        let setup = Setup::new(&url, folder.path());
        let run = move || setup.command().arg("migrate").output().unwrap();
        let output = tokio::task::spawn_blocking(run).await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("pool_mode = session"), "{settings}: {said}");
    }
}
