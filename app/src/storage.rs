//! Where originals and thumbnails are kept.

mod local;

use std::{fmt, str::FromStr};

pub use local::{Abandoned, Incoming, Local};

use crate::{
    media::{MediaId, NotAnId},
    settings::StorageSettings,
};

/// The places there are.
pub enum Storage {
    /// A folder of this machine.
    Local(Local),
}

/// The name of one stored object; there are no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageKey {
    /// `uploads/{id}`: the original, byte for byte.
    Original(MediaId),
    /// `thumbs/{id}.webp`: the gallery thumbnail.
    Thumbnail(MediaId),
}

impl Storage {
    /// Opens the place that the settings name, and proves that it can be written to.
    ///
    /// # Errors
    /// When it cannot.
    pub fn open(settings: &StorageSettings) -> std::io::Result<Self> {
        match settings {
            StorageSettings::Local { upload_dir } => Local::open(upload_dir).map(Self::Local),
        }
    }

    /// Begins the change of one media's objects; see [`Incoming`].
    ///
    /// # Errors
    /// When the local folder cannot be written to.
    pub fn begin(&self, id: MediaId) -> std::io::Result<Incoming> {
        match self {
            Self::Local(local) => local.begin(id),
        }
    }

    /// Moves a finished file to its key.
    ///
    /// # Errors
    /// When it cannot be moved.
    pub async fn put(&self, key: StorageKey, file: &std::path::Path) -> std::io::Result<()> {
        match self {
            Self::Local(local) => local.put(key, file).await,
        }
    }

    /// Removes a media's original and thumbnail; those that are not there count as removed.
    ///
    /// # Errors
    /// When one is there and cannot be removed.
    pub async fn delete(&self, id: MediaId) -> std::io::Result<()> {
        match self {
            Self::Local(local) => local.delete(id).await,
        }
    }

    /// Changes that processes which no longer run left unfinished.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn abandoned(&self) -> std::io::Result<Vec<Abandoned>> {
        match self {
            Self::Local(local) => local.abandoned(),
        }
    }

    /// Whether the place is there, without writing to it.
    ///
    /// # Errors
    /// When it is not.
    pub async fn check(&self) -> std::io::Result<()> {
        match self {
            Self::Local(local) => local.check().await,
        }
    }
}

impl StorageKey {
    /// The media it belongs to.
    pub fn media(self) -> MediaId {
        match self {
            Self::Original(id) | Self::Thumbnail(id) => id,
        }
    }
}

impl fmt::Display for StorageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Original(id) => write!(f, "uploads/{id}"),
            Self::Thumbnail(id) => write!(f, "thumbs/{id}.webp"),
        }
    }
}

impl FromStr for StorageKey {
    type Err = NotAnId;

    /// Only the exact form is a key, so no path from outside ever reaches the file system.
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        if let Some(id) = text.strip_prefix("uploads/") {
            return id.parse().map(Self::Original);
        }
        let id = text.strip_prefix("thumbs/").and_then(|rest| rest.strip_suffix(".webp")).ok_or(NotAnId)?;
        id.parse().map(Self::Thumbnail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_as_itself_and_nothing_else_is_one() {
        let id = MediaId::generate();
        for key in [StorageKey::Original(id), StorageKey::Thumbnail(id)] {
            assert_eq!(key.to_string().parse::<StorageKey>().unwrap(), key);
        }
        for hostile in [
            "".into(),
            "/etc/passwd".into(),
            "uploads/../../etc/passwd".into(),
            format!("uploads/{id}/"),
            format!("uploads/{id}\0"),
            format!("/uploads/{id}"),
            format!("uploads//{id}"),
            format!("thumbs/{id}"),
            format!("incoming/{id}"),
        ] {
            assert!(hostile.parse::<StorageKey>().is_err(), "{hostile:?}");
        }
    }
}
