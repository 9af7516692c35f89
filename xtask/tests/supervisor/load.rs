//! Switching versions under load.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::site::{Site, deploy, get, request, version};

/// What the clients saw.
#[derive(Default)]
struct Seen {
    stop: Cell<bool>,
    answers: RefCell<BTreeMap<String, u32>>,
    failures: RefCell<Vec<String>>,
}

#[tokio::test]
async fn two_switches_under_load_fail_no_request() {
    LocalSet::new()
        .run_until(async {
            let site = Site::new();
            let mut connection = site.launch().await;
            let public = connection.about().listen;
            deploy(&mut connection, &version("one")).await;

            let seen = Rc::new(Seen::default());
            let clients: Vec<_> = (0..12)
                .map(|number| {
                    let seen = Rc::clone(&seen);
                    tokio::task::spawn_local(async move {
                        match number % 3 {
                            0 => one_connection_each(public, "/", &seen).await,
                            1 => one_connection_each(public, "/slow/50", &seen).await,
                            _ => one_connection_for_all(public, &seen).await,
                        }
                    })
                })
                .collect();
            deploy(&mut connection, &version("two")).await;
            deploy(&mut connection, &version("three")).await;
            assert_eq!(get(public, "/").await.unwrap(), "three");
            seen.stop.set(true);
            for client in clients {
                client.await.unwrap();
            }

            assert_eq!(*seen.failures.borrow(), Vec::<String>::new());
            let answers = seen.answers.take();
            assert_eq!(answers.keys().collect::<Vec<_>>(), ["one", "three", "two"]);
            assert!(answers.values().sum::<u32>() > 100, "{answers:?}");
            connection.stop().await.unwrap();
        })
        .await;
}

async fn one_connection_each(public: SocketAddr, path: &str, seen: &Seen) {
    while !seen.stop.get() {
        note(get(public, path).await, seen);
    }
}

async fn one_connection_for_all(public: SocketAddr, seen: &Seen) {
    while !seen.stop.get() {
        let mut stream = BufReader::new(TcpStream::connect(public).await.unwrap());
        let mut reusable = true;
        while reusable && !seen.stop.get() {
            let answer = request(&mut stream, "/slow/5").await;
            reusable = answer.as_ref().is_ok_and(|(_, reusable)| *reusable);
            note(answer.map(|(body, _)| body), seen);
        }
    }
}

fn note(answer: anyhow::Result<String>, seen: &Seen) {
    match answer {
        Ok(version) => *seen.answers.borrow_mut().entry(version).or_default() += 1,
        Err(error) => seen.failures.borrow_mut().push(format!("{error:#}")),
    }
}
