//! Answers that get lost, servers that are busy, and more keys than fit on a page.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use xtask::state::store::{Put, Store};

use crate::Place;
use crate::place::at;

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// The server gets it, and its answer is lost.
    AnswerLost,
    /// The same, and another client writes before this one tries again.
    AnswerLostAndOvertaken,
    /// It does not reach the server.
    RequestLost,
    /// A server before the server is busy.
    Busy,
}

/// Stands before a server. The next writes meet these faults, one each.
struct Faulty {
    endpoint: String,
    faults: Arc<Mutex<Vec<Fault>>>,
}

impl Faulty {
    fn before(endpoint: &str) -> Self {
        let upstream = endpoint.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let faults = Arc::<Mutex<Vec<Fault>>>::default();
        let next = Arc::clone(&faults);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (upstream, next) = (upstream.clone(), Arc::clone(&next));
                std::thread::spawn(move || pass(client, &upstream, &next).ok());
            }
        });
        Self { endpoint: address, faults }
    }

    fn next(&self, faults: &[Fault]) {
        *self.faults.lock().unwrap() = faults.to_vec();
    }
}

fn pass(client: TcpStream, upstream: &str, faults: &Mutex<Vec<Fault>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(client);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
        if !lower.starts_with("connection:") && !lower.starts_with("expect:") {
            head.push_str(&line);
        }
    }
    let mut body = vec![0; length];
    if head.to_ascii_lowercase().contains("expect:") {
        reader.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    reader.read_exact(&mut body)?;
    let mut faults = faults.lock().unwrap();
    let fault = (head.starts_with("PUT") && !faults.is_empty()).then(|| faults.remove(0));
    drop(faults);
    match fault {
        Some(Fault::RequestLost) => return Ok(()),
        Some(Fault::Busy) => {
            return reader
                .get_mut()
                .write_all(b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        }
        _ => {}
    }
    let mut server = TcpStream::connect(upstream)?;
    server.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes())?;
    server.write_all(&body)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    match fault {
        Some(Fault::AnswerLost) => Ok(()),
        Some(Fault::AnswerLostAndOvertaken) => {
            overtake(upstream);
            Ok(())
        }
        _ => reader.get_mut().write_all(&answer),
    }
}

/// Another client writes the object.
fn overtake(upstream: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = at(&format!("http://{upstream}"), "production");
        let etag = store.get("lease.json").await.unwrap().unwrap().etag;
        store.put_if_unchanged("lease.json", b"another", &etag).await.unwrap();
    });
}

async fn content(store: &Store) -> Option<String> {
    let object = store.get("lease.json").await.unwrap();
    object.map(|object| String::from_utf8(object.bytes).unwrap())
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_no_refusal() {
    use Fault::{AnswerLost, AnswerLostAndOvertaken, Busy, RequestLost};
    let Some(Place::Versitygw(server)) = Place::versitygw("a_write_whose_answer_was_lost_is_no_refusal") else {
        return;
    };
    let faulty = Faulty::before(&server.endpoint());
    let (through, direct) = (at(&faulty.endpoint, "production"), at(&server.endpoint(), "production"));
    let cases: [&[Fault]; 5] =
        [&[AnswerLost], &[AnswerLost, RequestLost], &[RequestLost, Busy], &[Busy, AnswerLost], &[AnswerLost; 9]];
    for faults in cases {
        for first in [None, Some("before")] {
            direct.delete("lease.json").await.unwrap();
            let mut expected = None;
            if let Some(before) = first {
                direct.put_if_absent("lease.json", before.as_bytes()).await.unwrap();
                expected = direct.get("lease.json").await.unwrap().map(|object| object.etag);
            }
            faulty.next(faults);
            let put = through.put_over("lease.json", b"mine", expected.as_deref()).await;
            faulty.next(&[]);
            let put = put.unwrap_or_else(|error| panic!("{faults:?} {first:?}: {error}"));
            let now = direct.get("lease.json").await.unwrap().unwrap();
            assert_eq!((put, now.bytes.as_slice()), (Put::Written { etag: now.etag }, &b"mine"[..]), "{faults:?}");
        }
    }

    direct.delete("lease.json").await.unwrap();
    faulty.next(&[AnswerLostAndOvertaken]);
    assert_eq!(through.put_if_absent("lease.json", b"mine").await.unwrap(), Put::Refused);
    assert_eq!(content(&direct).await.as_deref(), Some("another"));

    direct.delete("lease.json").await.unwrap();
    faulty.next(&[RequestLost; 9]);
    let error = through.put_if_absent("lease.json", b"mine").await.unwrap_err();
    assert!(error.to_string().starts_with("cannot write lease.json"), "{error}");
    assert_eq!(content(&direct).await, None);
}

#[tokio::test]
async fn all_pages_of_a_list_are_read() {
    let Some(place) = Place::versitygw("all_pages_of_a_list_are_read") else { return };
    let Place::Versitygw(server) = &place else { return };
    let folder = server.bucket(crate::place::BUCKET).join("shop/production/records");
    fs_err::create_dir_all(&folder).unwrap();
    let mut names: Vec<String> = (0..2_100).map(|n| format!("records/{n}.json")).collect();
    for n in 0..2_100 {
        fs_err::write(folder.join(format!("{n}.json")), "{}").unwrap();
    }
    names.sort();
    assert_eq!(place.store().list("records/").await.unwrap(), names);
}
