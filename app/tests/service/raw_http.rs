//! A minimal HTTP client, for what a client library does not allow: unnormalized paths, incomplete bodies, control of the
//! connection.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

pub(crate) struct Connection {
    stream: TcpStream,
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// The status line and the headers, in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn closes_connection(&self) -> bool {
        self.head.contains("\r\nconnection: close")
    }
}

impl Connection {
    pub(crate) async fn open(address: &str) -> io::Result<Self> {
        Ok(Self { stream: TcpStream::connect(address).await? })
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Resets the connection, as the kernel does for a client that is killed while it has something to read.
    pub(crate) fn reset(self) {
        rustix::net::sockopt::set_socket_linger(&self.stream, Some(std::time::Duration::ZERO)).unwrap();
    }

    pub(crate) async fn get(&mut self, path: &str) -> io::Result<Response> {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n").as_bytes()).await?;
        self.response().await
    }

    /// Reads one response. An incomplete one is an error.
    pub(crate) async fn response(&mut self) -> io::Result<Response> {
        let mut bytes = Vec::new();
        let head = loop {
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            }
            self.read_more(&mut bytes).await?;
        };
        let start = head.len() + 4;
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0_usize);
        while bytes.len() < start + length {
            self.read_more(&mut bytes).await?;
        }
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Response { status, head, body: String::from_utf8_lossy(&bytes[start..]).into_owned() })
    }

    async fn read_more(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        match self.stream.read_buf(bytes).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// The head and the body of an upload request.
pub(crate) fn upload(token: &str, file: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let form = [
        b"--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.jpg\"\r\n\r\n".as_slice(),
        file,
        b"\r\n--edge--\r\n",
    ]
    .concat();
    let head = format!("{}content-length: {}\r\n\r\n", upload_head(token), form.len());
    (head.into_bytes(), form)
}

/// The head of an upload request, without the header for the length and without the final empty line.
pub(crate) fn upload_head(token: &str) -> String {
    format!(
        "POST /api/media HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {token}\r\n\
         content-type: multipart/form-data; boundary=edge\r\n"
    )
}
