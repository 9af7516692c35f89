//! Programs that the tests start. Each is a test of this binary that returns at once unless its variable is set.

use std::io::{self, BufRead as _, Write as _};
use std::time::Duration;

use camino::Utf8PathBuf;
use listenfd::ListenFd;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use xtask::supervisor::{InstanceSpec, client};

/// Longer than a client waits between two requests of one connection.
const GRACE: Duration = Duration::from_secs(1);

/// The arguments that make this binary run one of the programs below.
pub fn args(name: &str) -> Vec<String> {
    ["--exact", &format!("fixture::{name}"), "--nocapture"].map(str::to_owned).into()
}

/// This binary.
pub fn program() -> Utf8PathBuf {
    Utf8PathBuf::try_from(std::env::current_exe().unwrap()).unwrap()
}

/// The service: takes an activated socket, answers with its version, drains on SIGTERM.
#[tokio::test]
async fn service() {
    let Ok(behaviour) = std::env::var("FIXTURE_SERVICE") else { return };
    let environment: Vec<String> = std::env::vars().map(|(name, _)| name).collect();
    eprintln!("names: {}", environment.join(" "));
    eprintln!("secret: {}", std::env::var("FIXTURE_SECRET").unwrap_or_default());
    match behaviour.as_str() {
        "exit" => {
            eprintln!("cannot reach the database");
            std::process::exit(3);
        }
        "flood" => {
            let line = "f".repeat(1000);
            (0..40_000).for_each(|number| println!("{number} {line}"));
        }
        _ => {}
    }
    let listener = ListenFd::from_env().take_tcp_listener(0).unwrap().expect("a socket by activation");
    listener.set_nonblocking(true).unwrap();
    let listener = TcpListener::from_std(listener).unwrap();
    let mut terminate = signal(SignalKind::terminate()).unwrap();
    let draining = watch::Sender::new(false);
    println!("listening");
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.unwrap();
                tokio::spawn(serve(stream, behaviour.clone(), draining.subscribe()));
            }
            _ = terminate.recv(), if behaviour != "stubborn" => break,
        }
    }
    drop(listener);
    draining.send_replace(true);
    draining.closed().await;
    println!("drained");
    std::process::exit(0);
}

/// A service that shuts down as axum's documentation shows it: on SIGTERM it closes every connection that is idle, and every one on
/// which it has read nothing yet.
#[tokio::test]
async fn stock_service() {
    let Ok(version) = std::env::var("FIXTURE_VERSION") else { return };
    let listener = ListenFd::from_env().take_tcp_listener(0).unwrap().expect("a socket by activation");
    listener.set_nonblocking(true).unwrap();
    let answer = version.clone();
    let slow = async move |axum::extract::Path(milliseconds): axum::extract::Path<u64>| {
        sleep(Duration::from_millis(milliseconds)).await;
        version
    };
    let app = axum::Router::new()
        .route("/", axum::routing::get(async move || answer))
        .route("/slow/{milliseconds}", axum::routing::get(slow));
    let mut terminate = signal(SignalKind::terminate()).unwrap();
    let shutdown = async move {
        terminate.recv().await;
    };
    axum::serve(TcpListener::from_std(listener).unwrap(), app).with_graceful_shutdown(shutdown).await.unwrap();
    std::process::exit(0);
}

/// A service that knows nothing of the toolkit: it opens the port that PORT names, and ends at SIGTERM without a thought for its
/// requests.
#[test]
fn port_service() {
    let (Ok(version), Ok(port)) = (std::env::var("FIXTURE_VERSION"), std::env::var("PORT")) else { return };
    if std::env::var("FIXTURE_SERVICE").is_ok_and(|behaviour| behaviour == "deaf") {
        std::thread::sleep(Duration::from_secs(600));
    }
    let listener = std::net::TcpListener::bind(("127.0.0.1", port.parse().unwrap())).unwrap();
    for stream in listener.incoming() {
        let version = version.clone();
        std::thread::spawn(move || drop(answer_all(stream.unwrap(), &version)));
    }
}

/// Answers the requests of a connection: with the version, or with what it was sent.
fn answer_all(mut stream: std::net::TcpStream, version: &str) -> std::io::Result<()> {
    let mut lines = io::BufReader::new(stream.try_clone()?);
    loop {
        let (mut head, mut line) = (String::new(), String::new());
        while lines.read_line(&mut line)? > 2 {
            head.push_str(&std::mem::take(&mut line));
        }
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let answer = |body: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        match path.as_str() {
            "" => return Ok(()),
            "/head" => stream.write_all(answer(&head).as_bytes())?,
            "/upgrade" => {
                stream
                    .write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")?;
                return io::copy(&mut lines, &mut stream).map(drop);
            }
            "/until-closed" => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
                for part in ["a", "b", "c"] {
                    std::thread::sleep(Duration::from_millis(100));
                    stream.write_all(part.as_bytes())?;
                }
                return Ok(());
            }
            slow => {
                let milliseconds = slow.strip_prefix("/slow/").map_or(0, |milliseconds| milliseconds.parse().unwrap());
                std::thread::sleep(Duration::from_millis(milliseconds));
                stream.write_all(answer(version).as_bytes())?;
            }
        }
        line.clear();
    }
}

async fn serve(stream: TcpStream, behaviour: String, mut draining: watch::Receiver<bool>) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    loop {
        let drained = async {
            draining.wait_for(|draining| *draining).await.ok();
            sleep(GRACE).await;
        };
        let first = tokio::select! {
            line = lines.next_line() => line,
            () = drained => return,
        };
        let Ok(Some(first)) = first else { return };
        while lines.next_line().await.ok().flatten().is_some_and(|line| !line.is_empty()) {}
        let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
        if let Some(milliseconds) = path.strip_prefix("/slow/") {
            sleep(Duration::from_millis(milliseconds.parse().unwrap())).await;
        }
        let status = if behaviour == "unready" { "503 Service Unavailable" } else { "200 OK" };
        let body = std::env::var("FIXTURE_VERSION").unwrap();
        let connection = if *draining.borrow() { "close" } else { "keep-alive" };
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: {connection}\r\n\r\n");
        if write.write_all((head + &body).as_bytes()).await.is_err() || connection == "close" {
            return;
        }
    }
}

/// A deploy command that promotes and then hangs until the test kills it.
#[tokio::test]
async fn hanging_deploy() {
    let Ok(state_dir) = std::env::var("FIXTURE_DEPLOY") else { return };
    let spec: InstanceSpec = serde_json::from_str(&std::env::var("FIXTURE_SPEC").unwrap()).unwrap();
    let mut connection = client::connect(state_dir.as_str().into()).await.unwrap().unwrap();
    connection.candidate(&spec).await.unwrap();
    connection.promote().await.unwrap();
    eprintln!("promoted");
    timeout(Duration::from_secs(600), std::future::pending::<()>()).await.unwrap();
}
