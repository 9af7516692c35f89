//! The content of a stored file.

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt as _, path::PathBuf, sync::Arc, time::SystemTime};

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use tokio::task::spawn_blocking;

/// What is read at a time, in bytes. A file that is not larger is read when it is opened: each turn of a blocking thread
/// costs more than the bytes.
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
        let opened = spawn_blocking(move || {
            let file = fs_err::File::open(path)?.into_file();
            let metadata = file.metadata()?;
            let (size, modified) = (metadata.len(), metadata.modified()?);
            let bytes = if size <= CHUNK { Some(read(&file, 0..size)?) } else { None };
            Ok(Self { size, modified, file: Arc::new(file), bytes })
        });
        match opened.await? {
            Ok(content) => Ok(Some(content)),
            Err(error) if io::Error::kind(&error) == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A body of these bytes, which must exist.
    pub(super) async fn read(&self, range: Range<u64>) -> io::Result<Body> {
        if let Some(bytes) = &self.bytes {
            return Ok(bytes.slice(range.start as usize..range.end as usize).into());
        }
        let (file, end) = (self.file.clone(), range.end);
        Ok(Body::from_stream(stream::try_unfold(range.start, move |start| {
            let (file, chunk) = (file.clone(), start..end.min(start + CHUNK));
            async move {
                if chunk.is_empty() {
                    return Ok(None);
                }
                let next = chunk.end;
                let bytes = spawn_blocking(move || read(&file, chunk)).await??;
                Ok::<_, io::Error>(Some((bytes, next)))
            }
        })))
    }
}

fn read(file: &File, range: Range<u64>) -> io::Result<Bytes> {
    let mut bytes = vec![0; (range.end - range.start) as usize];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes.into())
}
