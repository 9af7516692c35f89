//! The servers that the tests and benches of this repository run against: how each is installed, started and ended.
//!
//! A server that is a program of its own is a [`Server`]: it has started when its constructor returns, and it ends with
//! the value. An error says what was tried and what this machine lacks. `install` and `program` functions download or
//! build a program once for this machine; several processes may call them at the same time.
//!
//! PostgreSQL is missing here: the toolkit runs one itself (`xtask::tools::postgres::Throwaway`).

// A server that a test has started itself fails the test by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod bases;
pub mod buildkitd;
pub mod caddy;
pub mod cargo_deny;
pub mod dns;
pub mod easypanel;
pub mod engine;
pub mod faulty;
pub mod github;
pub mod gofakes3;
pub mod http;
pub mod lighthouse;
pub mod moto;
pub mod nginx;
pub mod pgbouncer;
pub mod port;
pub mod proxy;
pub mod pyvips;
pub mod raw;
pub mod registry;
pub mod schemathesis;
pub mod sigstore;
pub mod sshd;
pub mod standin;
pub mod supabase;
pub mod tls;
pub mod tofu;
pub mod tus_client;
pub mod versitygw;
pub mod workflow_checks;

mod cache;
mod go;
mod npm;
mod path;
mod pip;
mod server;

pub use self::buildkitd::Buildkitd;
pub use self::dns::DnsServer;
pub use self::easypanel::Easypanel;
pub use self::engine::{MachineEngine, OwnEngine};
pub use self::faulty::FaultyServer;
pub use self::github::GitHub;
pub use self::gofakes3::Gofakes3;
pub use self::http::HttpServer;
pub use self::moto::Moto;
pub use self::nginx::Nginx;
pub use self::pgbouncer::PgBouncer;
pub use self::proxy::Proxy;
pub use self::registry::DockerRegistry;
pub use self::server::{Ready, Server, keep_apart_from_the_terminal};
pub use self::sshd::{Sshd, Sudo};
pub use self::standin::Cloud;
pub use self::supabase::Supabase;
pub use self::tls::TlsServer;
pub use self::versitygw::Versitygw;
