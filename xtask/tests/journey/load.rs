//! Clients that send requests continuously, and the results of the requests.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::gallery::Picture;
use crate::site::Site;
use testkit::client::{Answer, Client};

/// Of the next picture to upload.
static NUMBER: AtomicU32 = AtomicU32::new(1);

/// The pauses between a client's requests. They are long because compilers run at the same time, and uploads are costly.
const PAUSE: Duration = Duration::from_millis(40);
const UPLOAD_PAUSE: Duration = Duration::from_millis(400);

/// Clients that send requests until the value is dropped or ended.
pub struct Load {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    clients: Vec<JoinHandle<()>>,
}

/// The results of the requests.
#[derive(Clone)]
pub struct Seen {
    pub answers: u64,
    pub uploads: u64,
    /// The number of readiness answers by version.
    pub versions: BTreeMap<String, u64>,
    pub failures: Vec<String>,
    /// The longest time in which no client had an answer.
    pub gap: Duration,
    /// The longest time that a client waited.
    pub slowest: Duration,
    last: Instant,
}

/// The requests of one client.
#[derive(Clone, Copy)]
enum Wish {
    Readiness,
    List,
    Thumbnail,
    Upload,
}

impl Load {
    /// Starts the clients, with this log-in token and this thumbnail.
    pub fn begin(site: &Site, token: &str, thumbnail: &str) -> Self {
        let (stop, seen) = (Arc::<AtomicBool>::default(), Arc::new(Mutex::new(Seen::new())));
        let wishes = [
            (Wish::Readiness, true),
            (Wish::Readiness, false),
            (Wish::List, true),
            (Wish::List, false),
            (Wish::Thumbnail, true),
            (Wish::Thumbnail, false),
            (Wish::Upload, true),
            (Wish::Upload, false),
        ];
        let clients = wishes.map(|(wish, keep_alive)| {
            let (stop, seen, thumbnail) = (Arc::clone(&stop), Arc::clone(&seen), thumbnail.to_owned());
            let client = if keep_alive { Client::new(site.port) } else { Client::one_connection_each(site.port) };
            let mut client = client.signed_in(token);
            let pause = if matches!(wish, Wish::Upload) { UPLOAD_PAUSE } else { PAUSE };
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    let answer = wish.ask(&mut client, &thumbnail);
                    lock(&seen).note(wish, answer, began.elapsed());
                    thread::park_timeout(pause);
                }
            })
        });
        Self { stop, seen, clients: clients.into() }
    }

    /// The results so far.
    pub fn seen(&self) -> Seen {
        lock(&self.seen).clone()
    }

    /// Ends the clients and returns the results.
    pub fn end(mut self) -> Seen {
        self.join();
        self.seen()
    }

    fn join(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            client.thread().unpark();
            client.join().ok();
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.join();
    }
}

impl Wish {
    fn ask(self, client: &mut Client, thumbnail: &str) -> Result<Answer> {
        let (answer, expected) = match self {
            Self::Readiness => (client.get("/api/health/readiness")?, 200),
            Self::List => (client.get("/api/media?limit=20")?, 200),
            Self::Thumbnail => (client.get(thumbnail)?, 200),
            Self::Upload => {
                let picture = Picture::numbered(160, 90, NUMBER.fetch_add(1, Ordering::Relaxed));
                (client.post_file("/api/media", "load.png", "image/png", picture.bytes())?, 201)
            }
        };
        ensure!(answer.status == expected, "{} instead of {expected}: {}", answer.status, answer.text());
        Ok(answer)
    }
}

impl Seen {
    fn new() -> Self {
        let (answers, uploads, versions, failures) = (0, 0, BTreeMap::new(), Vec::new());
        Self {
            answers,
            uploads,
            versions,
            failures,
            gap: Duration::ZERO,
            slowest: Duration::ZERO,
            last: Instant::now(),
        }
    }

    fn note(&mut self, wish: Wish, answer: Result<Answer>, took: Duration) {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return self.failures.push(format!("after {took:?}: {error:#}")),
        };
        self.answers += 1;
        match wish {
            Wish::Readiness => {
                let version = answer.json()["version"].as_str().unwrap_or_default().to_owned();
                *self.versions.entry(version).or_default() += 1;
            }
            Wish::Upload => self.uploads += 1,
            Wish::List | Wish::Thumbnail => {}
        }
        self.gap = self.gap.max(self.last.elapsed());
        self.slowest = self.slowest.max(took);
        self.last = Instant::now();
    }

    /// Checks that no request failed.
    pub fn assert_flawless(&self) {
        let shown = &self.failures[..self.failures.len().min(10)];
        assert!(self.failures.is_empty(), "{} requests of {} failed: {shown:#?}", self.failures.len(), self.answers);
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { answers, uploads, failures, gap, slowest, .. } = self;
        let failures = failures.len();
        write!(
            f,
            "{answers} answers, {uploads} of them uploads, {failures} failures, longest gap {gap:?}, slowest {slowest:?}"
        )
    }
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
