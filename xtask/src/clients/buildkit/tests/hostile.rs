//! Daemons that do not answer, or never end their answers.

use std::time::Duration;

use devservers::raw::{RawServer, Then};

use super::super::*;
use crate::clients::docker::ConnectError;

/// Long enough for every connection, and short for a test.
const LIMIT: Duration = Duration::from_millis(500);

async fn daemon(server: &RawServer) -> Result<Builder, ConnectError> {
    Builder::connect_within(Some(&format!("tcp://{}", server.address)), None, LIMIT).await
}

async fn engine(server: &RawServer) -> Result<Builder, ConnectError> {
    Builder::connect_within(None, Some(&format!("tcp://{}", server.address)), LIMIT).await
}

#[tokio::test]
async fn a_daemon_that_accepts_and_says_nothing_is_told() {
    let silent = RawServer::start("", Then::Silence);
    for connected in [daemon(&silent).await, engine(&silent).await] {
        let error = connected.err().unwrap();
        assert!(matches!(error, ConnectError::Silent { .. }), "{error:?}");
        assert!(error.to_string().contains(&silent.address), "{error}");
    }
}

#[tokio::test]
async fn an_answer_without_an_end_is_not_waited_for() {
    const OK: &str = "HTTP/1.1 200 OK\r\nApi-Version: 1.47\r\n";
    for (first, then) in [
        ("HTTP/1.1 200 ".to_owned(), Then::Slow(b"O".to_vec())),
        (OK.to_owned(), Then::Endless(b"a: b\r\n".repeat(1000))),
        (format!("{OK}content-type: application/json\r\n\r\n"), Then::Slow(b" ".to_vec())),
        (format!("{OK}content-length: 90000\r\n\r\n{{}}"), Then::Silence),
        ("HTTP/1.1 302 X\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n".to_owned(), Then::Silence),
        (format!("{OK}content-length: 60000\r\n\r\n{}", "[".repeat(60_000)), Then::Silence),
        // The beginning of HTTP/2: settings, then a frame of a kind that does not exist, again and again.
        ("\0\0\0\x04\0\0\0\0\0".to_owned(), Then::Endless(b"\0\0\x01\xfa\0\0\0\0\0x".repeat(100))),
        ("\0\0\0\x04\0\0\0\0\0".to_owned(), Then::Silence),
    ] {
        let server = RawServer::start(first.clone(), then.clone());
        for connected in [daemon(&server).await, engine(&server).await] {
            let error = connected.err().unwrap();
            let told = matches!(
                error,
                ConnectError::Silent { .. }
                    | ConnectError::Protocol { .. }
                    | ConnectError::NoBuildKit { .. }
                    | ConnectError::Unreachable { .. }
            );
            assert!(told, "{first:.30?} {then:.30?}: {error:?}");
        }
    }
}
