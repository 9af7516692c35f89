//! The `postgresql.conf` of a private server, written at every start and outside of the data folder, which the server's user
//! may change. `ALTER SYSTEM` overrides it.

use camino::Utf8Path;

use super::layout::Layout;

/// How durable a server's data is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    /// It survives a crash of the machine.
    Durable,
    /// It is removed with the server, so speed comes before safety.
    Temporary,
}

impl Durability {
    /// Further arguments of initdb.
    pub(super) fn initdb(self) -> &'static [&'static str] {
        match self {
            Self::Durable => &["--data-checksums"],
            Self::Temporary => &["--no-sync"],
        }
    }
}

/// The text of the file.
pub(super) fn postgresql_conf(layout: &Layout, durability: Durability) -> String {
    let (sockets, log) = (quote_list(&layout.sockets), quote(layout.log().as_str()));
    let durability = match durability {
        Durability::Durable => {
            "shared_buffers = 64MB\nmax_connections = 100\nmax_wal_size = 256MB\nmin_wal_size = 32MB\n"
        }
        // Every test has its own database and pool.
        Durability::Temporary => {
            "shared_buffers = 32MB\nmax_connections = 200\nfsync = off\nsynchronous_commit = off\n\
             full_page_writes = off\nwal_level = minimal\nmax_wal_senders = 0\n"
        }
    };
    // A statement can contain a secret, so failed statements are logged without their text. The log has a file for each hour of
    // the day, which is truncated a day later.
    format!(
        "# Written by xtask at every start of the server; changes here are lost.
listen_addresses = ''
port = 5432
unix_socket_directories = {sockets}
unix_socket_permissions = 0700
password_encryption = 'scram-sha-256'
logging_collector = on
log_directory = {log}
log_filename = 'server-%H.log'
log_rotation_age = 60
log_rotation_size = 0
log_truncate_on_rotation = on
log_min_error_statement = panic
log_timezone = 'UTC'
timezone = 'UTC'
lc_messages = 'C'
default_text_search_config = 'pg_catalog.english'
jit = off
{durability}"
    )
}

/// A quoted string of postgresql.conf.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', "''"))
}

/// A list of one folder. The double quotes protect a comma in its name.
fn quote_list(folder: &Utf8Path) -> String {
    quote(&format!("\"{}\"", folder.as_str().replace('"', "\"\"")))
}
