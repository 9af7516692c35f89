//! A release replaces another one on the same listening socket.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinSet;

use crate::{
    raw_http::Connection,
    support::{Database, Setup, TIMEOUT, eventually},
};

#[derive(Default, Debug)]
struct Counts {
    responses: usize,
    from_old: usize,
    closed_connections: usize,
}

/// Sends requests one after another until `stop` is set. Reuses the connection until the service closes it.
async fn send_requests(address: String, stop: Arc<AtomicBool>, pause: Duration) -> std::io::Result<Counts> {
    let mut counts = Counts::default();
    let mut connection = Connection::open(&address).await?;
    while !stop.load(Ordering::Relaxed) {
        let response = connection.get("/api/health/readiness").await?;
        assert_eq!(response.status, 200, "{response:?}");
        counts.responses += 1;
        counts.from_old += usize::from(response.body.contains("\"version\":\"old\""));
        if response.closes_connection() {
            counts.closed_connections += 1;
            connection = Connection::open(&address).await?;
        }
        tokio::time::sleep(pause).await;
    }
    Ok(counts)
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
    // Some clients send without a pause, others keep an idle connection for seconds.
    for pause in [0, 0, 0, 1, 10, 700, 1500, 3000].map(Duration::from_millis) {
        clients.spawn(send_requests(address.clone(), stop.clone(), pause));
    }
    let version = async || {
        let response = Connection::open(&address).await.unwrap().get("/api/health/readiness").await.unwrap();
        response.body.contains("\"version\":\"new\"")
    };
    eventually("the old release responds", async || !version().await).await;
    let new = start("new").await;
    assert_eq!(new.address, address);
    eventually("the new release responds, too", version).await;

    old.signal("-TERM");
    let status = tokio::time::timeout(TIMEOUT, old.ended()).await.unwrap();
    assert!(status.success(), "{:#?}", old.log());
    for _ in 0..20 {
        assert!(version().await, "only the new release responds");
    }
    stop.store(true, Ordering::Relaxed);
    let counts: Vec<Counts> = clients.join_all().await.into_iter().collect::<Result<_, _>>().unwrap();
    let total = |count: fn(&Counts) -> usize| counts.iter().map(count).sum::<usize>();
    assert!(total(|counts| counts.responses) > 500 && total(|counts| counts.from_old) > 20, "{counts:?}");
    assert!(total(|counts| counts.closed_connections) > 0, "the old release closed open connections: {counts:?}");
}
