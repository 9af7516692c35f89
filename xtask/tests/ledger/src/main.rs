//! A service with a database: it migrates when it starts, as services with sqlx do, and reads its rows when it is asked whether
//! it is ready.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::FromRawFd as _;

use sqlx::migrate::Migrator;
use sqlx::{Connection as _, PgConnection};

/// What this version does: `strict` refuses a schema with migrations that it does not know, `lenient` does not, `unready` migrates
/// and is never ready.
const BEHAVIOUR: &str = include_str!("behaviour.txt");

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    if let Err(error) = runtime.block_on(migrate()) {
        eprintln!("cannot migrate: {error}");
        std::process::exit(1);
    }
    let listener = match variable("LISTEN_PID") == std::process::id().to_string() {
        true => unsafe { TcpListener::from_raw_fd(3) },
        // In a container.
        false => TcpListener::bind(format!("0.0.0.0:{}", variable("PORT"))).expect("a free port"),
    };
    for stream in listener.incoming().flatten() {
        drop(answer(stream, &runtime));
    }
}

async fn migrate() -> Result<(), Box<dyn std::error::Error>> {
    let mut migrator: Migrator = sqlx::migrate!();
    migrator.set_ignore_missing(BEHAVIOUR.trim() != "strict");
    migrator.run(&mut PgConnection::connect(&variable("DATABASE_URL")).await?).await?;
    std::fs::write(format!("{}/{}", variable("DATA_DIR"), variable("SERVICE_VERSION")), "was here")?;
    Ok(())
}

fn answer(mut stream: TcpStream, runtime: &tokio::runtime::Runtime) -> std::io::Result<()> {
    let (mut lines, mut line) = (BufReader::new(stream.try_clone()?), String::new());
    lines.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    while line.trim() != "" {
        line.clear();
        lines.read_line(&mut line)?;
    }
    let version = variable("SERVICE_VERSION");
    let (status, body) = match path.as_str() {
        "/version" => ("200 OK", version),
        "/crash" => std::process::exit(7),
        "/rows" => ("200 OK", runtime.block_on(rows()).map_or_else(|error| error.to_string(), |count| count.to_string())),
        _ if BEHAVIOUR.trim() == "unready" => ("503 Service Unavailable", readiness("unready", &version, "as it was made")),
        _ => match runtime.block_on(rows()) {
            Ok(_) => ("200 OK", readiness("ready", &version, "")),
            Err(error) => ("503 Service Unavailable", readiness("unready", &version, &error.to_string())),
        },
    };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn readiness(status: &str, version: &str, why: &str) -> String {
    let check = match why.replace('"', "'") {
        why if why.is_empty() => String::new(),
        why => format!(r#"{{"name":"rows","status":"failed","detail":"{why}"}}"#),
    };
    format!(r#"{{"status":"{status}","version":"{version}","checks":[{check}]}}"#)
}

async fn rows() -> Result<i64, sqlx::Error> {
    let mut database = PgConnection::connect(&variable("DATABASE_URL")).await?;
    sqlx::query_scalar("SELECT count(text) FROM entry").fetch_one(&mut database).await
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}
