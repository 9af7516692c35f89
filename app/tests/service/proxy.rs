//! A TCP proxy in front of the database, which can interrupt the connection.

use std::{
    path::PathBuf,
    str::FromStr,
    sync::atomic::{AtomicBool, Ordering},
    sync::{Arc, Mutex},
    time::Duration,
};

use sqlx::postgres::PgConnectOptions;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, copy_bidirectional, split},
    net::{TcpListener, TcpStream, UnixStream},
    task::JoinSet,
};

/// Longer than a query waits for a connection, and shorter than the first one may take.
const LATE: Duration = Duration::from_millis(2000);

pub(crate) struct Proxy {
    pub(crate) url: String,
    open: Arc<AtomicBool>,
    connections: Arc<Mutex<JoinSet<()>>>,
}

impl Proxy {
    pub(crate) async fn new(database_url: &str, open: bool) -> Self {
        Self::start(database_url, open, true, 0).await
    }

    /// One that swallows notifications, as a pooler does that gives each transaction another connection.
    pub(crate) async fn without_notifications(database_url: &str) -> Self {
        Self::start(database_url, true, false, 0).await
    }

    /// One that answers this many connections late, and all later ones at once, as the server of a machine that is busy at first.
    pub(crate) async fn late_at_first(database_url: &str, connections: usize) -> Self {
        Self::start(database_url, true, true, connections).await
    }

    async fn start(database_url: &str, open: bool, notifications: bool, late: usize) -> Self {
        let options = PgConnectOptions::from_str(database_url).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // From the text, because sqlx's options do not return the password.
        let (_, address) = database_url.split_once("://").unwrap();
        let (user, _) = address.split_once('@').unwrap();
        let database = options.get_database().unwrap();
        let url = format!("postgres://{user}@127.0.0.1:{port}/{database}?sslmode=disable");
        let proxy = Self { url, open: Arc::new(AtomicBool::new(open)), connections: Arc::default() };
        let (open, connections) = (proxy.open.clone(), proxy.connections.clone());
        tokio::spawn(async move {
            let mut delays = std::iter::repeat_n(LATE, late);
            while let Ok((client, _)) = listener.accept().await {
                if open.load(Ordering::Relaxed) {
                    let (delay, options) = (delays.next().unwrap_or_default(), options.clone());
                    connections.lock().unwrap().spawn(async move {
                        tokio::time::sleep(delay).await;
                        forward(client, options, notifications).await;
                    });
                }
            }
        });
        proxy
    }

    /// Aborts all connections and accepts no new ones.
    pub(crate) fn cut(&self) {
        self.open.store(false, Ordering::Relaxed);
        self.connections.lock().unwrap().abort_all();
    }

    pub(crate) fn restore(&self) {
        self.open.store(true, Ordering::Relaxed);
    }
}

async fn forward(mut client: TcpStream, server: PgConnectOptions, notifications: bool) {
    let (host, port) = (server.get_host(), server.get_port());
    let folder = server.get_socket().cloned().or_else(|| host.starts_with('/').then(|| PathBuf::from(host)));
    let mut server: Box<dyn Stream> = match folder {
        Some(folder) => Box::new(UnixStream::connect(folder.join(format!(".s.PGSQL.{port}"))).await.unwrap()),
        None => Box::new(TcpStream::connect((host, port)).await.unwrap()),
    };
    // An error means that one side has disconnected.
    if notifications {
        drop(copy_bidirectional(&mut client, &mut server).await);
        return;
    }
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) = (client.split(), split(server));
    tokio::select! {
        _ = copy(&mut from_client, &mut to_server) => {}
        _ = without_notifications(&mut from_server, &mut to_client) => {}
    }
}

/// A message has a type, and a length that counts itself.
async fn without_notifications(
    server: &mut (impl AsyncRead + Unpin),
    client: &mut (impl AsyncWrite + Unpin),
) -> std::io::Result<()> {
    loop {
        let mut message = vec![0; 5];
        server.read_exact(&mut message).await?;
        let length = u32::from_be_bytes([message[1], message[2], message[3], message[4]]);
        message.resize(length as usize + 1, 0);
        server.read_exact(&mut message[5..]).await?;
        if message[0] != b'A' {
            client.write_all(&message).await?;
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}
