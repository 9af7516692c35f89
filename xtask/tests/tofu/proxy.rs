//! Stands between the toolkit and a server: sees every request, and may change it.

use std::io::{BufRead as _, BufReader, Read as _, Result, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long each request takes on its way: what is asked side by side overlaps then, whatever this machine does meanwhile.
const WAY: Duration = Duration::from_millis(150);

/// A proxy at a port of its own, for as long as the test runs.
pub struct Proxy {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A request that was answered.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `GET /states?policy`.
    pub line: String,
    began: Instant,
    ended: Instant,
}

impl Proxy {
    /// One before the server at this address. `change` gets each header line and says whether the server does.
    pub fn start(endpoint: &str, change: fn(&str) -> bool) -> Self {
        let upstream = endpoint.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let kept = Arc::clone(&seen);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (upstream, kept) = (upstream.clone(), Arc::clone(&kept));
                // One that is cut short is a client that went away.
                std::thread::spawn(move || pass(client, &upstream, change, &kept).ok());
            }
        });
        Self { port, seen }
    }

    /// Its address.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What was asked since this was asked the last time.
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

/// How many of these had to wait for one another: the longest row of which each began after the one before had ended.
pub fn round_trips(seen: &[Seen]) -> usize {
    let mut seen: Vec<&Seen> = seen.iter().collect();
    seen.sort_by_key(|one| one.ended);
    let mut rows: Vec<usize> = Vec::new();
    for one in &seen {
        let before = seen.iter().zip(&rows).filter(|(other, _)| other.ended <= one.began);
        rows.push(1 + before.map(|(_, row)| *row).max().unwrap_or_default());
    }
    rows.into_iter().max().unwrap_or_default()
}

/// Asks a server by hand. It is not told who asks.
pub fn ask(endpoint: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(endpoint.strip_prefix("http://").unwrap()).unwrap();
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

/// One request of a connection; the next one takes another.
fn pass(client: TcpStream, upstream: &str, change: fn(&str) -> bool, seen: &Mutex<Vec<Seen>>) -> Result<()> {
    let mut client = BufReader::new(client);
    let mut line = String::new();
    client.read_line(&mut line)?;
    let began = Instant::now();
    let mut head = line.clone();
    let mut length = 0;
    loop {
        let mut header = String::new();
        client.read_line(&mut header)?;
        let (name, value) = header.trim().split_once(": ").unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "" => break,
            "content-length" => length = value.parse().unwrap(),
            "connection" => continue,
            _ => {}
        }
        if change(&header.to_ascii_lowercase()) {
            head.push_str(&header);
        }
    }
    let mut body = vec![0; length];
    client.read_exact(&mut body)?;
    std::thread::sleep(WAY);
    let mut server = TcpStream::connect(upstream)?;
    server.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes())?;
    server.write_all(&body)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    answer = as_amazon_says(answer);
    let words: Vec<&str> = line.split(' ').take(2).collect();
    seen.lock().unwrap().push(Seen { line: words.join(" "), began, ended: Instant::now() });
    client.get_mut().write_all(&answer)?;
    client.get_mut().shutdown(Shutdown::Write)
}

/// moto 5.2.5 calls one answer otherwise than Amazon, and clients that look at that do not take it. As long as before.
fn as_amazon_says(answer: Vec<u8>) -> Vec<u8> {
    match String::from_utf8(answer) {
        Ok(text) => text.replace("GetBucketVersioningResponse", "VersioningConfiguration    ").into_bytes(),
        Err(other) => other.into_bytes(),
    }
}
