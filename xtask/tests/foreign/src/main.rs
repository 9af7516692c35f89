//! A service in the standard library alone. It answers every path, and ends at SIGTERM at once.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

const GREETING: &str = include_str!("greeting.txt");

fn main() {
    let port = std::env::var("PORT").expect("PORT names the port");
    if GREETING == "elsewhere" {
        thread::park();
    }
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).expect("the port is free");
    println!("listening on {port}");
    for stream in listener.incoming().flatten() {
        thread::spawn(move || answer_all(stream));
    }
}

fn answer_all(mut stream: TcpStream) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    while let Some(first) = lines.next() {
        let path = first?.split(' ').nth(1).unwrap_or_default().to_owned();
        while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
        let body = if path == "/health" { "ok" } else { GREETING };
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes())?;
    }
    Ok(())
}
