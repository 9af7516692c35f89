//! A proxy between a client and an HTTP server: it records every request, and may leave headers out.

use std::io::{BufRead as _, BufReader, Read, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// The delay of each request, so that requests that a client sends at the same time overlap even on a busy machine.
const DELAY: Duration = Duration::from_millis(150);

/// A proxy on a free port of this machine, which lives as long as this process.
pub struct Proxy {
    scheme: &'static str,
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
    /// Starts one before the server at this address. `keep` says for each header line, in lower case, whether it is passed
    /// on.
    pub fn start(endpoint: &str, keep: fn(&str) -> bool) -> Self {
        Self::serve("http", endpoint, move |client, upstream, seen| pass(client, upstream, keep, seen))
    }

    /// Starts one that speaks TLS with clients, by a certificate that it writes to this file.
    pub fn start_secure(endpoint: &str, certificate: &Path) -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        fs_err::write(certificate, made.cert.pem()).unwrap();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let config = Arc::new(config.with_single_cert(vec![made.cert.der().clone()], key.into()).unwrap());
        Self::serve("https", endpoint, move |client, upstream, seen| {
            let connection = ServerConnection::new(Arc::clone(&config)).map_err(std::io::Error::other)?;
            pass(StreamOwned::new(connection, client), upstream, |_| true, seen)
        })
    }

    fn serve(
        scheme: &'static str,
        endpoint: &str,
        pass: impl Fn(TcpStream, &str, &Mutex<Vec<Seen>>) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        let upstream = endpoint.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let (kept, pass) = (Arc::clone(&seen), Arc::new(pass));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (upstream, kept, pass) = (upstream.clone(), Arc::clone(&kept), Arc::clone(&pass));
                // An error is a client that closed its connection.
                std::thread::spawn(move || pass(client, &upstream, &kept).ok());
            }
        });
        Self { scheme, port, seen }
    }

    /// Its address.
    pub fn endpoint(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    /// The requests since the last call.
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

/// How many of these requests followed one another: the longest chain in which each began after the one before had ended.
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

/// Passes the first request of a connection on; the answer closes the connection.
fn pass(client: impl Read + Write, upstream: &str, keep: fn(&str) -> bool, seen: &Mutex<Vec<Seen>>) -> Result<()> {
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
        if keep(&header.to_ascii_lowercase()) {
            head.push_str(&header);
        }
    }
    let mut body = vec![0; length];
    client.read_exact(&mut body)?;
    std::thread::sleep(DELAY);
    let mut server = TcpStream::connect(upstream)?;
    server.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes())?;
    server.write_all(&body)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    answer = as_amazon_says(answer);
    let words: Vec<&str> = line.split(' ').take(2).collect();
    seen.lock().unwrap().push(Seen { line: words.join(" "), began, ended: Instant::now() });
    client.get_mut().write_all(&answer)?;
    client.get_mut().flush()
}

/// moto 5.2.5 gives one answer another name than Amazon, which some clients do not accept. Keeps the length.
fn as_amazon_says(answer: Vec<u8>) -> Vec<u8> {
    match String::from_utf8(answer) {
        Ok(text) => text.replace("GetBucketVersioningResponse", "VersioningConfiguration    ").into_bytes(),
        Err(other) => other.into_bytes(),
    }
}
