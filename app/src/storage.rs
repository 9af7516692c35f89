//! Stores originals and thumbnails.

mod local;

use std::{fmt, str::FromStr};

pub use local::{LocalStorage, OrphanedStaging, Staging};

use crate::{
    media::{InvalidMediaId, MediaId},
    settings::StorageSettings,
};

/// A storage backend.
pub enum Storage {
    Local(LocalStorage),
}

/// The key of a stored file. There are no other keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageKey {
    /// `uploads/{id}`: the original, byte for byte.
    Original(MediaId),
    /// `thumbs/{id}.webp`
    Thumbnail(MediaId),
}

impl Storage {
    /// Opens the configured backend. Fails if it is not writable.
    pub fn open(settings: &StorageSettings) -> std::io::Result<Self> {
        match settings {
            StorageSettings::Local { upload_dir } => LocalStorage::open(upload_dir).map(Self::Local),
        }
    }

    /// Creates the staging folder for a change of one media; see [`Staging`].
    pub fn stage(&self, id: MediaId) -> std::io::Result<Staging> {
        match self {
            Self::Local(local) => local.stage(id),
        }
    }

    /// Moves a staged file to its key.
    pub async fn put(&self, key: StorageKey, file: &std::path::Path) -> std::io::Result<()> {
        match self {
            Self::Local(local) => local.put(key, file).await,
        }
    }

    /// Deletes the original and the thumbnail of a media. Missing files are not an error.
    pub async fn delete(&self, id: MediaId) -> std::io::Result<()> {
        match self {
            Self::Local(local) => local.delete(id).await,
        }
    }

    /// The staging folders of processes that no longer run.
    pub fn orphaned_staging(&self) -> std::io::Result<Vec<OrphanedStaging>> {
        match self {
            Self::Local(local) => local.orphaned_staging(),
        }
    }

    /// Checks that the storage is available, without writing to it.
    pub async fn check(&self) -> std::io::Result<()> {
        match self {
            Self::Local(local) => local.check().await,
        }
    }
}

impl StorageKey {
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
    type Err = InvalidMediaId;

    /// Accepts only the exact form, so that a path from a request never reaches the file system.
    fn from_str(text: &str) -> Result<Self, InvalidMediaId> {
        if let Some(id) = text.strip_prefix("uploads/") {
            return id.parse().map(Self::Original);
        }
        let id = text.strip_prefix("thumbs/").and_then(|rest| rest.strip_suffix(".webp")).ok_or(InvalidMediaId)?;
        id.parse().map(Self::Thumbnail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_round_trip_and_other_paths_are_rejected() {
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
