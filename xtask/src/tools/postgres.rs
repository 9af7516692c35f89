//! A private PostgreSQL server in a folder. It listens on a Unix socket only, which needs access to the folder and the password.
//!
//! ```text
//! <folder>/data   its data
//! <folder>/log    its log of one day
//! <folder>/run    its socket (elsewhere if the path is too long for a socket)
//! ```

mod data;
mod embedded;
mod installation;
mod layout;
mod lockfile;
mod search;
mod server;
mod settings;
#[cfg(test)]
mod tests;
mod throwaway;

use std::time::Duration;

pub use data::ServerSpec;
pub use embedded::EMBEDDED_VERSION;
pub use installation::Installation;
pub use search::{Choice, locate, locate_or_fetch};
pub use server::Server;
pub use throwaway::Throwaway;

/// How long to wait for a lock: longer than another process takes to create and start a server, or to download PostgreSQL.
const LOCK_TIMEOUT: Duration = Duration::from_secs(180);
