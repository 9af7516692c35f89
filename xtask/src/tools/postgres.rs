//! A private PostgreSQL server in a folder. It listens on a Unix socket only, which needs access to the folder and the password.
//!
//! ```text
//! <folder>/data   its data                   the server's user's
//! <folder>/log    its log of one day         the server's user's
//! <folder>/run    its socket                 the server's user's; a link if the path is too long for a socket
//! <folder>/conf   its configuration          this process's user's
//! ```

mod data;
mod embedded;
mod installation;
mod layout;
mod lockfile;
mod search;
mod server;
mod service;
mod settings;
#[cfg(test)]
mod tests;
mod throwaway;

use std::time::Duration;

pub use data::ServerSpec;
pub use embedded::EMBEDDED_VERSION;
pub use installation::Installation;
pub use layout::default_user;
pub use search::{Choice, locate, locate_or_fetch};
pub use server::Server;
pub use throwaway::Throwaway;
pub use tokio_postgres::Client;

/// How long to wait for a lock: longer than another process takes to create and start a server, or to download PostgreSQL.
const LOCK_TIMEOUT: Duration = Duration::from_secs(180);
