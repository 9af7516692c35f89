//! One release takes over from another behind the same socket.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinSet;

use crate::{
    raw::Connection,
    support::{Database, PATIENCE, Setup, eventually},
};

#[derive(Default, Debug)]
struct Seen {
    answers: usize,
    from_old: usize,
    last_on_connection: usize,
}

/// Sends one request after the other, on the same connection for as long as the service keeps it, until told to stop.
async fn keep_asking(address: String, stop: Arc<AtomicBool>, pause: Duration) -> std::io::Result<Seen> {
    let mut seen = Seen::default();
    let mut connection = Connection::open(&address).await?;
    while !stop.load(Ordering::Relaxed) {
        let answer = connection.get("/api/health/readiness").await?;
        assert_eq!(answer.status, 200, "{answer:?}");
        seen.answers += 1;
        seen.from_old += usize::from(answer.body.contains("\"version\":\"old\""));
        if answer.is_last() {
            seen.last_on_connection += 1;
            connection = Connection::open(&address).await?;
        }
        tokio::time::sleep(pause).await;
    }
    Ok(seen)
}

#[tokio::test]
async fn no_request_fails_while_a_release_is_replaced() {
    let (database, folder) = (Database::create().await, tempfile::tempdir().unwrap());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let start = |version: &str| {
        Setup::new(&database.url, folder.path()).var("SERVICE_VERSION", version).listener(&listener).start()
    };
    let mut old = start("old").await;
    let address = old.address.clone();

    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    // Some without a pause, some that leave their connection idle for longer than a naive stop would wait.
    for pause in [0, 0, 0, 1, 10, 700, 1500, 3000].map(Duration::from_millis) {
        clients.spawn(keep_asking(address.clone(), stop.clone(), pause));
    }
    let version = async || {
        let answer = Connection::open(&address).await.unwrap().get("/api/health/readiness").await.unwrap();
        answer.body.contains("\"version\":\"new\"")
    };
    eventually("the old release has answered", async || !version().await).await;
    let new = start("new").await;
    assert_eq!(new.address, address);
    eventually("the new release answers from the same queue", version).await;

    old.signal("-TERM");
    let status = tokio::time::timeout(PATIENCE, old.ended()).await.unwrap();
    assert!(status.success(), "{:#?}", old.log());
    for _ in 0..20 {
        assert!(version().await, "only the new one answers now");
    }
    stop.store(true, Ordering::Relaxed);
    let seen: Vec<Seen> = clients.join_all().await.into_iter().collect::<Result<_, _>>().unwrap();
    let total = |count: fn(&Seen) -> usize| seen.iter().map(count).sum::<usize>();
    assert!(total(|seen| seen.answers) > 500 && total(|seen| seen.from_old) > 20, "{seen:?}");
    assert!(total(|seen| seen.last_on_connection) > 0, "the old release said goodbye on open connections: {seen:?}");
}
