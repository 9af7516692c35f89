//! The keys of stored objects. There are no other keys, so a path from a request never reaches a backend.

use std::{fmt, str::FromStr};

use crate::media::{InvalidMediaId, MediaId};

/// The key of a stored object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StorageKey {
    /// `uploads/{id}`: the original as others may download it.
    Original(MediaId),
    /// `thumbs/{id}.webp`: for galleries.
    Thumbnail(MediaId),
    /// `clipboard/{id}.png`: for the clipboard.
    Clipboard(MediaId),
    /// `private/{id}`: the original as its uploader sent it, if others get it without its location. The id is one of its own,
    /// never given out.
    Private(MediaId),
}

/// What the keys of one kind begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Prefix {
    Originals,
    Thumbnails,
    Clipboard,
    Private,
}

impl StorageKey {
    /// Every key that a media can have.
    pub fn all(id: MediaId) -> [Self; 4] {
        [Self::Original(id), Self::Thumbnail(id), Self::Clipboard(id), Self::Private(id)]
    }

    pub fn media(self) -> MediaId {
        match self {
            Self::Original(id) | Self::Thumbnail(id) | Self::Clipboard(id) | Self::Private(id) => id,
        }
    }

    pub fn prefix(self) -> Prefix {
        match self {
            Self::Original(_) => Prefix::Originals,
            Self::Thumbnail(_) => Prefix::Thumbnails,
            Self::Clipboard(_) => Prefix::Clipboard,
            Self::Private(_) => Prefix::Private,
        }
    }

    /// The content type of a derived object; `None` for those that have the type of the original.
    pub fn content_type(self) -> Option<&'static str> {
        match self {
            Self::Original(_) | Self::Private(_) => None,
            Self::Thumbnail(_) => Some("image/webp"),
            Self::Clipboard(_) => Some("image/png"),
        }
    }

    /// Each URL that the service gives out names a version of the object (`Storage::url`), so browsers may keep it. Caches
    /// that are shared may not: they would still serve what was deleted.
    pub fn cache_control(self) -> &'static str {
        "private, max-age=31536000, immutable"
    }
}

impl Prefix {
    pub const ALL: [Self; 4] = [Self::Originals, Self::Thumbnails, Self::Clipboard, Self::Private];

    /// The folder, which ends with a slash.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Originals => "uploads/",
            Self::Thumbnails => "thumbs/",
            Self::Clipboard => "clipboard/",
            Self::Private => "private/",
        }
    }

    /// What the keys end with.
    fn suffix(self) -> &'static str {
        match self {
            Self::Thumbnails => ".webp",
            Self::Clipboard => ".png",
            Self::Originals | Self::Private => "",
        }
    }

    /// The key of a media.
    pub fn key(self, id: MediaId) -> StorageKey {
        match self {
            Self::Originals => StorageKey::Original(id),
            Self::Thumbnails => StorageKey::Thumbnail(id),
            Self::Clipboard => StorageKey::Clipboard(id),
            Self::Private => StorageKey::Private(id),
        }
    }
}

impl fmt::Display for StorageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = self.prefix();
        write!(f, "{}{}{}", prefix.as_str(), self.media(), prefix.suffix())
    }
}

impl FromStr for StorageKey {
    type Err = InvalidMediaId;

    /// Accepts only the exact form.
    fn from_str(text: &str) -> Result<Self, InvalidMediaId> {
        let parsed = Prefix::ALL.into_iter().find_map(|prefix| {
            let id = text.strip_prefix(prefix.as_str())?.strip_suffix(prefix.suffix())?;
            Some(id.parse().map(|id| prefix.key(id)))
        });
        parsed.unwrap_or(Err(InvalidMediaId))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_round_trip_and_other_paths_are_rejected() {
        let id = MediaId::generate();
        for key in StorageKey::all(id) {
            assert_eq!(key.to_string().parse::<StorageKey>().unwrap(), key);
            assert!(key.to_string().starts_with(key.prefix().as_str()));
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
            format!("clipboard/{id}.webp"),
            format!("incoming/{id}"),
        ] {
            assert!(hostile.parse::<StorageKey>().is_err(), "{hostile:?}");
        }
    }
}
