//! What keeps a command from talking to the supervisor.

use camino::Utf8PathBuf;

/// Why a supervisor cannot be talked to, where a command can do something about it.
#[derive(Debug, thiserror::Error)]
pub enum Obstacle {
    /// The folder of the sockets belongs to another user.
    #[error("{folder} belongs to user {owner}, and this is user {user}")]
    OtherUser {
        /// The folder.
        folder: Utf8PathBuf,
        /// The number of its user.
        owner: u32,
        /// The number of this user.
        user: u32,
    },
    /// The folder of the sockets is none.
    #[error("{folder} is not a folder, but Unix sockets need one there")]
    NoFolder {
        /// Its path.
        folder: Utf8PathBuf,
    },
    /// The supervisor does not understand this toolkit, or does not answer.
    #[error("{what}")]
    Mute {
        /// How it shows.
        what: String,
        /// Its process, if the system tells.
        pid: Option<i32>,
    },
}

impl Obstacle {
    /// The command that removes it. `stop` stops the environment.
    pub fn fix(&self, stop: &str) -> String {
        match self {
            Self::OtherUser { owner, .. } => format!("sudo --user='#{owner}' {stop}"),
            Self::NoFolder { folder } => format!("rm {folder}"),
            Self::Mute { pid: Some(pid), .. } => format!("kill -KILL {pid}"),
            Self::Mute { pid: None, .. } => stop.to_owned(),
        }
    }
}
