//! Clients that ask the service without end, each anew as soon as it has its answer and has drawn breath.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;

use xtask::clients::service::{Answer, Service};

/// How many clients ask at once.
pub const CLIENTS: usize = 4;

/// What a client waits before it asks again: the load is steady, and leaves the machine to the service.
const BREATH: Duration = Duration::from_millis(5);

/// What the clients saw.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The longest that any client was without an answer.
    pub gap: Duration,
    /// Good answers.
    pub answers: u64,
    /// Questions without a good answer.
    pub failures: u64,
}

impl Seen {
    /// What others saw besides.
    pub fn add(&mut self, others: &Self) {
        self.gap = self.gap.max(others.gap);
        self.answers += others.answers;
        self.failures += others.failures;
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.failures, self.failures + self.answers)
    }
}

/// Has the clients ask as long as `during` lasts.
pub async fn load<T>(service: &Service, during: impl Future<Output = Result<T>>) -> Result<(T, Seen)> {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(client(service.clone(), seen.clone()));
    }
    let done = during.await?;
    // Before anything is read: what a client waits for now counts as far as it has waited.
    clients.shutdown().await;
    let seen = seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone();
    Ok((done, seen))
}

async fn client(service: Service, seen: Arc<Mutex<Seen>>) {
    let mut waiting = Waiting { since: Instant::now(), seen };
    loop {
        let is_ready = matches!(service.ask().await, Answer::Ready(_));
        waiting.hears(is_ready);
        tokio::time::sleep(BREATH).await;
    }
}

/// One client's time without an answer; it counts too when the client is ended.
struct Waiting {
    since: Instant,
    seen: Arc<Mutex<Seen>>,
}

impl Waiting {
    fn hears(&mut self, is_ready: bool) {
        let mut seen = self.seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if !is_ready {
            seen.failures += 1;
            return;
        }
        seen.answers += 1;
        seen.gap = seen.gap.max(self.since.elapsed());
        drop(seen);
        self.since = Instant::now();
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut seen = self.seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        seen.gap = seen.gap.max(self.since.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const HESITATION: Duration = Duration::from_millis(200);

    /// Answers that it is ready; the fifth question waits for its answer.
    async fn serve(listener: tokio::net::TcpListener) {
        for question in 1.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            if question == 5 {
                tokio::time::sleep(HESITATION).await;
            }
            let mut request = [0; 1024];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            let body = r#"{"status":"ready","version":"abc"}"#;
            let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_service_that_hesitates_once_is_found_out() {
        drop(rustls::crypto::ring::default_provider().install_default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let service = Service::new(format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let server = tokio::spawn(serve(listener));
        let during = async {
            tokio::time::sleep(HESITATION * 2).await;
            Ok(7)
        };
        let (done, seen) = load(&service, during).await.unwrap();
        server.abort();
        assert_eq!((done, seen.failures), (7, 0));
        assert!(seen.gap >= HESITATION && seen.answers > 0, "{seen:?}");
    }
}
