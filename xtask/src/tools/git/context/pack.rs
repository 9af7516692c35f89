//! Files of a commit as a tar.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufWriter, Error, Read as _, Write};

use futures_util::stream;
use tar::{Builder, EntryType, Header};
use tokio::io::AsyncRead;
use tokio::sync::mpsc::{Sender, channel};
use tokio_util::io::StreamReader;

use super::blobs::Blobs;
use super::{File, Kind, path};

/// Bytes of a piece on its way from the thread that packs to the reader.
const PIECE: usize = 64 << 10;

/// What the thread that packs sends.
enum Message {
    Piece(Vec<u8>),
    Failed(Error),
    End,
}

/// The mode of a file in an ordinary checkout.
pub fn mode(kind: Kind) -> u32 {
    match kind {
        Kind::File => 0o644,
        Kind::Program => 0o755,
        Kind::Link => 0o777,
    }
}

/// The tar of these files, whose contents `blobs` has in the same order. Packed by a thread, which ends when the reader is dropped.
pub fn stream<B: BufRead + Send + 'static>(
    blobs: B,
    files: Vec<File>,
    time: u64,
) -> impl AsyncRead + Send + Unpin + use<B> {
    let (sender, receiver) = channel(4);
    tokio::task::spawn_blocking(move || {
        let packed = pack(Blobs::new(blobs), &files, time, Pieces(sender.clone()));
        // Fails if the reader is gone.
        sender.blocking_send(packed.map_or_else(Message::Failed, |()| Message::End)).ok();
    });
    let pieces = stream::unfold(receiver, async |mut receiver| {
        let piece = match receiver.recv().await {
            Some(Message::End) => return None,
            Some(Message::Piece(bytes)) => Ok(io::Cursor::new(bytes)),
            Some(Message::Failed(error)) => Err(error),
            None => Err(Error::other("the thread that packs the files panicked")),
        };
        Some((piece, receiver))
    });
    StreamReader::new(Box::pin(pieces))
}

fn pack(mut blobs: Blobs<impl BufRead>, files: &[File], time: u64, to: Pieces) -> io::Result<()> {
    let mut tar = Builder::new(BufWriter::with_capacity(PIECE, to));
    let mut folders = BTreeSet::new();
    for file in files {
        for (end, _) in file.path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            let folder = &file.path[..=end];
            if folders.insert(folder) {
                let mut header = header(EntryType::Directory, 0o755, time, 0);
                tar.append_data(&mut header, path(folder), io::empty())?;
            }
        }
        let mut content = blobs.next(&file.object)?;
        if file.kind == Kind::Link {
            let mut to = Vec::new();
            content.read_to_end(&mut to)?;
            append_link(&mut tar, &file.path, &to, time)?;
        } else {
            let mut header = header(EntryType::Regular, mode(file.kind), time, content.limit());
            tar.append_data(&mut header, path(&file.path), content)?;
        }
    }
    blobs.end()?;
    tar.into_inner()?.flush()
}

/// The target is written as it is. The crate's own method writes `a//b` as `a/b`.
fn append_link(tar: &mut Builder<impl Write>, name: &[u8], target: &[u8], time: u64) -> io::Result<()> {
    let mut header = header(EntryType::Symlink, mode(Kind::Link), time, 0);
    if header.set_link_name_literal(target).is_err() {
        // GNU's form of a long target: an entry of its own before the link's.
        let target = [target, b"\0"].concat();
        let mut long = self::header(EntryType::GNULongLink, 0o644, 0, target.len() as u64);
        tar.append_data(&mut long, "././@LongLink", &target[..])?;
    }
    tar.append_data(&mut header, path(name), io::empty())
}

fn header(kind: EntryType, mode: u32, time: u64, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(time);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header
}

/// Sends what is written.
struct Pieces(Sender<Message>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Message::Piece(bytes.to_vec()));
        sent.map_err(|_| Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
