//! A TCP proxy in front of the database, which can interrupt the connection.

use std::{
    path::PathBuf,
    str::FromStr,
    sync::atomic::{AtomicBool, Ordering},
    sync::{Arc, Mutex},
};

use sqlx::postgres::PgConnectOptions;
use tokio::{
    io::{AsyncRead, AsyncWrite, copy_bidirectional},
    net::{TcpListener, TcpStream, UnixStream},
    task::JoinSet,
};

pub(crate) struct Proxy {
    pub(crate) url: String,
    open: Arc<AtomicBool>,
    connections: Arc<Mutex<JoinSet<()>>>,
}

impl Proxy {
    pub(crate) async fn new(database_url: &str, open: bool) -> Self {
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
            while let Ok((client, _)) = listener.accept().await {
                if open.load(Ordering::Relaxed) {
                    connections.lock().unwrap().spawn(forward(client, options.clone()));
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

async fn forward(mut client: TcpStream, server: PgConnectOptions) {
    let (host, port) = (server.get_host(), server.get_port());
    let folder = server.get_socket().cloned().or_else(|| host.starts_with('/').then(|| PathBuf::from(host)));
    let mut server: Box<dyn Stream> = match folder {
        Some(folder) => Box::new(UnixStream::connect(folder.join(format!(".s.PGSQL.{port}"))).await.unwrap()),
        None => Box::new(TcpStream::connect((host, port)).await.unwrap()),
    };
    // An error means that one side has disconnected.
    drop(copy_bidirectional(&mut client, &mut server).await);
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}
