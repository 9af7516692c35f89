//! Errors of GitHub.

/// Why a request to GitHub failed.
#[derive(Debug, thiserror::Error)]
pub enum GitHubError {
    /// The token is unknown, or lacks a permission.
    #[error("GitHub refuses {what}: {response}\n  check the token, and that it has the permission")]
    Denied {
        /// The request, as in `listing releases`.
        what: String,
        /// Status and message.
        response: String,
    },
    /// GitHub has no such thing, or does not show it to this token.
    #[error(
        "GitHub has no answer to {what}: it is not there, or the token may not see it\n  check `github.repository` in deploy.yaml, and the token"
    )]
    NotFound { what: String },
    /// It is there already.
    #[error("{what} failed: it is there already ({response})")]
    Exists { what: String, response: String },
    /// Too many requests.
    #[error("GitHub takes no more requests of this token {until}; {what} failed ({response})")]
    Limited {
        what: String,
        response: String,
        /// As in `for 40 s`.
        until: String,
    },
    /// The connection failed, or there was no answer in time.
    #[error(
        "GitHub cannot be reached for {what}: {why}\n  check the network and https://www.githubstatus.com, then type the command again"
    )]
    Unreachable { what: String, why: String },
    /// Any other error.
    #[error("{what} failed: {why}")]
    Other { what: String, why: String },
}
