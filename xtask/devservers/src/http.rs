//! HTTP without a library: a server whose answers a test decides, and a client that sends one request.

use std::io::{BufRead as _, BufReader, Read, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request that the server got.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// Path and query.
    pub path: String,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// A header's value. Upper and lower case are the same in its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// A parameter of the query, still encoded.
    pub fn query(&self, name: &str) -> Option<&str> {
        let query = self.path.split_once('?')?.1;
        query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }
}

/// An answer of the server.
#[derive(Clone, Debug)]
pub struct Response {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    length: Option<usize>,
    flow: Flow,
}

/// How a body is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Whole,
    Endless,
    Dripping,
    /// Nothing: the connection ends.
    Cut,
    /// Nothing: the client has to end the connection.
    Silent,
}

/// The time between two bytes of a body that drips: long against the time of a whole answer, short against every time limit.
const DRIP: Duration = Duration::from_millis(20);

impl Response {
    /// One with this status code and nothing else.
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), length: None, flow: Flow::Whole }
    }

    /// With one more header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a body.
    pub fn body(mut self, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", media_type)
    }

    /// Sends the body again and again until the client closes the connection.
    pub fn endless(self) -> Self {
        Self { flow: Flow::Endless, ..self }
    }

    /// The same, a byte at a time.
    pub fn dripping(self) -> Self {
        Self { flow: Flow::Dripping, ..self }
    }

    /// Sends no answer at all and closes the connection.
    pub fn cut() -> Self {
        Self { flow: Flow::Cut, ..Self::new(0) }
    }

    /// Sends no answer at all and keeps the connection until the client closes it.
    pub fn silent() -> Self {
        Self { flow: Flow::Silent, ..Self::new(0) }
    }

    /// Announces another length than the body has.
    pub fn announcing(self, length: usize) -> Self {
        Self { length: Some(length), ..self }
    }
}

/// An answer that a server gave to [`ask`].
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// The status line and the headers, a line each.
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value, by its name as the server writes it.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// Sends one request on a connection of its own and reads the answer to its end. The address may begin with `http://`.
pub fn ask(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl AsRef<[u8]>,
) -> Result<Answer> {
    let body = body.as_ref();
    let host = address.strip_prefix("http://").unwrap_or(address);
    let mut stream = TcpStream::connect(host)?;
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    // HTTP/1.0: the server sends no chunks, and the connection's end is the body's.
    let head = format!("{method} {path} HTTP/1.0\r\nHost: {host}\r\nContent-Length: {length}\r\n{headers}\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(answer.len());
    let head = String::from_utf8_lossy(&answer[..end]).replace('\r', "");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status =
        status.ok_or_else(|| std::io::Error::other(format!("{method} {path}: the answer began with {head:?}")))?;
    Ok(Answer { status, head, body: answer.get(end + 4..).unwrap_or_default().to_vec() })
}

/// A server on a free port of this machine, which lives as long as this process. It takes one request per connection.
pub struct HttpServer {
    /// `127.0.0.1:<port>`.
    pub address: String,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl HttpServer {
    /// Starts one that answers each request by this function.
    pub fn start(answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::<Mutex<Vec<Request>>>::default();
        let (seen, answer) = (Arc::clone(&asked), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                // A client that goes away in the middle is part of what is tested.
                std::thread::spawn(move || serve(stream.unwrap(), &seen, &*answer).ok());
            }
        });
        Self { address, asked }
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }
}

/// Answers the first request of a connection.
pub(crate) fn serve(
    stream: impl Read + Write,
    seen: &Mutex<Vec<Request>>,
    answer: &(dyn Fn(&Request) -> Response + Send + Sync),
) -> Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ').map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(()) };
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut request = Request { method, path, headers, body: Vec::new() };
    request.body = vec![0; request.header("content-length").map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut request.body)?;
    seen.lock().unwrap().push(request.clone());
    let response = answer(&request);
    match response.flow {
        Flow::Cut => return Ok(()),
        Flow::Silent => return std::io::copy(&mut reader, &mut std::io::sink()).map(drop),
        Flow::Whole | Flow::Endless | Flow::Dripping => {}
    }
    let stream = reader.get_mut();
    write!(stream, "HTTP/1.1 {} Said\r\nconnection: close\r\n", response.status)?;
    for (name, value) in &response.headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    // An answer without a body has no length: 204 and 304 must not announce one.
    if response.flow == Flow::Whole && request.method != "HEAD" && !matches!(response.status, 204 | 304) {
        write!(stream, "content-length: {}\r\n", response.length.unwrap_or(response.body.len()))?;
    }
    stream.write_all(b"\r\n")?;
    if request.method == "HEAD" {
        return Ok(());
    }
    match response.flow {
        Flow::Whole => {
            stream.write_all(&response.body)?;
            stream.flush()
        }
        Flow::Endless => loop {
            stream.write_all(&response.body)?;
        },
        Flow::Dripping => loop {
            for byte in &response.body {
                stream.write_all(&[*byte])?;
                std::thread::sleep(DRIP);
            }
        },
        Flow::Cut | Flow::Silent => Ok(()),
    }
}
