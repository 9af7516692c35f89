//! What a clip's container says of itself, where ffprobe says nothing.

use std::{io, path::Path};

use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

/// Whether an MP4 or QuickTime file has all bytes of its boxes. One that was cut off would play until there.
pub async fn is_whole(file: &Path) -> io::Result<bool> {
    let mut file = fs_err::tokio::File::open(file).await?;
    let length = file.metadata().await?.len();
    let mut position = 0;
    // What is shorter than a box's header is no box.
    while length - position >= 8 {
        file.seek(io::SeekFrom::Start(position)).await?;
        let size = match (file.read_u32().await?, file.read_u32().await?) {
            // To the end of the file.
            (0, _) => return Ok(true),
            (1, _) if length - position < 16 => return Ok(false),
            (1, _) => file.read_u64().await?,
            (size, _) => size.into(),
        };
        if size < 8 || size > length - position {
            return Ok(false);
        }
        position += size;
    }
    Ok(true)
}

/// Whether a Matroska file is one of WebM, for which ffprobe has the same name. It says so in its first bytes.
pub async fn is_webm(file: &Path) -> io::Result<bool> {
    let mut beginning = Vec::new();
    fs_err::tokio::File::open(file).await?.take(4096).read_to_end(&mut beginning).await?;
    Ok(infer::get(&beginning).is_some_and(|kind| kind.mime_type() == "video/webm"))
}
