//! The whole `postgresql.conf` of a private server, written anew at every start. `ALTER SYSTEM` still goes over it.

use camino::Utf8Path;

use super::place::Place;

/// What a server's data is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Worth {
    /// It outlives crashes of the machine.
    Keep,
    /// It is gone when the server is: speed before safety.
    Nothing,
}

impl Worth {
    /// Further arguments of initdb.
    pub(super) fn initdb(self) -> &'static [&'static str] {
        match self {
            Self::Keep => &["--data-checksums"],
            Self::Nothing => &["--no-sync"],
        }
    }
}

/// The text of the file.
pub(super) fn postgresql_conf(place: &Place, worth: Worth) -> String {
    let (sockets, log) = (quote_list(&place.sockets), quote(place.log().as_str()));
    let worth = match worth {
        Worth::Keep => "shared_buffers = 64MB\nmax_connections = 100\nmax_wal_size = 256MB\nmin_wal_size = 32MB\n",
        // Every test has a database with a pool of its own.
        Worth::Nothing => {
            "shared_buffers = 32MB\nmax_connections = 200\nfsync = off\nsynchronous_commit = off\n\
             full_page_writes = off\nwal_level = minimal\nmax_wal_senders = 0\n"
        }
    };
    // A statement can hold a secret, so failed ones are logged without their text. The hour in the name and the
    // truncation keep one day of logs: a file is begun anew when its hour comes again.
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
{worth}"
    )
}

/// A string as postgresql.conf has them.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', "''"))
}

/// A list of one folder: inside the string, double quotes keep a comma in its name from parting it.
fn quote_list(folder: &Utf8Path) -> String {
    quote(&format!("\"{}\"", folder.as_str().replace('"', "\"\"")))
}
