//! What the platform that runs a release says of it.

/// What a platform says of a release. Its word is not enough for a release to be up, but enough for it to have failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It runs.
    Ready,
    /// Another status, in the platform's word.
    Other(String),
    /// The platform has given up, for this reason.
    Error(String),
    /// The platform could not be asked, for this reason.
    NotAsked(String),
}

impl Condition {
    /// For the middle of a sentence: `the platform says …`.
    pub fn describe(&self) -> String {
        match self {
            Self::Ready => "the platform says ready".to_owned(),
            Self::Other(status) => format!("the platform says {status}"),
            Self::Error(why) => format!("the platform says error: {why}"),
            Self::NotAsked(_) => "the platform could not be asked".to_owned(),
        }
    }
}
