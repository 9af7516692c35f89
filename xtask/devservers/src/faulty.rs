//! A proxy before an S3 server that answers some requests with errors of its own, or not at all.

use std::io::{BufRead as _, BufReader, Read as _, Result, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is passed on.
    None,
    /// An error with this status and code.
    Error(u16, &'static str),
    /// The answer ends after half of its bytes.
    Cut,
    /// There is no answer until the client goes away.
    Silent,
    /// It is passed on, and there is no answer until the client goes away.
    Unanswered,
}

/// A proxy on a free port of this machine, which lives as long as this process.
pub struct FaultyServer {
    /// `http://127.0.0.1:<port>`.
    pub endpoint: String,
    /// The first line, without the version of HTTP, and the headers of each request.
    seen: Arc<Mutex<Vec<(String, String)>>>,
}

impl FaultyServer {
    /// Starts one before the server at this address. `fault` is told the method and path of each request, and how many with
    /// the same it has seen before; until it returns, the request waits.
    pub fn start(endpoint: &str, fault: impl Fn(&str, usize) -> Fault + Send + Sync + 'static) -> Self {
        let upstream = endpoint.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::<Mutex<Vec<(String, String)>>>::default();
        let (all, fault) = (seen.clone(), Arc::new(fault));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (upstream, seen, fault) = (upstream.clone(), seen.clone(), fault.clone());
                // An error is a client that closed its connection.
                std::thread::spawn(move || pass(client, &upstream, &*fault, &seen).ok());
            }
        });
        Self { endpoint, seen: all }
    }

    /// How many requests began with this: `PUT /media/uploads/`.
    pub fn count(&self, beginning: &str) -> usize {
        self.seen.lock().unwrap().iter().filter(|(line, _)| line.starts_with(beginning)).count()
    }

    /// The requests whose headers contain one of these words, which are in lower case.
    pub fn with_headers(&self, words: &[&str]) -> Vec<String> {
        let has_one = |head: &str| words.iter().any(|word| head.to_ascii_lowercase().contains(word));
        self.seen.lock().unwrap().iter().filter(|(_, head)| has_one(head)).map(|(_, head)| head.clone()).collect()
    }
}

/// Passes the first request of a connection on; the answer closes the connection.
fn pass(
    client: TcpStream,
    upstream: &str,
    fault: &impl Fn(&str, usize) -> Fault,
    seen: &Mutex<Vec<(String, String)>>,
) -> Result<()> {
    let mut client = BufReader::new(client);
    let (mut head, mut length, mut expects) = (String::new(), 0, false);
    client.read_line(&mut head)?;
    let line = head.split(' ').take(2).collect::<Vec<_>>().join(" ");
    loop {
        let mut header = String::new();
        client.read_line(&mut header)?;
        let (name, value) = header.trim().split_once(": ").unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "" => break,
            "connection" => continue,
            "expect" => {
                expects = true;
                continue;
            }
            "content-length" => length = value.parse().unwrap(),
            _ => {}
        }
        head.push_str(&header);
    }
    if expects {
        client.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let mut body = vec![0; length];
    client.read_exact(&mut body)?;
    let before = {
        let mut seen = seen.lock().unwrap();
        seen.push((line.clone(), head.clone()));
        seen.iter().filter(|(other, _)| *other == line).count() - 1
    };
    let fault = fault(&line, before);
    let mut answer = match fault {
        Fault::Silent => return client.read_to_end(&mut Vec::new()).map(drop),
        Fault::Error(status, code) => {
            let body = format!("<Error><Code>{code}</Code><Message>made by the test</Message></Error>");
            let length = body.len();
            format!("HTTP/1.1 {status} Error\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
                .into_bytes()
        }
        Fault::None | Fault::Cut | Fault::Unanswered => {
            let mut server = TcpStream::connect(upstream)?;
            server.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes())?;
            server.write_all(&body)?;
            let mut answer = Vec::new();
            server.read_to_end(&mut answer)?;
            answer
        }
    };
    match fault {
        Fault::Cut => answer.truncate(answer.len() / 2),
        Fault::Unanswered => return client.read_to_end(&mut Vec::new()).map(drop),
        _ => {}
    }
    client.get_mut().write_all(&answer)?;
    client.get_mut().flush()
}
