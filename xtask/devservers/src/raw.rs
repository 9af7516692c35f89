//! A TCP server that sends the bytes of a test, whatever it is asked.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// Between two of its slow bytes.
const PAUSE: Duration = Duration::from_millis(20);

/// What the server does after its first bytes.
#[derive(Clone, Debug)]
pub enum Then {
    /// Closes the connection.
    Close,
    /// Sends nothing more and leaves the connection open.
    Silence,
    /// Sends these bytes again and again.
    Endless(Vec<u8>),
    /// The same, one byte at a time.
    Slow(Vec<u8>),
}

/// A server on a free port of this machine, which lives as long as this process.
pub struct RawServer {
    /// `127.0.0.1:<port>`.
    pub address: String,
}

impl RawServer {
    /// Starts one that answers the first bytes of every connection with `first`. An empty `first` is sent without a question.
    pub fn start(first: impl Into<Vec<u8>>, then: Then) -> Self {
        let (listener, first) = (TcpListener::bind("127.0.0.1:0").unwrap(), first.into());
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (first, then) = (first.clone(), then.clone());
                // A client that goes away in the middle is part of what is tested.
                std::thread::spawn(move || serve(stream.unwrap(), &first, &then).ok());
            }
        });
        Self { address }
    }
}

fn serve(mut stream: TcpStream, first: &[u8], then: &Then) -> std::io::Result<()> {
    if !first.is_empty() && stream.read(&mut [0; 64 << 10])? == 0 {
        return Ok(());
    }
    stream.write_all(first)?;
    match then {
        Then::Close => {}
        // Until the client closes the connection.
        Then::Silence => while stream.read(&mut [0; 4096])? > 0 {},
        Then::Endless(bytes) => loop {
            stream.write_all(bytes)?;
        },
        Then::Slow(bytes) => loop {
            for byte in bytes {
                stream.write_all(&[*byte])?;
                std::thread::sleep(PAUSE);
            }
        },
    }
    Ok(())
}
