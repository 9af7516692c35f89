//! Requests to a service, and clients that send one after another.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Result, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Sends a GET request on a connection of its own: the status code and the body.
pub fn get(port: u16, path: &str) -> Result<(u16, String)> {
    let mut stream = open(port)?;
    let (status, body, _) = ask(&mut stream, path, "close")?;
    Ok((status, body))
}

fn open(port: u16) -> Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    Ok(BufReader::new(stream))
}

/// Sends a GET request on this connection: the status code, the body, and whether the connection can be used again.
fn ask(stream: &mut BufReader<TcpStream>, path: &str, connection: &str) -> Result<(u16, String, bool)> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: {connection}\r\n\r\n");
    stream.get_mut().write_all(request.as_bytes())?;
    let cut_short = || std::io::Error::new(ErrorKind::UnexpectedEof, "the answer is cut short");
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(cut_short)?;
    let (mut length, mut reusable) = (None, true);
    loop {
        line.clear();
        stream.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some(("Content-Length", value)) => length = value.parse().ok(),
            Some(("Connection", value)) => reusable = value == "keep-alive",
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length.ok_or_else(cut_short)?];
    stream.read_exact(&mut body)?;
    Ok((status, String::from_utf8_lossy(&body).into_owned(), reusable))
}

/// Clients that send requests until this value is dropped or ended.
pub struct Load {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    /// Starts so many clients that keep their connection, and as many that open one for each request.
    pub fn start(port: u16, each: usize) -> Self {
        let (stop, asked) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let client = |keeps: bool| {
            let (stop, asked) = (Arc::clone(&stop), Arc::clone(&asked));
            std::thread::spawn(move || client(port, keeps, &stop, &asked))
        };
        let clients = (0..2 * each).map(|number| client(number % 2 == 0)).collect();
        Self { stop, asked, clients }
    }

    /// The number of requests that were answered with 200 so far.
    pub fn answered(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
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

fn client(port: u16, keeps: bool, stop: &AtomicBool, asked: &AtomicUsize) -> Vec<String> {
    let (mut failures, mut kept) = (Vec::new(), None);
    while !stop.load(Ordering::SeqCst) {
        let connection = if keeps { "keep-alive" } else { "close" };
        let mut one = || -> Result<_> {
            let mut stream = kept.take().map_or_else(|| open(port), Ok)?;
            let (status, body, reusable) = ask(&mut stream, "/version", connection)?;
            kept = (keeps && reusable).then_some(stream);
            Ok((status, body))
        };
        match one() {
            Ok((200, _)) => {
                asked.fetch_add(1, Ordering::SeqCst);
            }
            other => failures.push(format!("{connection}: {other:?}")),
        }
        // Without a pause, a client on each core would leave nothing for the deploy.
        std::thread::sleep(Duration::from_millis(1));
    }
    failures
}
