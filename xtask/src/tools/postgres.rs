//! A private PostgreSQL server in a folder: reachable through a Unix socket by whoever may enter that folder and knows
//! the password, and through nothing else.
//!
//! ```text
//! <folder>/data   what PostgreSQL stores
//! <folder>/log    what it says, a day of it
//! <folder>/run    its socket (elsewhere when the path is too long for a socket)
//! ```

mod data;
mod embedded;
mod installation;
mod lockfile;
mod place;
mod server;
mod settings;
#[cfg(test)]
mod tests;
mod throwaway;

use std::time::Duration;

pub use embedded::EMBEDDED_VERSION;
pub use installation::{Choice, Installation, locate, locate_or_fetch};
pub use server::{Server, Wanted};
pub use throwaway::Throwaway;

/// How long to wait for one's turn: longer than another process may take to make and start a server, or to fetch one.
const TURN: Duration = Duration::from_secs(180);
