//! Errors of GitHub.

/// What a refusal says that is about the plan, not about the token.
const OF_THE_PLAN: [&str; 2] = ["Upgrade to GitHub", "billing plan"];

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
    /// GitHub refuses it, and another token would not help.
    #[error("{what} failed: the answer was {response}")]
    Unprocessable { what: String, response: String },
    /// The repository has another name now.
    #[error(
        "GitHub answers {what} with {response}: the repository was renamed or moved\n  put its new name into deploy.yaml \
         (github: {{ repository: owner/name }}), or into the remote: git remote set-url origin URL"
    )]
    Moved { what: String, response: String },
    /// Any other error.
    #[error("{what} failed: {why}")]
    Other { what: String, why: String },
}

impl GitHubError {
    /// What GitHub says where it does not offer a setting: no such path, a setting that it does not take, or a plan that lacks it.
    /// A token that lacks a permission is another refusal.
    pub fn not_offered(&self) -> Option<&str> {
        match self {
            Self::NotFound { .. } => Some("404 Not Found"),
            Self::Unprocessable { response, .. } => Some(response),
            Self::Denied { response, .. } if OF_THE_PLAN.iter().any(|text| response.contains(text)) => Some(response),
            _ => None,
        }
    }
}
