//! The actions that rendered workflows use: the one table of their commits.
//!
//! A tag of an action can be moved, a commit cannot. Each of these is in at least ten public files, and in two or more
//! of them with this version beside it (November 2026).

/// An action at the commit of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action {
    /// What templates call it: `actions.<key>`.
    pub key: &'static str,
    /// `owner/name` at GitHub.
    pub repository: &'static str,
    /// The version's commit.
    pub commit: &'static str,
    /// The version, as its tag.
    pub version: &'static str,
}

/// Every action that a template uses.
pub const ACTIONS: [Action; 5] = [
    Action {
        key: "checkout",
        repository: "actions/checkout",
        commit: "9c091bb21b7c1c1d1991bb908d89e4e9dddfe3e0",
        version: "v7.0.0",
    },
    Action {
        key: "cache",
        repository: "actions/cache",
        commit: "27d5ce7f107fe9357f9df03efb73ab90386fccae",
        version: "v5.0.5",
    },
    Action {
        key: "node",
        repository: "actions/setup-node",
        commit: "48b55a011bda9f5d6aeb4c2d9c7362e8dae4041e",
        version: "v6.4.0",
    },
    Action {
        key: "attest",
        repository: "actions/attest",
        commit: "a1948c3f048ba23858d222213b7c278aabede763",
        version: "v4.1.1",
    },
    Action {
        key: "aws",
        repository: "aws-actions/configure-aws-credentials",
        commit: "ec61189d14ec14c8efccab744f656cffd0e33f37",
        version: "v6.1.0",
    },
];

impl Action {
    /// As a step's `uses` names it, with the version in a comment.
    pub fn pinned(&self) -> String {
        format!("{}@{} # {}", self.repository, self.commit, self.version)
    }
}
