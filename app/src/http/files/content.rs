//! The content of a stored file. What the kernel has in memory is read at once; what it would wait for is read on a blocking
//! thread: each turn of one costs more than a small file.

use std::{
    fs::File,
    io::{self, IoSliceMut},
    ops::Range,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags},
    io::ReadWriteFlags,
};
use tokio::task::spawn_blocking;

/// What is read at a time, in bytes. A file that is not larger is read when it is opened.
const CHUNK: u64 = 256 << 10;

/// An open file.
pub(super) struct Content {
    pub(super) size: u64,
    pub(super) modified: SystemTime,
    file: Arc<File>,
    /// All of a small file.
    bytes: Option<Bytes>,
}

impl Content {
    /// `None` if there is no such file.
    pub(super) async fn open(path: PathBuf) -> io::Result<Option<Self>> {
        let opened = match open_cached(&path) {
            // The kernel would wait for the disk, or is too old for the question (before Linux 5.12).
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                spawn_blocking(move || Ok(fs_err::File::open(path)?.into_file())).await?
            }
            opened => opened,
        };
        match opened {
            Ok(file) => Self::new(file).await.map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn new(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let (size, modified, file) = (metadata.len(), metadata.modified()?, Arc::new(file));
        let bytes = if size <= CHUNK { Some(read(&file, 0..size).await?) } else { None };
        Ok(Self { size, modified, file, bytes })
    }

    /// A body of these bytes, which must exist.
    pub(super) fn body(&self, range: Range<u64>) -> Body {
        if let Some(bytes) = &self.bytes {
            return bytes.slice(range.start as usize..range.end as usize).into();
        }
        let (file, end) = (self.file.clone(), range.end);
        Body::from_stream(stream::try_unfold(range.start, move |start| {
            let (file, chunk) = (file.clone(), start..end.min(start + CHUNK));
            async move {
                if chunk.is_empty() {
                    return Ok(None);
                }
                let next = chunk.end;
                Ok::<_, io::Error>(Some((read(&file, chunk).await?, next)))
            }
        }))
    }
}

/// Fails if the kernel does not know the path without asking the disk.
fn open_cached(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED)?.into())
}

async fn read(file: &Arc<File>, range: Range<u64>) -> io::Result<Bytes> {
    let mut bytes = vec![0; (range.end - range.start) as usize];
    let cached = rustix::io::preadv2(file, &mut [IoSliceMut::new(&mut bytes)], range.start, ReadWriteFlags::NOWAIT);
    // Some file systems do not have this question. Another error comes again.
    if cached.is_ok_and(|read| read == bytes.len()) {
        return Ok(bytes.into());
    }
    let file = file.clone();
    spawn_blocking(move || {
        file.read_exact_at(&mut bytes, range.start)?;
        Ok(bytes.into())
    })
    .await?
}
