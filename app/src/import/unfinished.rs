//! Which large files were sent in part, so that another run goes on with them: a small file for each, outside the folder that is
//! imported.

use std::{
    io::{self, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::PathBuf,
};

use anyhow::Context as _;
use ring::digest::{Context as Hash, SHA256};
use tempfile::NamedTempFile;

use super::{api::Server, files::MediaFile};

/// The uploads in parts that are not finished: which file is which upload.
pub struct Unfinished {
    folder: PathBuf,
}

impl Unfinished {
    /// Creates the folder, for this user only.
    pub fn open(folder: PathBuf) -> anyhow::Result<Self> {
        let created = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        created.with_context(|| format!("cannot create the folder {}", folder.display()))?;
        Ok(Self { folder })
    }

    /// The id of the upload that a file was begun with.
    pub fn find(&self, server: &Server, file: &MediaFile) -> io::Result<Option<String>> {
        match fs_err::read_to_string(self.path(server, file)) {
            Ok(id) if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) => Ok(Some(id)),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub fn keep(&self, server: &Server, file: &MediaFile, id: &str) -> io::Result<()> {
        let mut entry = NamedTempFile::new_in(&self.folder)?;
        entry.write_all(id.as_bytes())?;
        entry.persist(self.path(server, file)).map(drop).map_err(Into::into)
    }

    pub fn forget(&self, server: &Server, file: &MediaFile) -> io::Result<()> {
        match fs_err::remove_file(self.path(server, file)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Named by the bytes of the file: it may be moved in between.
    fn path(&self, server: &Server, file: &MediaFile) -> PathBuf {
        let mut name = Hash::new(&SHA256);
        name.update(server.as_str().as_bytes());
        name.update(&file.sha256);
        self.folder.join(hex::encode(name.finish()))
    }
}
