//! Load on a service while a test does something to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::client::Client;

/// Clients that send requests until this value is dropped or ended.
pub struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    /// Starts so many clients that keep their connection, and as many that open one for each request.
    pub fn start(port: u16, each: usize) -> Self {
        let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let client = |keeps: bool| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            std::thread::spawn(move || client(port, keeps, &stop, &answered))
        };
        let clients = (0..2 * each).map(|number| client(number % 2 == 0)).collect();
        Self { stop, answered, clients }
    }

    /// The number of requests that were answered with 200 so far.
    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }

    /// Ends the clients: everything that failed.
    pub fn end(mut self) -> Vec<String> {
        self.stop.store(true, Ordering::SeqCst);
        self.clients.drain(..).flat_map(|client| client.join().unwrap()).collect()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

fn client(port: u16, keeps: bool, stop: &AtomicBool, answered: &AtomicUsize) -> Vec<String> {
    let mut client = if keeps { Client::new(port) } else { Client::one_connection_each(port) };
    let mut failures = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        match client.get("/version") {
            Ok(answer) if answer.status == 200 => {
                answered.fetch_add(1, Ordering::SeqCst);
            }
            Ok(answer) => failures.push(format!("keeps its connection: {keeps}: {} {}", answer.status, answer.text())),
            Err(error) => failures.push(format!("keeps its connection: {keeps}: {error:#}")),
        }
        // Without a pause, a client on each core would leave nothing for the deploy.
        std::thread::sleep(Duration::from_millis(1));
    }
    failures
}
