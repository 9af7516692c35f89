//! Switching versions under load.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::site::{Closed, Site, deploy, get, port_version, request, stock_version, version};
use crate::stock;
use xtask::supervisor::InstanceSpec;

/// What the clients saw.
#[derive(Default)]
struct Seen {
    stop: Cell<bool>,
    answers: RefCell<BTreeMap<String, u32>>,
    failures: RefCell<Vec<String>>,
}

#[tokio::test]
async fn two_switches_under_load_fail_no_request() {
    switches(["one", "two", "three"].map(version)).await;
}

/// Its process ends at SIGTERM without a thought for its requests: the relay has waited until there are none.
#[tokio::test]
async fn switches_of_a_service_with_a_port_fail_no_request() {
    switches(["one", "two", "three"].map(port_version)).await;
}

#[tokio::test]
async fn switches_from_a_socket_to_a_port_and_back_fail_no_request() {
    switches([version("one"), port_version("two"), version("three")]).await;
    switches([port_version("one"), version("two"), port_version("three")]).await;
}

async fn switches([first, second, third]: [InstanceSpec; 3]) {
    LocalSet::new()
        .run_until(async {
            let site = Site::new();
            let mut connection = site.launch().await;
            let public = connection.about().listen;
            deploy(&mut connection, &first).await;

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
            deploy(&mut connection, &second).await;
            deploy(&mut connection, &third).await;
            assert_eq!(get(public, "/").await.unwrap(), "three");
            seen.stop.set(true);
            for client in clients {
                client.await.unwrap();
            }

            assert_eq!(*seen.failures.borrow(), Vec::<String>::new());
            let answers = seen.answers.take();
            assert_eq!(answers.keys().collect::<Vec<_>>(), ["one", "three", "two"]);
            assert!(answers.values().sum::<u32>() > 40, "{answers:?}");
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

/// What a framework's own shutdown does to clients: it closes connections that are idle or that it has just accepted, and a request
/// on one of them has no answer. No answer is cut off, none is an error, and every lost request is answered when it is sent again.
/// The second time almost never meets another closed connection, but that is no promise: so it is counted, and not asserted.
#[tokio::test]
async fn a_stock_shutdown_loses_only_requests_that_may_be_sent_again() {
    LocalSet::new().run_until(stock_shutdowns("axum", 9, stock_version)).await;
}

/// The same of another framework, which a thorough run compiles. It answers on kept connections until its time to shut down is over,
/// and then closes them.
#[tokio::test]
async fn another_stock_shutdown_loses_only_requests_that_may_be_sent_again() {
    if std::env::var_os("TEST_THOROUGH").is_none() {
        return;
    }
    let test = "another_stock_shutdown_loses_only_requests_that_may_be_sent_again";
    let Some(program) = testkit::or_skip(test, stock::build()) else { return };
    let version = |number: &str| InstanceSpec { program: program.clone(), args: Vec::new(), ..stock_version(number) };
    LocalSet::new().run_until(stock_shutdowns("actix-web", 3, version)).await;
}

/// Requests without an answer, by the connection that they were sent on.
#[derive(Default)]
struct Lost {
    reused: Cell<u32>,
    new: Cell<u32>,
}

async fn stock_shutdowns(framework: &str, switches: u32, version: impl Fn(&str) -> InstanceSpec) {
    let site = Site::new();
    let mut connection = site.launch().await;
    let public = connection.about().listen;
    deploy(&mut connection, &version("0")).await;

    let (seen, keepers, others) = (Rc::new(Seen::default()), Rc::new(Lost::default()), Rc::new(Lost::default()));
    let clients: Vec<_> = (0..24)
        .map(|number| {
            let keeps = number % 3 == 1;
            let lost = Rc::clone(if keeps { &keepers } else { &others });
            let path = if number % 3 == 0 { "/slow/50" } else { "/" };
            tokio::task::spawn_local(sends_again(public, path, keeps, Rc::clone(&seen), lost))
        })
        .collect();
    for number in 1..=switches {
        deploy(&mut connection, &version(&number.to_string())).await;
    }
    seen.stop.set(true);
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(*seen.failures.borrow(), Vec::<String>::new());
    let answers = seen.answers.take();
    assert!(answers.len() > 2, "{answers:?}");
    println!(
        "{framework}: {switches} switches, {} answers; without an answer: on a reused connection {}, on the new one \
         after that {}, on one of its own {}",
        answers.values().sum::<u32>(),
        keepers.reused.get(),
        keepers.new.get(),
        others.new.get()
    );
    connection.stop().await.unwrap();
}

/// Sends a request again where its connection was closed before an answer began, and counts that.
async fn sends_again(public: SocketAddr, path: &str, keeps: bool, seen: Rc<Seen>, lost: Rc<Lost>) {
    let mut kept: Option<BufReader<TcpStream>> = None;
    while !seen.stop.get() {
        let count = if kept.is_some() { &lost.reused } else { &lost.new };
        let mut stream = match kept.take() {
            Some(stream) => stream,
            None => BufReader::new(TcpStream::connect(public).await.unwrap()),
        };
        match request(&mut stream, path).await {
            Err(error) if error.is::<Closed>() => count.set(count.get() + 1),
            answer => {
                kept = answer.as_ref().is_ok_and(|(_, reusable)| keeps && *reusable).then_some(stream);
                note(answer.map(|(body, _)| body), &seen);
            }
        }
    }
}
