//! A strict HTTP client: it never tries again, so a request that a careful client would have hidden counts as failed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// No answer within this time is a failed request.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client of one address. It keeps its connection as long as the service lets it, or takes a new one for each request.
pub struct Client {
    address: SocketAddr,
    keep_alive: bool,
    stream: Option<BufReader<TcpStream>>,
    token: Option<String>,
}

/// An answer, read to its end.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    headers: Vec<(String, String)>,
}

/// Sends a GET request on a connection of its own.
pub fn get(port: u16, path: &str) -> Result<Answer> {
    Client::one_connection_each(port).get(path)
}

impl Client {
    /// A client whose requests share a connection.
    pub fn new(port: u16) -> Self {
        Self::at(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }

    /// The same of another address of this machine.
    pub fn at(address: SocketAddr) -> Self {
        Self { address, keep_alive: true, stream: None, token: None }
    }

    /// A client that opens a connection for every request.
    pub fn one_connection_each(port: u16) -> Self {
        Self { keep_alive: false, ..Self::new(port) }
    }

    /// The same, signed in.
    pub fn signed_in(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    pub fn get(&mut self, path: &str) -> Result<Answer> {
        self.send("GET", path, None)
    }

    pub fn delete(&mut self, path: &str) -> Result<Answer> {
        self.send("DELETE", path, None)
    }

    pub fn post_json(&mut self, path: &str, body: &serde_json::Value) -> Result<Answer> {
        self.send("POST", path, Some(("application/json".to_owned(), body.to_string().into_bytes())))
    }

    /// Uploads a file as a form does.
    pub fn post_file(&mut self, path: &str, name: &str, mime: &str, bytes: &[u8]) -> Result<Answer> {
        const BOUNDARY: &str = "----testkit-7MA4YWxkTrZu0gW";
        let mut body = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             Content-Type: {mime}\r\n\r\n"
        )
        .into_bytes();
        body.extend_from_slice(bytes);
        body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
        self.send("POST", path, Some((format!("multipart/form-data; boundary={BOUNDARY}"), body)))
    }

    fn send(&mut self, method: &str, path: &str, body: Option<(String, Vec<u8>)>) -> Result<Answer> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(self.address).with_context(|| format!("{method} {path}: connect"))?,
        };
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address).into_bytes();
        if let Some(token) = &self.token {
            request.extend_from_slice(format!("Authorization: Bearer {token}\r\n").as_bytes());
        }
        if !self.keep_alive {
            request.extend_from_slice(b"Connection: close\r\n");
        }
        if let Some((mime, body)) = body {
            let head = format!("Content-Type: {mime}\r\nContent-Length: {}\r\n\r\n", body.len());
            request.extend_from_slice(head.as_bytes());
            request.extend_from_slice(&body);
        } else {
            request.extend_from_slice(b"\r\n");
        }
        // A refusal may come, and the connection be closed, before all of an upload is sent: the answer counts.
        let sent = stream.get_mut().write_all(&request);
        let answer = match (Answer::read(&mut stream), sent) {
            (Ok(answer), _) => answer,
            (Err(error), Ok(())) => return Err(error.context(format!("{method} {path}: read the answer"))),
            (Err(_), Err(error)) => return Err(error).with_context(|| format!("{method} {path}: send")),
        };
        if self.keep_alive && answer.header("connection").is_none_or(|value| value != "close") {
            self.stream = Some(stream);
        }
        Ok(answer)
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The answer, if its status is this one.
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    fn read(stream: &mut impl BufRead) -> Result<Self> {
        let first = line(stream)?;
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.with_context(|| format!("an answer began with {first:?}"))?;
        let mut headers = Vec::new();
        loop {
            let line = line(stream)?;
            match line.split_once(':') {
                Some((name, value)) => headers.push((name.to_owned(), value.trim().to_owned())),
                None if line.is_empty() => break,
                None => bail!("a header says {line:?}"),
            }
        }
        let mut answer = Self { status, body: Vec::new(), headers };
        let length = answer.header("content-length").map(str::parse::<u64>).transpose()?;
        if answer.header("transfer-encoding").is_some_and(|encoding| encoding == "chunked") {
            while let length @ 1.. = u64::from_str_radix(line(stream)?.trim(), 16)? {
                read_exactly(stream, length, &mut answer.body)?;
                line(stream)?;
            }
            line(stream)?;
        } else if let Some(length) = length {
            read_exactly(stream, length, &mut answer.body)?;
        } else if status != 204 {
            stream.read_to_end(&mut answer.body)?;
        }
        Ok(answer)
    }
}

fn connect(address: SocketAddr) -> std::io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(BufReader::new(stream))
}

fn line(stream: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        bail!("the connection was closed in the middle");
    }
    Ok(line.trim_end().to_owned())
}

fn read_exactly(stream: &mut impl Read, length: u64, into: &mut Vec<u8>) -> Result<()> {
    let read = stream.take(length).read_to_end(into)? as u64;
    if read < length {
        bail!("the answer was cut short: {read} of {length} bytes");
    }
    Ok(())
}
