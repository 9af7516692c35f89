//! Why a store did not do what it was asked.

/// An error that names the store, the object and the server's reason.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot {tried} {key} in {location}: {reason}")]
pub struct StoreError {
    pub kind: ErrorKind,
    /// The store: a folder, or a bucket at an address.
    pub location: String,
    /// The object, or the prefix of several.
    pub key: String,
    /// `read`, `list`, `write` or `delete`.
    pub tried: &'static str,
    /// What the system or the server answered.
    pub reason: String,
}

/// What a caller can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// These credentials, or this user, may not do that.
    Denied,
    /// There is no such bucket.
    NoBucket,
    /// The server did not answer in time.
    Unreachable,
    /// The server does not accept the credentials: wrong, expired, or this machine's clock is wrong.
    UnknownCredentials,
    /// All else.
    Other,
}
